"""Taking what a source says: each event once, and what came late never over what is newer.

The signals of an event and its marker are stored in one commit, so an event that is delivered again
finds its marker or finds nothing. Only then the state is folded, and a fold that fails costs no
signal: whoever folds next finds it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from common.brownout.modes import Mode
from common.brownout.signals import Signal, Source, ended, merged, raised, signal_ref
from common.brownout.state import State
from common.core.errors import CloudOpsError, StoreUnavailable
from common.core.ports import Clock, Document, Documents, Put, Ref, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

EVENTS = "brownout_events"
"""Collection of the events that were taken, each for a day."""

REMEMBERED = timedelta(hours=24)

STORE_S = 8.0
FOLD_S = 4.0
"""Together less than the 15 s that a sender waits."""

Deed: TypeAlias = Literal["raise", "renew", "end", "keep"]
"""What an event asks for. `keep` changes nothing: its source sees no data."""

Status: TypeAlias = Literal["applied", "renewed", "duplicate", "stale", "ignored"]


@dataclass(frozen=True, slots=True)
class Received:
    """An event that was understood: the signals it tells, each with the level and time it tells.

    `lease_until` of these signals means nothing yet. No two of them have the same id. `ends_once`:
    what its source has told to be over does not begin again, so a renewal after that is late.
    """

    source: Source
    event_id: str
    deed: Deed
    signals: tuple[Signal, ...]
    ends_once: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A signal that an event told, and the mode its scope is in: None where no fold has told it."""

    signal: str
    scope: str
    until: datetime
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an event. `signals` is empty where it had no effect."""

    status: Status
    signals: tuple[Taken, ...] = ()


class Folded(Protocol):
    """What a fold answers."""

    @property
    def state(self) -> State:
        """The state with every stored signal in it."""


class Fold(Protocol):
    """Folds all stored signals into the state; may be asked by many at once."""

    async def __call__(self) -> Folded:
        """Answer the state after a fold that began no earlier than this call."""


async def receive_signals(
    received: Received,
    *,
    documents: Documents,
    clock: Clock,
    entropy: Entropy,
    lease: timedelta,
    fold: Fold,
) -> Answer:
    """Store what an event tells, then fold.

    Args:
        received: the event.
        documents: the state.
        clock: says how old the event is.
        entropy: random bytes, for the commit.
        lease: how long what the source says counts without another word.
        fold: is awaited for at most `FOLD_S`; its failure is logged.

    Raises:
        StoreUnavailable: the signals are not stored, or it is not known whether they are.
    """
    if received.deed == "keep":
        return Answer("ignored")
    answer = await _stored(received, documents, clock, entropy, lease)
    if answer.status == "stale":
        return answer
    # A duplicate folds too: the event may have been stored by a process that died before its fold.
    folded = await _folded(fold)
    if folded is None:
        return answer
    standing = [replace(each, mode=_mode(folded.state, each.scope)) for each in answer.signals]
    return replace(answer, signals=tuple(standing))


def event_ref(source: Source, event_id: str) -> Ref:
    """The marker of an event: ids of two sources may be the same."""
    return Ref(EVENTS, f"{source}:{event_id}")


async def _stored(
    received: Received,
    documents: Documents,
    clock: Clock,
    entropy: Entropy,
    lease: timedelta,
) -> Answer:
    now = clock.now()
    marker = event_ref(received.source, received.event_id)

    async def decide(read: Read) -> tuple[Sequence[Write], Answer]:
        refs = [signal_ref(signal) for signal in received.signals]
        [marked, *known] = await read([marker, *refs])
        if marked is not None and marked.data["delete_at"] > now:
            return [], Answer("duplicate", _told_before(marked))
        pairs = [
            (told, None if document is None else Signal.from_document(document))
            for told, document in zip(received.signals, known, strict=True)
        ]
        kept = [
            signal
            for told, before in pairs
            if (signal := _kept(received, told, before, lease, now)) is not None
        ]
        taken = tuple(Taken(each.id, each.scope, each.lease_until) for each in kept)
        status = _status(received.deed, [before for _, before in pairs]) if kept else "stale"
        writes: list[Write] = [Put(signal_ref(each), each.to_data()) for each in kept]
        return [*writes, Put(marker, _marker_data(taken, now))], Answer(status, taken)

    try:
        async with asyncio.timeout(STORE_S):
            return await transact(documents, clock, decide, entropy=entropy)
    except (TimeoutError, CloudOpsError) as error:
        raise StoreUnavailable("the signal is not stored: send it again") from error


def _kept(
    received: Received, told: Signal, before: Signal | None, lease: timedelta, now: datetime
) -> Signal | None:
    """What is stored of a signal, None where it is too late to mean anything."""
    if received.deed == "end":
        return merged(before, ended(told))
    over = before is not None and before.told_over
    if over and received.ends_once:
        return None
    if received.deed == "renew" and before is not None and not over:
        # A renewal says that it goes on, and not at which level.
        told = replace(told, level=before.level)
    signal = raised(told, lease)
    return merged(before, signal) if signal.lease_until > now else None


def _status(deed: Deed, before: Sequence[Signal | None]) -> Status:
    renews = any(each is not None and not each.told_over for each in before)
    return "renewed" if deed == "renew" and renews else "applied"


def _marker_data(taken: Sequence[Taken], now: datetime) -> dict[str, object]:
    signals = [{"id": each.signal, "scope": each.scope, "until": each.until} for each in taken]
    return {"signals": signals, "delete_at": now + REMEMBERED}


def _told_before(marker: Document) -> tuple[Taken, ...]:
    return tuple(Taken(each["id"], each["scope"], each["until"]) for each in marker.data["signals"])


async def _folded(fold: Fold) -> Folded | None:
    """What the fold answers, None if it fails: the signal is stored whatever becomes of it."""
    try:
        async with asyncio.timeout(FOLD_S):
            return await fold()
    except (TimeoutError, CloudOpsError) as error:
        logger.warning("brownout.fold_failed", extra={"error": type(error).__name__})
    except Exception:
        logger.exception("brownout.fold_crashed")
    return None


def _mode(state: State, scope: str) -> Mode:
    pinned = [pin.mode for pin in state.pins if pin.scope == scope]
    if pinned:
        return max(pinned)
    known = state.scopes.get(scope)
    return Mode.NORMAL if known is None else known.mode
