"""The form of an audit entry: who did what to which document, when, and what it was before.

An entry is created in the commit that does what it tells, so nothing changes without a trace and no
trace lies.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from common.core.ids import time_ordered_id
from common.core.ports import Create, Ref, Value

AUDIT = "audit"


def audit_entry(
    now: datetime,
    entropy: Callable[[int], bytes],
    *,
    who: str,
    what: str,
    target: str,
    before: Mapping[str, Value] | None,
    after: Mapping[str, Value] | None,
    origin: str = "",
) -> Create:
    """One entry, under an id that sorts by time.

    Args:
        now: aware time.
        entropy: answers n random bytes.
        who: the email of a person or service account, or a part of the system.
        what: the action.
        target: collection and id.
        before: what was there; never a secret.
        after: what is there now; never a secret.
        origin: the address it was asked from, empty for a part of the system.
    """
    return Create(
        Ref(AUDIT, time_ordered_id(now, entropy(10))),
        {
            "who": who,
            "what": what,
            "target": target,
            "before": before,
            "after": after,
            "from": origin,
            "time": now,
        },
    )
