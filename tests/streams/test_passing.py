"""Bytes pass as they came, when they came."""

import asyncio
from pathlib import Path

import pytest

from common.core.secrets import Secret
from tests.metering.recordings import read_recording
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    ANTHROPIC_NANOS,
    ANTHROPIC_REQUEST,
    ANTHROPIC_STREAM,
    ASKING,
    DONE,
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    openai_chunk,
    wait_for,
)

CASES = [
    pytest.param("/openai/v1/chat/completions", ASKING, OPENAI_STREAM, OPENAI_NANOS, id="openai"),
    pytest.param(
        "/anthropic/v1/messages",
        ANTHROPIC_REQUEST,
        ANTHROPIC_STREAM,
        ANTHROPIC_NANOS,
        id="anthropic",
    ),
]
MIB = 1024 * 1024


@pytest.mark.parametrize(("path", "body", "stream", "nanos"), CASES)
async def test_passes_a_stream_byte_for_byte_wherever_it_is_split(
    *,
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    path: str,
    body: bytes,
    stream: list[bytes],
    nanos: int,
) -> None:
    whole = b"".join(stream)
    differing = []

    for at in range(len(whole) + 1):
        upstream.reply = ScriptedReply([whole[:at], whole[at:]])
        exchange = await client.call(path, body)
        event = bus.only
        bus.events.clear()
        told = (exchange.content, exchange.complete, event.cost_nanos, event.outcome)
        differing += [at] if told != (whole, True, nanos, "ok") else []

    assert differing == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "openai-chat-stream-usage-empty-choices",
        "anthropic-stream-compaction",
        "anthropic-stream-delta-without-input",
    ],
)
async def test_passes_a_recorded_stream_byte_for_byte_wherever_it_is_split(
    client: Client, upstream: ScriptedUpstream, provider_replies: Path, name: str
) -> None:
    recording = read_recording(provider_replies, name)
    path = "/v1/messages" if name.startswith("anthropic") else "/v1/chat/completions"
    differing = []

    for at in range(len(recording.reply) + 1):
        upstream.reply = ScriptedReply([recording.reply[:at], recording.reply[at:]])
        exchange = await client.call(path, recording.request)
        differing += [at] if exchange.content != recording.reply else []

    assert differing == []


@pytest.mark.parametrize(
    ("path", "body", "first"),
    [
        ("/openai/v1/chat/completions", ASKING, OPENAI_STREAM[0][:30]),
        ("/openai/v1/chat/completions", b'{"stream":true}', OPENAI_STREAM[0]),
        ("/anthropic/v1/messages", ANTHROPIC_REQUEST, ANTHROPIC_STREAM[0][:30]),
    ],
)
async def test_the_first_chunk_is_there_before_the_second_leaves(
    client: Client, upstream: ScriptedUpstream, path: str, body: bytes, first: bytes
) -> None:
    received = asyncio.Event()
    upstream.reply = ScriptedReply([first, received, DONE])

    exchange, task = client.start(path, body)
    await exchange.until_received(first)
    received.set()
    await task

    assert exchange.content == first + DONE


