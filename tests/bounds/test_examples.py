"""Bounds worked out by hand from what providers publish.

$1 per million tokens is 1,000 nanos a token.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.llm.bounds import Bound
from common.llm.paths import FormName
from tests.bounds.asking import as_sent, bound_of, chat, content, message, response

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
SPOKEN = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
TOOL = {"name": "look", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


def padded(request: dict[str, Any], size: int) -> dict[str, Any]:
    """The request with so long a message that it has this many bytes."""
    (first,) = request["messages"]
    first["content"] += "x" * (size - len(as_sent(request)))
    assert len(as_sent(request)) == size
    return request


def test_adds_the_provider_s_preamble_and_cache_writes_to_a_message_with_tools() -> None:
    asked = message(max_tokens=4096, tools=[TOOL], cache_control={"type": "ephemeral"})

    # Sonnet 4.5, $3 written at 1.25 x, and $15: (20,480 + 2,048) x 3,750 + 4,096 x 15,000
    found = bound_of("anthropic_messages", padded(asked, 20_480))

    assert found == Bound(145_920_000, "bytes", 22_528, 4096)


@pytest.mark.parametrize(
    ("more", "rate"),
    [
        ({}, 3_000),
        ({"cache_control": None}, 3_000),
        ({"cache_control": {"type": "ephemeral"}}, 3_750),
        ({"cache_control": {"type": "ephemeral", "ttl": "5m"}}, 3_750),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, 6_000),
        ({"cache_control": {"type": "ephemeral", "ttl": 7}}, 6_000),
        ({"system": [{"type": "text", "text": "x", "cache_control": {"ttl": "1h"}}]}, 6_000),
    ],
)
def test_counts_only_cache_writes_that_are_asked_for(more: dict[str, Any], rate: int) -> None:
    asked = message(**more)

    found = bound_of("anthropic_messages", asked)

    assert found == Bound(
        (len(as_sent(asked)) + 64) * rate + 100 * 15_000, "bytes", len(as_sent(asked)) + 64, 100
    )


def test_finds_marks_of_the_cache_in_tools_and_in_their_results() -> None:
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    result = [{"type": "tool_result", "tool_use_id": "t", "content": [marked]}]
    tool = {**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}

    for asked, allowance in ((message(result), 64), (message(tools=[tool]), 2048)):
        size = len(as_sent(asked)) + allowance
        found = bound_of("anthropic_messages", asked)
        assert found == Bound(size * 6_000 + 100 * 15_000, "bytes", size, 100)


@pytest.mark.parametrize(("geo", "percent"), [(None, 110), ("us", 110), ("global", 100)])
def test_counts_with_the_dearest_region_unless_it_is_pinned(geo: str | None, percent: int) -> None:
    asked = message(model="claude-opus-4-6", inference_geo=geo)
    size = len(as_sent(asked)) + 64

    found = bound_of("anthropic_messages", asked)

    # $5 and $25, in the US 1.1 x
    assert found == Bound((size * 5_000 + 100 * 25_000) * percent // 100, "bytes", size, 100)


@pytest.mark.parametrize(("speed", "rates"), [(None, (4_000, 20_000)), ("fast", (8_000, 40_000))])
def test_counts_fast_mode_where_it_is_asked_for(speed: str | None, rates: tuple[int, int]) -> None:
    asked = message(model="claude-opus-5-5", speed=speed, inference_geo="global")
    size = len(as_sent(asked)) + 64

    found = bound_of("anthropic_messages", asked)

    assert found == Bound(size * rates[0] + 100 * rates[1], "bytes", size, 100)


def test_counts_an_inference_of_a_whole_window_for_each_use_of_a_tool() -> None:
    found = bound_of("anthropic_messages", message(tools=[SEARCH]))

    # 4 windows of 200,000 are above 200,000: $6 and $22.50; output 4 x 100, 3 searches of $0.01
    assert found == Bound(800_000 * 6_000 + 400 * 22_500 + 3 * 10_000_000, "tools", 800_000, 400)


def test_counts_no_fee_for_fetching() -> None:
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 1}

    found = bound_of("anthropic_messages", message(tools=[fetch]))

    assert found == Bound(400_000 * 6_000 + 200 * 22_500, "tools", 400_000, 200)


def test_takes_the_models_longest_output_where_no_cap_is_asked() -> None:
    asked = chat(service_tier="default")
    del asked["max_completion_tokens"]
    size = len(as_sent(asked)) + 64

    # gpt-4o-mini, $0.15 and $0.60, at most 16,384 tokens
    expected = Bound(size * 150 + 16_384 * 600, "bytes", size, 16_384)
    assert bound_of("openai_chat", asked) == expected


@pytest.mark.parametrize(
    ("tier", "rates"),
    [
        (None, (2_500, 20_000)),
        ("auto", (2_500, 20_000)),
        ("priority", (2_500, 20_000)),
        ("default", (1_250, 10_000)),
        ("flex", (1_250, 10_000)),
    ],
)
def test_counts_with_the_dearest_tier_that_a_reply_may_name(
    tier: str | None, rates: tuple[int, int]
) -> None:
    asked = chat(model="gpt-5", service_tier=tier)
    size = len(as_sent(asked)) + 64

    found = bound_of("openai_chat", asked)

    assert found == Bound(size * rates[0] + 100 * rates[1], "bytes", size, 100)


def test_counts_cache_writes_of_models_that_write_unasked() -> None:
    asked = chat(model="gpt-5.6-sol", service_tier="default")
    size = len(as_sent(asked)) + 64

    # $4, written 1.25 x, and $20
    found = bound_of("openai_chat", asked)

    assert found == Bound(size * 5_000 + 100 * 20_000, "bytes", size, 100)


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({}, 100),
        ({"n": 3}, 300),
        ({"n": 10**9}, 12_800),
        ({"n": 3.0}, 12_800),
        ({"n": "3"}, 12_800),
        ({"n": -1}, 100),
        ({"max_tokens": 300}, 300),
        ({"max_completion_tokens": 0}, 16_384),
        ({"max_completion_tokens": -5}, 16_384),
        ({"max_completion_tokens": "100"}, 16_384),
        ({"max_completion_tokens": 10**12}, 128_000),
        ({"prediction": {"type": "content", "content": "é" * 10}}, 120),
        ({"prediction": {"type": "content", "content": [{"type": "text", "text": "abc"}]}}, 103),
        ({"prediction": {"type": "content", "content": "abc"}, "n": 2}, 206),
    ],
)
def test_counts_the_most_that_may_be_generated(more: dict[str, Any], output: int) -> None:
    asked = (
        chat(service_tier="default", **more)
        if "max_completion_tokens" not in more
        else {
            **chat(service_tier="default"),
            **more,
        }
    )
    size = len(as_sent(asked)) + 64

    found = bound_of("openai_chat", asked)

    assert found == Bound(size * 150 + output * 600, "bytes", size, output)


@pytest.mark.parametrize(
    ("form", "asked", "model", "window"),
    [
        ("openai_chat", chat([IMAGE]), None, 128_000),
        ("openai_chat", chat([{"type": "file", "file": {"file_id": "file-1"}}]), None, 128_000),
        ("openai_chat", chat([{"type": "new_thing"}]), None, 128_000),
        ("openai_responses", response(previous_response_id="resp_1"), None, 400_000),
        ("openai_responses", response(conversation="conv_1"), None, 400_000),
        ("openai_responses", response(prompt={"id": "pmpt_1"}), None, 400_000),
        ("openai_responses", response([{"type": "item_reference", "id": "i"}]), None, 400_000),
        ("openai_responses", response([{"content": [{"type": "input_image"}]}]), None, 400_000),
        ("anthropic_messages", message([{"type": "image", "source": {}}]), None, 200_000),
        ("anthropic_messages", message([{"type": "document", "source": {}}]), None, 200_000),
        ("gemini_content", content(cachedContent="cachedContents/1"), "gemini-2.5-flash", 1 << 20),
        ("gemini_content", content(cached_content="cachedContents/1"), "gemini-2.5-flash", 1 << 20),
        ("gemini_content", content({"fileData": {}}), "gemini-2.5-flash", 1 << 20),
        ("gemini_content", content({"inline_data": {}}), "gemini-2.5-flash", 1 << 20),
    ],
)
def test_takes_the_window_for_input_that_is_not_in_the_body(
    form: FormName, asked: dict[str, Any], model: str | None, window: int
) -> None:
    found = bound_of(form, asked, model=model)

    assert isinstance(found, Bound)
    assert (found.bound_kind, found.input_tokens, found.output_tokens) == ("window", window, 100)


def test_counts_sounds_at_their_own_rate() -> None:
    heard = bound_of("openai_chat", chat([SPOKEN], model="gpt-4o-audio-preview"))
    answered = bound_of(
        "openai_chat", chat([SPOKEN], model="gpt-4o-audio-preview", modalities=["text", "audio"])
    )

    # Audio $40 and $80, text out $10
    assert heard == Bound(128_000 * 40_000 + 100 * 10_000, "window", 128_000, 100)
    assert answered == Bound(128_000 * 40_000 + 100 * 80_000, "window", 128_000, 100)


def test_lets_no_cap_bound_images() -> None:
    drawn = bound_of("gemini_content", content(), model="gemini-2.5-flash-image")
    text = content(generationConfig={"maxOutputTokens": 100, "responseModalities": ["TEXT"]})

    assert isinstance(drawn, Bound)
    assert drawn.output_tokens == 32_768
    found = bound_of("gemini_content", text, model="gemini-2.5-flash-image")
    assert isinstance(found, Bound)
    assert found.output_tokens == 100


def test_counts_candidates() -> None:
    asked = content(generationConfig={"maxOutputTokens": 100, "candidateCount": 2})
    size = len(as_sent(asked)) + 64

    # gemini-2.5-flash, $0.30 and $2.50
    found = bound_of("gemini_content", asked, model="gemini-2.5-flash")

    assert found == Bound(size * 300 + 200 * 2_500, "bytes", size, 200)


@pytest.mark.parametrize(
    ("tokens", "rates"), [(200_000, (1_250, 10_000)), (200_001, (2_500, 15_000))]
)
def test_reaches_a_tier_with_its_first_token(tokens: int, rates: tuple[int, int]) -> None:
    short = len(as_sent(content({"text": ""}))) + 64
    asked = content({"text": "x" * (tokens - short)})

    # gemini-2.5-pro, $1.25 and $10, above 200,000 $2.50 and $15
    found = bound_of("gemini_content", asked, model="gemini-2.5-pro")

    assert found == Bound(tokens * rates[0] + 100 * rates[1], "bytes", tokens, 100)


@pytest.mark.parametrize(
    ("hours", "rates"), [(2, (750, 3_750)), (1, (1_500, 7_500)), (-1, (1_500, 7_500))]
)
def test_counts_with_a_price_that_begins_before_the_call_ends(
    hours: int, rates: tuple[int, int]
) -> None:
    asked = content()
    size = len(as_sent(asked)) + 64
    at = datetime(2027, 1, 1, tzinfo=UTC) - timedelta(hours=hours)

    # gemini-3.6-flash, $0.75 and $3.75 until the end of 2026, then twice as much
    found = bound_of("gemini_content", asked, model="gemini-3.6-flash", at=at)

    assert found == Bound(size * rates[0] + 100 * rates[1], "bytes", size, 100)


def test_counts_a_moving_name_at_the_dearest_model_it_may_mean() -> None:
    asked = content()
    size = len(as_sent(asked)) + 64

    found = bound_of("gemini_content", asked, model="gemini-flash-latest")
    dearest = max(
        bound.nanos
        for model in ("3.8", "3.7", "3.6", "3.5", "2.5")
        if isinstance(
            bound := bound_of("gemini_content", asked, model=f"gemini-{model}-flash"), Bound
        )
    )

    assert isinstance(found, Bound)
    assert (found.nanos, found.input_tokens) == (dearest, size)


@pytest.mark.parametrize("asked", ["Hi", ["Hi", "Ho"], [15_496, 11], [[15_496], [11, 12]]], ids=str)
def test_bounds_embeddings_by_their_bytes(asked: object) -> None:
    request = {"model": "text-embedding-3-small", "input": asked}
    size = len(as_sent(request)) + 64

    # $0.02, and no output
    assert bound_of("openai_embeddings", request) == Bound(size * 20, "bytes", size, 0)


@pytest.mark.parametrize(
    ("more", "replies"),
    [
        ({}, 1),
        ({"prompt": ["a", "b"], "n": 3}, 6),
        ({"prompt": [1, 2, 3], "best_of": 5, "n": 2}, 5),
        ({"prompt": [[1], [2]]}, 2),
        ({"best_of": "many"}, 20),
    ],
)
def test_counts_a_reply_for_each_prompt_and_try(more: dict[str, Any], replies: int) -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi", "max_tokens": 10, **more}
    size = len(as_sent(asked)) + 64

    # $1.50 and $2
    found = bound_of("openai_completions", asked)

    assert found == Bound(size * 1_500 + replies * 10 * 2_000, "bytes", size, replies * 10)


def test_bounds_many_inputs_by_a_window_each() -> None:
    texts = {"model": "text-embedding-3-small", "input": ["x" * 10_000] * 3}

    found = bound_of("openai_embeddings", texts)

    assert found == Bound(3 * 8_192 * 20, "bytes", 3 * 8_192, 0)


def test_bounds_embeddings_of_images_by_a_window_each() -> None:
    image = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}}

    found = bound_of("gemini_embeddings", {"requests": [image] * 2}, model="gemini-embedding-2")

    assert isinstance(found, Bound)
    assert (found.bound_kind, found.input_tokens, found.output_tokens) == ("window", 16_384, 0)


def test_a_free_model_costs_nothing() -> None:
    found = bound_of("gemini_content", content(), model="gemma-3")

    assert isinstance(found, Bound)
    assert found.nanos == 0


@pytest.mark.parametrize("more", ["", "x"])
def test_rounds_up(more: str) -> None:
    asked = content({"text": "Hi" + more})
    size = len(as_sent(asked)) + 64

    # gemini-flash-1.5-8b, $0.0375 and $0.15
    found = bound_of("gemini_content", asked, model="gemini-flash-1.5-8b")

    assert found == Bound((size * 375 + 9) // 10 + 100 * 150, "bytes", size, 100)
