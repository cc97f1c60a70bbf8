"""Requests for pictures, speech and transcripts, and their bounds."""

from typing import Any

import httpx
import pytest

from common.llm.bounds import Bound, Unbounded, bound
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from tests.bounds.asking import AT, as_sent, bound_of, facts_of

SHOWN = 6_821
"""Tokens of a picture that is handed in, at most."""
TEXT = 64
"""Tokens that a provider adds to a prompt, at most."""


def pictures(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-image-2", "prompt": "a bear", **more}


def a_form(form: FormName, data: dict[str, Any], *files: tuple[str, bytes]) -> Bound | Unbounded:
    sent = [(name, ("a.bin", content)) for name, content in files]
    body = httpx.Request("POST", "http://x", data=data, files=sent).read()
    return bound(facts_of(form, body), book=bundled_book(), provider="openai", at=AT)


@pytest.mark.parametrize(
    ("asked", "each"),
    [
        ({"size": "1024x1024", "quality": "low"}, 196),
        ({"size": "1024x1024", "quality": "high"}, 7_024),
        ({"size": "1536x1024", "quality": "high"}, 5_488),
        ({"size": "3840x2160", "quality": "high"}, 13_342),
        ({"size": "auto", "quality": "high"}, 23_719),
        ({"size": "auto", "quality": "low"}, 659),
        ({"size": None, "quality": None}, 23_719),
        ({"size": "1024x1024", "quality": "auto"}, 7_024),
        ({"model": "gpt-image-2-2026-04-21", "size": "1024x1024", "quality": "medium"}, 1_756),
        ({"model": "gpt-image-2.5-flare", "size": "1024x1024", "quality": "medium"}, 439),
        ({"model": "gpt-image-2.5-flare", "size": "1024x1024"}, 7_024),
        ({"model": "gpt-image-1", "size": "1024x1024", "quality": "medium"}, 1_056),
        ({"model": "gpt-image-1", "quality": "medium"}, 1_584),
        ({"model": "gpt-image-1"}, 6_240),
        ({"model": "gpt-image-1-mini", "size": "1024x1024", "quality": "low"}, 688),
    ],
)
def test_takes_the_tokens_of_the_table_and_the_most_where_the_model_chooses(
    asked: dict[str, Any], each: int
) -> None:
    request = pictures(**asked)

    found = bound_of("openai_images", request)

    assert isinstance(found, Bound)
    size = len(as_sent(request)) + TEXT
    assert (found.bound_kind, found.input_tokens, found.output_tokens) == ("bytes", size, each)


def test_prices_text_as_text_and_pictures_as_pictures() -> None:
    request = pictures(size="1024x1024", quality="low")

    found = bound_of("openai_images", request)

    # $5 for text, $30 for pictures
    size = len(as_sent(request)) + TEXT
    assert found == Bound(size * 5_000 + 196 * 30_000, "bytes", size, 196)


@pytest.mark.parametrize(
    ("more", "count", "partials"),
    [
        ({"n": 3}, 3, 0),
        ({"n": 0}, 1, 0),
        ({"n": 11}, 10, 0),
        ({"n": "2"}, 2, 0),
        ({"n": "many"}, 10, 0),
        ({"n": 2.5}, 10, 0),
        ({"n": True}, 10, 0),
        ({"stream": True, "partial_images": 2}, 1, 2),
        ({"stream": True, "partial_images": 9}, 1, 3),
        ({"stream": True, "partial_images": -1, "n": 2}, 2, 0),
        ({"stream": True, "partial_images": [], "n": 2}, 2, 3),
    ],
)
def test_counts_every_picture_as_a_call_and_the_unfinished_ones(
    more: dict[str, Any], count: int, partials: int
) -> None:
    request = pictures(size="1024x1024", quality="low", **more)

    found = bound_of("openai_images", request)

    assert isinstance(found, Bound)
    assert found.output_tokens == count * (196 + partials * 100)
    assert found.input_tokens == count * (len(as_sent(request)) + TEXT)


@pytest.mark.parametrize("size_bytes", [10, 3_000_000])
def test_counts_pictures_handed_in_whatever_their_bytes(size_bytes: int) -> None:
    asked = pictures(size="1024x1024", quality="low", n="2")
    files = [("image[]", b"x" * size_bytes), ("image[]", b"x"), ("mask", b"x")]

    found = a_form("openai_images", asked, *files)

    assert isinstance(found, Bound)
    assert (found.bound_kind, found.output_tokens) == ("declared", 2 * 196)
    texts = found.input_tokens // 2 - 3 * SHOWN - 4 * TEXT
    assert 500 < texts < 1_500, "the form without its files"
    assert found.nanos == found.input_tokens * 8_000 + found.output_tokens * 30_000


def test_counts_pictures_that_are_named_in_json() -> None:
    address = "data:image/png;base64," + "A" * 100_000
    images = [{"image_url": address}, {"file_id": "file-1"}]
    asked = pictures(size="1024x1024", quality="low", images=images, mask={"file_id": "file-2"})

    found = bound_of("openai_images", asked)

    text_bytes = len(as_sent(asked)) - len(address)
    assert isinstance(found, Bound)
    assert found.input_tokens == text_bytes + 3 * SHOWN + 4 * TEXT


def test_does_not_count_a_prompt_that_is_sent_as_a_file_for_a_picture() -> None:
    asked = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}

    found = a_form("openai_images", asked, ("prompt", b"x" * 5_000), ("image", b"x"))

    assert isinstance(found, Bound)
    assert found.input_tokens > 5_000 + SHOWN


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"model": "gpt-image-1.5"}, "unknown_limit:picture_tokens"),
        ({"model": "chatgpt-image-latest"}, "unknown_limit:picture_tokens"),
        ({"model": "gpt-4o"}, "unknown_limit:picture_tokens"),
        ({"model": "dall-e-3"}, "unpriced_model"),
        ({"model": None}, "unpriced_model"),
        ({"size": "1024"}, "unbounded_request:size"),
        ({"size": 1024}, "unbounded_request:size"),
        ({"size": "1024x100000"}, "unbounded_request:size"),
        ({"model": "gpt-image-1", "size": "2048x2048"}, "unbounded_request:size"),
        ({"quality": "max"}, "unbounded_request:quality"),
        ({"quality": ["low"]}, "unbounded_request:quality"),
        ({"output_format": "svg"}, "unbounded_request:output_format"),
        ({"output_format": "gif"}, "unbounded_request:output_format"),
        ({"output_format": ["png"]}, "unbounded_request:output_format"),
        ({"frame_count": 9}, "unbounded_request:frame_count"),
        ({"complexity": "high"}, "unbounded_request:complexity"),
        ({"svg": {"model": "gpt-5"}}, "unbounded_request:svg"),
    ],
)
def test_names_what_no_table_has(asked: dict[str, Any], reason: str) -> None:
    assert bound_of("openai_images", pictures(**asked)) == Unbounded(reason)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"size": ["1024x1024", "3840x2160"]}, "unbounded_request:size"),
        ({"n[]": "9"}, "unbounded_request:n[]"),
        ({"size": "x" * 300}, "unbounded_request:size"),
    ],
)
def test_takes_nothing_for_granted_that_a_form_says_twice_or_oddly(
    extra: dict[str, Any], reason: str
) -> None:
    asked = {"model": "gpt-image-2", "prompt": "a", **extra}

    assert a_form("openai_images", asked, ("image", b"x")) == Unbounded(reason)