async def test_takes_out_the_usage_that_only_the_gateway_asked_for(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply(OPENAI_STREAM)

    exchange = await client.call(body=b'{"model":"gpt-4o-mini","stream":true}')

    assert exchange.content == b"".join(OPENAI_STREAM[:3]) + DONE
    assert upstream.requests[0].body == ASKING
    assert (bus.only.cost_nanos, bus.only.cost_source) == (OPENAI_NANOS, "provider")


async def test_a_json_reply_says_what_it_cost(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    length = (b"content-length", str(len(OPENAI_REPLY)).encode())
    upstream.reply = ScriptedReply([OPENAI_REPLY[:50], OPENAI_REPLY[50:]], headers=[*JSON, length])

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}')

    assert exchange.content == OPENAI_REPLY
    assert exchange.headers["x-gateway-cost-usd"] == "0.000027000"
    assert exchange.headers["x-gateway-cost-source"] == "provider"
    assert exchange.headers["content-length"] == str(len(OPENAI_REPLY))
    assert exchange.headers["x-gateway-request-id"] == bus.only.id
    assert (bus.only.cost_nanos, bus.only.finish_reason) == (OPENAI_NANOS, "stop")


async def test_a_long_json_reply_passes_as_it_comes(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    received = asyncio.Event()
    start, end = b'{"text":"' + b"x" * MIB, b'",' + OPENAI_REPLY[1:]
    upstream.reply = ScriptedReply([start, received, end], headers=list(JSON))

    exchange, task = client.start(body=b'{"model":"gpt-4o-mini"}')
    await exchange.until_received(start)
    received.set()
    await task

    assert (exchange.content, exchange.complete) == (start + end, True)
    assert "x-gateway-cost-usd" not in exchange.headers
    assert bus.only.cost_nanos == OPENAI_NANOS


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
async def test_a_provider_s_error_passes_byte_for_byte(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, status: int
) -> None:
    error = b'{ "error": {"message":"Rate limit for sk-of-the-caller", "code":null} }\n'
    headers = [*JSON, (b"retry-after", b"7"), (b"x-request-id", b"req_1")]
    upstream.reply = ScriptedReply([error], status=status, headers=headers)

    exchange = await client.call()

    faulty = status == 429 or status >= 500
    assert (exchange.status, exchange.content, exchange.complete) == (status, error, True)
    assert (exchange.headers["retry-after"], exchange.headers["x-request-id"]) == ("7", "req_1")
    assert bus.only.outcome == ("upstream_error" if faulty else "client_error")
    assert (bus.only.error_code, bus.only.cost_nanos) == (f"upstream_{status}", 0)


async def test_a_long_error_passes_byte_for_byte(
    client: Client, upstream: ScriptedUpstream
) -> None:
    error = [b"x" * MIB for _ in range(10)]
    upstream.reply = ScriptedReply(error, status=500, headers=list(JSON))

    exchange = await client.call()

    assert exchange.content == b"".join(error)


async def test_the_installation_s_key_is_masked_in_an_error(
    make_client: MakeClient, upstream: ScriptedUpstream
) -> None:
    client = make_client(managed_keys={"openai": Secret("sk-of-the-installation")})
    error = [b'{"error":"bad key sk-of-the-inst', b'allation"}']
    said = (b"www-authenticate", b'Bearer error="no sk-of-the-installation"')
    upstream.reply = ScriptedReply(error, status=401, headers=[*JSON, said])

    exchange = await client.call(headers={"authorization": ""})

    assert upstream.requests[0].headers[-2] == (b"authorization", b"Bearer sk-of-the-installation")
    assert exchange.content == b'{"error":"bad key ***"}'
    assert exchange.headers["content-length"] == "23"
    assert exchange.headers["www-authenticate"] == 'Bearer error="no ***"'


@pytest.mark.parametrize("asked", ["POST /openai/v1/chat/completions", "DELETE /openai/v1/files/f"])
@pytest.mark.parametrize(
    ("status", "length"), [(204, None), (204, b"0"), (304, None), (304, b"286")]
)
async def test_a_reply_that_has_no_body_has_no_length(
    client: Client, upstream: ScriptedUpstream, asked: str, status: int, length: bytes | None
) -> None:
    stated = [] if length is None else [(b"content-length", length)]
    upstream.reply = ScriptedReply([], status, [*JSON, (b"etag", b'"a"'), *stated])
    method, path = asked.split()

    exchange = await client.call(path, b"{}" if method == "POST" else b"", method=method)

    assert (exchange.status, exchange.content, exchange.complete) == (status, b"", True)
    assert exchange.headers["etag"] == '"a"'
    assert "content-length" not in exchange.headers


@pytest.mark.parametrize(
    ("asked", "status", "source"),
    [
        ("POST /openai/v1/chat/completions", 204, "estimated"),
        ("POST /openai/v1/chat/completions", 304, "free"),
        ("DELETE /openai/v1/files/f", 204, "free"),
    ],
)
async def test_a_success_without_a_body_costs_what_one_with_an_empty_body_does(  # noqa: PLR0917 - columns
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    asked: str,
    status: int,
    source: str,
) -> None:
    """It says that the work was done, and not what it cost."""
    upstream.reply = ScriptedReply([], status, [])
    method, path = asked.split()
    body = b'{"model":"gpt-4o-mini"}' if method == "POST" else b""

    await client.call(path, body, method=method)

    assert bus.only.cost_source == source


@pytest.mark.parametrize("reply", [b"<html>busy</html>", b"", b'{"usage":', b"[1]"])
async def test_a_reply_that_is_no_json_object_passes_and_is_estimated(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, reply: bytes
) -> None:
    upstream.reply = ScriptedReply([reply], headers=list(JSON))

    exchange = await client.call(body=b'{"model":"gpt-4o-mini"}')

    assert (exchange.status, exchange.content) == (200, reply)
    assert (bus.only.outcome, bus.only.error_code) == ("upstream_error", "upstream_reply_unusable")
    assert bus.only.cost_source == "estimated"


async def test_the_provider_gets_the_client_s_request(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=list(JSON))
    body = b'{ "model" : "gpt-4o-mini", "n": 1.0 }'

    await client.call(body=[body[:10], body[10:]], query=b"a=%20b")

    [request] = upstream.requests
    assert (request.method, request.body) == ("POST", body)
    assert request.url == "https://api.openai.com/v1/chat/completions?a=%20b"
    assert request.headers == [
        (b"authorization", b"Bearer sk-of-the-caller"),
        (b"accept-encoding", b"identity"),
    ]


async def test_a_list_of_models_passes_free_of_charge(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b'{"data":[]}'], headers=list(JSON))

    exchange = await client.call(
        "/v1/models/claude", b"", method="GET", headers={"anthropic-version": "2023-06-01"}
    )

    assert upstream.requests[0].url == "https://api.anthropic.com/v1/models/claude"
    assert (exchange.content, bus.only.endpoint) == (b'{"data":[]}', "models")
    assert (bus.only.cost_nanos, bus.only.cost_source, bus.only.outcome) == (0, "free", "ok")


async def test_the_simulated_provider_answers_its_own_key_only(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    client = make_client(simulated_url="http://127.0.0.1:9")
    upstream.reply = ScriptedReply([DONE])

    await client.call(headers={"authorization": "Bearer sim"})
    await client.call()

    assert [request.url for request in upstream.requests] == [
        "http://127.0.0.1:9/openai/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    ]
    assert [getattr(event, "simulated", None) for event in bus.events] == [True, False]


async def test_the_end_follows_the_accounting(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    bus.gate = asyncio.Event()
    upstream.reply = ScriptedReply([*OPENAI_STREAM])

    exchange, task = client.start(body=ASKING)
    await exchange.until_received(DONE)
    await wait_for(bus.asked)
    assert not exchange.complete
    bus.gate.set()
    await task

    assert exchange.complete


async def test_the_second_chunk_does_not_wait_for_a_whole_event(
    client: Client, upstream: ScriptedUpstream
) -> None:
    chunk = openai_chunk("word")
    received = asyncio.Event()
    upstream.reply = ScriptedReply([chunk, chunk[:10], received, chunk[10:], DONE])

    exchange, task = client.start(body=ASKING)
    await exchange.until_received(chunk + chunk[:10])
    received.set()
    await task

    assert exchange.content == chunk + chunk + DONE
