"""Images, speech and transcripts: their usage, whatever lies around it, and what has none."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.costs import Cost, cost_of
from common.llm.facts import CallFacts
from common.llm.forms import FORMS
from common.llm.metered import Metered, UsageLine
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from common.llm.protocols import openai_images
from tests.metering.recordings import RECEIVED_AT, metered_in, passed_by

IMAGES, SPEECH, TRANSCRIPTS = (
    FORMS[name] for name in ("openai_images", "openai_speech", "openai_transcripts")
)
USAGE: dict[str, Any] = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
    "output_tokens": 272,
    "total_tokens": 322,
}
UNITS = {
    "input_tokens": 50,
    "output_tokens": 272,
    "input_image_tokens": 40,
    "output_image_tokens": 272,
}
PICTURE = {"b64_json": "iVBORw0KGgo" * 20}
HEARD = {
    "type": "tokens",
    "input_tokens": 30,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 26},
    "output_tokens": 9,
    "total_tokens": 39,
}


def an_answer(**members: Any) -> bytes:
    return json.dumps(members).encode()


def an_event(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def a_cost(metered: Metered, model: str, **facts: Any) -> Cost:
    asked = CallFacts(readable=True, model=model, bounded=False, **facts)
    return cost_of(metered, asked, book=bundled_book(), provider="openai", at=RECEIVED_AT)


ORDERS = [
    ("created", "data", "usage"),
    ("created", "usage", "data"),
    ("usage", "data"),
    ("data", "size", "usage", "quality"),
    ("usage", "created", "data", "size"),
]
MEMBERS = {"created": 1, "data": [PICTURE] * 2, "usage": USAGE, "size": "a]b", "quality": "low"}


@pytest.mark.parametrize("names", ORDERS)
@pytest.mark.parametrize("space", ["", "\n "])
def test_reads_the_usage_of_images_before_and_behind_them(
    names: tuple[str, ...], space: str
) -> None:
    members = {name: MEMBERS[name] for name in names}
    reply = json.dumps(members, indent=space or None).encode()

    whole = IMAGES.read_reply(reply)

    assert (whole.final, whole.units, whole.anomalies) == (True, UNITS, ())
    if "size" not in names:
        data = reply.index(b"b64_json") + 20
        assert IMAGES.read_end is not None
        assert IMAGES.read_end(reply[:data] + reply[data + 200 :]) == whole


def test_does_not_take_a_usage_from_among_the_images() -> None:
    reply = an_answer(created=1, data=[{"b64_json": "x", "usage": USAGE}], size="1")

    for read in (IMAGES.read_reply, openai_images.read_ends):
        assert (read(reply).final, read(reply).units) == (False, {})


@pytest.mark.parametrize(
    ("model", "usage", "nanos"),
    [
        # gpt-image-1.5: text $5, image $8, output image $32 a million
        ("gpt-image-1.5", USAGE, 10 * 5_000 + 40 * 8_000 + 272 * 32_000),
        # and output text $10
        (
            "gpt-image-1.5",
            {**USAGE, "output_tokens_details": {"image_tokens": 200, "text_tokens": 72}},
            10 * 5_000 + 40 * 8_000 + 200 * 32_000 + 72 * 10_000,
        ),
        # all of the input read from the cache: text $1.25, image $2
        (
            "gpt-image-1.5",
            {
                **USAGE,
                "input_tokens_details": {
                    **USAGE["input_tokens_details"],
                    "cached_tokens": 50,
                    "cached_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                },
            },
            10 * 1_250 + 40 * 2_000 + 272 * 32_000,
        ),
        # gpt-image-1: $5, $10, $40
        ("gpt-image-1", USAGE, 10 * 5_000 + 40 * 10_000 + 272 * 40_000),
    ],
)
def test_prices_images_by_kind(model: str, usage: dict[str, Any], nanos: int) -> None:
    cost = a_cost(IMAGES.read_reply(an_answer(data=[PICTURE], usage=usage)), model)

    assert (cost.nanos, cost.reason, cost.source) == (nanos, None, "provider")


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        # How much of the cached input was pictures is not told, and they cost otherwise.
        ({"image_tokens": 40, "cached_tokens": 20}, "invalid_usage:cache_image_read_tokens"),
        ({"image_tokens": 0, "cached_tokens": 20}, None),
    ],
)
def test_does_not_guess_what_was_cached(details: dict[str, int], reason: str | None) -> None:
    usage = {**USAGE, "input_tokens_details": details}

    cost = a_cost(IMAGES.read_reply(an_answer(data=[], usage=usage)), "gpt-image-1.5")

    assert (cost.nanos is None, cost.reason) == (reason is not None, reason)


def test_adds_what_the_author_of_a_drawing_used() -> None:
    drawn = {"model": "gpt-5", "input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 2}
    metered = IMAGES.read_reply(an_answer(data=[PICTURE], usage=USAGE, svg_usage=drawn))

    cost = a_cost(metered, "gpt-image-1")

    # gpt-5, $1.25 and $10, beside the picture
    assert cost.nanos == 10 * 5_000 + 40 * 10_000 + 272 * 40_000 + 10 * 1_250 + 5 * 10_000


@pytest.mark.parametrize(
    ("form", "model", "reason"),
    [
        (IMAGES, "dall-e-3", "unknown_model"),
        (IMAGES, "gpt-image-1", "usage_missing"),
        (SPEECH, "gpt-4o-mini-tts", "usage_missing"),
        (TRANSCRIPTS, "whisper-1", "usage_missing"),
        (TRANSCRIPTS, "no-such-model", "unknown_model"),
    ],
)
def test_says_why_a_reply_without_usage_has_no_cost(form: Any, model: str, reason: str) -> None:
    metered = form.read_reply(b'{"created":1,"data":[{"url":"https://a.example"}]}')

    cost = a_cost(metered, model, size_bytes=5_000_000)

    assert (metered.failed, cost.nanos, cost.reason, cost.source) == (False, None, reason, None)
    assert cost.units == {}


@pytest.mark.parametrize("form", [IMAGES, SPEECH, TRANSCRIPTS])
def test_says_that_a_reply_which_claims_to_be_json_failed(form: Any) -> None:
    assert form.read_reply(b"<html>").failed is True


KINDS: list[tuple[FormName, str, str, dict[str, Any], dict[str, int]]] = [
    ("openai_images", "image_generation.partial_image", "image_generation.completed", USAGE, UNITS),
    ("openai_images", "image_edit.partial_image", "image_edit.completed", USAGE, UNITS),
    (
        "openai_speech",
        "speech.audio.delta",
        "speech.audio.done",
        {"input_tokens": 4, "output_tokens": 60},
        {"input_tokens": 4, "output_tokens": 60},
    ),
    (
        "openai_transcripts",
        "transcript.text.delta",
        "transcript.text.done",
        HEARD,
        {"input_tokens": 30, "output_tokens": 9, "input_audio_tokens": 26},
    ),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[2])
@pytest.mark.parametrize("length", [10, 4_000, 70_000, 900_000])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("chunk", [997, 65_536])
def test_reads_the_last_event_of_any_length(
    kind: tuple[FormName, str, str, dict[str, Any], dict[str, int]],
    length: int,
    first: bool,
    chunk: int,
) -> None:
    form, part, last, usage, units = kind
    long = {"b64_json": "A" * length}
    told = {"usage": usage, **long} if first else {**long, "usage": usage}
    stream = an_event(part, **long) + an_event(last, **told)
    tap = FORMS[form].stream_tap(False)

    pieces = [stream[at : at + chunk] for at in range(0, len(stream), chunk)]
    assert passed_by(tap, pieces) == stream

    metered = tap.result()
    assert (tap.done, metered.final, metered.units) == (True, True, units)
    assert (metered.anomalies, metered.failed) == ((), False)


@pytest.mark.parametrize(("form", "part", "last", "usage", "units"), KINDS)
def test_has_no_cost_where_it_is_cut_and_never_less_than_was_told(
    form: FormName, part: str, last: str, usage: dict[str, Any], units: dict[str, int]
) -> None:
    events = [an_event(part, text="x"), an_event(last, usage=usage)] * 2
    known = 0
    for count in range(len(events) + 1):
        tap = FORMS[form].stream_tap(False)
        metered = metered_in(tap, events[:count])
        cost = a_cost(metered, "gpt-image-1")
        whole = count in (2, 4)

        assert (metered.final, tap.done, cost.nanos is not None) == (whole, whole, whole)
        assert cost.reason == (None if whole else "usage_missing")
        assert cost.priced_nanos >= known
        known = cost.priced_nanos
    assert metered.units == {unit: 2 * tokens for unit, tokens in units.items()}


def test_finds_the_usage_of_a_transcript_behind_long_lists() -> None:
    logprobs = [{"token": '"usage":', "logprob": -0.5, "bytes": [1, 2]}] * 5_000
    event = an_event("transcript.text.done", text="a", logprobs=logprobs, usage=HEARD)

    metered = metered_in(
        TRANSCRIPTS.stream_tap(False), [event[at : at + 8192] for at in range(0, len(event), 8192)]
    )

    assert (len(event) > 200_000, metered.units["input_audio_tokens"]) == (True, 26)


def test_says_that_a_stream_with_an_error_failed() -> None:
    events = [an_event("error", error={"message": "m", "code": "moderation_blocked"})]

    metered = metered_in(IMAGES.stream_tap(False), events)

    assert (metered.failed, metered.final) == (True, False)


@pytest.mark.parametrize(
    ("reply", "units"),
    [
        ({"text": "a", "usage": {"type": "duration", "seconds": 9}}, {"audio_seconds": 9}),
        ({"text": "a", "usage": {"type": "duration", "seconds": 8.01}}, {"audio_seconds": 9}),
        ({"text": "a", "duration": 8.47}, {"audio_seconds": 9}),
        (
            {"duration": 8.47, "usage": {"type": "duration", "seconds": 10}},
            {"audio_seconds": 10},
        ),
        (
            {"text": "a", "usage": {**HEARD, "input_token_details": None}},
            {"input_tokens": 30, "output_tokens": 9, "input_audio_tokens": 30},
        ),
        ({"text": "a"}, {}),
        ({"text": "a", "duration": "8"}, {}),
        ({"text": "a", "usage": {"type": "duration", "seconds": -1}}, {}),
        ({"text": "a", "usage": {"type": "duration", "seconds": True}}, {}),
        ({"text": "a", "usage": {"type": "duration", "seconds": 1e300}}, {}),
        ({"text": "a", "usage": {"type": "tokens", "input_tokens": 1}}, {}),
    ],
)
def test_reads_tokens_or_seconds_of_a_transcript(
    reply: dict[str, Any], units: dict[str, int]
) -> None:
    metered = TRANSCRIPTS.read_reply(an_answer(**reply))

    assert (metered.units, metered.final) == (units, bool(units))


@pytest.mark.parametrize(
    ("model", "units", "nanos"),
    [
        # $0.006 a minute
        ("whisper-1", {"audio_seconds": 90}, 9_000_000),
        # text $2.50, audio $6, output $10 a million
        (
            "gpt-4o-transcribe",
            {"input_tokens": 30, "input_audio_tokens": 26, "output_tokens": 9},
            4 * 2_500 + 26 * 6_000 + 9 * 10_000,
        ),
    ],
)
def test_prices_transcripts(model: str, units: dict[str, int], nanos: int) -> None:
    assert a_cost(Metered((UsageLine(units),), final=True), model).nanos == nanos


@pytest.mark.parametrize(
    ("model", "nanos"), [("tts-1", 9 * 15_000), ("tts-1-hd", 9 * 30_000), ("gpt-4o-mini-tts", None)]
)
def test_prices_speech_by_the_characters_of_its_text(model: str, nanos: int | None) -> None:
    """Also where it breaks off: the text was sent whole."""
    body = json.dumps({"model": model, "input": "Grüße 日本🙂", "voice": "nova"}).encode()
    facts = SPEECH.read_facts(body)

    for metered in (Metered(), metered_in(SPEECH.stream_tap(False), [b"data: {}\n\n"])):
        cost = cost_of(metered, facts, book=bundled_book(), provider="openai", at=RECEIVED_AT)
        source = None if nanos is None else "estimated"
        assert (facts.characters, cost.nanos, cost.source) == (9, nanos, source)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'{"model":"tts-1","input":"ab","stream_format":"sse"}', (True, "tts-1", True, 2)),
        (b'{"model":"tts-1","input":["ab"]}', (True, "tts-1", False, None)),
        (b"[]", (False, None, False, None)),
        (b"--b\r\n", (False, None, False, None)),
    ],
)
def test_reads_what_is_to_be_spoken(body: bytes, read: tuple[Any, ...]) -> None:
    facts = SPEECH.read_facts(body)

    assert (facts.readable, facts.model, facts.stream, facts.characters) == read


def test_sound_is_over_when_it_ends_and_no_earlier() -> None:
    assert SPEECH.byte_tap is not None
    tap = SPEECH.byte_tap()

    passed = tap.feed(b"\xff\0")

    assert (passed, tap.done) == (b"\xff\0", False)
    assert (tap.finish(), tap.done, tap.result().failed) == (b"", True, False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1 << 60) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("usage", "svg_usage", "data", "type", "seconds", "duration", "model"),
                    *("input_tokens", "output_tokens", "input_tokens_details", "image_tokens"),
                    *("input_token_details", "audio_tokens", "cached_tokens", "reasoning_tokens"),
                    *("output_tokens_details", "cached_tokens_details", "error"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("form", [IMAGES, SPEECH, TRANSCRIPTS])
@settings(deadline=None)
@given(told=VALUES, kind=st.sampled_from(["duration", "tokens"]), cut=st.integers(0, 400))
def test_reads_a_reply_of_any_shape(form: Any, told: object, kind: str, cut: int) -> None:
    reply = json.dumps({"data": [], "usage": told, "type": kind}).encode()
    event = an_event("image_edit.completed", usage=told, b64_json="A" * 70_000, svg_usage=told)
    replies = [form.read_reply(reply), form.read_reply(json.dumps(told).encode())]
    replies.append(metered_in(form.stream_tap(False), [event[:-cut], event[-cut:]]))
    if form.read_end is not None:
        replies.append(form.read_end(reply[:cut] + reply[-cut:]))

    for metered in replies:
        cost = a_cost(metered, "gpt-image-1.5")
        assert all(count >= 0 for count in metered.units.values())
        assert (cost.nanos is None) == (cost.reason is not None)
