"""Pictures, speech and transcripts under a hard budget: held, settled, never edited, or refused."""

import json

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.events import BoundViolated, UsageEvent
from common.gateway.upstream import UpstreamDisconnected
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream
from tests.streams.hard_budgets import Make, budget, period_of

__all__ = ["budget"]

IMAGES, SPEECH, TRANSCRIPTS = (
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
)
DRAW = b'{"model":"gpt-image-2","prompt":"a cat","size":"1024x1024","quality":"low"}'
DRAW_AT_MOST = (len(DRAW) + 64) * 5_000 + 196 * 30_000
DRAWN = (
    b'{"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":10,"output_tokens":196,'
    b'"input_tokens_details":{"image_tokens":0,"text_tokens":10},'
    b'"output_tokens_details":{"image_tokens":196,"text_tokens":0}}}'
)
DRAWN_NANOS = 10 * 5_000 + 196 * 30_000
"""gpt-image-2: text $5, output $30 a million tokens."""
SPEAK = b'{"model":"tts-1","input":"Hello","voice":"nova"}'
SPEAK_NANOS = 5 * 15_000
SOUND = [(b"content-type", b"audio/mpeg")]
ANNOUNCED = {"content-type": "multipart/form-data; boundary=b"}


def recorded(model: bytes, *more: bytes) -> bytes:
    field = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    fields = [field % (b"model", model), *(field % (name, b"auto") for name in more)]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    return b"".join(fields) + head + b"\xff" * 5_000 + b"\r\n--b--\r\n"


async def test_a_picture_holds_the_tokens_of_its_size_and_settles_those_it_took(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([DRAWN], headers=JSON)

    exchange = await client.call(IMAGES, DRAW)

    event, period = bus.only, await period_of(documents)
    assert (exchange.status, upstream.requests[0].body) == (200, DRAW)
    assert (event.hold_nanos, event.bound_kind) == (DRAW_AT_MOST, "bytes")
    assert (event.cost_nanos, event.unproven_nanos) == (DRAWN_NANOS, 0)
    assert (period.settled, period.leased) == (DRAWN_NANOS, 0)


async def test_speech_is_held_and_settled_by_its_characters(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([b"\xff\xfb"], headers=SOUND)

    await client.call(SPEECH, SPEAK)

    assert (bus.only.hold_nanos, bus.only.cost_nanos) == (SPEAK_NANOS, SPEAK_NANOS)
    assert (await period_of(documents)).settled == SPEAK_NANOS


async def test_a_transcript_that_tells_its_seconds_settles_these(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    reply = b'{"text":"Hello","usage":{"type":"duration","seconds":3}}'
    upstream.reply = ScriptedReply([reply], headers=JSON)
    body = recorded(b"whisper-1")

    await client.call(TRANSCRIPTS, body, headers=ANNOUNCED)

    assert (bus.only.hold_nanos, bus.only.bound_kind) == (
        -(-len(body) // 500) * 100_000,
        "declared",
    )
    assert (await period_of(documents)).settled == 300_000


async def test_a_transcript_that_tells_nothing_settles_all_it_held(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([b"WEBVTT\n\nHello"], headers=[(b"content-type", b"text/vtt")])

    await client.call(TRANSCRIPTS, recorded(b"gpt-4o-transcribe"), headers=ANNOUNCED)

    event, period = bus.only, await period_of(documents)
    held = 16_000 * 6_000 + 2_000 * 10_000
    assert (event.cost_nanos, event.cost_reason) == (None, "usage_missing")
    assert (event.hold_nanos, event.unproven_nanos, period.settled) == (held, held, held)


async def test_pictures_that_break_off_settle_all_they_held(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    partial = b'data: {"type":"image_generation.partial_image","b64_json":"aGk="}\n\n'
    upstream.reply = ScriptedReply([partial, UpstreamDisconnected("cut")])

    await client.call(IMAGES, DRAW[:-1] + b',"stream":true}')

    assert bus.only.unproven_nanos == bus.only.hold_nanos > 0
    assert (await period_of(documents)).settled == bus.only.hold_nanos


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (IMAGES, DRAW),
        (SPEECH, SPEAK),
        (TRANSCRIPTS, recorded(b"whisper-1")),
        (TRANSCRIPTS, recorded(b"gpt-4o-transcribe")),
    ],
)
async def test_what_does_not_fit_is_refused_as_it_came_and_told_what_to_ask_for(
    client: Client,
    upstream: ScriptedUpstream,
    budget: Make,
    path: str,
    body: bytes,
) -> None:
    await budget(limit=1_000, tool_allowance=1)

    exchange = await client.call(path, body, headers=ANNOUNCED if path == TRANSCRIPTS else {})

    message = json.loads(exchange.content)["error"]["message"]
    assert (exchange.status, exchange.headers["x-gateway-error"]) == (402, "budget_exceeded")
    assert "ask for fewer or smaller pictures" in message
    assert "output cap" not in message
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            (SPEECH, SPEAK.replace(b"tts-1", b"gpt-4o-mini-tts")),
            ["how long speech by 'gpt-4o-mini-tts' gets", "such as tts-1"],
        ),
        (
            (IMAGES, DRAW.replace(b"gpt-image-2", b"gpt-image-1.5")),
            ["a picture by 'gpt-image-1.5'", "such as gpt-image-2.5-flare"],
        ),
        ((IMAGES, DRAW.replace(b"low", b"max")), ["What 'quality' may cost", "Leave it out"]),
        ((SPEECH, SPEAK.replace(b"tts-1", b"whisper-1")), ["no input_characters of 'whisper-1'"]),
        (
            (TRANSCRIPTS, recorded(b"gpt-4o-transcribe", b"chunking_strategy")),
            ["What 'chunking_strategy' may cost", "Leave it out"],
        ),
        ((TRANSCRIPTS, recorded(b"gpt-4o-mini-tts")), ["how much 'gpt-4o-mini-tts' reads"]),
    ],
)
async def test_what_has_no_bound_is_refused_with_the_reason_and_what_to_ask_for(
    client: Client,
    upstream: ScriptedUpstream,
    budget: Make,
    asked: tuple[str, bytes],
    told: list[str],
) -> None:
    await budget()
    path, body = asked
    headers = ANNOUNCED if path == TRANSCRIPTS else {}

    exchange = await client.call(path, body, headers=headers)

    message = json.loads(exchange.content)["error"]["message"]
    assert (exchange.status, exchange.headers["x-gateway-error"]) == (402, "unbounded_request")
    assert [part for part in told if part not in message] == [], message
    assert upstream.requests == []


async def test_tells_a_cost_above_its_bound(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    bus.topics = ("usage", "events")
    upstream.reply = ScriptedReply([DRAWN.replace(b"196", b"9999")], headers=JSON)

    await client.call(IMAGES, DRAW)

    call, told = bus.events
    assert isinstance(call, UsageEvent)
    assert isinstance(told, BoundViolated)
    cost_nanos = 10 * 5_000 + 9_999 * 30_000
    assert (told.call_id, told.model, told.bound_kind) == (call.id, "gpt-image-2", "bytes")
    assert (told.hold_nanos, told.cost_nanos) == (DRAW_AT_MOST, cost_nanos)
    assert (await period_of(documents)).settled == cost_nanos
