"""What brownouts did in the last 24 hours: how often, how long, and what it was worth.

Read from the changes and the episodes as they are written down. Of several scopes that were off
normal at once, the highest mode counts for the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from common.brownout.changes import CHANGES, Change
from common.brownout.episodes import EPISODES, Episode
from common.brownout.modes import Mode
from common.brownout.totals import TotalSaving, total_saving
from common.core.ports import Document, Documents, Query

DAY = timedelta(days=1)
LONGEST = timedelta(days=7)
"""Of an episode that is looked for; ids tell when one began, not when it ended."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class LastDay:
    """All scopes together. `seconds` are by mode, `activations` are changes to a higher one.

    `recovery_s` is the median time from leaving normal to being back, None where none came back.
    """

    activations: int
    recovery_s: float | None
    seconds: Mapping[str, int]
    saving: TotalSaving


async def read_last_day(documents: Documents, modes: Mapping[str, Mode], now: datetime) -> LastDay:
    """The last 24 hours before `now`.

    Args:
        documents: hold changes and episodes.
        modes: those of now, by scope.
        now: the end of the time.

    Raises:
        StoreUnavailable: no answer in time.
    """
    since = now - DAY
    changes = await _changes(documents, since, now)
    episodes = await _episodes(documents, since)
    lasted = [(each.closed_at - each.opened_at).total_seconds() for each in episodes]
    return LastDay(
        activations=sum(each.after > each.before for each in changes),
        recovery_s=median(lasted) if lasted else None,
        seconds=seconds_by_mode(changes, modes, since, now),
        saving=total_saving(episodes),
    )


def seconds_by_mode(
    changes: Sequence[Change], modes: Mapping[str, Mode], since: datetime, until: datetime
) -> Mapping[str, int]:
    """How long each mode was the highest of all scopes. The parts add up to the whole time.

    Args:
        changes: all between `since` and `until`, the oldest first.
        modes: those at `until`, by scope; where there was no change they held all the time.
        since: the beginning.
        until: the end.
    """
    standing = dict(modes)
    for change in reversed(changes):
        standing[change.scope] = change.before
    lasted = dict.fromkeys(Mode, timedelta())
    begun = since
    for change in sorted(changes, key=lambda each: (each.event_time, each.seq)):
        lasted[_highest(standing)] += change.event_time - begun
        begun, standing[change.scope] = change.event_time, change.after
    lasted[_highest(standing)] += until - begun
    return {mode.word: round(time.total_seconds()) for mode, time in lasted.items()}


def _highest(standing: Mapping[str, Mode]) -> Mode:
    return max(standing.values(), default=Mode.NORMAL)


async def _changes(documents: Documents, since: datetime, until: datetime) -> list[Change]:
    """Those of the time, the oldest first."""
    found: list[Change] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(CHANGES, after=after, limit=_PAGE))
        changes = [Change.from_document(each) for each in page]
        found += [each for each in changes if since < each.event_time <= until]
        # The newest come first. One that is noticed late is older than those before it.
        if len(page) < _PAGE or all(each.event_time <= since for each in changes):
            return sorted(found, key=lambda each: each.seq)
        after = page[-1].ref.id


async def _episodes(documents: Documents, since: datetime) -> list[Episode]:
    """Those that have ended since."""
    found: list[Episode] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(EPISODES, after=after, limit=_PAGE))
        episodes = _read(page)
        found += [each for each in episodes if each.closed_at > since]
        if len(page) < _PAGE or episodes[-1].opened_at < since - LONGEST:
            return found
        after = page[-1].ref.id


def _read(page: Iterable[Document]) -> list[Episode]:
    return [Episode.from_document(each) for each in page]
