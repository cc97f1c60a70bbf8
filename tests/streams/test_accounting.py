"""Every call is one event, whatever happens to it."""

import asyncio
import json

import pytest

from common.core.errors import PublishFailed
from common.core.event_types import parse_event
from common.core.events import UsageEvent
from common.llm.price_book import bundled_book
from common.runtime.logs import JsonLines
from tests.streams.conftest import KeptRecords
from tests.streams.fakes import (
    ANTHROPIC_NANOS,
    ANTHROPIC_REQUEST,
    ANTHROPIC_STREAM,
    ASKING,
    JSON,
    OPENAI_NANOS,
    OPENAI_STREAM,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)


async def test_the_event_says_who_and_what(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([*ANTHROPIC_STREAM])
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    await client.call(
        "/v1/messages",
        ANTHROPIC_REQUEST,
        headers={
            "x-gateway-agent": "indexer",
            "x-gateway-tags": "feature=search",
            "x-gateway-user": "jane",
            "x-stainless-retry-count": "2",
            "traceparent": trace,
        },
    )

    event = bus.only
    assert (event.org, event.team, event.agent) == ("acme", "search", "indexer")
    assert (event.line, event.tags) == ("line-1", {"env": "prod", "feature": "search"})
    assert (event.protocol, event.endpoint, event.provider) == (
        "anthropic",
        "messages",
        "anthropic",
    )
    assert event.upstream == "api.anthropic.com"
    assert (event.model_asked, event.model_billed) == ("claude-sonnet-4-5", "claude-sonnet-4-5")
    assert (event.cost_nanos, event.priced_nanos) == (ANTHROPIC_NANOS, ANTHROPIC_NANOS)
    assert (event.card, event.book) == ("anthropic/claude-sonnet-4-5", bundled_book().digest)
    assert event.units == {"input_tokens": 100, "output_tokens": 20}
    assert (event.finish_reason, event.status, event.streamed) == ("end_turn", 200, True)
    assert (event.client_retry, event.traceparent) == (2, trace)
    assert event.request_bytes == len(ANTHROPIC_REQUEST)
    assert event.response_bytes == len(b"".join(ANTHROPIC_STREAM))
    assert (event.outcome, event.error_code, event.simulated) == ("ok", None, False)
    assert event.user_hash is not None
    assert event.first_chunk_s is not None
    assert 0 <= event.first_chunk_s <= event.duration_s


async def test_an_unknown_model_has_no_cost_and_a_reason(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    reply = b'{"model":"new-7","usage":{"prompt_tokens":1,"completion_tokens":2}}'
    upstream.reply = ScriptedReply([reply], headers=list(JSON))

    exchange = await client.call(body=b'{"model":"new"}')

    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "unknown_model")
    assert (bus.only.units, bus.only.outcome) == ({"input_tokens": 1, "output_tokens": 2}, "ok")
    assert "x-gateway-cost-usd" not in exchange.headers


@pytest.mark.parametrize("stage", ["before", "stream", "publishing"])
async def test_a_request_that_the_server_cancels_is_one_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, stage: str
) -> None:
    never = asyncio.Event()
    upstream.before = [never] if stage == "before" else []
    upstream.reply = ScriptedReply(
        [OPENAI_STREAM[0], never] if stage == "stream" else [*OPENAI_STREAM]
    )
    bus.gate = asyncio.Event()

    exchange, task = client.start(body=ASKING)
    if stage == "before":
        await wait_for(upstream.asked)
    else:
        await exchange.until_received(OPENAI_STREAM[0])
    if stage == "publishing":
        await wait_for(bus.asked)
    task.cancel()
    await wait_for(bus.asked)
    bus.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    done = stage == "publishing"
    assert bus.only.outcome == ("ok" if done else "gateway_error")
    assert bus.only.error_code == (None if done else "gateway_stopped")
    assert bus.only.cost_source == ("provider" if done else "estimated")


@pytest.mark.parametrize("turns", range(40))
async def test_a_cancellation_at_any_turn_of_the_loop_is_one_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, turns: int
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])
    await client.call(body=ASKING)
    bus.events.clear()

    exchange, task = client.start(body=ASKING)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert bus.only.outcome in {"ok", "gateway_error"}
    assert exchange.complete or task.cancelled()


async def test_an_event_that_is_not_accepted_is_logged_whole(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, logged: KeptRecords
) -> None:
    bus.failure = PublishFailed("the bus is full")
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    exchange = await client.call(body=ASKING)

    [record] = logged.named("usage.unpublished")
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["cause"]) == ("usage.unpublished", "the bus is full")
    event = parse_event(json.loads(line["usage_event"]))
    assert isinstance(event, UsageEvent)
    assert (event.cost_nanos, event.id) == (OPENAI_NANOS, exchange.headers["x-gateway-request-id"])
    assert (exchange.content, exchange.complete) == (b"".join(OPENAI_STREAM), True)


async def test_calls_beside_each_other_have_their_own_events(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    exchanges = await asyncio.gather(*(client.call(body=ASKING) for _ in range(20)))

    ids = {exchange.headers["x-gateway-request-id"] for exchange in exchanges}
    assert (len(ids), {event.id for event in bus.events}) == (20, ids)


async def test_warnings_reach_client_and_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    exchange = await client.call(body=ASKING, headers={"x-gateway-agent": "ceo"})

    warning = "x-gateway-agent is not an agent this key may act as; ignored"
    assert (exchange.headers["x-gateway-warning"], bus.only.warnings) == (warning, (warning,))
