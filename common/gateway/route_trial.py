"""Where rules would send a request, found out by the code that does it, with nothing sent.

The rules are those in force, or others that are to be tried first. Every upstream counts as paid
for and sound, and a conversation as new: what an instance remembers it remembers for itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from common.brownout.modes import Priority
from common.core.errors import InvalidInput, NotFound
from common.core.ports import Clock, Documents
from common.core.secrets import Secret
from common.gateway.attribution import Attribution
from common.gateway.call import Call, Route
from common.gateway.choice import Target
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.identity import agent_ref, org_ref, project_ref, team_ref
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.gateway.routing import Routing
from common.gateway.trial_calls import Caller, Surroundings, trial_call
from common.gateway.upstream_health import UpstreamHealth
from common.llm.price_book import PriceBook
from common.routing.choice import Draw
from common.routing.rules import RouteTable


@dataclass(frozen=True, slots=True)
class Request:
    """What would be sent to the proxy, and by whom.

    `session` is what a weighted choice stays with; `budget_used` is a share, 0 to 1.
    """

    path: str
    body: bytes
    org: str
    team: str
    agent: str
    project: str | None = None
    tags: Mapping[str, str] | None = None
    session: str | None = None
    budget_used: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """The rule that is for the request, if one is, and where it goes, the best first.

    `left_out` says what of the rule's choice could not take it, and why.
    """

    route: Route | None
    chain: tuple[Target, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The rules that are tried."""

    rules: RouteTable

    async def table(self, _org: str) -> RouteTable:
        return self.rules


async def try_route(
    request: Request,
    table: RouteTable,
    *,
    documents: Documents,
    clock: Clock,
    entropy: Callable[[int], bytes],
    book: PriceBook,
    draw: Draw,
) -> Trial:
    """Where these rules send a request.

    Args:
        request: what is tried.
        table: the rules.
        documents: where upstreams are configured.
        clock: the time.
        entropy: random bytes.
        book: the prices.
        draw: of the installation, so that a session draws here what it draws at the proxy.

    Raises:
        InvalidInput: the path is none of the proxy's, or nothing can serve the call.
        NotFound: there is no such organisation, team, agent or project.
        StoreUnavailable: no answer in time.
    """
    await _check_known(request, documents)
    around = Surroundings(documents, clock, entropy, book, lambda _name: Secret("set"))
    caller = Caller(request.org, request.team, request.agent, request.project)
    call, movable = await trial_call(request.path, request.body, caller, around)
    call.attribution = Attribution(
        movable.key,
        request.agent,
        tags=request.tags or {},
        user_hash=None,
        session_hash=request.session,
        priority=Priority.NORMAL,
        warnings=(),
    )

    async def used(_call: Call, _key: Key, _model: str | None) -> float:
        return request.budget_used

    routing = Routing(_Fixed(table), used, UpstreamHealth(clock), ExpectedCosts(), draw)
    try:
        chain = await routing.chain(call, movable, {})
    except Refusal as refusal:
        raise InvalidInput(refusal.message, field="body.model") from None
    return Trial(call.route, chain, call.warnings)


async def _check_known(request: Request, documents: Documents) -> None:
    """No call is of somebody whom nobody made: a misspelt name would be tried in vain."""
    org = request.org
    named = {
        f"organisation {org[:80]!r}": org_ref(org),
        f"team {request.team[:80]!r} in {org[:80]}": team_ref(org, request.team),
        f"agent {request.agent[:80]!r} in {org[:80]}": agent_ref(org, request.agent),
    }
    if request.project is not None:
        named[f"project {request.project[:80]!r} in {org[:80]}"] = project_ref(org, request.project)
    found = await documents.get_many(list(named.values()))
    missing = [name for name, each in zip(named, found, strict=True) if each is None]
    if missing:
        raise NotFound(f"there is no {missing[0]}")
