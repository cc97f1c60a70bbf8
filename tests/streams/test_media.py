"""Pictures and sound pass as they come, are kept by no one, and each call is one event."""

import asyncio
import json
import tracemalloc

import pytest

from common.gateway.upstream import UpstreamDisconnected
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream

MIB = 1024 * 1024
SOUND = [(b"content-type", b"audio/mpeg")]
SPEECH = b'{"model":"tts-1","input":"Hello","voice":"nova"}'
SPEECH_NANOS = 5 * 15_000
"""tts-1, $15 per million characters."""
USAGE = (
    b'"usage":{"input_tokens":10,"output_tokens":100,'
    b'"input_tokens_details":{"image_tokens":0,"text_tokens":10}}'
)
NANOS = 10 * 5_000 + 100 * 40_000
"""gpt-image-1: text $5, output $40 per million tokens."""
DRAW = b'{"model":"gpt-image-1","prompt":"a cat"}'
ANNOUNCED = {"content-type": "multipart/form-data; boundary=b"}
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n'
    b"Content-Type: audio/mpeg\r\n\r\n\xff\xfb\x00\r\n--b--\r\n"
)


async def test_sound_begins_before_it_is_whole(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    received = asyncio.Event()
    upstream.reply = ScriptedReply([b"\xff\xfb", received, b"\x00\r\n\r\n"], headers=SOUND)

    exchange, task = client.start("/v1/audio/speech", SPEECH)
    await exchange.until_received(b"\xff\xfb")
    received.set()
    await task

    assert (exchange.content, exchange.complete) == (b"\xff\xfb\x00\r\n\r\n", True)
    assert exchange.headers["content-type"] == "audio/mpeg"
    event = bus.only
    assert (event.endpoint, event.outcome, event.error_code) == ("audio.speech", "ok", None)
    assert (event.model_asked, event.response_bytes) == ("tts-1", 7)
    assert (event.cost_nanos, event.cost_source) == (SPEECH_NANOS, "estimated")
    assert dict(event.units) == {"input_characters": 5}


async def test_sound_that_breaks_off_is_not_ended(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b"half", UpstreamDisconnected("cut")], headers=SOUND)

    exchange = await client.call("/v1/audio/speech", SPEECH)

    assert (exchange.content, exchange.complete) == (b"half", False)
    assert (bus.only.error_code, bus.only.cost_nanos) == ("upstream_disconnected", SPEECH_NANOS)


async def test_an_error_in_place_of_sound_costs_nothing(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b'{"error":{}}'], status=400, headers=JSON)

    exchange = await client.call("/v1/audio/speech", SPEECH)

    assert (exchange.status, exchange.content) == (400, b'{"error":{}}')
    assert (bus.only.cost_nanos, bus.only.outcome) == (0, "client_error")


@pytest.mark.parametrize("kind", [b"text/plain; charset=utf-8", b"text/vtt", None])
async def test_a_transcript_as_text_did_not_fail_and_has_no_cost(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, kind: bytes | None
) -> None:
    headers = [] if kind is None else [(b"content-type", kind)]
    upstream.reply = ScriptedReply([b"WEBVTT\n\n", b"Hello"], headers=headers)

    exchange = await client.call("/v1/audio/transcriptions", FORM, headers=ANNOUNCED)

    assert exchange.content == b"WEBVTT\n\nHello"
    assert upstream.requests[0].body == FORM
    event = bus.only
    assert (event.outcome, event.model_asked) == ("ok", "whisper-1")
    assert (event.cost_nanos, event.cost_reason) == (None, "usage_missing")


async def test_a_transcript_tells_its_cost_in_a_header(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    reply = b'{"text":"Hello","usage":{"type":"duration","seconds":9}}'
    upstream.reply = ScriptedReply([reply], headers=JSON)

    exchange = await client.call("/v1/audio/transcriptions", FORM, headers=ANNOUNCED)

    # whisper-1, $0.006 a minute
    assert exchange.headers["x-gateway-cost-usd"] == "0.000900000"
    assert (bus.only.cost_nanos, bus.only.cost_source) == (900_000, "provider")


@pytest.mark.parametrize("chunk_bytes", [16 * 1024, 2 * MIB])
@pytest.mark.parametrize("place", ["before", "behind"])
async def test_large_pictures_are_not_kept_and_their_usage_is_found(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, chunk_bytes: int, place: str
) -> None:
    picture = b'"data":[{"b64_json":"' + b"iVBORw0K" * (2 * MIB) + b'"}]'
    members = [USAGE, picture] if place == "before" else [picture, USAGE]
    body = b'{"created":1,' + b",".join(members) + b',"size":"1024x1024"}'
    chunks = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    upstream.reply = ScriptedReply(chunks, headers=JSON)

    tracemalloc.start()
    exchange = await client.call("/v1/images/generations", DRAW)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert exchange.content == body
    assert (bus.only.cost_nanos, bus.only.cost_source) == (NANOS, "provider")
    assert bus.only.usage_anomalies == ()
    # The first mebibyte is held, and joined when it is sent.
    assert peak_bytes < 3 * MIB + 3 * chunk_bytes


async def test_pictures_as_events_are_not_kept(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    picture = [b"iVBORw0K" * 4096] * 256
    start = b'event: image_generation.completed\ndata: {"type":"image_generation.completed",'
    steps = [start + b'"b64_json":"', *picture, b'",' + USAGE + b"}\n\n"]
    upstream.reply = ScriptedReply(steps)

    tracemalloc.start()
    exchange = await client.call("/v1/images/generations", DRAW)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(exchange.messages) == len(steps) + 2
    assert (bus.only.cost_nanos, bus.only.outcome) == (NANOS, "ok")
    assert peak_bytes < 2 * MIB


async def test_an_image_stream_that_is_cut_says_so_and_has_no_cost(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    partial = b'data: {"type":"image_generation.partial_image","b64_json":"aGk="}\n\n'
    upstream.reply = ScriptedReply([partial, UpstreamDisconnected("cut")])

    exchange = await client.call("/v1/images/generations", DRAW)

    assert exchange.content.startswith(partial)
    last = exchange.content.removeprefix(partial).strip().removeprefix(b"data: ")
    assert json.loads(last)["error"]["code"] == "upstream_disconnected"
    assert (bus.only.cost_nanos, bus.only.cost_reason) == (None, "usage_missing")


async def test_an_image_stream_that_just_ends_is_incomplete(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b'data: {"type":"image_generation.partial_image"}\n\n'])

    await client.call("/v1/images/generations", DRAW)

    assert (bus.only.outcome, bus.only.error_code) == ("upstream_error", "upstream_incomplete")
