"""A stream that ends early is estimated upwards, and never above the bound of its request."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.llm.bounds import Bound
from common.llm.forms import FORMS
from common.llm.metered import Metered, UsageLine
from tests.metering.recordings import (
    STREAMS,
    Recording,
    metered_in,
    read_recording,
    visible_bytes,
)

PRICED_STREAMS = [name for name in STREAMS if name.startswith(("openai", "anthropic", "gemini"))]


def _cuts(recording: Recording) -> list[bytes]:
    """The stream up to after each of its events."""
    events = recording.reply.replace(b"\r\n", b"\n").split(b"\n\n")
    return [b"\n\n".join(events[:count]) + b"\n\n" for count in range(1, len(events))]


@pytest.mark.parametrize("name", STREAMS)
def test_is_never_below_what_was_shown_and_told(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    cap = recording.facts.output_cap

    for part in _cuts(recording):
        metered = metered_in(recording.tap(), [part])
        estimate = recording.cost(metered).units
        shown = 0 if metered.final else visible_bytes(part)
        at_least = shown if cap is None else min(shown, cap)

        assert estimate["output_tokens"] >= max(at_least, metered.units.get("output_tokens", 0))
        assert estimate["input_tokens"] >= metered.units.get("input_tokens", 0)


@pytest.mark.parametrize("name", STREAMS)
def test_counts_no_less_than_the_bytes_a_stream_shows(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)

    assert recording.metered().output_bytes >= visible_bytes(recording.reply)


@pytest.mark.parametrize("name", PRICED_STREAMS)
def test_costs_no_less_than_the_part_the_provider_told(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)

    for part in _cuts(recording):
        metered = metered_in(recording.tap(), [part])
        told = recording.cost(metered._replace(final=True)).priced_nanos
        estimate = recording.cost(metered)

        assert estimate.priced_nanos >= told


@pytest.mark.parametrize("name", STREAMS)
def test_costs_no_more_than_the_bound_and_no_less_than_was_told(
    provider_replies: Path, name: str
) -> None:
    recording = read_recording(provider_replies, name)
    found = recording.bound()

    for part in _cuts(recording):
        metered = metered_in(recording.tap(), [part])
        told = recording.cost(metered._replace(final=True)).priced_nanos
        settled = recording.cost(metered)

        assert settled.priced_nanos >= told
        if isinstance(found, Bound):
            assert settled.nanos is not None
            assert settled.nanos <= found.nanos


def _cut(form: str, request: dict[str, Any], metered: Metered) -> tuple[Recording, Metered]:
    return Recording(form, json.dumps(request).encode(), b"", streamed=True), metered


STORED = {"model": "gpt-5", "previous_response_id": "resp_1", "input": "Go on"}


def test_takes_a_whole_window_for_input_that_is_not_in_the_request() -> None:
    recording, metered = _cut("openai-responses", STORED, Metered(output_bytes=76))

    cost = recording.cost(metered)

    # gpt-5 at the priority tier, which none was asked against: $2.50 and $20
    assert cost.units == {"input_tokens": 400_000, "output_tokens": 1_100}
    assert (cost.nanos, cost.source) == (400_000 * 2_500 + 1_100 * 20_000, "estimated")


def test_takes_the_tier_that_was_told_before_the_end() -> None:
    tier = "default"
    told = Metered(output_bytes=76, price_context={"service_tier": tier}, service_tier=tier)
    recording, metered = _cut("openai-responses", STORED, told)

    # gpt-5, $1.25 and $10
    assert recording.cost(metered).nanos == 400_000 * 1_250 + 1_100 * 10_000


def test_counts_searches_that_may_have_been_made_unseen() -> None:
    search = {"tools": [{"type": "web_search"}], "max_tool_calls": 2, "service_tier": "default"}
    request = {"model": "gpt-5", "input": "News?", **search}
    recording, metered = _cut("openai-responses", request, Metered(output_bytes=76))

    cost = recording.cost(metered)

    assert cost.units == {"input_tokens": 1_200_000, "output_tokens": 1_100, "web_searches": 2}
    assert cost.nanos == 1_200_000 * 1_250 + 1_100 * 10_000 + 2 * 10_000_000


def test_does_not_take_input_told_at_the_start_for_all_where_tools_run() -> None:
    search = {"type": "web_search_20250305", "name": "s", "max_uses": 1}
    request = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [], "tools": [search]}
    told = Metered((UsageLine({"input_tokens": 2_694, "output_tokens": 1}),))
    recording, metered = _cut("anthropic", request, told)

    cost = recording.cost(metered)

    assert cost.units == {"input_tokens": 400_000, "output_tokens": 100, "web_searches": 1}
    assert isinstance(found := recording.bound(), Bound)
    assert cost.nanos == found.nanos


def test_takes_input_told_at_the_start_where_no_tool_runs() -> None:
    image = [{"role": "user", "content": [{"type": "image", "source": {}}]}]
    request = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": image}
    told = Metered((UsageLine({"input_tokens": 1_500, "output_tokens": 1}),))
    recording, metered = _cut("anthropic", request, told)

    # $3 and $15
    assert recording.cost(metered).nanos == 1_500 * 3_000 + 50 * 15_000


def test_takes_untold_input_as_written_to_the_cache_where_it_may_be() -> None:
    text = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": text}],
    }
    recording, metered = _cut("anthropic", request, Metered())

    # $3, written 1.25 x, and $15
    size = len(recording.request) + 64
    assert recording.cost(metered).nanos == size * 3_750 + 50 * 15_000


def test_adds_a_prediction_that_may_have_been_rejected() -> None:
    request = {"model": "gpt-4o-mini", "prediction": {"type": "content", "content": "x" * 500}}
    recording, metered = _cut("openai", request, Metered(output_bytes=100))

    assert recording.cost(metered).units["output_tokens"] == 100 + 1_024 + 500


def test_settles_no_estimate_above_the_bound() -> None:
    request = {"model": "gpt-5", "service_tier": "default", "max_completion_tokens": 50}
    told = Metered(price_context={"service_tier": "priority"}, service_tier="priority")
    recording, metered = _cut("openai", request, told)

    # A tier that was asked against: $1.25 and $10, not $2.50 and $20
    size = len(recording.request) + 64
    assert recording.cost(metered).nanos == size * 1_250 + 50 * 10_000


def test_settles_what_was_told_above_the_bound() -> None:
    request = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": []}
    told = Metered((UsageLine({"input_tokens": 9_000, "output_tokens": 40}),))
    recording, metered = _cut("anthropic", request, told)

    assert recording.cost(metered).nanos == 9_000 * 3_000 + 40 * 15_000


@pytest.mark.parametrize(
    "name", ["azure-chat-stream-no-usage", "openai-chat-stream-no-usage-tools"]
)
def test_bounds_a_finished_stream_by_the_bytes_it_shows(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)

    cost = recording.cost(recording.metered())

    assert cost.units["output_tokens"] >= visible_bytes(recording.reply)
    assert cost.units["input_tokens"] == len(recording.request) + 64


def test_adds_what_is_generated_out_of_sight() -> None:
    recording = Recording("openai", b'{"model":"gpt-4o-mini"}', b"", streamed=True)

    cost = recording.cost(Metered(output_bytes=100))

    # The request has 23 bytes; gpt-4o-mini, $0.15 and $0.60: (23 + 64) x 150 + (100 + 1,024) x 600
    assert (cost.nanos, cost.source) == (687_450, "estimated")


def test_never_goes_above_the_request_s_own_cap() -> None:
    request = b'{"model":"gpt-4o-mini","max_completion_tokens":10,"n":3}'
    recording = Recording("openai", request, b"", streamed=True)

    cost = recording.cost(Metered(output_bytes=100_000))

    assert cost.units["output_tokens"] == 30


def test_keeps_what_was_told_where_it_is_above_the_cap() -> None:
    request = b'{"model":"claude-sonnet-4-5","max_tokens":10}'
    recording = Recording("anthropic", request, b"", streamed=True)
    told = Metered((UsageLine({"input_tokens": 5, "output_tokens": 40}),))

    assert recording.cost(told).units == {"input_tokens": 5, "output_tokens": 40}


def test_is_not_final_when_the_last_delta_tells_no_output() -> None:
    tap = FORMS["anthropic_messages"].stream_tap(False)
    started = (
        b'event: message_start\ndata: {"type":"message_start",'
        b'"message":{"model":"claude-sonnet-4-5","usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
    )
    ended = (
        b"event: message_delta\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    )

    metered = metered_in(tap, [started, ended])

    assert (metered.final, metered.units) == (False, {"input_tokens": 9, "output_tokens": 1})


@pytest.mark.parametrize(
    "usage",
    [
        b'{"prompt_tokens":-1,"completion_tokens":2}',
        b'{"prompt_tokens":"many","completion_tokens":2}',
        b'{"prompt_tokens":1.5,"completion_tokens":2}',
        b'{"prompt_tokens":99999999999999999999,"completion_tokens":2}',
        b'{"completion_tokens":2}',
        b"{}",
    ],
)
def test_does_not_believe_a_usage_that_is_no_count(usage: bytes) -> None:
    recording = Recording("openai", b'{"model":"gpt-4o-mini"}', b"", streamed=False)

    metered = FORMS["openai_chat"].read_reply(b'{"model":"gpt-4o-mini","usage":' + usage + b"}")

    assert (metered.final, len(metered.anomalies) > 0) == (False, True)
    assert recording.cost(metered).source == "estimated"


def test_says_that_a_tier_without_prices_is_unknown() -> None:
    recording = Recording("openai", b'{"model":"gpt-4o-mini"}', b"", streamed=False)
    reply = (
        b'{"model":"gpt-4o-mini","service_tier":"scale",'
        b'"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    )

    cost = recording.cost(FORMS["openai_chat"].read_reply(reply))

    assert (cost.nanos, cost.reason) == (None, "unknown_tier:scale")
