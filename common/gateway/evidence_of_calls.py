"""What a call that has ended says of its upstream.

Only what the upstream itself did wrong is held against it. A caller's own quota, requests that are
wrong, budgets and our own refusals say nothing of it: if they did, shedding would feed itself.
"""

from common.brownout.own_counters import Ended
from common.gateway.call import Call

_SUCCESS = range(200, 300)
_SERVER_ERRORS = range(500, 600)
_RATE_LIMITED = 429
_FAULTS = frozenset({"upstream_unreachable", "upstream_disconnected", "upstream_incomplete"})
_OF_THE_CREDENTIAL = frozenset({"upstream_429", "upstream_reply_unusable"})
"""With the installation's credential the upstream has no room for it. With a caller's own it may be
that caller's quota, which some providers tell in a stream that began well."""


def evidence_of(call: Call, ended_s: float) -> Ended | None:
    """What the call says; None where it says nothing, was never sent, or is a test.

    Args:
        call: one that costs, and has ended.
        ended_s: when, by the monotonic clock.
    """
    if call.tried_s is None or call.is_test:
        return None
    failed = _failed(call)
    first_chunk_s = _first_chunk_s(call, call.tried_s, ended_s) if call.facts.stream else None
    if failed is None and first_chunk_s is None:
        return None
    total_s = ended_s - call.tried_s if failed is False else None
    return Ended(failed, first_chunk_s, total_s, call.first_chunk_s is not None)


def has_failed(call: Call) -> bool:
    """Whether the upstream that was asked last has failed a call, which goes elsewhere now."""
    if not call.attempts or call.is_test:
        return False
    status = call.attempts[-1].status
    return status is None or status in _SERVER_ERRORS or (status == _RATE_LIMITED and call.managed)


def _failed(call: Call) -> bool | None:
    outcome, code = call.conclude()
    if outcome == "ok":
        return False
    if outcome != "upstream_error":
        return None
    if code == "upstream_timeout":
        return None if call.client_awaited else True
    if code in _OF_THE_CREDENTIAL:
        return True if call.managed else None
    return True if code in _FAULTS or call.upstream_status in _SERVER_ERRORS else None


def _first_chunk_s(call: Call, tried_s: float, ended_s: float) -> float | None:
    """How long the first chunk of a stream took, or was awaited until its client left.

    From the last try on: those before it and the pauses between them are no latency.
    """
    if call.first_chunk_s is None:
        return ended_s - tried_s if call.client_gone else None
    sound = call.upstream_status in _SUCCESS
    return call.arrived_s + call.first_chunk_s - tried_s if sound else None
