"""What minutes hold of a call is what the gateway holds against its upstream, and nothing else."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.events import Attempt
from common.core.latency_bins import bin_of
from common.gateway.call import Call
from common.gateway.evidence_of_calls import evidence_of
from common.llm.metered import Metered
from common.usage.apply_events import apply_events
from common.usage.upstream_evidence import evidence_measures
from tests.api.conftest import SetClock
from tests.api.conftest import a_call as an_event
from tests.gateway.making import START
from tests.gateway.test_evidence_of_calls import a_call, answered, refused
from tests.usage.conftest import calls
from tests.usage.sums import stored

ENDED_S = 15.0
CUT = {"cut": True, "metered": Metered()}
GONE = {"client_gone": True, "metered": None, "first_chunk_s": None}


def measured(call: Call) -> dict[str, int]:
    call.upstream_host = "api.openai.com"
    call.credential = "key-1" if call.managed else None
    return evidence_measures(call.event(START + timedelta(seconds=5), ENDED_S))


@pytest.mark.parametrize(
    "members",
    [
        {},
        answered(500),
        answered(529, stream=True),
        refused("upstream_timeout"),
        refused("upstream_unreachable"),
        refused("upstream_disconnected"),
        CUT,
        {**CUT, "stream": True},
        answered(429, managed=True),
        answered(429),
        {"metered": Metered(failed=True), "managed": True},
        {"metered": Metered(failed=True)},
        answered(400),
        answered(401, managed=True),
        answered(302),
        refused("upstream_credential_unavailable"),
        GONE,
        {"outcome": "client_error", "error_code": "rate_limited"},
        {"outcome": "shed", "error_code": "brownout_shed"},
        {"outcome": "gateway_error", "error_code": "store_unavailable"},
    ],
)
def test_counts_the_failures_that_the_gateway_sees_itself(members: Mapping[str, Any]) -> None:
    call = a_call(**members)
    seen = evidence_of(call, ENDED_S)

    failed = seen is not None and seen.failed is True
    assert ("upstream_errors" in measured(call)) == failed


@pytest.mark.parametrize(
    ("members", "measures"),
    [
        # Sent 2 s after it arrived; the first chunk came after 2.5 s, the end after 5 s.
        ({"stream": True}, {"first_chunk": 0.5}),
        ({}, {"duration": 3.0}),
        ({**CUT, "stream": True}, {"first_chunk": 0.5}),
        ({"stream": True, **GONE}, {"awaited": 3.0}),
        (GONE, {}),
        (answered(500, stream=True), {}),
        (answered(500), {}),
        (refused("upstream_timeout", stream=True), {}),
    ],
)
def test_times_calls_from_when_they_were_sent(
    members: Mapping[str, Any], measures: Mapping[str, float]
) -> None:
    call = a_call(sent_s=12.0, **members)

    timed = {name: count for name, count in measured(call).items() if name != "upstream_errors"}

    assert timed == {f"{name}:{bin_of(seconds)}": 1 for name, seconds in measures.items()}


def test_times_a_call_that_was_tried_again_by_its_last_try() -> None:
    tries = [
        Attempt(upstream="openai", credential=None, status=status, ms=400) for status in (429, 200)
    ]

    call = a_call(stream=True, attempts=tries)

    assert measured(call) == {f"first_chunk:{bin_of(0.4)}": 1}


def test_does_not_take_a_stall_behind_the_first_chunk_for_the_upstreams_fault() -> None:
    """It may be the client that takes nothing more, and the event does not tell."""
    late = an_event(outcome="upstream_error", error_code="upstream_timeout", first_chunk_s=0.5)
    never = late.model_copy(update={"first_chunk_s": None, "upstream_status": None})

    assert "upstream_errors" not in evidence_measures(late)
    assert evidence_measures(never) == {"upstream_errors": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"upstream": None},
        {"endpoint": "models", "streamed": False},
        {"endpoint": "models", "outcome": "upstream_error", "upstream_status": 500},
        {"cost_source": "free"},
    ],
)
def test_counts_nothing_of_what_is_not_billed_or_was_not_sent(fields: Mapping[str, Any]) -> None:
    assert evidence_measures(an_event(**fields)) == {}


async def test_is_kept_in_minutes_and_not_in_hours(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    failed = {"outcome": "upstream_error", "error_code": "upstream_500", "upstream_status": 500}
    events = [*calls(40), *(replace_ids(calls(10), **failed))]

    await apply_events(documents, events, clock)

    hours = {measure for _, _, measure in await stored(documents, "hour")}
    minutes = {measure for _, _, measure in await stored(documents, "minute")}
    assert minutes - hours == {"upstream_errors", f"first_chunk:{bin_of(0.4995)}"}


def replace_ids(events: list[Any], **fields: Any) -> list[Any]:
    return [each.model_copy(update={"id": f"again-{each.id}", **fields}) for each in events]
