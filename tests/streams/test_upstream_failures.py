"""A provider that fails, at every stage: the client is told in its own API's words, once."""

import asyncio
import json

import pytest

from common.core.ports import Documents, Put
from common.gateway.gateway import Limits
from common.gateway.upstream import (
    ProxyFailed,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from tests.streams.conftest import KeptRecords, MakeClient
from tests.streams.fakes import (
    ANTHROPIC_REQUEST,
    ANTHROPIC_START,
    ANTHROPIC_TEXT,
    ASKING,
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    OPENAI_STREAM,
    TINY_S,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    openai_chunk,
    wait_for,
)

BROKEN = UpstreamDisconnected("ServerDisconnectedError")


def _error(exchange: Exchange) -> tuple[int, str]:
    return exchange.status, json.loads(exchange.content)["error"]["code"]


def _last_event(exchange: Exchange) -> bytes:
    return exchange.content.split(b"\n\n")[-2]


async def test_no_connection_costs_nothing(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [UpstreamUnreachable("ClientConnectorDNSError")]

    exchange = await client.call()

    assert _error(exchange) == (502, "upstream_unreachable")
    assert exchange.complete
    assert (bus.only.cost_nanos, bus.only.cost_source) == (0, "free")
    assert (bus.only.outcome, bus.only.status) == ("upstream_error", 502)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (UpstreamUnreachable("gaierror"), "No connection to tower (gaierror)."),
        (ProxyFailed("not in time"), "HTTPS_PROXY, made no connection to tower (not in time)."),
        (BROKEN, "tower closed the connection before"),
        (UpstreamMalformed("malformed head"), "tower sent what is no HTTP reply (malformed head)."),
        (asyncio.Event(), "tower did not answer in time"),
        (None, "tower answered with a redirect (302)"),
    ],
    ids=["unreachable", "proxy", "broken", "malformed", "silent", "redirect"],
)
async def test_an_upstream_is_named_to_callers_and_its_address_kept_from_them(  # noqa: PLR0917 - columns
    make_client: MakeClient,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: Documents,
    failure: asyncio.Event | Exception | None,
    told: str,
) -> None:
    inside = UpstreamRecord("tower", "http://10.0.0.7:8000/v1", allow_private=True)
    await documents.commit([Put(upstream_ref("tower"), inside.to_data())])
    upstream.before = [] if failure is None else [failure]
    upstream.reply = ScriptedReply([], 302, [])

    exchange = await make_client(Limits(first_byte_s=TINY_S)).call("/u/tower/v1/chat/completions")

    assert told in json.loads(exchange.content)["error"]["message"]
    assert b"10.0.0.7" not in exchange.content
    assert b"status page" not in exchange.content or isinstance(failure, UpstreamUnreachable)
    assert bus.only.upstream == "10.0.0.7:8000"


