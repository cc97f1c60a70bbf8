"""The spans of a call: the request as it was served, and within it the call to the provider.

They are made of the call's event alone, ids included, so that an event that is delivered again
makes the same spans. A caller that sends a `traceparent` sees them in its own trace, and decides
whether they are kept; of other calls a share is, chosen by the trace's id. What failed and what a
brownout changed is always kept.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from common.core import metrics
from common.core.events import UsageEvent
from common.core.metrics import Span
from common.usage.telemetry import convention_attributes, is_edited, operation_of

REQUEST = "http.request"
"""Name of the span of a served request; trace metrics of Datadog go by it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED = ("upstream_error", "gateway_error")
_UNITS = {
    "input_tokens": metrics.INPUT_TOKENS,
    "output_tokens": metrics.OUTPUT_TOKENS,
    "cache_read_tokens": metrics.CACHE_READ_TOKENS,
    "cache_write_tokens": metrics.CACHE_WRITE_TOKENS,
    "output_reasoning_tokens": metrics.REASONING_TOKENS,
}


class Parent(NamedTuple):
    """Where the caller's trace stands (https://www.w3.org/TR/trace-context/#traceparent-header)."""

    trace_id: int
    span_id: int
    sampled: bool


def spans_of(event: UsageEvent, share: float) -> Sequence[Span]:
    """The spans of a call that is kept, none of another.

    Args:
        event: the call's.
        share: of the traces that begin here, 0 to 1.
    """
    parent = read_parent(event.traceparent)
    trace_id = _id(event, "trace", 16) if parent is None else parent.trace_id
    if not _is_kept(event, parent, trace_id, share):
        return ()
    start = _nanoseconds(event.started_at)
    end = start + round(event.duration_s * 1e9)
    request = Span(
        name=REQUEST,
        kind="server",
        trace_id=trace_id,
        span_id=_id(event, "request", 8),
        parent_id=None if parent is None else parent.span_id,
        start_ns=start,
        end_ns=end,
        attributes=_of_request(event),
        failed=event.error_code or "failed" if event.outcome in _FAILED else None,
    )
    operation = operation_of(event)
    if operation is None:
        return (request,)
    attributes = _of_call(event, operation)
    model = attributes.get(metrics.REQUEST_MODEL)
    call = Span(
        name=operation if model is None else f"{operation} {model}",
        kind="client",
        trace_id=trace_id,
        span_id=_id(event, "call", 8),
        parent_id=request.span_id,
        start_ns=min(end, start + round(event.gateway_ms * 1e6)),
        end_ns=end,
        attributes=attributes,
        failed=event.error_code,
    )
    return (request, call)


def read_parent(traceparent: str | None) -> Parent | None:
    """What a `traceparent` says; None where it is none, or not a valid one."""
    parts = (traceparent or "").split("-")
    if len(parts) != 4 or parts[0] == "ff":
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:])
    except ValueError:
        return None
    return Parent(trace_id, span_id, bool(flags & 1)) if trace_id and span_id else None


def _is_kept(event: UsageEvent, parent: Parent | None, trace_id: int, share: float) -> bool:
    if event.outcome in _FAILED or is_edited(event):
        return True
    if parent is not None:
        return parent.sampled
    return trace_id % 2**64 < share * 2**64


def _of_request(event: UsageEvent) -> dict[str, Any]:
    told = {
        "operation.name": REQUEST,
        "protocol": event.protocol,
        "endpoint": event.endpoint,
        metrics.HTTP_STATUS: event.status,
        metrics.ERROR_TYPE: event.error_code,
        "org": event.org,
        "team": event.team,
        "agent": event.agent,
        "outcome": event.outcome,
        "mode": event.mode,
        "priority": event.priority,
        "episode": event.episode,
        "edits": [f"{edit.name}={edit.told}:{edit.outcome}" for edit in event.edits] or None,
        "call_id": event.id,
    }
    return {name: value for name, value in told.items() if value is not None}


def _of_call(event: UsageEvent, operation: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        metrics.RESPONSE_MODEL: event.model_billed,
        metrics.FINISH_REASONS: None if event.finish_reason is None else [event.finish_reason],
        metrics.SERVER_ADDRESS: event.upstream,
        metrics.HTTP_STATUS: event.upstream_status,
        metrics.ERROR_TYPE: event.error_code,
    }
    if event.cost_source == "provider":
        told |= {name: event.units.get(unit) for unit, name in _UNITS.items()}
    told |= convention_attributes(event, operation)
    return {name: value for name, value in told.items() if value is not None}


def _id(event: UsageEvent, of: str, size: int) -> int:
    """A number of `size` bytes that is the same for the same event; ids of spans are never 0."""
    digest = sha256(f"{of} {event.id}".encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1


def _nanoseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
