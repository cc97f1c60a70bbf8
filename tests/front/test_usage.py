"""Each vendor's own way of telling usage is read as the vendor bills it."""

from collections.abc import Mapping
from typing import Any

import pytest

from common.core.events import UsageEvent
from tests.front.conftest import Front
from tests.front.upstreams import BILLED, VENDORS

STREAMS: Mapping[str, Mapping[str, Any]] = {
    "whole": {},
    "streamed": {"stream": True},
    "streamed with usage": {"stream": True, "stream_options": {"include_usage": True}},
}
CACHING = ("openai", "mistral", "deepseek", "xai", "groq", "openrouter", "azure", "relay")
"""Vendors that say what they read from a cache."""
OUTPUT = 80
SHORT_OUTPUT = 5


def _request(front: Front, prefix: str, words: int = 1) -> dict[str, Any]:
    """A text that no other test has, so that no cache holds it."""
    text = f"{front.tag} " * words
    return {"model": VENDORS[prefix].asked, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("asked", STREAMS)
@pytest.mark.parametrize("prefix", VENDORS)
async def test_output_is_counted_with_the_reasoning_in_it(
    front: Front, prefix: str, asked: str
) -> None:
    knobs = {"output_tokens": str(OUTPUT), "input_tokens": "1234"}

    await front.call({**_request(front, prefix), **STREAMS[asked]}, **knobs)

    units = front.event.units
    assert (units["input_tokens"], units["output_tokens"]) == (1234, OUTPUT)
    assert front.event.cost_source == "provider"
    [row] = await front.bill()
    shown = row["usage"]["completion_tokens"]
    hides = VENDORS[prefix].thinks and prefix not in ("groq", "deepseek")
    assert (shown < OUTPUT) == hides, "the vendor does not hide its reasoning"


@pytest.mark.parametrize("asked", STREAMS)
@pytest.mark.parametrize("prefix", CACHING)
async def test_cached_input_costs_what_the_vendor_bills(
    front: Front, prefix: str, asked: str
) -> None:
    request = {**_request(front, prefix, words=200), **STREAMS[asked]}

    await front.call(request)
    first = front.event
    await front.call(request)
    second = front.event

    bills = [row["billed_nanos"] for row in await front.bill()]
    assert [first.cost_nanos, second.cost_nanos] == bills
    assert first.units.get("cache_read_tokens", 0) == 0
    assert second.units["cache_read_tokens"] >= 1024
    assert second.units["input_tokens"] == first.units["input_tokens"]
    # Mistral's list has no price of its own for what this model reads from a cache.
    assert (bills[1] < bills[0]) == (prefix != "mistral")


@pytest.mark.parametrize("asked", STREAMS)
async def test_openrouters_own_cost_is_ours(front: Front, asked: str) -> None:
    await front.call({**_request(front, "openrouter"), **STREAMS[asked]})

    [row] = await front.bill()
    assert front.event.cost_nanos == round(row["usage"]["cost"] * 10**9)


@pytest.mark.parametrize("asked", STREAMS)
@pytest.mark.parametrize("prefix", VENDORS)
async def test_a_reply_without_usage_is_estimated_upwards(
    front: Front, prefix: str, asked: str
) -> None:
    await front.call({**_request(front, prefix), **STREAMS[asked]}, fault="no-usage")

    [row] = await front.bill()
    _assert_no_less(front.event, row, prefix)
    assert front.event.cost_source == "estimated"


def _assert_no_less(event: UsageEvent, row: Mapping[str, Any], prefix: str) -> None:
    if prefix in BILLED:
        assert event.cost_nanos is not None
        assert event.cost_nanos >= row["billed_nanos"]
    else:
        assert (event.cost_nanos, event.cost_reason) == (None, "unknown_model")


@pytest.mark.parametrize("asked", ["streamed", "streamed with usage"])
@pytest.mark.parametrize("prefix", VENDORS)
async def test_a_stream_cut_after_any_event_costs_no_less_than_is_billed(
    front: Front, prefix: str, asked: str
) -> None:
    request = {**_request(front, prefix), "max_completion_tokens": 4000, **STREAMS[asked]}
    knobs = {"output_tokens": str(SHORT_OUTPUT)}
    await front.call(request, **knobs)
    whole = front.event
    events = b"".join(front.upstream.replies[-1].passed).count(b"\n\n") - 1
    assert events >= 2

    sources = []
    for sent in range(events + 1):
        await front.call(request, fault="cut", fault_after=str(sent), **knobs)
        event, row = front.event, (await front.bill())[-1]
        sources.append(event.cost_source)
        if event.cost_source == "provider":
            assert event.cost_nanos == whole.cost_nanos
            assert event.units == whole.units
        else:
            assert event.units["output_tokens"] >= row["usage"]["completion_tokens"]
            assert event.units["input_tokens"] >= whole.units["input_tokens"]
            _assert_no_less(event, row, prefix)
            assert event.outcome == "upstream_error"

    # Only the stream that lacks nothing but its end has told all.
    assert sources == ["estimated"] * events + ["provider"]
