"""What a call's event says of its upstream, as measures that the minutes' cells add up.

They are those by which the gateway judges its own calls (`common/gateway/evidence_of_calls.py`): a
failure is what the upstream itself did wrong, never a caller's own quota, a wrong request or a
refusal of ours. Where the event does not tell whose fault it was, nobody's is counted.

- `upstream_errors`: calls that their upstream failed.
- `first_chunk:N`: streamed calls whose first chunk came in bin N (`common/core/latency_bins.py`).
- `awaited:N`: streamed calls whose client left before the first chunk, by how long it had waited.
- `duration:N`: calls that ended well and were not streamed, by how long they took.

Times count from the last request to the upstream on.
"""

from collections.abc import Iterator

from common.core.events import UsageEvent
from common.core.latency_bins import bin_of
from common.llm.paths import ENDPOINTS

UPSTREAM_ERRORS = "upstream_errors"
FIRST_CHUNK = "first_chunk:"
AWAITED = "awaited:"
DURATION = "duration:"

FREE = "free"
"""Source of the cost of what is not billed: of calls that ended well, those that list models and
the like, which say nothing of how a model is served."""

_SUCCESS = range(200, 300)
_SERVER_ERRORS = range(500, 600)
_FAULTS = frozenset({"upstream_unreachable", "upstream_disconnected", "upstream_incomplete"})
_OF_THE_CREDENTIAL = frozenset({"upstream_429", "upstream_reply_unusable"})
_BILLED = {(protocol, name) for protocol, name, _, _, form in ENDPOINTS if form is not None}
_NEVER_BILLED = {(protocol, name) for protocol, name, _, _, _ in ENDPOINTS} - _BILLED


def evidence_measures(event: UsageEvent) -> dict[str, int]:
    """What the call adds to its cell of a minute."""
    if event.upstream is None or (event.protocol, event.endpoint) in _NEVER_BILLED:
        return {}
    failed = _failed(event)
    if failed is False and event.cost_source == FREE:
        return {}
    measures = {UPSTREAM_ERRORS: 1} if failed else {}
    return measures | dict.fromkeys(_timed(event, failed), 1)


def _failed(event: UsageEvent) -> bool | None:
    """Whether the upstream failed the call; None where the call does not tell."""
    if event.outcome == "ok":
        return False
    if event.outcome != "upstream_error":
        return None
    if event.error_code == "upstream_timeout":
        # Behind the first chunk it may have been the client that took nothing more.
        return True if event.first_chunk_s is None else None
    if event.error_code in _OF_THE_CREDENTIAL:
        return True if event.credential is not None else None
    faulty = event.error_code in _FAULTS or event.upstream_status in _SERVER_ERRORS
    return True if faulty else None


def _timed(event: UsageEvent, failed: bool | None) -> Iterator[str]:
    if not event.streamed:
        if failed is False:
            yield f"{DURATION}{bin_of(_since_last_try_s(event, event.duration_s))}"
    elif event.first_chunk_s is not None:
        if event.upstream_status in _SUCCESS:
            yield f"{FIRST_CHUNK}{bin_of(_since_last_try_s(event, event.first_chunk_s))}"
    elif event.client_gone:
        yield f"{AWAITED}{bin_of(_since_last_try_s(event, event.duration_s))}"


def _since_last_try_s(event: UsageEvent, arrived_ago_s: float) -> float:
    """Seconds from the last request on, of so many since the call arrived.

    Of a call that was tried again the event tells how long its last reply's headers took.
    """
    if len(event.attempts) > 1:
        return event.attempts[-1].ms / 1000
    return max(0.0, arrived_ago_s - event.gateway_ms / 1000)
