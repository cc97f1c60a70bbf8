"""What a mode would do to a request, found out by the code that does it, with nothing sent.

The trial is a call in a state in which everything is pinned to the mode, under the policy of now as
if it were enforced. Nothing is drawn: the call is in no holdout, and is let in wherever a share of
the calls is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from common.brownout.modes import GLOBAL, Mode, Priority
from common.brownout.policies import SHIPPED, Policies
from common.brownout.policy import Admit, Policy
from common.brownout.policy_models import policy_from_data
from common.brownout.state import STATE, Pin, State
from common.brownout.trajectory import Lease, ScopeState
from common.core.events import EditMade
from common.core.ports import Clock, Document, Documents
from common.gateway.brownout_copy import BrownoutCopy
from common.gateway.brownouts import Brownouts
from common.gateway.choice import Target
from common.gateway.credentials import Payer
from common.gateway.refusals import Refusal
from common.gateway.trial_calls import Caller, Surroundings, trial_call
from common.llm.price_book import PriceBook

_LASTS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Request:
    """What would be sent to the proxy, and how it would be treated.

    `scope` is the team, agent or organisation that calls, in canonical form, None for one without a
    strategy of its own. `failing`: its provider does not answer as it should.
    """

    path: str
    body: bytes
    mode: Mode
    priority: Priority
    scope: str | None = None
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What would be given up.

    `target` is where the call would go, None where it is refused. `let_in` is the share of such
    calls that would be served at all. `strategy` is None in normal mode.
    """

    strategy: str | None
    edits: tuple[EditMade, ...]
    let_in: float
    target: Target | None
    refusal: Refusal | None


async def try_out(
    request: Request,
    policy: Policy,
    *,
    documents: Documents,
    clock: Clock,
    entropy: Callable[[int], bytes],
    book: PriceBook,
) -> Trial:
    """What the mode would do to the request.

    Args:
        request: what is tried.
        policy: the one in force.
        documents: where upstreams are configured.
        clock: the time.
        entropy: random bytes.
        book: says what models take.

    Raises:
        InvalidInput: the path is none of the proxy's, or names no upstream.
        StoreUnavailable: no answer in time.
    """
    around = Surroundings(documents, clock, entropy, book, lambda _name: None)
    call, movable = await trial_call(request.path, request.body, _caller(request), around)
    call.priority = request.priority.word
    target = movable.asked
    brownouts = Brownouts(
        await _copy(request, policy, target, documents, clock), clock, _never_drawn, entropy
    )
    refused: Refusal | None = None
    try:
        treated = brownouts.treat(call, movable.key, movable.endpoint, target, {}, payer=_nobody)
    except Refusal as refusal:
        refused = refusal
    made = call.treatment
    strategy = None if made is None else made.strategy
    return Trial(
        strategy=strategy,
        edits=() if made is None else made.edits,
        let_in=0.0 if refused is not None else _let_in(policy, strategy, request),
        target=None if refused is not None else treated,
        refusal=refused,
    )


async def _copy(
    request: Request, policy: Policy, target: Target, documents: Documents, clock: Clock
) -> BrownoutCopy:
    """A copy of a state in which everything is in the mode."""
    now = clock.now()
    pin = Pin("trial", GLOBAL, request.mode, "a trial", "", now, now + _LASTS)
    scopes = {}
    if request.failing:
        destination = target.destination
        lease = Lease(Mode.HARD, now + _LASTS, "errors")
        failing = ScopeState(Mode.HARD, now, now, now, Mode.HARD, (lease,))
        scopes[f"provider:{(destination.provider or destination.name).lower()}"] = failing
    state = State(policy_version=SHIPPED, scopes=scopes, pins=(pin,))
    enforced = replace(policy, enforcement="enforce")
    copy = BrownoutCopy(Policies(documents, lambda: enforced, policy_from_data))
    await copy.learn(Document(STATE, state.to_data(), ""))
    return copy


def _nobody() -> Payer:
    """No edit rests: what a provider has refused is known to each instance alone."""
    return Payer("", own=False)


def _never_drawn(text: str) -> float:
    """Let in wherever some are; in no holdout."""
    return 0.0 if " admit " in text else 1.0


def _let_in(policy: Policy, strategy: str | None, request: Request) -> float:
    if strategy is None:
        return 1.0
    edits = policy.strategies[strategy].edits(request.mode, request.priority)
    return min((each.share for each in edits if isinstance(each, Admit)), default=1.0)


def _caller(request: Request) -> Caller:
    kind, _, name = (request.scope or "").partition(":")
    org, _, member = name.partition("/")
    return Caller(
        org,
        team=member if kind == "team" else "",
        agent=member if kind == "agent" else "",
    )