async def test_a_failure_of_the_own_proxy_is_not_blamed_on_the_provider(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [ProxyFailed("it answered CONNECT with 407")]

    exchange = await client.call()

    assert _error(exchange) == (502, "upstream_unreachable")
    assert b"(it answered CONNECT with 407)" in exchange.content
    assert b"status page" not in exchange.content
    assert bus.only.cost_source == "free"


@pytest.mark.parametrize("ended", [True, False])
async def test_a_silence_behind_the_provider_s_own_end_is_no_error(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus, *, ended: bool
) -> None:
    stream = OPENAI_STREAM if ended else OPENAI_STREAM[:-1]
    upstream.reply = ScriptedReply([*stream, asyncio.Event()])

    exchange = await make_client(Limits(idle_s=TINY_S)).call(body=ASKING)

    assert (exchange.content == b"".join(stream), exchange.complete) == (ended, True)
    assert (b"upstream_timeout" in exchange.content) is not ended
    assert bus.only.outcome == ("ok" if ended else "upstream_error")
    assert (bus.only.cost_nanos, bus.only.cost_source) == (OPENAI_NANOS, "provider")


async def test_a_connection_that_breaks_before_the_reply_is_estimated(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [BROKEN]

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}')

    assert _error(exchange) == (502, "upstream_disconnected")
    # (23 + 64) x 150 + 1,024 x 600
    assert (bus.only.cost_nanos, bus.only.cost_source) == (627_450, "estimated")
    assert (bus.only.outcome, bus.only.upstream_status) == ("upstream_error", None)


async def test_an_openai_stream_that_breaks_ends_in_an_error_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([openai_chunk("Hel"), BROKEN])

    exchange = await client.call(body=ASKING)

    error = json.loads(_last_event(exchange).removeprefix(b"data: "))["error"]
    assert exchange.content.startswith(openai_chunk("Hel"))
    assert (error["code"], error["type"]) == ("upstream_disconnected", "server_error")
    assert (exchange.status, exchange.complete, reply.closed) == (200, True, 1)
    assert (bus.only.outcome, bus.only.error_code) == ("upstream_error", "upstream_disconnected")
    assert (bus.only.status, bus.only.cost_source) == (200, "estimated")


async def test_an_anthropic_stream_that_breaks_ends_in_an_error_event(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([ANTHROPIC_START, ANTHROPIC_TEXT, BROKEN])

    exchange = await client.call("/v1/messages", ANTHROPIC_REQUEST)

    name, data = _last_event(exchange).split(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "api_error"
    assert bus.only.units["input_tokens"] == 100


@pytest.mark.parametrize("at", range(1, len(ANTHROPIC_TEXT), 7))
async def test_an_unfinished_event_does_not_swallow_the_error(
    client: Client, upstream: ScriptedUpstream, at: int
) -> None:
    upstream.reply = ScriptedReply([ANTHROPIC_START, ANTHROPIC_TEXT[:at], BROKEN])

    exchange = await client.call("/v1/messages", ANTHROPIC_REQUEST)

    assert _last_event(exchange).startswith(b'event: error\ndata: {"type":"error"')


async def test_an_edited_stream_ends_without_the_unfinished_event(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([openai_chunk("Hel"), openai_chunk("lo")[:40], BROKEN])

    exchange = await client.call(body=b'{"model":"gpt-4o-mini","stream":true}')

    assert exchange.content.startswith(openai_chunk("Hel") + b"\n\ndata: {" + b'"error"')


async def test_a_stream_with_a_length_can_still_be_told_an_error(
    client: Client, upstream: ScriptedUpstream
) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"content-length", b"5000")]
    upstream.reply = ScriptedReply([openai_chunk("Hel"), BROKEN], headers=headers)

    exchange = await client.call(body=ASKING)

    assert "content-length" not in exchange.headers
    assert exchange.complete


async def test_a_stream_that_ends_without_its_end_is_said_to_be_incomplete(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM[:2])

    exchange = await client.call(body=ASKING)

    assert exchange.content == b"".join(OPENAI_STREAM[:2])
    assert (bus.only.outcome, bus.only.error_code) == ("upstream_error", "upstream_incomplete")


async def test_a_stream_that_breaks_after_its_usage_keeps_its_cost(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM[:-1], BROKEN])

    await client.call(body=ASKING)

    assert (bus.only.cost_nanos, bus.only.cost_source) == (OPENAI_NANOS, "provider")


async def test_a_json_reply_that_breaks_is_502(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([OPENAI_REPLY[:50], BROKEN], headers=list(JSON))

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}')

    assert _error(exchange) == (502, "upstream_disconnected")
    assert (bus.only.status, bus.only.upstream_status, reply.closed) == (502, 200, 1)
    # What came is part of the bound: (23 + 64) x 150 + (50 + 1,024) x 600
    assert bus.only.cost_nanos == 657_450


async def test_a_long_json_reply_that_breaks_is_left_without_its_end(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    start = b'{"text":"' + b"x" * (1024 * 1024)
    upstream.reply = ScriptedReply([start, BROKEN], headers=list(JSON))

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}')

    assert (exchange.content, exchange.complete) == (start, False)
    assert (bus.only.error_code, bus.only.status) == ("upstream_disconnected", 200)


async def test_a_provider_that_does_not_begin_is_504(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.before = [asyncio.Event()]

    exchange = await make_client(Limits(first_byte_s=TINY_S)).call()

    assert _error(exchange) == (504, "upstream_timeout")
    assert "first byte" in json.loads(exchange.content)["error"]["message"]
    assert (bus.only.outcome, bus.only.client_gone) == ("upstream_error", False)
    assert bus.only.cost_source == "estimated"


async def test_a_provider_that_falls_silent_is_an_error_event(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = reply = ScriptedReply([openai_chunk("Hel"), asyncio.Event()])

    exchange = await make_client(Limits(idle_s=TINY_S)).call(body=ASKING)

    assert b'"code":"upstream_timeout"' in _last_event(exchange)
    assert b"(waited for its next chunk)" in _last_event(exchange)
    assert (bus.only.error_code, bus.only.status, reply.closed) == ("upstream_timeout", 200, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("asked", ["POST /openai/v1/chat/completions", "GET /openai/v1/files"])
async def test_a_redirect_is_not_passed_on(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, status: int, asked: str
) -> None:
    method, path = asked.split()
    away = [(b"location", b"https://elsewhere.example/v1"), (b"content-length", b"0")]
    upstream.reply = reply = ScriptedReply([], status, away)

    exchange = await client.call(path, b"{}" if method == "POST" else b"", method=method)

    assert _error(exchange) == (502, "upstream_redirected")
    assert "location" not in exchange.headers
    assert b"elsewhere" not in exchange.content
    assert exchange.headers["x-should-retry"] == "false"
    assert (bus.only.outcome, bus.only.upstream_status) == ("upstream_error", status)
    assert (bus.only.cost_nanos, bus.only.cost_source, reply.closed) == (0, "free", 1)


@pytest.mark.parametrize("began", [True, False])
async def test_a_call_that_runs_when_its_instance_ends_is_told_and_accounted(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, *, began: bool
) -> None:
    upstream.before = [] if began else [asyncio.Event()]
    upstream.reply = reply = ScriptedReply([openai_chunk("Hel"), asyncio.Event()])

    exchange, task = client.start(body=ASKING)
    if began:
        await exchange.until_received(b"Hel")
    else:
        await wait_for(upstream.asked)
    client.gateway.stop()
    await task

    assert exchange.complete
    assert b'"code":"gateway_stopped"' in exchange.content
    assert (bus.only.outcome, bus.only.error_code) == ("gateway_error", "gateway_stopped")
    assert (bus.only.status, bus.only.cost_source) == (200 if began else 503, "estimated")
    assert reply.closed == began


async def test_a_call_whose_client_reads_nothing_is_accounted_when_its_instance_ends(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([openai_chunk("Hel"), openai_chunk("lo")])
    client = make_client(Limits(tell_s=TINY_S))

    exchange, task = client.start(body=ASKING)
    exchange.stops_after = 2
    await wait_for(exchange.blocked)
    client.gateway.stop()
    await task

    assert (bus.only.error_code, bus.only.status) == ("gateway_stopped", 200)
    assert not exchange.complete


async def test_calls_that_have_ended_are_not_stopped(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    await client.call(body=ASKING)
    client.gateway.stop()

    assert bus.only.outcome == "ok"


async def test_a_call_ends_after_its_longest_time(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([openai_chunk("Hel"), asyncio.Event()])

    await make_client(Limits(call_s=1.0)).call(body=ASKING)

    assert bus.only.error_code == "upstream_timeout"


@pytest.mark.parametrize("read", [0, 1, 2, 5])
async def test_a_slow_reader_is_no_timeout(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus, read: int
) -> None:
    client = make_client(Limits(idle_s=TINY_S, first_byte_s=TINY_S))
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    exchange, task = client.start(body=ASKING)
    exchange.stops_after = read
    await wait_for(exchange.blocked)
    asyncio.get_running_loop().call_later(4 * TINY_S, exchange.reading.set)
    await task

    assert (exchange.content, bus.only.outcome) == (b"".join(OPENAI_STREAM), "ok")


async def test_an_unforeseen_failure_is_500_without_its_text(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, logged: KeptRecords
) -> None:
    upstream.before = [KeyError("a prompt")]

    exchange = await client.call()

    [record] = logged.named("call.failed")
    assert _error(exchange) == (500, "internal_error")
    assert bus.only.id in exchange.content.decode()
    assert (bus.only.outcome, "a prompt" in str(record.__dict__)) == ("gateway_error", False)
