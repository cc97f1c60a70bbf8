"""A call as the proxy would get it, made to find out what would become of it: nothing is sent."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from common.core.errors import InvalidInput
from common.core.ids import time_ordered_id
from common.core.ports import Clock, Documents
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import choose_target, forwardable
from common.gateway.control import Control
from common.gateway.directory import Directory
from common.gateway.keys import Key, KeyPolicy
from common.gateway.refusals import Refusal
from common.gateway.upstream_records import EnvironmentSecret
from common.llm.openai_format import RequestBody
from common.llm.paths import resolve
from common.llm.price_book import PriceBook
from common.llm.protocol import protocol_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Who would call, with a key that may use everything. An empty name is nobody's."""

    org: str
    team: str
    agent: str
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trial is made in. `secret` answers for the variables of upstreams' credentials."""

    documents: Documents
    clock: Clock
    entropy: Callable[[int], bytes]
    book: PriceBook
    secret: EnvironmentSecret


async def trial_call(
    path: str, body: bytes, caller: Caller, around: Surroundings
) -> tuple[Call, Movable]:
    """The call, and where its client sends it.

    Raises:
        InvalidInput: the path is none of the proxy's, or names no upstream.
        StoreUnavailable: no answer in time.
    """
    endpoint = resolve("POST", path, {})
    if endpoint is None:
        raise InvalidInput(
            f"the proxy has nothing at {path[:200]}: write it as /openai/v1/...", field="path"
        )
    clock = around.clock
    call = Call(
        id=time_ordered_id(clock.now(), around.entropy(10)),
        started_at=clock.now(),
        arrived_s=clock.monotonic(),
        protocol=protocol_of(endpoint),
        endpoint=endpoint,
        book=around.book,
    )
    key = _key(caller, clock)
    control = Control(around.documents, clock)
    directory = Directory(around.documents, clock, control, around.secret)
    try:
        forwarded = forwardable(endpoint)
        if call.form is not None:
            call.facts = call.form.read_facts(body)
        if forwarded.model is not None:
            call.facts = replace(call.facts, model=forwarded.model)
        known = await directory.current()
        written = RequestBody(body)
        asked = choose_target(forwarded, call.facts, written, known, key.policy)
    except Refusal as refusal:
        raise InvalidInput(refusal.message, field="path") from None
    return call, Movable(key, forwarded, written, asked, None, known)


def _key(caller: Caller, clock: Clock) -> Key:
    return Key(
        digest="",
        key_id="",
        name="trial",
        line="",
        org=caller.org,
        team=caller.team,
        agent=caller.agent,
        project=caller.project,
        tags={},
        may_act_as=(),
        policy=KeyPolicy(priority="critical"),
        created_by="",
        created_at=clock.now(),
        expires_at=None,
        revoked_at=None,
    )
