"""Gemini's streams pass as they come, and a key in the query is kept nowhere."""

import asyncio

import pytest

from common.gateway.upstream import UpstreamDisconnected
from tests.streams.fakes import (
    JSON,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)

MODEL = b'"modelVersion":"gemini-2.5-flash"}'
FIRST = (
    b'{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],'
    b'"usageMetadata":{"promptTokenCount":9},' + MODEL
)
LAST = (
    b'{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4},' + MODEL
)
NANOS = 10 * 300 + 4 * 2_500
"""gemini-2.5-flash: $0.30 and $2.50 per million tokens."""
PATH = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent"
BODY = b'{"contents":[{"parts":[{"text":"Hi"}]}]}'


def event(chunk: bytes) -> bytes:
    return b"data: " + chunk + b"\r\n\r\n"


async def test_an_array_passes_piece_by_piece(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    more = asyncio.Event()
    upstream.reply = ScriptedReply(
        [b"[" + FIRST, more, b",\r\n" + LAST[:50], LAST[50:], b"]"], headers=list(JSON)
    )

    exchange, task = client.start(PATH, BODY)
    await exchange.until_received(FIRST)
    more.set()
    await task

    assert exchange.content == b"[" + FIRST + b",\r\n" + LAST + b"]"
    assert exchange.complete
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")
    assert (bus.only.model_asked, bus.only.streamed) == ("gemini-2.5-flash", True)
    assert (bus.only.provider, bus.only.card) == ("google", "google/gemini-2.5-flash")


async def test_events_pass_unchanged_and_end_without_a_comment(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([event(FIRST), event(LAST)])

    exchange = await client.call(PATH, BODY, query=b"alt=sse")

    assert exchange.content == event(FIRST) + event(LAST)
    assert (bus.only.cost_nanos, bus.only.outcome) == (NANOS, "ok")
    assert upstream.requests[0].url.endswith(f"{PATH.removeprefix('/gemini')}?alt=sse")


async def test_a_broken_stream_of_events_ends_in_google_s_error(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([event(FIRST), UpstreamDisconnected("reset")])

    exchange = await client.call(PATH, BODY, query=b"alt=sse")

    assert b'data: {"error":{"code":502,' in exchange.content
    assert (bus.only.cost_source, bus.only.error_code) == ("estimated", "upstream_disconnected")
    assert bus.only.cost_nanos == 9 * 300 + (3 + 1024) * 2_500


async def test_a_broken_array_is_left_without_its_end(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply(
        [b"[" + FIRST, UpstreamDisconnected("reset")], headers=list(JSON)
    )

    exchange = await client.call(PATH, BODY)

    assert (exchange.content, exchange.complete) == (b"[" + FIRST, False)
    assert bus.only.cost_source == "estimated"


async def test_a_provider_key_in_the_query_goes_on_and_is_kept_nowhere(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    caplog: pytest.LogCaptureFixture,
) -> None:
    upstream.before = [RuntimeError("with AIza-of-the-caller in it")]

    await client.call(PATH, BODY, query=b"key=AIza-of-the-caller", headers={"authorization": ""})

    assert upstream.requests[0].url.endswith("?key=AIza-of-the-caller")
    assert not any(b"AIza" in value for _, value in upstream.requests[0].headers)
    assert "AIza" not in bus.only.payload().decode()
    assert "AIza" not in caplog.text
    assert bus.only.provider_key_hash is not None


async def test_a_whole_reply_has_its_cost_in_a_header(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([LAST], headers=list(JSON))

    exchange = await client.call("/v1/models/gemini-2.5-flash:generateContent", BODY)

    assert exchange.headers["x-gateway-cost-usd"] == "0.000013000"
    assert exchange.headers["x-gateway-model-asked"] == "gemini-2.5-flash"


async def test_embeddings_have_no_cost_and_a_reason(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b'{"embedding":{"values":[0.1]}}'], headers=list(JSON))

    await client.call("/v1beta/models/gemini-embedding-001:embedContent", BODY)

    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "usage_missing")
    assert (bus.only.outcome, bus.only.endpoint) == ("ok", "embeddings")
