"""Usage and cost of recorded replies of every shape."""

from pathlib import Path

import pytest

from tests.metering.expected import EXPECTED, UNTOLD
from tests.metering.recordings import (
    STREAMS,
    metered_in,
    passed_by,
    read_recording,
)

SHORT_BYTES = 12_000
LONG_STREAMS = frozenset(
    {
        "groq-chat-stream-x-groq-usage",
        "mistral-chat-stream-usage-with-choices",
        "deepseek-chat-stream-usage-with-choices",
        "anthropic-stream-web-search",
        "gemini-stream-web-search-grounding",
    }
)
BY_LENGTH = [
    pytest.param(name, marks=pytest.mark.slow if name in LONG_STREAMS else ()) for name in STREAMS
]
PRICED = [name for name, expected in EXPECTED.items() if expected.nanos is not None]


@pytest.mark.parametrize("name", EXPECTED)
def test_reads_the_units(provider_replies: Path, name: str) -> None:
    metered = read_recording(provider_replies, name).metered()

    assert (metered.units, metered.final) == (EXPECTED[name].units, True)


@pytest.mark.parametrize("name", EXPECTED)
def test_reads_the_finish_reason(provider_replies: Path, name: str) -> None:
    metered = read_recording(provider_replies, name).metered()

    assert metered.finish_reason == EXPECTED[name].finish_reason


@pytest.mark.parametrize("name", PRICED)
def test_costs_what_the_price_list_says(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)

    cost = recording.cost(recording.metered())

    assert (cost.nanos, cost.source) == (EXPECTED[name].nanos, "provider")


@pytest.mark.parametrize("name", ["openrouter-chat-stream-error", "groq-chat-stream-x-groq-usage"])
def test_has_no_cost_for_a_model_the_provider_does_not_list(
    provider_replies: Path, name: str
) -> None:
    recording = read_recording(provider_replies, name)

    cost = recording.cost(recording.metered())

    assert (cost.nanos, cost.reason, cost.priced_nanos) == (None, "unknown_model", 0)


@pytest.mark.parametrize("name", [name for name in PRICED if name.startswith("openrouter")])
def test_costs_what_openrouter_itself_says(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    metered = recording.metered()

    assert metered.usage_raw is not None
    assert recording.cost(metered).nanos == round(metered.usage_raw["cost"] * 10**9)


def test_does_not_believe_a_list_of_models_that_does_not_add_up(provider_replies: Path) -> None:
    metered = read_recording(provider_replies, "groq-chat-stream-x-groq-usage").metered()

    assert [line.model for line in metered.lines] == [None]
    assert metered.model == "groq/compound"


@pytest.mark.parametrize("name", UNTOLD)
def test_estimates_a_stream_that_tells_no_usage(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    metered = recording.metered()

    cost = recording.cost(metered)

    assert (metered.final, metered.units, cost.source) == (False, {}, "estimated")
    assert metered.finish_reason == UNTOLD[name]


def test_says_that_a_stream_with_an_error_failed(provider_replies: Path) -> None:
    metered = read_recording(provider_replies, "openrouter-chat-stream-error").metered()

    assert metered.failed
    assert metered.anomalies == (
        "completion_tokens_details.reasoning_tokens 11 is more than the whole 10",
    )


def test_keeps_the_model_that_a_later_chunk_names(provider_replies: Path) -> None:
    """Azure's first chunk has no choices and an empty model."""
    metered = read_recording(provider_replies, "azure-chat-stream-no-usage").metered()

    assert metered.model == "gpt-35-turbo"


@pytest.mark.parametrize("name", BY_LENGTH)
def test_reads_the_same_wherever_a_stream_is_split(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    whole = recording.metered()

    differing = [
        at
        for at in range(len(recording.reply) + 1)
        if metered_in(recording.tap(), [recording.reply[:at], recording.reply[at:]]) != whole
    ]

    assert differing == []


@pytest.mark.parametrize("name", STREAMS)
def test_reads_the_same_from_single_bytes(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    single = [recording.reply[at : at + 1] for at in range(len(recording.reply))]

    assert metered_in(recording.tap(), single) == recording.metered()


@pytest.mark.parametrize("name", STREAMS)
def test_gives_out_each_piece_as_it_came(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    tap = recording.tap()
    pieces = [recording.reply[at : at + 7] for at in range(0, len(recording.reply), 7)]

    assert [tap.feed(piece) for piece in pieces] == pieces
    assert tap.finish() == b""


@pytest.mark.parametrize("name", STREAMS)
def test_reads_the_same_with_other_line_ends(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    windows = recording.reply.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    halves = [windows[at : at + 100] for at in range(0, len(windows), 100)]

    metered = metered_in(recording.tap(), halves)

    assert metered.lines == recording.metered().lines
    assert metered.output_bytes >= recording.metered().output_bytes


def test_passes_a_stream_with_choices_in_its_usage_chunk_unstripped(
    provider_replies: Path,
) -> None:
    recording = read_recording(provider_replies, "openrouter-chat-stream-usage-with-choices")

    assert passed_by(recording.tap(strip=True), [recording.reply]) == recording.reply
