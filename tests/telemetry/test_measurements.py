"""What is measured of a call, from its event alone."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from common.core import metrics
from common.core.events import Attempt, EditMade, UsageEvent
from common.core.metrics import INSTRUMENTS, Instrument, Measurement
from common.usage.telemetry import measurements_of
from tests.contracts.facts import a_call

NORMAL: dict[str, Any] = {"mode": "normal", "edits": (), "arm": None}


def measured(event: UsageEvent, instrument: Instrument) -> list[Measurement]:
    return [each for each in measurements_of(event) if each.instrument is instrument]


def the_one(event: UsageEvent, instrument: Instrument) -> Measurement:
    [found] = measured(event, instrument)
    return found


def sums(events: Iterable[UsageEvent], instrument: Instrument) -> float:
    return sum(each.value for event in events for each in measured(event, instrument))


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        (NORMAL, "ok"),
        ({}, "degraded"),
        ({"edits": (EditMade(name="hint", told="x", outcome="shadow", reason=""),)}, "ok"),
        ({"outcome": "upstream_error"}, "upstream_error"),
        ({**NORMAL, "outcome": "shed"}, "shed"),
    ],
)
def test_says_how_a_call_ended(fields: dict[str, Any], outcome: str) -> None:
    requests = the_one(a_call(**fields), metrics.SERVICE_REQUESTS)

    assert (requests.value, requests.attributes) == (1, {"outcome": outcome})


def test_adds_up_to_what_the_events_say() -> None:
    events = [
        a_call(
            id=str(number),
            priced_nanos=number * 1_000_003,
            cost_nanos=None if number % 7 == 0 else number * 1_000_003,
            cost_reason="unknown_model" if number % 7 == 0 else None,
            cost_source="estimated" if number % 5 == 0 else "provider",
            units={"input_tokens": number, "input_audio_tokens": number // 3, "output_tokens": 2},
        )
        for number in range(1, 50)
    ]
    reported = [event for event in events if event.cost_source == "provider"]

    assert {
        "cost": sums(events, metrics.COST_TOTAL),
        "calls": sums(events, metrics.SERVICE_REQUESTS),
        "unpriced": sums(events, metrics.CALLS_UNPRICED),
        "per request": sums(events, metrics.COST_PER_REQUEST),
        "input": sums(events, metrics.USED_INPUT),
        "output": sums(events, metrics.USED_OUTPUT),
    } == {
        "cost": sum(event.priced_nanos for event in events),
        "calls": 49,
        "unpriced": 7,
        "per request": sum(event.cost_nanos or 0 for event in events),
        "input": sum(event.units["input_tokens"] for event in reported),
        "output": 2 * len(reported),
    }


def test_says_nothing_that_nobody_told() -> None:
    unpriced = a_call(
        cost_nanos=None, cost_reason="unknown_tier:x", priced_nanos=0, first_chunk_s=None, units={}
    )

    assert measured(unpriced, metrics.COST_PER_REQUEST) == []
    assert measured(unpriced, metrics.COST_TOTAL) == []
    assert measured(unpriced, metrics.TIME_TO_FIRST_CHUNK) == []
    assert measured(unpriced, metrics.TOKENS_USED) == []
    assert the_one(unpriced, metrics.CALLS_UNPRICED).attributes["reason"] == "unknown_tier"


def test_takes_what_is_free_for_no_call_to_a_model() -> None:
    listed = a_call(
        endpoint="models", cost_source="free", cost_nanos=0, priced_nanos=0, edits=(), units={}
    )

    assert [each.instrument for each in measurements_of(listed)] == [metrics.SERVICE_REQUESTS]


def test_times_a_call_from_when_it_was_sent() -> None:
    call = a_call(duration_s=2.5, first_chunk_s=0.75, gateway_ms=250)

    assert the_one(call, metrics.OPERATION_DURATION).value == 2.25
    assert the_one(call, metrics.TIME_TO_FIRST_CHUNK).value == 0.5
    assert the_one(call, metrics.RESPONSE_DURATION).value == 2.5


def test_calls_operations_and_providers_as_the_conventions_do() -> None:
    call = a_call(
        endpoint="generate",
        provider="google",
        model_sent="gemini-3",
        outcome="upstream_error",
        error_code="upstream_503",
    )

    assert the_one(call, metrics.OPERATION_DURATION).attributes == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gen_ai",
        "gen_ai.request.model": "gemini-3",
        "error.type": "upstream_503",
    }


def test_times_no_call_that_was_not_sent() -> None:
    refused = a_call(attempts=(), model_sent=None, outcome="gateway_error", error_code="limit")

    assert measured(refused, metrics.OPERATION_DURATION) == []
    assert measured(refused, metrics.RESPONSE_DURATION) == []


@pytest.mark.parametrize(
    ("units", "parts"),
    [
        ({"input_tokens": 10}, {"unknown": 10}),
        ({"input_tokens": 10, "input_audio_tokens": 4}, {"audio": 4, "text": 6}),
        ({"input_tokens": 4, "input_image_tokens": 4}, {"image": 4}),
        ({"input_tokens": 3, "input_image_tokens": 4}, {"unknown": 3}),
        ({"input_tokens": 0}, {"unknown": 0}),
    ],
)
def test_counts_each_token_in_one_modality(units: dict[str, int], parts: dict[str, int]) -> None:
    found = measured(a_call(units=units), metrics.USED_INPUT)

    assert {each.attributes["gen_ai.token.modality"]: each.value for each in found} == parts


def test_tells_no_name_of_a_model_that_a_caller_may_have_made_up() -> None:
    refused = a_call(
        model_asked="made-up-1",
        model_sent="made-up-1",
        model_billed=None,
        card=None,
        outcome="client_error",
        error_code="upstream_404",
        attempts=(Attempt(upstream="openai", credential=None, status=404, ms=1),),
    )

    told = {value for each in measurements_of(refused) for value in each.attributes.values()}

    assert "made-up-1" not in told
    assert "other" in told


def test_says_who_a_cost_is_of() -> None:
    call = a_call(team="search", agent="crawler", mode="hard")

    assert the_one(call, metrics.COST_TOTAL).attributes == {
        "provider": "openai",
        "model": "gpt-5",
        "team": "search",
        "agent": "crawler",
        "mode": "hard",
        "price_source": "provider",
    }


@pytest.mark.parametrize(
    ("fields", "truncated", "empty"),
    [
        ({"finish_reason": "stop"}, 0, 0),
        ({"finish_reason": "length"}, 1, 0),
        ({"finish_reason": "MAX_TOKENS", "units": {"output_tokens": 0}}, 1, 1),
        ({"finish_reason": "max_tokens", "outcome": "upstream_error"}, 0, 0),
        ({"endpoint": "embeddings", "units": {"output_tokens": 0}}, 0, 0),
    ],
)
def test_counts_answers_that_were_cut_or_empty(
    fields: dict[str, Any], truncated: int, empty: int
) -> None:
    event = a_call(**fields)

    assert sums([event], metrics.RESPONSE_TRUNCATED) == truncated
    assert sums([event], metrics.RESPONSE_EMPTY) == empty


def test_counts_each_edit_with_what_became_of_it() -> None:
    edits = (
        EditMade(name="effort", told="low", outcome="applied", reason=""),
        EditMade(name="model", told="small", outcome="skipped_cache", reason="cached"),
    )

    found = measured(a_call(edits=edits), metrics.BROWNOUT_ACTIONS)

    assert Counter((each.attributes["action"], each.attributes["outcome"]) for each in found) == {
        ("effort", "applied"): 1,
        ("model", "skipped_cache"): 1,
    }


def test_gives_every_metric_a_name_of_its_own() -> None:
    names = [each.name for each in INSTRUMENTS]

    assert len(set(names)) == len(names)
    assert {name for name, each in vars(metrics).items() if isinstance(each, Instrument)} == {
        name for name, each in vars(metrics).items() if each in INSTRUMENTS
    }
