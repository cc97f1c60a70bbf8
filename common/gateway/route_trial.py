"""Where rules would send a request, found out by the code that does it, with nothing sent.

The rules are those in force, or others that are to be tried first. Every upstream counts as paid
for and sound, and a conversation as new: what an instance remembers it remembers for itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from common.core.errors import InvalidInput
from common.core.ids import time_ordered_id
from common.core.ports import Clock, Documents
from common.core.secrets import Secret
from common.gateway.attribution import Attribution
from common.gateway.call import Call, Route
from common.gateway.candidates import Movable
from common.gateway.choice import Target, choose_target, forwardable
from common.gateway.control import Control
from common.gateway.directory import Directory
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.keys import Key, KeyPolicy
from common.gateway.refusals import Refusal
from common.gateway.routing import Routing
from common.gateway.upstream_health import UpstreamHealth
from common.llm.paths import resolve
from common.llm.price_book import PriceBook
from common.llm.protocol import protocol_of
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
        StoreUnavailable: no answer in time.
    """
    endpoint = resolve("POST", request.path, {})
    if endpoint is None:
        raise InvalidInput(
            f"the proxy has nothing at {request.path[:200]}: write it as /openai/v1/...",
            field="path",
        )
    key = _key(request, clock)
    call = Call(
        id=time_ordered_id(clock.now(), entropy(10)),
        started_at=clock.now(),
        arrived_s=clock.monotonic(),
        protocol=protocol_of(endpoint),
        endpoint=endpoint,
        book=book,
    )
    tags = dict(request.tags or {})
    call.attribution = Attribution(key, request.agent, tags, None, request.session, ())
    directory = Directory(documents, clock, Control(documents, clock), lambda _name: Secret("set"))

    async def used(_call: Call, _key: Key, _model: str | None) -> float:
        return request.budget_used

    routing = Routing(_Fixed(table), used, UpstreamHealth(clock), ExpectedCosts(), draw)
    try:
        forwarded = forwardable(endpoint)
        facts = call.facts if call.form is None else call.form.read_facts(request.body)
        if forwarded.model is not None:
            facts = replace(facts, model=forwarded.model)
        known = await directory.current()
        asked = choose_target(forwarded, facts, request.body, known, key.policy)
        movable = Movable(key, forwarded, request.body, asked, None, known)
        chain = await routing.chain(call, movable, {})
    except Refusal as refusal:
        raise InvalidInput(refusal.message, field="path") from None
    return Trial(call.route, chain, call.warnings)


def _key(request: Request, clock: Clock) -> Key:
    """The key of whoever would call: it may use everything."""
    return Key(
        digest="",
        key_id="",
        name="trial",
        line="",
        org=request.org,
        team=request.team,
        agent=request.agent,
        project=request.project,
        tags={},
        may_act_as=(),
        policy=KeyPolicy(priority="critical"),
        created_by="",
        created_at=clock.now(),
        expires_at=None,
        revoked_at=None,
    )
