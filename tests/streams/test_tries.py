"""What is sent again, and what that holds: known to be unbilled, or perhaps billed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.ports import Put
from common.gateway.gateway import Limits
from common.gateway.upstream import (
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamReply,
    UpstreamRequest,
    UpstreamUnreachable,
)
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    OPENAI_STREAM,
    TINY_S,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)

CALL = b'{"model":"gpt-4o-mini","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}'
DOLLAR = 10**9


@dataclass(slots=True)
class InTurn(ScriptedUpstream):
    """Answers each request with the next of these, and the last one from then on."""

    turns: Sequence[ScriptedReply | Exception] = ()
    sent: list[ScriptedReply] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        turn = self.turns[min(len(self.requests), len(self.turns)) - 1]
        if isinstance(turn, Exception):
            raise turn
        self.sent.append(turn)
        return turn


def _fails(status: int, *headers: tuple[bytes, bytes]) -> ScriptedReply:
    return ScriptedReply([b'{"error":{}}'], status, [*JSON, *headers])


def _ok() -> ScriptedReply:
    return ScriptedReply([OPENAI_REPLY], headers=JSON)


@pytest.fixture
async def upstream() -> InTurn:
    return InTurn()


@pytest.fixture
async def hard_budget(documents: SqliteDocuments) -> None:
    budget = Budget("b", "acme", "org:acme", Calendar("day"), DOLLAR, "hard")
    await documents.commit([Put(budget_ref("b"), budget.to_data())])


PASSING = [
    UpstreamUnreachable("refused"),
    _fails(429),
    _fails(500),
    _fails(503),
    _fails(529),
]
AMBIGUOUS = [UpstreamDisconnected("reset"), _fails(502), _fails(504), _fails(524)]


@pytest.mark.parametrize("failure", [*PASSING, *AMBIGUOUS], ids=str)
async def test_a_failure_that_passes_is_not_seen(
    client: Client, upstream: InTurn, bus: KeepingBus, failure: ScriptedReply | Exception
) -> None:
    upstream.turns = [failure, failure, _ok()]

    exchange = await client.call(body=CALL)

    assert (exchange.status, exchange.content) == (200, OPENAI_REPLY)
    assert exchange.headers["x-gateway-attempts"] == "3"
    assert (bus.only.outcome, bus.only.cost_nanos) == ("ok", OPENAI_NANOS)
    assert len({request.body for request in upstream.requests}) == 1


async def test_a_reply_that_is_no_http_is_not_asked_for_twice(
    client: Client, upstream: InTurn, bus: KeepingBus
) -> None:
    upstream.turns = [UpstreamMalformed("malformed head"), _ok()]

    exchange = await client.call(body=CALL)

    assert (exchange.status, len(upstream.requests)) == (502, 1)
    assert exchange.headers["x-gateway-error"] == "upstream_disconnected"
    assert exchange.headers["x-should-retry"] == "false"
    assert b"openai sent what is no HTTP reply (malformed head)" in exchange.content
    assert (bus.only.outcome, bus.only.cost_source) == ("upstream_error", "estimated")


@pytest.mark.parametrize("failure", [_fails(400), _fails(401), _fails(404), _fails(422)], ids=str)
async def test_a_refusal_that_stays_is_not_asked_for_twice(
    client: Client, upstream: InTurn, failure: ScriptedReply
) -> None:
    upstream.turns = [failure, _ok()]

    exchange = await client.call(body=CALL)

    assert (exchange.status, len(upstream.requests)) == (failure.status, 1)


async def test_a_failure_that_does_not_pass_is_passed_on_after_three_tries(
    client: Client, upstream: InTurn
) -> None:
    upstream.turns = [_fails(503)]

    exchange = await client.call(body=CALL)

    assert (exchange.status, len(upstream.requests)) == (503, 3)
    assert upstream.sent[0].closed == 3


async def test_a_client_that_counts_its_own_tries_is_left_to_them(
    client: Client, upstream: InTurn
) -> None:
    upstream.turns = [_fails(503)]

    await client.call(body=CALL, headers={"x-stainless-retry-count": "1"})

    assert len(upstream.requests) == 1


@pytest.mark.parametrize(("asked", "tries"), [(b"20", 3), (b"21", 1)])
async def test_a_pause_that_a_provider_asks_for_is_obeyed_or_passed_on(
    make_client: MakeClient, upstream: InTurn, asked: bytes, tries: int
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = make_client()
    client.gateway.forwarding.sender.sleep = sleep
    upstream.turns = [_fails(429, (b"retry-after", asked))]

    await client.call(body=CALL)

    assert (len(upstream.requests), slept) == (tries, [20.0] * (tries - 1))


@pytest.mark.parametrize("first_byte_s", [TINY_S, 60.0])
async def test_a_pause_is_not_counted_in_the_time_for_a_first_byte(
    make_client: MakeClient, upstream: InTurn, first_byte_s: float
) -> None:
    client = make_client(Limits(first_byte_s=first_byte_s))

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(3 * TINY_S)

    client.gateway.forwarding.sender.sleep = sleep
    upstream.turns = [_fails(429, (b"retry-after", b"1")), _ok()]

    exchange = await client.call(body=CALL)

    assert (exchange.status, exchange.content) == (200, OPENAI_REPLY)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/openai/v1/files", "POST"), ("/openai/v1/batches", "POST"), ("/openai/v1/files", "GET")],
)
async def test_what_is_no_metered_call_is_sent_once(
    client: Client, upstream: InTurn, path: str, method: str
) -> None:
    upstream.turns = [_fails(503), _ok()]

    exchange = await client.call(path, b"{}", method=method)

    assert (exchange.status, len(upstream.requests)) == (503, 1)


async def test_nothing_is_sent_again_after_the_first_byte(client: Client, upstream: InTurn) -> None:
    upstream.turns = [ScriptedReply([OPENAI_STREAM[0], UpstreamDisconnected("cut")]), _ok()]

    await client.call(body=CALL[:-1] + b',"stream":true}')

    assert len(upstream.requests) == 1


@pytest.mark.parametrize("failure", PASSING, ids=str)
@pytest.mark.usefixtures("hard_budget")
async def test_what_is_known_to_be_unbilled_holds_once(
    client: Client, upstream: InTurn, bus: KeepingBus, failure: ScriptedReply | Exception
) -> None:
    upstream.turns = [failure, _ok()]

    await client.call(body=CALL)

    assert [each.nanos for each in bus.only.settlements] == [OPENAI_NANOS]
    assert bus.only.unproven_nanos == 0


@pytest.mark.parametrize("failure", AMBIGUOUS, ids=str)
@pytest.mark.usefixtures("hard_budget")
async def test_what_may_be_billed_stays_held_beside_the_next_try(
    client: Client, upstream: InTurn, bus: KeepingBus, failure: ScriptedReply | Exception
) -> None:
    upstream.turns = [failure, _ok()]

    await client.call(body=CALL)

    event = bus.only
    hold = event.hold_nanos // 2
    assert [each.nanos for each in event.settlements] == [hold, OPENAI_NANOS]
    assert (event.cost_nanos, event.unproven_nanos) == (OPENAI_NANOS, hold)


@pytest.mark.parametrize("failure", AMBIGUOUS, ids=str)
async def test_without_room_for_a_second_hold_there_is_no_second_try(
    client: Client,
    upstream: InTurn,
    documents: SqliteDocuments,
    failure: ScriptedReply | Exception,
) -> None:
    """A bound of this call is about 80,000 nano-USD."""
    budget = Budget("b", "acme", "org:acme", Calendar("day"), 150_000, "hard")
    await documents.commit([Put(budget_ref("b"), budget.to_data())])
    upstream.turns = [failure, _ok()]

    exchange = await client.call(body=CALL)

    assert (exchange.status >= 500, len(upstream.requests)) == (True, 1)
