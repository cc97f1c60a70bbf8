"""A source that cannot tell how things stand. What it said before holds until its leases end."""

from datetime import datetime
from hashlib import sha256
from typing import Literal

from common.brownout.signals import Source
from common.core.brownout_events import BrownoutBlind

_ID_DIGITS = 32


def blind(
    source: Source,
    since: datetime,
    *,
    cause: Literal["unreachable", "no_data"],
    found_at: datetime,
    episode: str,
    monitor: str | None = None,
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
        link: where people look it up.
    """
    text = f"brownout.blind\n{source}\n{cause}\n{monitor or ''}\n{episode}"
    return BrownoutBlind(
        id=sha256(text.encode()).hexdigest()[:_ID_DIGITS],
        event_time=found_at,
        source=source,
        since=since,
        cause=cause,
        monitor=monitor,
        link=link,
    )
