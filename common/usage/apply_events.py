"""Count events: each once, in commits that read nothing.

One commit creates a marker for each of its events and adds what they change in the rollups. A
marker that exists is a Conflict, and nothing is written: that event was counted before, so it is
dropped and the rest tried again. After an unknown outcome the same commit is sent again: either it
succeeds, and the first one, should it arrive yet, meets these markers; or it conflicts with all of
them, since the first one was stored. So an event is counted exactly once however often, in whatever
company and by however many consumers it is delivered, for as long as its marker lives.

The first write to a rollup's document creates it, with the day of its deletion, which an increment
cannot set. Who else created it meanwhile is told by the same Conflict, and from then on known.

An event that the store will not take (a number beyond 64 bits) must not take others with it: a
commit refused for what it holds is halved until the event stands alone. An event older than its
marker would be, or from the future, is not counted: nobody could tell whether it was before.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from common.core.errors import InvalidInput
from common.core.events import CountedEvent
from common.core.ports import (
    Clock,
    Committed,
    Conflict,
    Create,
    Documents,
    Increment,
    Ref,
    Unknown,
    Write,
)
from common.core.transactions import Sleep
from common.usage.corrections import counted_from, effect_of
from common.usage.episode_sums import EPISODE_SUMS, opened_sums
from common.usage.rated_calls import note_of
from common.usage.rollups import Increments, opened

logger = logging.getLogger(__name__)

MARKERS = "markers"
MARKER_LIFE = timedelta(days=40)
"""Longer than anything is delivered again; `scripts/replay_events` refuses what is older."""

MOST_EVENTS = 200
MOST_WRITES = 500
MOST_FIELDS = 500
"""Increments of one document in one commit. Firestore takes 500:
https://cloud.google.com/firestore/quotas#writes_and_transactions"""

MOST_AHEAD = timedelta(days=1)
"""How far a call's time may lie in the future."""

UNKNOWN_OUTCOMES = 3
"""How often a commit may end without an answer before its events are left to be delivered again."""

PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of events, by id: counted now, counted before, or why neither is certain.

    `unsure` are the known ones that were perhaps counted now: by a commit without an answer.
    """

    new: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()

    def __or__(self, other: "Applied") -> "Applied":
        return Applied(
            self.new | other.new,
            self.known | other.known,
            {**self.failed, **other.failed},
            self.unsure | other.unsure,
        )


class OpenRollups:
    """Documents of rollups that are known to exist. To forget one costs a commit, no more."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._refs: dict[Ref, None] = {}

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._refs

    def add(self, refs: Iterable[Ref]) -> None:
        self._refs.update(dict.fromkeys(refs))
        while len(self._refs) > self._most:
            del self._refs[next(iter(self._refs))]


@dataclass(slots=True)
class _Portion:
    """Events that fit one commit: what each adds, and which fields that makes by document."""

    effects: dict[str, Increments] = field(default_factory=dict)
    fields: dict[Ref, set[str]] = field(default_factory=dict)

    def takes(self, effect: Increments) -> bool:
        documents = len(self.fields.keys() | effect.keys())
        return (
            len(self.effects) < MOST_EVENTS
            and len(self.effects) + 1 + documents <= MOST_WRITES
            and all(
                len(self.fields.get(ref, set()) | amounts.keys()) <= MOST_FIELDS
                for ref, amounts in effect.items()
            )
        )

    def add(self, id_: str, effect: Increments) -> None:
        self.effects[id_] = effect
        for ref, amounts in effect.items():
            self.fields.setdefault(ref, set()).update(amounts)


