"""Streams of Gemini interactions: read wherever they are split, settled wherever they are cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.bounds import Bound, bound
from common.llm.price_book import bundled_book
from tests.metering.interactions import (
    ANY,
    BACKGROUND,
    CAPPED,
    COMPLETED,
    CREATED,
    DELTAS,
    END,
    EVENTS,
    FORM,
    REQUEST,
    SEARCH,
    SHOWN_BYTES,
    USAGE,
    cost_of_call,
    event_of,
    interaction_of,
    usage_of,
)
from tests.metering.recordings import RECEIVED_AT, metered_in, passed_by


def test_has_a_cost_for_a_background_stream_that_was_read_to_its_end() -> None:
    cut = cost_of_call(metered_in(FORM.stream_tap(False), EVENTS[:9]), BACKGROUND)
    whole = cost_of_call(metered_in(FORM.stream_tap(False), EVENTS), BACKGROUND)

    assert (cut.nanos, cut.reason) == (None, "asynchronous")
    assert (whole.nanos, whole.reason) == (129_500, None)


@pytest.mark.parametrize(
    "status",
    ["completed", "requires_action", "incomplete", "requires_continuation", "cancelled", "new"],
)
def test_is_final_at_whatever_status_is_no_longer_one_of_waiting(status: str) -> None:
    event = event_of("interaction.completed", interaction=interaction_of(status=status))
    tap = FORM.stream_tap(False)

    metered = metered_in(tap, [*EVENTS[:12], event])

    assert (tap.done, metered.final, metered.failed) == (True, True, False)
    assert metered.finish_reason == status
    assert cost_of_call(metered).nanos == 129_500


@pytest.mark.parametrize(
    "event",
    [
        event_of("error", error={"message": "m", "code": "internal"}),
        event_of("error"),
        b'data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}\n\n',
    ],
)
def test_says_that_a_stream_with_an_error_failed(event: bytes) -> None:
    tap = FORM.stream_tap(False)

    metered = metered_in(tap, [CREATED, event])

    assert (metered.failed, metered.final, tap.done) == (True, False, False)
    assert cost_of_call(metered).source == "estimated"


@pytest.mark.parametrize("separator", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_reads_a_stream_the_same_wherever_it_is_split(separator: bytes) -> None:
    newline = separator[: len(separator) // 2]
    stream = b"".join(EVENTS).replace(b"\n", newline)
    whole = metered_in(FORM.stream_tap(False), [stream])

    assert (whole.final, whole.units["output_tokens"]) == (True, 42)
    for at in range(len(stream)):
        tap = FORM.stream_tap(False)
        assert passed_by(tap, [stream[:at], stream[at:]]) == stream
        assert tap.result() == whole, at
    every = [bytes([byte]) for byte in stream]
    assert metered_in(FORM.stream_tap(False), every) == whole


@pytest.mark.parametrize("count", range(1, len(EVENTS) + 1))
@pytest.mark.parametrize("request_body", [REQUEST, CAPPED])
def test_settles_a_cut_stream_between_what_was_told_and_the_bound(
    request_body: bytes, count: int
) -> None:
    tap = FORM.stream_tap(False)
    cost = cost_of_call(metered := metered_in(tap, EVENTS[:count]), request_body)
    facts = FORM.read_facts(request_body)
    most = bound(facts, book=bundled_book(), provider="google", at=RECEIVED_AT)

    shown = sum(
        len(next(iter(set(delta.values()) - {delta["type"]})).encode())
        for delta, sent_with in zip(DELTAS, (4, 7, 8, 11), strict=True)
        if count >= sent_with
    )
    told = (7 * 500 + 27 * 3_000) if count >= 9 else 0
    assert isinstance(most, Bound)
    assert cost.nanos is not None
    assert told <= cost.nanos <= most.nanos
    if count >= EVENTS.index(COMPLETED) + 1:
        assert (cost.nanos, cost.source, tap.done) == (129_500, "provider", True)
        return
    assert (cost.source, tap.done, metered.final) == ("estimated", False, False)
    assert cost.units["output_tokens"] >= min(shown + 1_024, most.output_tokens)
    # Up to the first usage the input is the bound's: 67 or more bytes, and 64.
    expected = 7 if count >= 9 else len(request_body) + 64
    assert cost.units["input_tokens"] == expected


def test_bounds_output_by_the_bytes_of_the_pieces() -> None:
    texts = [event_of("step.delta", index=0, delta=delta) for delta in DELTAS[1:3]]
    others = [event_of("step.delta", index=0, delta=delta) for delta in (DELTAS[0], DELTAS[3])]

    said = metered_in(FORM.stream_tap(False), texts)
    whole = metered_in(FORM.stream_tap(False), texts + others)

    assert said.output_bytes == len("Grüße, 日本 \n 1, 2".encode())
    assert whole.output_bytes >= SHOWN_BYTES


def test_bounds_what_a_step_begins_with_by_its_bytes() -> None:
    call = {"type": "function_call", "name": "look_at_all_of_it", "arguments": {"a": "b" * 90}}
    begun = event_of("step.start", index=0, step=call)

    assert metered_in(FORM.stream_tap(False), [begun]).output_bytes >= 90 + len("look_at_all_of_it")


def test_no_usage_behind_the_end_takes_the_place_of_the_final_one() -> None:
    late = event_of("step.stop", index=0, usage=usage_of(total_output_tokens=1))

    metered = metered_in(FORM.stream_tap(False), [CREATED, COMPLETED, late])

    assert (metered.final, cost_of_call(metered).nanos) == (True, 129_500)


def test_takes_the_usage_that_accompanies_a_piece_as_told_so_far() -> None:
    piece = event_of("step.delta", index=1, delta=DELTAS[1], metadata={"total_usage": USAGE})

    cost = cost_of_call(metered_in(FORM.stream_tap(False), [CREATED, piece]), CAPPED)

    # 7 x 500, and what was told is not all: 8 bytes in "Grüße, " and 2 more in their umlauts
    assert cost.units["input_tokens"] == 7
    assert cost.nanos == 7 * 500 + (len("Grüße, ".encode()) + 1_024) * 3_000


def test_does_not_count_a_step_s_own_usage_for_that_of_all() -> None:
    step = event_of("step.stop", index=1, step_usage=USAGE)

    assert metered_in(FORM.stream_tap(False), [CREATED, step]).units == {}


def test_counts_the_searches_that_a_cut_stream_has_shown() -> None:
    events = [
        CREATED,
        event_of("step.start", index=0, step={"type": "google_search_call", "id": "s1"}),
        event_of("step.delta", index=0, delta={k: v for k, v in SEARCH.items() if k != "id"}),
    ]

    assert metered_in(FORM.stream_tap(False), events).units == {"web_searches": 2}
    # The steps that the last event repeats are the same ones.
    last = event_of("interaction.completed", interaction=interaction_of(steps=[SEARCH]))
    assert metered_in(FORM.stream_tap(False), [*events, last]).units["web_searches"] == 2


def test_ends_without_its_usage_where_none_is_told() -> None:
    tap = FORM.stream_tap(False)
    last = event_of("interaction.completed", interaction=interaction_of(usage=None))

    metered = metered_in(tap, [*EVENTS[:8], last, END])

    assert (tap.done, metered.final) == (True, False)
    assert cost_of_call(metered).source == "estimated"


def test_says_that_an_event_above_the_limit_was_not_read() -> None:
    event = event_of("step.delta", index=0, delta={"type": "image", "data": "a" * (5 << 20)})

    metered = metered_in(FORM.stream_tap(False), [event[:-9], event[-9:]])

    assert metered.anomalies == ("an event above 4 MiB was not read",)
    assert metered.output_bytes >= 5 << 20


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.binary(max_size=30)
        | st.sampled_from([*EVENTS, b"\n\n", b"\r\n\r\n", b'data: {"delta":[],"step":7}', b"data:"])
        | ANY.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
        max_size=12,
    )
)
def test_takes_any_bytes_and_gives_them_out(pieces: list[bytes]) -> None:
    tap = FORM.stream_tap(False)

    assert passed_by(tap, pieces) == b"".join(pieces)
    assert all(count >= 0 for count in tap.result().units.values())
