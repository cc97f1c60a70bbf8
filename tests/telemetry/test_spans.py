"""The spans of a call, from its event alone."""

from typing import Any

import pytest

from common.core.events import UsageEvent
from common.core.metrics import Span
from common.usage.spans import read_parent, spans_of
from tests.contracts.facts import NOON, a_call

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-00"


def a_plain_call(**fields: Any) -> UsageEvent:
    """A call that nothing was given up for."""
    return a_call(**{"edits": (), "mode": "normal", "arm": None} | fields)


def both(event: UsageEvent) -> tuple[Span, Span]:
    request, call = spans_of(event, 1.0)
    return request, call


def test_holds_the_call_to_the_provider_within_the_served_request() -> None:
    request, call = both(a_plain_call(duration_s=2.5, gateway_ms=0.5))

    assert (request.name, request.kind, request.parent_id) == ("http.request", "server", None)
    assert (call.name, call.kind, call.parent_id) == ("chat gpt-5", "client", request.span_id)
    assert call.trace_id == request.trace_id
    assert request.start_ns == int(NOON.timestamp()) * 10**9 + 250_000_000
    assert call.start_ns - request.start_ns == 500_000
    assert (request.end_ns - request.start_ns, call.end_ns) == (2_500_000_000, request.end_ns)


def test_makes_the_same_spans_of_the_same_event_and_others_of_another() -> None:
    same = [spans_of(a_plain_call(id="c1"), 1.0) for _ in range(2)]
    another = both(a_plain_call(id="c2"))

    assert same[0] == same[1]
    assert {span.span_id for span in same[0]} & {span.span_id for span in another} == set()
    assert same[0][0].trace_id != another[0].trace_id


def test_stands_in_the_trace_of_its_caller() -> None:
    request, call = both(a_plain_call(traceparent=SAMPLED))

    assert (request.trace_id, call.trace_id) == (int(TRACE, 16), int(TRACE, 16))
    assert request.parent_id == int(CALLER, 16)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "garbage",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{'x' * 16}-01",
        f"00-{TRACE}-{CALLER}-01-more",
    ],
)
def test_begins_a_trace_where_no_valid_one_is_told(traceparent: str | None) -> None:
    assert read_parent(traceparent) is None


@pytest.mark.parametrize(
    ("fields", "share", "kept"),
    [
        ({}, 1.0, True),
        ({}, 0.0, False),
        ({"traceparent": SAMPLED}, 0.0, True),
        ({"traceparent": UNSAMPLED}, 1.0, False),
        ({"outcome": "upstream_error", "error_code": "upstream_500"}, 0.0, True),
        ({"outcome": "gateway_error", "traceparent": UNSAMPLED}, 0.0, True),
        ({"outcome": "client_error", "error_code": "upstream_400"}, 0.0, False),
        ({"edits": a_call().edits, "traceparent": UNSAMPLED}, 0.0, True),
    ],
)
def test_keeps_what_the_caller_samples_a_share_of_others_and_all_that_went_wrong(
    fields: dict[str, Any], share: float, kept: bool
) -> None:
    assert bool(spans_of(a_plain_call(**fields), share)) is kept


def test_keeps_about_the_share_that_is_asked_for() -> None:
    kept = [bool(spans_of(a_plain_call(id=f"c{number}"), 0.25)) for number in range(2_000)]

    assert 400 < sum(kept) < 600


def test_has_no_call_to_a_provider_where_none_was_made() -> None:
    refused = a_plain_call(
        attempts=(), outcome="gateway_error", error_code="budget_exceeded", status=402
    )

    [request] = spans_of(refused, 1.0)

    assert (request.kind, request.failed) == ("server", "budget_exceeded")


def test_tells_a_refused_request_of_the_caller_as_no_failure_of_the_service() -> None:
    request, call = both(a_plain_call(outcome="client_error", error_code="upstream_400"))

    assert (request.failed, call.failed) == (None, "upstream_400")


def test_says_what_the_conventions_ask_for() -> None:
    _, call = both(a_plain_call(finish_reason="stop", upstream="api.openai.com"))

    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 300,
        "server.address": "api.openai.com",
        "http.response.status_code": 200,
    }
