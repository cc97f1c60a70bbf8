"""What arrived at a webhook and what it was answered, kept for a week so that nothing is lost.

A sender does not repeat what was refused, so whoever looks for a missing alert must find it here.
Kept are the fields that are known, each cut, and never the body: that may hold anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.core.ports import Create, Ref

DELIVERIES = "webhook_deliveries"
KEPT = timedelta(days=7)

_LAST_MILLISECOND = 9_999_999_999_999
_ENTROPY_BYTES = 6


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request of a known sender. `fields` holds texts, `reason` says why it had no effect."""

    source: str
    received_at: datetime
    http_status: int
    status: str
    reason: str | None
    fields: Mapping[str, str]
    notes: tuple[str, ...] = ()


def delivery_entry(delivery: Delivery, entropy: bytes) -> Create:
    """The document of a delivery. Ids sort the newest first, as the first page is to show them.

    Args:
        delivery: what happened.
        entropy: at least 6 random bytes.
    """
    left = _LAST_MILLISECOND - int(delivery.received_at.timestamp() * 1000)
    return Create(
        Ref(DELIVERIES, f"{left:013d}-{entropy[:_ENTROPY_BYTES].hex()}"),
        {
            "source": delivery.source,
            "received_at": delivery.received_at,
            "http_status": delivery.http_status,
            "status": delivery.status,
            "reason": delivery.reason,
            "fields": dict(delivery.fields),
            "notes": list(delivery.notes),
            "delete_at": delivery.received_at + KEPT,
        },
    )
