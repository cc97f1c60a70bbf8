"""Taking what a source says: each event once, and what came late never over what is newer.

The signals of an event and its marker are stored in one commit, so an event that is delivered again
finds its marker or finds nothing. Only then the state is folded, and a fold that fails costs no
signal: whoever folds next finds it.

What is told to be over ends all signals of its alert, whichever scopes it names, and makes none.
The time of the newest word on an alert is stored apart from its signals, so that what comes late is
known to be old even where nothing was there to end.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from common.brownout.modes import Mode
from common.brownout.signals import (
    SIGNALS,
    Signal,
    Source,
    alert_id,
    ended,
    merged,
    raised,
    signal_ref,
)
from common.brownout.state import State
from common.core.errors import CloudOpsError, StoreUnavailable
from common.core.ports import Clock, Document, Documents, Put, Query, Ref, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

EVENTS = "brownout_events"
"""Collection of the events that were taken and of the newest word on each alert, for a day."""

REMEMBERED = timedelta(hours=24)

MOST_ENDED = 400
"""Signals of one alert that are ended in one commit; the leases of others end by themselves."""

NOTHING_TO_END = "nothing is known of this alert, so nothing ends"
NO_DATA_KEEPS = "no data keeps what was known, until its lease ends"

STORE_S = 8.0
FOLD_S = 4.0
"""Together less than the 15 s that a sender waits."""

Deed: TypeAlias = Literal["raise", "renew", "end", "keep"]
"""What an event asks for. `keep` changes nothing: its source sees no data."""

Status: TypeAlias = Literal["applied", "renewed", "duplicate", "stale", "ignored"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What an event is about: one alert of a monitor, when that was so and when it was told."""

    monitor: str
    group: str
    observed_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Received:
    """An event that was understood.

    `signals` are those that a raise or a renewal tells, all of its alert, each with the level and
    time it tells; `lease_until` of them means nothing yet, and no two have the same id.

    `ends_once`: what its source has told to be over does not begin again, so a renewal after that
    is late. `names_all`: older signals of the alert for scopes that it does not name are over.
    `most`: the alert asks for no more than this, whatever it asked for before. `otherwise`: why it
    has no effect where nothing is there to end.
    """

    source: Source
    event_id: str
    deed: Deed
    alert: Alert
    signals: tuple[Signal, ...] = ()
    ends_once: bool = False
    names_all: bool = False
    most: Mode = Mode.EMERGENCY
    otherwise: str = NOTHING_TO_END


