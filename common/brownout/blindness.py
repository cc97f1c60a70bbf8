"""A source that cannot tell how things stand, and its end.

What it said before holds until its leases end.
"""

from datetime import datetime
from hashlib import sha256
from typing import Literal

from common.brownout.signals import Source
from common.core.brownout_events import BrownoutBlind, BrownoutSighted

_ID_DIGITS = 32


def blind(
    source: Source,
    since: datetime,
    *,
    cause: Literal["unreachable", "no_data"],
    found_at: datetime,
    episode: str,
    monitor: str | None = None,
    group: str = "",
    link: str | None = None,
) -> BrownoutBlind:
    """The fact that a source, or one monitor of it, sees nothing.

    Args:
        source: which one.
        since: from when on.
        cause: what is known about why.
        found_at: when that was found.
        episode: tells one time of blindness from the next: the same one has the same id.
        monitor: which monitor, None for all.
        group: which of its groups, empty where it has none.
        link: where people look it up.
    """
    return BrownoutBlind(
        id=_id(f"brownout.blind\n{source}\n{cause}\n{monitor or ''}\n{episode}"),
        event_time=found_at,
        source=source,
        since=since,
        cause=cause,
        monitor=monitor,
        group=group,
        link=link,
    )


def sighted(source: Source, since: datetime, *, found_at: datetime) -> BrownoutSighted:
    """The fact that a source tells again which was silent since then: of one silence one id."""
    return BrownoutSighted(
        id=_id(f"brownout.sighted\n{source}\n{since.isoformat()}"),
        event_time=found_at,
        source=source,
        since=since,
    )


def monitor_sighted(
    source: Source, monitor: str, group: str, *, event_id: str, found_at: datetime
) -> BrownoutSighted:
    """The fact that a monitor has told how things stand, in the event of this id."""
    return BrownoutSighted(
        id=_id(f"brownout.sighted\n{source}\n{monitor}\n{group}\n{event_id}"),
        event_time=found_at,
        source=source,
        monitor=monitor,
        group=group,
    )


def _id(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_ID_DIGITS]
