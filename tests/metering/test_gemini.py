"""What is particular to Gemini: arrays in pieces, fees for searches, tiers, embeddings."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.costs import Cost, cost_of
from common.llm.facts import CallFacts
from common.llm.forms import FORMS, UsageTap
from common.llm.json_pieces import ArraySplitter
from common.llm.metered import Metered
from common.llm.price_book import bundled_book
from tests.metering.recordings import (
    RECEIVED_AT,
    STREAMS,
    metered_in,
    passed_by,
    read_recording,
)

GEMINI_STREAMS = [name for name in STREAMS if name.startswith("gemini")]
ENDED = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 4}


def _array_tap() -> UsageTap:
    make = FORMS["gemini_content_stream"].array_tap
    assert make is not None
    return make()


def _as_array(stream: bytes) -> bytes:
    """The same chunks as the API sends them without `alt=sse`."""
    chunks = re.findall(rb"data: (.+?)\r?\n", stream)
    return b"[" + b"\n,\r\n".join(chunks) + b"\n]"


def _cost(metered: Metered, model: str = "gemini-2.5-flash") -> Cost:
    facts = CallFacts(readable=True, model=model)
    return cost_of(metered, facts, book=bundled_book(), provider="google", at=RECEIVED_AT)


def _read(reply: dict[str, Any], **usage: Any) -> Metered:
    told = {"candidates": [ENDED], "usageMetadata": {**USAGE, **usage}, **reply}
    return FORMS["gemini_content"].read_reply(json.dumps(told).encode())


@pytest.mark.parametrize("name", GEMINI_STREAMS)
def test_reads_the_same_from_an_array_as_from_events(provider_replies: Path, name: str) -> None:
    recording = read_recording(provider_replies, name)
    array = _as_array(recording.reply)

    for size in (1, 7, len(array)):
        pieces = [array[at : at + size] for at in range(0, len(array), size)]
        tap = _array_tap()
        assert passed_by(tap, pieces) == array
        assert tap.result() == recording.metered()


@pytest.mark.parametrize("name", GEMINI_STREAMS)
def test_reads_an_array_the_same_wherever_it_is_split(provider_replies: Path, name: str) -> None:
    array = _as_array(read_recording(provider_replies, name).reply)[:4000]
    whole = metered_in(_array_tap(), [array])

    differing = [
        at
        for at in range(0, len(array), 3)
        if metered_in(_array_tap(), [array[:at], array[at:]]) != whole
    ]

    assert differing == []


@settings(deadline=None)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=5), st.text('"\\{}[],a', max_size=8))),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_finds_the_elements_of_an_array_wherever_it_is_split(
    values: list[dict[str, str]], cuts: list[int]
) -> None:
    array = json.dumps(values).encode()
    ends = [0, *sorted(min(cut, len(array)) for cut in cuts), len(array)]
    splitter = ArraySplitter(1000)

    found = [
        element for start, end in pairwise(ends) for element in splitter.feed(array[start:end])
    ]

    assert [json.loads(element) for element in found] == values
    assert splitter.rest() == b""


@settings(deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=30) | st.sampled_from([b'[{"', b"}]", b"\\", b'"', b"]"]))
)
def test_an_array_s_tap_takes_any_bytes_and_gives_them_out(pieces: list[bytes]) -> None:
    tap = _array_tap()

    assert passed_by(tap, pieces) == b"".join(pieces)
    assert all(count >= 0 for count in tap.result().units.values())


def test_gives_out_an_element_above_the_limit_in_pieces() -> None:
    splitter = ArraySplitter(10)

    assert splitter.feed(b'[{"a":"123456789') == [b'{"a":"123456789']
    assert splitter.overflowed


COUNT = st.integers(-2, 1 << 60) | st.none() | st.text(max_size=2) | st.floats(allow_nan=False)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"modality": st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT", "X", 1])},
        optional={"tokenCount": COUNT},
    )
    | st.integers()
)


@settings(deadline=None)
@given(
    usage=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                (
                    "promptTokenCount",
                    "candidatesTokenCount",
                    "thoughtsTokenCount",
                    "cachedContentTokenCount",
                    "toolUsePromptTokenCount",
                    "serviceTier",
                    "trafficType",
                ),
                COUNT,
            ),
            **dict.fromkeys(
                ("promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails"),
                DETAILS | COUNT,
            ),
        },
    ),
    candidates=st.lists(
        st.recursive(
            st.none() | st.text(max_size=3) | st.integers(),
            lambda inner: st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["content", "parts", "index", "finishReason", "groundingMetadata",
                     "webSearchQueries", "groundingChunks", "maps", "text"]
                ),
                inner,
                max_size=4,
            ),
            max_leaves=10,
        ),
        max_size=3,
    ),
)  # fmt: skip
def test_any_usage_and_any_candidates_are_read_and_priced(
    usage: dict[str, Any], candidates: list[Any]
) -> None:
    body = json.dumps({"usageMetadata": usage, "candidates": candidates}).encode()
    metered = FORMS["gemini_content"].read_reply(body)
    streamed = metered_in(FORMS["gemini_content_stream"].stream_tap(False), [b"data: " + body])

    assert streamed.lines == metered.lines
    assert all(count >= 0 for count in metered.units.values())
    cost = _cost(metered)
    assert (cost.nanos is None) == (cost.reason is not None)


@pytest.mark.parametrize(
    ("model", "searches", "nanos"),
    [
        # $0.30 and $2.50, then $0.50 and $3; a search $0.035 by prompt, then $0.014 by query.
        ("gemini-2.5-flash", 1, 10 * 300 + 4 * 2_500 + 35_000_000),
        ("models/gemini-2.5-flash", 1, 10 * 300 + 4 * 2_500 + 35_000_000),
        ("gemini-3-flash-preview", 2, 10 * 500 + 4 * 3_000 + 2 * 14_000_000),
    ],
)
def test_bills_searches_by_prompt_and_since_gemini_3_by_query(
    model: str, searches: int, nanos: int
) -> None:
    grounded = {**ENDED, "groundingMetadata": {"webSearchQueries": ["a", "b", "b", ""]}}

    metered = _read({"candidates": [grounded], "modelVersion": model})

    assert metered.units["web_searches"] == searches
    assert (_cost(metered).nanos, metered.model) == (nanos, model.removeprefix("models/"))


def test_a_model_without_a_rate_for_searches_has_no_cost() -> None:
    grounded = {**ENDED, "groundingMetadata": {"webSearchQueries": ["a"]}}

    cost = _cost(_read({"candidates": [grounded], "modelVersion": "gemini-2.0-flash-lite"}))

    assert (cost.nanos, cost.reason) == (None, "unknown_unit:web_searches")


def test_grounding_with_maps_has_no_cost() -> None:
    grounded = {**ENDED, "groundingMetadata": {"groundingChunks": [{"maps": {"uri": "u"}}]}}

    cost = _cost(_read({"candidates": [grounded]}))

    assert (cost.nanos, cost.reason) == (None, "unknown_unit:map_groundings")
    assert cost.priced_nanos == 10 * 300 + 4 * 2_500


def test_a_prompt_above_200_000_tokens_moves_every_token() -> None:
    metered = _read({"modelVersion": "gemini-2.5-pro"}, promptTokenCount=200_001)

    # $2.50 and $15 instead of $1.25 and $10.
    assert _cost(metered).nanos == 200_001 * 2_500 + 4 * 15_000


def test_made_images_cost_their_own_rate() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 1290}]
    metered = _read(
        {"modelVersion": "gemini-2.5-flash-image"},
        candidatesTokenCount=1300,
        candidatesTokensDetails=details,
    )

    # $0.30, $2.50 and $30 for images.
    assert _cost(metered).nanos == 10 * 300 + 10 * 2_500 + 1290 * 30_000


@pytest.mark.parametrize(
    ("usage", "tier", "reason"),
    [
        ({"serviceTier": "standard"}, "standard", None),
        ({"serviceTier": "STANDARD"}, "standard", None),
        ({"serviceTier": "SERVICE_TIER_UNSPECIFIED"}, None, None),
        ({"serviceTier": "priority"}, "priority", "unknown_tier:priority"),
        ({"trafficType": "ON_DEMAND"}, "standard", None),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex", "unknown_tier:flex"),
        (
            {"trafficType": "PROVISIONED_THROUGHPUT"},
            "provisioned_throughput",
            "unknown_tier:provisioned_throughput",
        ),
    ],
)
def test_a_tier_without_rates_has_no_cost(
    usage: dict[str, str], tier: str | None, reason: str | None
) -> None:
    metered = _read({}, **usage)

    assert (metered.service_tier, _cost(metered).reason) == (tier, reason)


def test_takes_the_last_usage_whole() -> None:
    tap = FORMS["gemini_content_stream"].stream_tap(False)
    first = {"usageMetadata": {**USAGE, "thoughtsTokenCount": 70, "toolUsePromptTokenCount": 9}}
    last = {"candidates": [ENDED], "usageMetadata": {"promptTokenCount": 8}}
    chunks = [b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in (first, last)]

    assert metered_in(tap, chunks).units == {"input_tokens": 8, "output_tokens": 0}


def test_a_usage_of_traffic_alone_is_none() -> None:
    tap = FORMS["gemini_content_stream"].stream_tap(False)
    traffic = {"trafficType": "PROVISIONED_THROUGHPUT"}
    before = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": traffic}
    chunks = [b"data: %b\r\n\r\n" % json.dumps(before).encode()]

    cut = metered_in(tap, chunks)

    assert (cut.final, cut.lines, cut.usage_raw, cut.anomalies) == (False, (), None, ())
    assert _cost(cut).reason == "unknown_tier:provisioned_throughput"


@pytest.mark.parametrize("traffic_at", [0, 1, 2])
def test_traffic_told_alone_leaves_the_counts_as_they_are(traffic_at: int) -> None:
    tap = FORMS["gemini_content_stream"].stream_tap(False)
    told: list[dict[str, Any]] = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}]},
        {"candidates": [ENDED], "usageMetadata": {**USAGE, "trafficType": "ON_DEMAND"}},
    ]
    told.insert(traffic_at, {"usageMetadata": {"trafficType": "ON_DEMAND"}})
    chunks = [b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in told]

    metered = metered_in(tap, chunks)

    assert (metered.final, metered.anomalies) == (True, ())
    assert _cost(metered).nanos == 10 * 300 + 4 * 2_500


def test_parts_that_exceed_the_whole_are_not_believed() -> None:
    metered = _read({}, promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 11}])

    assert metered.units == {"input_tokens": 10, "output_tokens": 4}
    assert metered.anomalies == ("promptTokensDetails add up to more than the whole 10",)


def test_a_refused_prompt_is_final_and_costs_its_input() -> None:
    metered = _read({"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}})

    assert (metered.final, metered.finish_reason) == (True, "SAFETY")


def test_a_stream_that_is_not_at_its_end_is_not_final() -> None:
    tap = FORMS["gemini_content_stream"].stream_tap(False)
    begun = {"candidates": [{"content": {"parts": [{"text": "abc"}]}}], "usageMetadata": USAGE}

    metered = metered_in(tap, [b"data: %b\n\n" % json.dumps(begun).encode()])

    assert (metered.final, tap.done, metered.output_bytes) == (False, False, 3)


def test_an_error_in_a_stream_is_a_failure() -> None:
    tap = FORMS["gemini_content_stream"].stream_tap(False)

    assert metered_in(tap, [b'data: {"error":{"code":503}}\n\n']).failed


def test_recorded_embeddings_tell_no_usage(provider_replies: Path) -> None:
    recording = read_recording(provider_replies, "gemini-embeddings")

    cost = _cost(FORMS["gemini_embeddings"].read_reply(recording.reply), "gemini-embedding-001")

    assert (cost.nanos, cost.reason) == (None, "usage_missing")


def test_embeddings_that_tell_usage_cost_it() -> None:
    reply = b'{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":7}}'

    cost = _cost(FORMS["gemini_embeddings"].read_reply(reply), "gemini-embedding-001")

    # $0.15
    assert (cost.nanos, cost.source) == (7 * 150, "provider")


@pytest.mark.parametrize(
    ("config", "cap", "candidates"),
    [
        ({}, None, 1),
        ({"maxOutputTokens": 7, "candidateCount": 3}, 7, 3),
        ({"max_output_tokens": 7}, 7, 1),
        ({"maxOutputTokens": 7, "max_output_tokens": 900}, None, 1),
        # A count that Google may read and we cannot would multiply the cap.
        ({"maxOutputTokens": 7, "candidateCount": "8"}, None, 1),
        ({"maxOutputTokens": "7"}, None, 1),
    ],
)
def test_reads_the_cap(config: dict[str, Any], cap: int | None, candidates: int) -> None:
    facts = FORMS["gemini_content"].read_facts(json.dumps({"generationConfig": config}).encode())

    assert (facts.output_cap, facts.candidates, facts.stream) == (cap, candidates, False)


def test_says_that_a_stream_is_asked_for() -> None:
    assert FORMS["gemini_content_stream"].read_facts(b"{}").stream
