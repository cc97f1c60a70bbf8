"""A stream that ends early is estimated upwards."""

from dataclasses import replace
from pathlib import Path

import pytest

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
        told = recording.cost(replace(metered, final=True)).priced_nanos
        estimate = recording.cost(metered)

        assert estimate.priced_nanos >= told


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
