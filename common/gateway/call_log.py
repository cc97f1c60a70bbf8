"""One log line for each call that was edited, refused or failed; a plain answer has none.

It tells what became of the call by words of the gateway's own: no model, no name that a caller
chose, nothing of a request or an answer. The call's event, found by the same id, tells the rest.
"""

import logging

from common.core.events import UsageEvent

logger = logging.getLogger(__name__)

TRACE = "logging.googleapis.com/trace"
"""Cloud Logging links lines of standard error that have one trace
(https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields)."""

_EDITED = frozenset({"applied", "rejected"})


def log_call(event: UsageEvent) -> None:
    """Say how a call ended, if it is worth a line."""
    edited = any(edit.outcome in _EDITED for edit in event.edits)
    if event.outcome == "ok" and not edited:
        return
    told: dict[str, object] = {
        "call_id": event.id,
        "mode": event.mode,
        "edits": [{"name": edit.name, "outcome": edit.outcome} for edit in event.edits],
        "outcome": event.outcome,
        "error_code": event.error_code,
    }
    if event.traceparent is not None:
        told[TRACE] = event.traceparent.split("-")[1]
    logger.info("call.ended", extra=told)
