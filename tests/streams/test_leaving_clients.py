"""A client that leaves, at every stage: the provider is left too, and there is one event."""

import asyncio

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.gateway.gateway import Limits
from common.gateway.keys import KeyPolicy
from tests.gateway.making import a_key, key_text, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    ANTHROPIC_NANOS,
    ANTHROPIC_REQUEST,
    ANTHROPIC_START,
    ANTHROPIC_STREAM,
    ASKING,
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)


async def test_while_sending_its_body(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    exchange, task = client.start(body=[b'{"model":', asyncio.Event(), b'"gpt-4o"}'])
    exchange.leave()
    await task

    event = bus.only
    assert (event.client_gone, event.status, event.outcome) == (True, 499, "client_error")
    assert (event.error_code, event.cost_nanos) == ("client_disconnected", 0)
    assert (upstream.requests, exchange.messages) == ([], [])


async def test_before_the_reply_begins(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [asyncio.Event()]

    exchange, task = client.start(body=b'{"model":"gpt-4o-mini"}')
    await wait_for(upstream.asked)
    exchange.leave()
    await task

    event = bus.only
    assert (event.client_gone, event.status, event.upstream_status) == (True, 499, None)
    assert (event.outcome, event.error_code) == ("client_error", "client_disconnected")
    # What may be generated: (23 + 64) x 150 + 1,024 x 600
    assert (event.cost_nanos, event.cost_source) == (627_450, "estimated")
    assert exchange.messages == []


async def test_in_the_middle_of_a_stream(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([ANTHROPIC_START, asyncio.Event()])

    exchange, task = client.start("/v1/messages", ANTHROPIC_REQUEST)
    await exchange.until_received(ANTHROPIC_START)
    exchange.leave()
    await task

    event = bus.only
    assert (event.client_gone, event.status, event.upstream_status) == (True, 200, 200)
    assert (event.outcome, event.error_code) == ("client_error", "client_disconnected")
    # The input is known, and the request's own cap bounds the output: 100 x 3,000 + 100 x 15,000
    assert (event.cost_nanos, event.cost_source) == (1_800_000, "estimated")
    assert (reply.closed, exchange.content) == (1, ANTHROPIC_START)


async def test_while_a_json_reply_is_held(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    begun = asyncio.Event()

    class Begun(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override] # never comes
            begun.set()
            return await super().wait()

    upstream.reply = reply = ScriptedReply([OPENAI_REPLY[:50], Begun()], headers=list(JSON))

    exchange, task = client.start(body=b'{"model":"gpt-4o-mini"}')
    await wait_for(begun)
    exchange.leave()
    await task

    event = bus.only
    assert (event.client_gone, event.status, event.upstream_status) == (True, 499, 200)
    # What came is part of the bound: (23 + 64) x 150 + (50 + 1,024) x 600
    assert (event.cost_nanos, event.cost_source) == (657_450, "estimated")
    assert (reply.closed, exchange.messages) == (1, [])


async def test_while_it_does_not_read(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([*ANTHROPIC_STREAM])

    exchange, task = client.start("/v1/messages", ANTHROPIC_REQUEST)
    exchange.stops_after = 2
    await wait_for(exchange.blocked)
    exchange.leave()
    await task

    assert (bus.only.client_gone, bus.only.outcome, reply.closed) == (True, "client_error", 1)


async def test_after_the_last_chunk(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([*OPENAI_STREAM, asyncio.Event()])

    exchange, task = client.start(body=ASKING)
    await exchange.until_received(b"[DONE]")
    exchange.leave()
    await task

    event = bus.only
    assert (event.cost_nanos, event.cost_source) == (OPENAI_NANOS, "provider")
    assert (event.client_gone, event.status, reply.closed) == (True, 200, 1)


async def test_while_the_call_is_accounted(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    bus.gate = asyncio.Event()
    upstream.reply = reply = ScriptedReply([*OPENAI_STREAM])

    exchange, task = client.start(body=ASKING)
    await wait_for(bus.asked)
    exchange.leave()
    bus.gate.set()
    await task

    assert (bus.only.client_gone, bus.only.outcome, reply.closed) == (False, "ok", 1)


@pytest.mark.parametrize("turns", range(40))
async def test_at_any_turn_of_the_loop(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, turns: int
) -> None:
    upstream.reply = reply = ScriptedReply([*OPENAI_STREAM])
    await client.call(body=ASKING)
    bus.events.clear()

    exchange, task = client.start(body=ASKING)
    for _ in range(turns):
        await asyncio.sleep(0)
    exchange.leave()
    await task

    assert bus.only.outcome in {"ok", "client_error"}
    assert reply.closed in {1, 2}


FINISHING = key_text("finishing")


async def _let_finish(documents: SqliteDocuments) -> None:
    await store(documents, a_key(FINISHING, policy=KeyPolicy(on_disconnect="finish")))


async def test_a_key_may_let_its_calls_finish(
    client: Client, documents: SqliteDocuments, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    await _let_finish(documents)
    rest = asyncio.Event()
    upstream.reply = reply = ScriptedReply([ANTHROPIC_START, rest, *ANTHROPIC_STREAM[1:]])

    exchange, task = client.start(
        "/v1/messages", ANTHROPIC_REQUEST, headers={"x-gateway-key": FINISHING}
    )
    await exchange.until_received(ANTHROPIC_START)
    await wait_for(exchange.watched)
    exchange.leave()
    rest.set()
    await task

    event = bus.only
    assert (event.client_gone, event.outcome, event.status) == (True, "ok", 200)
    assert (event.cost_nanos, event.cost_source) == (ANTHROPIC_NANOS, "provider")
    assert reply.closed == 1


async def test_a_call_that_may_finish_is_unanswered_if_its_client_left_before(
    client: Client, documents: SqliteDocuments, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    await _let_finish(documents)
    begin = asyncio.Event()
    upstream.before = [begin]
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=list(JSON))

    exchange, task = client.start(
        body=b'{"model":"gpt-4o-mini"}', headers={"x-gateway-key": FINISHING}
    )
    await wait_for(exchange.watched)
    exchange.leave()
    begin.set()
    await task

    event = bus.only
    assert (event.client_gone, event.status, event.upstream_status) == (True, 499, 200)
    assert (event.cost_nanos, event.cost_source) == (OPENAI_NANOS, "provider")


async def test_a_call_that_may_finish_does_not_go_on_for_ever(
    make_client: MakeClient,
    documents: SqliteDocuments,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
) -> None:
    await _let_finish(documents)
    upstream.reply = reply = ScriptedReply([ANTHROPIC_START, asyncio.Event()])

    exchange, task = make_client(Limits(finish_s=0.02)).start(
        "/v1/messages", ANTHROPIC_REQUEST, headers={"x-gateway-key": FINISHING}
    )
    await exchange.until_received(ANTHROPIC_START)
    exchange.leave()
    await task

    event = bus.only
    assert (event.client_gone, event.error_code) == (True, "client_disconnected")
    assert (event.cost_source, reply.closed) == ("estimated", 1)
