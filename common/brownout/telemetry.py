"""What is measured of brownouts: in which mode each scope is, and each change and saving once.

Changes are counted from where the last count ended, and an episode's saving once it is written
down. What was counted is stored before it is recorded, so a process that dies in between loses
some, and nothing is ever counted twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.brownout.changes import CHANGES, Change
from common.brownout.episodes import EPISODES, Episode
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policies import Policies
from common.brownout.standings import modes_now
from common.brownout.state import read_state
from common.core.metrics import (
    ACTIVATIONS,
    COST_LOST,
    COST_SAVED,
    CURRENT_MODE,
    RECOVERY_DURATION,
    Fact,
    Measurement,
    Telemetry,
)
from common.core.ports import Committed, Create, Documents, Put, Query, Ref, Unknown, Write

COUNTED = Ref("telemetry_cursors", "brownout_changes")
"""The `seq` of the last change that was counted."""
MARKERS = "telemetry_markers"
"""Episodes whose saving was counted."""
COUNTED_FOR = timedelta(days=1)
"""How long after its end an episode is looked for."""

_PAGE = 50
_NEWEST = 20
"""Episodes that are looked at each minute."""


@dataclass(frozen=True, slots=True)
class BrownoutsTold:
    """Tells telemetry of brownouts. Of all processes one does it at a time."""

    documents: Documents
    policies: Policies
    telemetry: Telemetry

    async def tell(self, now: datetime) -> None:
        """Record how scopes stand, and what changed and ended since the last time.

        Raises:
            StoreUnavailable: no answer in time.
        """
        state = await read_state(self.documents)
        recovery = (await self.policies.of(state.policy_version)).recovery
        [cursor] = await self.documents.get_many([COUNTED])
        changes = [] if cursor is None else await self._behind(cursor.data["seq"])
        # A scope that is back has to be told once more, or its last mode would seem to go on.
        modes = {change.scope: Mode.NORMAL for change in changes} | modes_now(state, recovery, now)
        gauges = [
            Measurement(CURRENT_MODE, int(mode), {"scope": scope})
            for scope, mode in sorted(modes.items(), key=_global_first)
        ]
        self.telemetry.record([Fact(gauges)])
        facts = [
            Fact(measurements_of(change, await self._episode_of(change))) for change in changes
        ]
        if cursor is None:
            await self.documents.commit([Create(COUNTED, {"seq": state.seq})])
        elif facts:
            moved = Put(COUNTED, {"seq": changes[-1].seq}, if_version=cursor.version)
            await self._record_once(facts, moved)
        await self._tell_savings(now)

    async def _record_once(self, facts: Sequence[Fact], counted: Write) -> None:
        """Record facts if this write says that it is done now, and not that it was before."""
        outcome = await self.documents.commit([counted])
        if isinstance(outcome, Committed):
            self.telemetry.record(facts)
        if isinstance(outcome, Unknown):
            self.telemetry.miss(len(facts), "unknown_outcome")

    async def _behind(self, seq: int) -> list[Change]:
        found: list[Change] = []
        after: str | None = None
        while True:
            page = await self.documents.query(Query(CHANGES, after=after, limit=_PAGE))
            changes = [Change.from_document(each) for each in page]
            found += [each for each in changes if each.seq > seq]
            # The newest come first.
            if len(page) < _PAGE or changes[-1].seq <= seq:
                return sorted(found, key=lambda change: change.seq)
            after = page[-1].ref.id

    async def _episode_of(self, change: Change) -> Sequence[Change]:
        """All changes of the episode that this one ends; none where it ends none."""
        if change.after != Mode.NORMAL:
            return ()
        found = await self.documents.query(Query(CHANGES, {"episode": change.episode}))
        return [Change.from_document(each) for each in found]

    async def _tell_savings(self, now: datetime) -> None:
        """Record what the episodes saved that were written down lately and are not counted yet."""
        page = await self.documents.query(Query(EPISODES, limit=_NEWEST))
        lately = [
            each for each in map(Episode.from_document, page) if now - each.closed_at < COUNTED_FOR
        ]
        markers = await self.documents.get_many([Ref(MARKERS, each.id) for each in lately])
        for episode, marker in zip(lately, markers, strict=True):
            if marker is None and (measured := savings_of(episode)):
                kept = {"delete_at": now + 2 * COUNTED_FOR}
                counted = Create(Ref(MARKERS, episode.id), kept)
                await self._record_once([Fact(measured)], counted)


def savings_of(episode: Episode) -> list[Measurement]:
    """What an episode saved, or cost; nothing where all of it was only recorded."""
    if not episode.enforced:
        return []
    return [
        Measurement(
            COST_SAVED if saving.nanos >= 0 else COST_LOST,
            abs(saving.nanos),
            {"scope": episode.scope, "method": saving.method},
        )
        for saving in episode.savings
        if saving.nanos is not None
    ]


def measurements_of(change: Change, episode: Iterable[Change]) -> list[Measurement]:
    """What is measured of a change; `episode` holds those of the one that it ends."""
    if change.after > change.before:
        source = change.signals[0].source if change.signals else change.cause
        told = {"scope": change.scope, "to_mode": change.after.word, "source": source}
        return [Measurement(ACTIVATIONS, 1, told)]
    rises = [each for each in episode if each.after > each.before]
    if change.after != Mode.NORMAL or not rises:
        return []
    took = change.event_time - min(each.event_time for each in rises)
    peak = max(each.after for each in rises)
    told = {"scope": change.scope, "peak_mode": peak.word}
    return [Measurement(RECOVERY_DURATION, took.total_seconds(), told)]


def _global_first(scope_and_mode: tuple[str, Mode]) -> tuple[bool, str]:
    """So that no other scope takes its place among the values that are told apart."""
    scope, _ = scope_and_mode
    return scope != GLOBAL, scope