@dataclass(frozen=True, slots=True)
class Taken:
    """A signal that an event told or ended.

    `counts_for` is the scope that it moves: its own or, where that found no room, the one around
    it; None where it is refused. `mode` is the one that this scope is in, or its own where there is
    none. Both are None where no fold has told them.
    """

    signal: str
    scope: str
    until: datetime
    counts_for: str | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an event.

    Where it had no effect, `signals` is empty and `reason` may say why. `notes` are what else its
    sender has to know.
    """

    status: Status
    signals: tuple[Taken, ...] = ()
    reason: str | None = None
    notes: tuple[str, ...] = ()


class Folded(Protocol):
    """What a fold answers."""

    @property
    def state(self) -> State:
        """The state with every stored signal in it."""

    @property
    def elsewhere(self) -> Mapping[str, str | None]:
        """Scopes without room, and the one that each counts for; None: it is refused."""


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
        return Answer("ignored", reason=NO_DATA_KEEPS)
    answer = await _stored(received, documents, clock, entropy, lease)
    if answer.status in ("stale", "ignored"):
        return answer
    # A duplicate folds too: the event may have been stored by a process that died before its fold.
    folded = await _folded(fold)
    if folded is None:
        return answer
    standing = tuple(_standing(folded, each) for each in answer.signals)
    return replace(answer, signals=standing, notes=_notes(standing))


def event_ref(source: Source, event_id: str) -> Ref:
    """The marker of an event: ids of two sources may be the same."""
    return Ref(EVENTS, f"{source}:{event_id}")


def alert_ref(received: Received) -> Ref:
    """Where the newest word on the alert of an event is dated."""
    alert = received.alert
    return Ref(EVENTS, f"alert:{alert_id(received.source, alert.monitor, alert.group)}")


async def _stored(
    received: Received,
    documents: Documents,
    clock: Clock,
    entropy: Entropy,
    lease: timedelta,
) -> Answer:
    now = clock.now()
    marker = event_ref(received.source, received.event_id)
    alert = alert_ref(received)

    async def decide(read: Read) -> tuple[Sequence[Write], Answer]:
        told = {signal_ref(each): each for each in received.signals}
        others = [ref for ref in await _refs_of(documents, received) if ref not in told]
        [marked, word, *found] = await read([marker, alert, *told, *others])
        if marked is not None and marked.data["delete_at"] > now:
            return [], Answer("duplicate", _told_before(marked))
        known = [None if each is None else Signal.from_document(each) for each in found]
        before = known[: len(told)]
        live = [each for each in known[len(told) :] if each is not None and not each.told_over]
        kept: list[Signal] = []
        writes: list[Write] = []
        late = word is not None and _is_late(received, word)
        if not late:
            pairs = zip(told.values(), before, strict=True)
            raised_ = [_kept(received, signal, each, lease, now) for signal, each in pairs]
            kept = [each for each in (*raised_, *_ended(received, live)) if each is not None]
            writes = [Put(signal_ref(each), each.to_data()) for each in kept]
            writes.append(Put(alert, _word_data(received, now)))
        taken = tuple(Taken(each.id, each.scope, each.lease_until) for each in kept)
        writes.append(Put(marker, _marker_data(taken, now)))
        if kept:
            return writes, Answer(_status(received.deed, before), taken)
        if received.deed == "end" and not late and not live:
            return writes, Answer("ignored", reason=received.otherwise)
        return writes, Answer("stale", reason="something newer is known, or it is over by now")

    try:
        async with asyncio.timeout(STORE_S):
            return await transact(documents, clock, decide, entropy=entropy)
    except (TimeoutError, CloudOpsError) as error:
        raise StoreUnavailable("the signal is not stored: send it again") from error


async def _refs_of(documents: Documents, received: Received) -> Sequence[Ref]:
    """The signals of the alert that an event may end.

    Two events of one alert both write its newest word, so none misses what the other has stored.
    """
    if received.deed != "end" and not received.names_all:
        return []
    alert = received.alert
    of_alert = alert_id(received.source, alert.monitor, alert.group)
    unended = Query(SIGNALS, {"alert": of_alert, "told_over": False}, limit=MOST_ENDED)
    found = await documents.query(unended)
    return [document.ref for document in found]


def _is_late(received: Received, word: Document) -> bool:
    """Whether something newer was told of the alert, or that it is over for good."""
    over_for_good = word.data["over"] and received.ends_once and received.deed != "end"
    told_at: datetime = word.data["told_at"]
    return bool(over_for_good) or received.alert.observed_at < told_at


def _word_data(received: Received, now: datetime) -> dict[str, object]:
    told_at, over = received.alert.observed_at, received.deed == "end"
    return {"told_at": told_at, "over": over, "delete_at": now + REMEMBERED}


def _kept(
    received: Received, told: Signal, before: Signal | None, lease: timedelta, now: datetime
) -> Signal | None:
    """What is stored of a signal, None where it is too late to mean anything."""
    over = before is not None and before.told_over
    if over and received.ends_once:
        return None
    if received.deed == "renew" and before is not None and not over:
        # A renewal says that it goes on, and not at which level.
        told = replace(told, level=min(before.level, received.most))
    signal = raised(told, lease)
    return merged(before, signal) if signal.lease_until > now else None


def _ended(received: Received, live: Sequence[Signal]) -> Iterator[Signal | None]:
    """What is stored of the other signals of the alert, None where they are newer."""
    alert = received.alert
    for signal in live:
        # Two words of one moment may name two parts of what one alert asks for.
        if received.deed == "end" or signal.observed_at < alert.observed_at:
            seen = replace(signal, observed_at=alert.observed_at, received_at=alert.received_at)
            yield merged(signal, ended(seen))


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


def _standing(folded: Folded, taken: Taken) -> Taken:
    """The signal with what the fold made of it."""
    counts_for = folded.elsewhere.get(taken.scope, taken.scope)
    return replace(
        taken, counts_for=counts_for, mode=_mode(folded.state, counts_for or taken.scope)
    )


def _notes(standing: Sequence[Taken]) -> tuple[str, ...]:
    """What is said of signals that do not count for their own scopes."""
    return tuple(
        f"{each.scope} finds no room among the scopes off rest: it "
        + ("has no effect" if each.counts_for is None else f"counts for {each.counts_for}")
        for each in standing
        if each.counts_for != each.scope
    )


def _mode(state: State, scope: str) -> Mode:
    pinned = [pin.mode for pin in state.pins if pin.scope == scope]
    if pinned:
        return max(pinned)
    known = state.scopes.get(scope)
    return Mode.NORMAL if known is None else known.mode
