"""Replies of Gemini interactions: usage in its own words, who answered, what comes later."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metering.interactions import (
    ANY,
    BACKGROUND,
    FLASH,
    FORM,
    REQUEST,
    SEARCH,
    USAGE,
    cost_of_call,
    event_of,
    interaction_of,
    reply_of,
    usage_of,
)
from tests.metering.recordings import metered_in


def test_bills_thoughts_as_output_beside_what_is_shown() -> None:
    metered = FORM.read_reply(reply_of())

    # gemini-3-flash-preview, $0.50 and $3: 7 x 500 + (20 + 22) x 3,000
    assert cost_of_call(metered).nanos == 7 * 500 + 42 * 3_000 == 129_500
    assert (metered.final, metered.model, metered.finish_reason) == (True, FLASH, "completed")
    assert metered.units == {
        "input_tokens": 7,
        "output_tokens": 42,
        "output_reasoning_tokens": 22,
    }
    assert metered.anomalies == ()


@pytest.mark.parametrize(
    ("told", "output", "anomalies"),
    [
        # The sum holds with the thoughts beside the output, or without them.
        ({"total_tokens": 49}, 42, 0),
        ({"total_tokens": 49, "total_output_tokens": 42}, 42, 0),
        # It says nothing: the upper reading.
        ({"total_tokens": None}, 42, 0),
        ({"total_tokens": None, "total_output_tokens": 42}, 64, 0),
        ({"total_tokens": 50}, 42, 1),
        ({"total_tokens": 1 << 41}, 42, 1),
        # More thoughts than output cannot be part of it.
        ({"total_tokens": 27}, 42, 1),
        # An output of none is spelt or left out.
        ({"total_tokens": 29, "total_output_tokens": 0}, 22, 0),
        ({"total_tokens": 29, "total_output_tokens": None}, 22, 0),
    ],
)
def test_takes_thoughts_for_included_only_where_the_sum_says_so(
    told: dict[str, Any], output: int, anomalies: int
) -> None:
    metered = FORM.read_reply(reply_of(usage=usage_of(**told)))

    assert metered.units["output_tokens"] == output
    assert metered.final
    assert len(metered.anomalies) == anomalies


@pytest.mark.parametrize(
    "told",
    [
        {"total_input_tokens": None},
        {"total_input_tokens": -1},
        {"total_output_tokens": None},
        {"total_output_tokens": "20"},
        {"total_output_tokens": 2.5},
    ],
)
def test_estimates_where_a_count_that_matters_cannot_be_read(told: dict[str, Any]) -> None:
    reply = reply_of(usage=usage_of(**told))
    metered = FORM.read_reply(reply)

    assert (metered.final, metered.units) == (False, {})
    assert metered.anomalies
    # The request has 67 bytes: (67 + 64) x 500 + (the reply + 1,024) x 3,000
    assert len(REQUEST) == 67
    assert cost_of_call(metered).nanos == 131 * 500 + (len(reply) + 1_024) * 3_000


def test_counts_what_tools_bring_in_on_top_of_the_prompt() -> None:
    told = usage_of(
        total_tokens=271_870,
        total_input_tokens=193_279,
        total_output_tokens=8_664,
        total_thought_tokens=16_891,
        total_tool_use_tokens=53_036,
    )
    metered = FORM.read_reply(reply_of(model="gemini-2.5-pro", usage=told))

    # Above 200,000 in all, $2.50 and $15: 246,315 x 2,500 + 25,555 x 15,000
    assert metered.anomalies == ()
    assert cost_of_call(metered).nanos == 246_315 * 2_500 + 25_555 * 15_000 == 999_112_500


def test_bills_cached_input_and_sounds_at_their_own_rates() -> None:
    told = usage_of(
        total_tokens=1_042,
        total_input_tokens=1_000,
        input_tokens_by_modality=[
            {"modality": "text", "tokens": 400},
            {"modality": "audio", "tokens": 600},
        ],
        total_cached_tokens=500,
        cached_tokens_by_modality=[
            {"modality": "audio", "tokens": 200},
            {"modality": "text", "tokens": 300},
        ],
    )
    metered = FORM.read_reply(reply_of(usage=told))

    # Text $0.50, cached $0.05; sounds $1, cached $0.10; output $3
    text, sounds = (400 - 300) * 500 + 300 * 50, (600 - 200) * 1_000 + 200 * 100
    assert cost_of_call(metered).nanos == text + sounds + 42 * 3_000 == 611_000


def test_bills_pictures_that_are_made_at_their_own_rate() -> None:
    told = usage_of(
        total_tokens=1_307,
        total_output_tokens=1_300,
        total_thought_tokens=0,
        output_tokens_by_modality=[{"modality": "image", "tokens": 1_290}],
    )
    metered = FORM.read_reply(reply_of(model="gemini-2.5-flash-image", usage=told))

    # $0.30, $2.50 and $30 for pictures
    assert cost_of_call(metered).nanos == 7 * 300 + 10 * 2_500 + 1_290 * 30_000


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ({"total_cached_tokens": 8}, "total_cached_tokens 8 is more than the whole 7"),
        (
            {"input_tokens_by_modality": [{"modality": "audio", "tokens": 8}]},
            "input_tokens_by_modality add up to more than the whole 7",
        ),
    ],
)
def test_does_not_believe_a_part_above_its_whole(usage: dict[str, Any], message: str) -> None:
    metered = FORM.read_reply(reply_of(usage=usage_of(**usage)))

    assert metered.anomalies == (message,)
    assert cost_of_call(metered).nanos == 129_500


COUNTED = [{"type": "google_search", "count": 3}]


@pytest.mark.parametrize(
    ("model", "members", "units"),
    [
        (FLASH, {"steps": [SEARCH]}, {"web_searches": 2}),
        (FLASH, {"steps": [{"type": "google_search_call"}] * 2}, {"web_searches": 2}),
        (FLASH, {"usage": usage_of(grounding_tool_count=COUNTED)}, {"web_searches": 3}),
        (
            FLASH,
            {"usage": usage_of(grounding_tool_count=COUNTED), "steps": [SEARCH, SEARCH]},
            {"web_searches": 4},
        ),
        # Before Gemini 3 by the prompt.
        ("gemini-2.5-flash", {"steps": [SEARCH]}, {"web_searches": 1}),
        ("gemini-2.5-pro", {"usage": usage_of(grounding_tool_count=COUNTED)}, {"web_searches": 1}),
        (FLASH, {"steps": [{"type": "google_maps_call"}]}, {"map_groundings": 1}),
        (FLASH, {"steps": [{"type": "retrieval_call"}]}, {"retrievals": 1}),
        (
            FLASH,
            {"usage": usage_of(grounding_tool_count=[{"type": "new", "count": 2}, {"count": 1}])},
            {"other_groundings": 3},
        ),
        (
            FLASH,
            {"usage": usage_of(grounding_tool_count=[{"type": "google_search", "count": 0}])},
            {},
        ),
        (
            FLASH,
            {"steps": [{"type": "code_execution_call"}, {"type": "url_context_call"}, 7, {}]},
            {},
        ),
        (FLASH, {"steps": [{"type": "google_search"}, {"type": "file_search_call"}]}, {}),
    ],
)
def test_counts_what_is_billed_beside_tokens(
    model: str, members: dict[str, Any], units: dict[str, int]
) -> None:
    metered = FORM.read_reply(reply_of(model=model, **members))

    tokens = {"input_tokens": 7, "output_tokens": 42, "output_reasoning_tokens": 22}
    assert metered.units == {**tokens, **units}


def test_charges_searches_beside_tokens_and_has_no_price_for_maps() -> None:
    searched = cost_of_call(FORM.read_reply(reply_of(steps=[SEARCH])))
    mapped = cost_of_call(FORM.read_reply(reply_of(steps=[SEARCH, {"type": "google_maps_call"}])))

    # A search by the query: $14 for 1,000
    assert searched.nanos == 129_500 + 2 * 14_000_000
    assert (mapped.nanos, mapped.reason) == (None, "unknown_unit:map_groundings")
    assert mapped.priced_nanos == searched.nanos


@pytest.mark.parametrize("name", ["deep-research-pro-preview-12-2025", FLASH])
def test_has_no_cost_for_an_agent_whatever_it_is_called(name: str) -> None:
    agent_request = json.dumps({"agent": name, "input": "Hi"}).encode()
    with_model = json.dumps({"agent": name, "model": FLASH, "input": "Hi"}).encode()
    configured = json.dumps({"agent_config": {"type": "x"}, "model": FLASH}).encode()

    for request in (agent_request, with_model, configured):
        for members in ({"agent": name}, {"agent": name, "model": None}):
            cost = cost_of_call(FORM.read_reply(reply_of(**members)), request)
            assert (cost.nanos, cost.reason) == (None, "unknown_model")
    assert FORM.read_facts(agent_request).model is None


def test_reads_a_model_by_its_full_name() -> None:
    facts = FORM.read_facts(json.dumps({"model": f"models/{FLASH}"}).encode())
    metered = FORM.read_reply(reply_of(model=f"models/{FLASH}"))

    assert (facts.model, metered.model) == (FLASH, FLASH)
    assert FORM.read_facts(b'{"model":"models/"}').model is None


@pytest.mark.parametrize(
    ("tier", "told", "reason"),
    [
        ("standard", "standard", None),
        ("STANDARD", "standard", None),
        (None, None, None),
        ("SERVICE_TIER_UNSPECIFIED", None, None),
        ("deferred", "deferred", "unknown_tier:deferred"),
        (7, None, None),
    ],
)
def test_prices_the_tier_that_the_reply_names(
    tier: object, told: str | None, reason: str | None
) -> None:
    metered = FORM.read_reply(reply_of(service_tier=tier))

    assert (metered.service_tier, cost_of_call(metered).reason) == (told, reason)


@pytest.mark.parametrize("status", ["in_progress", "queued"])
@pytest.mark.parametrize("request_body", [BACKGROUND, REQUEST, b"["])
def test_has_no_cost_for_what_is_generated_after_the_reply(
    request_body: bytes, status: str
) -> None:
    for usage in (None, USAGE):
        cost = cost_of_call(FORM.read_reply(reply_of(status=status, usage=usage)), request_body)

        assert (cost.nanos, cost.reason) == (None, "asynchronous")


@pytest.mark.parametrize("value", [True, "true", 1, {}])
def test_takes_whatever_is_no_plain_no_for_the_background(value: object) -> None:
    asked = json.dumps({"model": FLASH, "background": value}).encode()

    assert FORM.read_facts(asked).asynchronous
    assert not FORM.read_facts(asked.replace(b"background", b"store")).asynchronous
    assert not FORM.read_facts(b'{"background":false}').asynchronous


def test_takes_a_whole_reply_without_a_status_for_all_there_is() -> None:
    metered = FORM.read_reply(reply_of(status=None))

    assert (metered.final, metered.pending, metered.finish_reason) == (True, False, None)
    assert cost_of_call(metered).nanos == 129_500


def test_a_failed_interaction_is_a_failure() -> None:
    metered = FORM.read_reply(reply_of(status="failed", usage=None))

    assert (metered.failed, metered.final) == (True, False)


COUNT = st.integers(-2, 1 << 60) | st.none() | st.text(max_size=2) | st.floats(allow_nan=False)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "modality": st.sampled_from(["text", "audio", "image", "video", "document", "x", 1]),
            "type": st.sampled_from(["google_search", "google_maps", "x", 1, []]),
            "tokens": COUNT,
            "count": COUNT,
        },
    )
    | st.integers()
)


@settings(deadline=None)
@given(
    usage=st.fixed_dictionaries(
        {},
        optional={
            **{name: COUNT for name in USAGE if name.startswith("total")},
            "input_tokens_by_modality": DETAILS | COUNT,
            "cached_tokens_by_modality": DETAILS | COUNT,
            "output_tokens_by_modality": DETAILS | COUNT,
            "grounding_tool_count": DETAILS | COUNT,
        },
    ),
    members=st.dictionaries(st.sampled_from(["steps", "status", "agent", "service_tier"]), ANY),
)
def test_any_usage_is_read_and_priced(usage: dict[str, Any], members: dict[str, Any]) -> None:
    told = {**interaction_of(usage=usage), **members}
    metered = FORM.read_reply(json.dumps(told).encode())
    streamed = metered_in(FORM.stream_tap(False), [event_of("x", interaction=told)])

    assert streamed.lines == metered.lines
    assert all(count >= 0 for count in metered.units.values())
    cost = cost_of_call(metered)
    assert (cost.nanos is None) == (cost.reason is not None)


@settings(deadline=None)
@given(reply=ANY)
def test_reads_a_reply_of_any_shape(reply: object) -> None:
    metered = FORM.read_reply(json.dumps(reply).encode())

    assert all(count >= 0 for count in metered.units.values())