def test_counts_a_number_that_a_form_says_twice_as_the_most() -> None:
    asked = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low", "n": ["1", "9"]}

    found = a_form("openai_images", asked, ("image", b"x"))

    assert isinstance(found, Bound)
    assert found.output_tokens == 10 * 196


@pytest.mark.parametrize(
    ("model", "rate"), [("tts-1", 15_000), ("tts-1-hd", 30_000)]
)  # $15 and $30 a million characters
def test_bounds_speech_by_the_bytes_of_its_text(model: str, rate: int) -> None:
    spoken = {"model": model, "input": "Grüße", "voice": "nova", "speed": 0.25}

    assert bound_of("openai_speech", spoken) == Bound(7 * rate, "bytes", 0, 0)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"model": "gpt-4o-mini-tts"}, "unknown_limit:max_output"),
        ({"model": "whisper-1"}, "unknown_unit:input_characters"),
        ({"model": "no-such-model"}, "unpriced_model"),
        ({"input": ["Hello"]}, "unbounded_request:input"),
        ({"input": None}, "unbounded_request:input"),
        ({"voices": 2}, "unbounded_request:voices"),
    ],
)
def test_does_not_bound_speech_that_nothing_ends(asked: dict[str, Any], reason: str) -> None:
    spoken = {"model": "tts-1", "input": "Hello", "voice": "nova", **asked}

    assert bound_of("openai_speech", spoken) == Unbounded(reason)