async def apply_events(
    documents: Documents,
    events: Sequence[CountedEvent],
    clock: Clock,
    *,
    open_rollups: OpenRollups | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Applied:
    """Count each event once.

    Args:
        documents: hold markers and rollups.
        events: in any order, some perhaps twice, some perhaps counted long ago.
        clock: dates markers.
        open_rollups: what the caller remembers from earlier calls.
        sleep: waits the given seconds after an unknown outcome.
    """
    now = clock.now()
    remembered = OpenRollups() if open_rollups is None else open_rollups
    datable = [event for event in events if -MOST_AHEAD < now - counted_from(event) < MARKER_LIFE]
    effects = {event.id: effect_of(event, now) for event in datable}
    strange = {event.id for event in events} - effects.keys()
    applied = Applied(failed=dict.fromkeys(strange, "its time is too far from now"))
    notes = {event.id: note_of(event) for event in datable}
    count = _Count(documents, now, remembered, sleep, notes)
    for portion in _portions(effects):
        applied |= await count.once(portion)
    return applied


async def apply_effect(
    documents: Documents,
    id_: str,
    effect: Increments,
    now: datetime,
    *,
    sleep: Sleep = asyncio.sleep,
) -> Applied:
    """Count one event once, whose effect on documents that exist is known."""
    existing = OpenRollups()
    existing.add(effect)
    return await _Count(documents, now, existing, sleep).once({id_: effect})


def _portions(effects: Mapping[str, Increments]) -> list[dict[str, Increments]]:
    portions = [_Portion()]
    for id_, effect in effects.items():
        if not portions[-1].takes(effect):
            portions.append(_Portion())
        portions[-1].add(id_, effect)
    return [portion.effects for portion in portions if portion.effects]


@dataclass(frozen=True, slots=True)
class _Count:
    """Counts events that fit one commit."""

    documents: Documents
    now: datetime
    open_rollups: OpenRollups
    sleep: Sleep
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    async def once(self, effects: Mapping[str, Increments]) -> Applied:
        waiting, unknown = dict(effects), 0
        existing: set[Ref] = set()
        unsure: frozenset[str] = frozenset()
        while waiting and unknown < UNKNOWN_OUTCOMES:
            sums = _sums(waiting.values())
            try:
                outcome = await self.documents.commit(self._writes(waiting, sums, existing))
            except InvalidInput as error:
                known = frozenset(effects.keys() - waiting.keys())
                return Applied(known=known, unsure=unsure) | await self._halves(waiting, error)
            match outcome:
                case Committed():
                    self.open_rollups.add(sums)
                    known = frozenset(effects.keys() - waiting.keys())
                    return Applied(frozenset(waiting), known, unsure=unsure)
                case Conflict(refs):
                    existing.update(ref for ref in refs if ref.collection != MARKERS)
                    counted = {ref.id for ref in refs if ref.collection == MARKERS}
                    unsure |= counted & waiting.keys() if unknown else set()
                    waiting = {id_: each for id_, each in waiting.items() if id_ not in counted}
                case Unknown(cause):
                    unknown += 1
                    logger.warning("usage.unknown", extra={"events": len(waiting), "cause": cause})
                    await self.sleep(PAUSE_S)
        return Applied(
            known=frozenset(effects.keys() - waiting.keys()),
            failed=dict.fromkeys(waiting, "the store does not say whether it is counted"),
            unsure=unsure,
        )

    async def _halves(self, effects: Mapping[str, Increments], error: InvalidInput) -> Applied:
        """Count all but the events that the store refuses."""
        ids = list(effects)
        if len(ids) == 1:
            logger.error("usage.refused", extra={"event_id": ids[0], "cause": error.detail})
            return Applied(failed={ids[0]: error.detail})
        applied = Applied()
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            applied |= await self.once({id_: effects[id_] for id_ in half})
        return applied

    def _writes(
        self, ids: Iterable[str], sums: Mapping[Ref, Mapping[str, int]], existing: Collection[Ref]
    ) -> list[Write]:
        marker = {"delete_at": self.now + MARKER_LIFE}
        markers = [Create(Ref(MARKERS, id_), {**marker, **self.notes.get(id_, {})}) for id_ in ids]
        rollups = [
            Increment(ref, amounts)
            if ref in existing or ref in self.open_rollups
            else self._opened(ref, amounts)
            for ref, amounts in sums.items()
        ]
        return [*markers, *rollups]

    def _opened(self, ref: Ref, amounts: Mapping[str, int]) -> Create:
        sums = ref.collection == EPISODE_SUMS
        return opened_sums(ref, amounts, self.now) if sums else opened(ref, amounts)


def _sums(effects: Iterable[Increments]) -> dict[Ref, Counter[str]]:
    sums: dict[Ref, Counter[str]] = {}
    for effect in effects:
        for ref, amounts in effect.items():
            sums.setdefault(ref, Counter()).update(amounts)
    return sums