def test_does_not_trip_over_a_deep_input() -> None:
    body = b'{"model":"tts-1","input":' + b"[" * 1_000 + b"]" * 1_000 + b"}"

    found = bound(facts_of("openai_speech", body), book=bundled_book(), provider="openai", at=AT)

    assert found == Unbounded("unbounded_request:input")


def test_does_not_take_a_window_of_text_for_the_length_of_speech() -> None:
    model = "gemini-2.5-flash-lite-preview-tts"
    caps = getattr(bundled_book().card("google", model), "caps", None)
    assert caps is not None
    assert caps.context_window is not None
    assert caps.max_output is None
    spoken = as_sent({"model": model, "input": "Hello", "voice": "nova"})

    found = bound(facts_of("openai_speech", spoken), book=bundled_book(), provider="google", at=AT)

    assert found == Unbounded("unknown_limit:max_output")


@pytest.mark.parametrize(
    ("model", "nanos_a_second"), [("whisper-1", 100_000), ("gpt-transcribe", 75_000)]
)  # $0.36 and $0.27 an hour
def test_bounds_recordings_sold_by_the_second_by_their_bytes(
    model: str, nanos_a_second: int
) -> None:
    asked = {"model": model, "chunking_strategy": "auto"}
    body = httpx.Request(
        "POST", "http://x", data=asked, files={"file": ("a.mp3", b"x" * 30_000)}
    ).read()

    found = bound(
        facts_of("openai_transcripts", body), book=bundled_book(), provider="openai", at=AT
    )

    seconds = -(-len(body) // 500)
    assert seconds > 60
    assert found == Bound(seconds * nanos_a_second, "declared", 0, 0)


def test_counts_the_least_that_is_billed_of_a_recording() -> None:
    body = httpx.Request(
        "POST", "http://x", data={"model": "whisper-large-v3"}, files={"file": ("a.mp3", b"x")}
    ).read()

    found = bound(facts_of("openai_transcripts", body), book=bundled_book(), provider="groq", at=AT)

    # $0.111 an hour, at least 10 seconds
    assert len(body) < 500
    assert found == Bound(308_334, "declared", 0, 0)


@pytest.mark.parametrize(
    ("model", "rates"),
    [("gpt-4o-transcribe", (6_000, 10_000)), ("gpt-4o-mini-transcribe", (3_000, 5_000))],
)
def test_bounds_recordings_sold_by_tokens_by_the_window(model: str, rates: tuple[int, int]) -> None:
    found = a_form("openai_transcripts", {"model": model}, ("file", b"x"))

    # Audio in $6 and $3, text out $10 and $5; a window of 16,000, 2,000 of output
    nanos = 16_000 * rates[0] + 2_000 * rates[1]
    assert found == Bound(nanos, "window", 16_000, 2_000)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"chunking_strategy": "auto"}, "unbounded_request:chunking_strategy"),
        ({"chunking_strategy[type]": "server_vad"}, "unbounded_request:chunking_strategy"),
        ({"url": "https://example.org/a.mp3"}, "unbounded_request:url"),
        ({"model": "tts-1"}, "unknown_unit:audio_seconds"),
        ({"model": "gpt-4o-mini-tts"}, "unknown_limit:context_window"),
    ],
)
def test_does_not_bound_transcripts_in_parts_or_of_elsewhere(
    asked: dict[str, Any], reason: str
) -> None:
    data = {"model": "gpt-4o-transcribe", **asked}

    assert a_form("openai_transcripts", data, ("file", b"x")) == Unbounded(reason)


def test_does_not_bound_a_transcript_without_a_file() -> None:
    asked = {"model": "whisper-1", "file": "x"}

    assert bound_of("openai_transcripts", asked) == Unbounded("unbounded_request:file")
