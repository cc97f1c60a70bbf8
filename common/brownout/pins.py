"""Pins: a mode that a person sets for a scope, whatever signals say.

A pin always ends by itself. It moves no trajectory: what signals say goes on behind it, so that
after its end the scope is where it would be anyway. A scope has one pin at most; another one takes
its place. The live ones stand in the state, which is all that readers look at; the document of each
stays as the record of who set it, why, and who ended it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from common.brownout.changes import Change
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policies import Policies
from common.brownout.policy import Policy
from common.brownout.state import STATE, Pin, State
from common.brownout.trajectory import Recovery, advance, episode_of
from common.brownout.written import check_written
from common.core.errors import InvalidInput, NotFound
from common.core.ports import Create, Document, Put, Ref, Write
from common.core.transactions import Read

OVERRIDES = "brownout_overrides"
SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(hours=8)
MAX_REASON_CHARS = 500
MOST_PINS = 100
"""At once, beside that of `global`: every one of them is looked at for every call while there is
any. A pin of `global` stops everything at once, so it always finds room."""


@dataclass(frozen=True, slots=True)
class PinRecord:
    """A pin, and how it ended if not by itself."""

    pin: Pin
    ended_at: datetime | None = None
    ended_by: str | None = None

    def is_live(self, now: datetime) -> bool:
        return self.ended_at is None and self.pin.until > now

    def to_data(self) -> dict[str, Any]:
        ended = {"ended_at": self.ended_at, "ended_by": self.ended_by}
        return {**self.pin.to_data(), **ended}

    @classmethod
    def from_document(cls, document: Document) -> "PinRecord":
        data = document.data
        return cls(Pin.from_data(data), data["ended_at"], data["ended_by"])


@dataclass(frozen=True, slots=True)
class PinMoved:
    """A pin that was set or ended, and what to write for it.

    `was` is how its document was before, or the pin that it takes the place of.
    """

    record: PinRecord
    was: PinRecord | None
    writes: tuple[Write, ...]


def pin_ref(id_: str) -> Ref:
    return Ref(OVERRIDES, id_)


def live_pins(state: State, now: datetime) -> list[Pin]:
    """The pins that count, the newest first."""
    live = [pin for pin in state.pins if pin.until > now]
    return sorted(live, key=lambda pin: pin.created_at, reverse=True)


def mode_of(state: State, scope: str, recovery: Recovery, now: datetime) -> Mode:
    """The mode that a scope is in: the one that it is pinned to, or the one that signals hold."""
    pinned = next((pin.mode for pin in live_pins(state, now) if pin.scope == scope), None)
    return _unpinned_mode(state, scope, recovery, now) if pinned is None else pinned


def check_pin(pin: Pin) -> None:
    """Refuse a pin that may not be set.

    Raises:
        InvalidInput: it has no reason that can be shown, or lasts too long or not long enough.
    """
    check_written(pin.reason, "reason", MAX_REASON_CHARS)
    if not SHORTEST <= pin.until - pin.created_at <= LONGEST:
        raise InvalidInput("a pin lasts 5 minutes to 8 hours", field="minutes")


async def set_pin(read: Read, pin: Pin, policies: Policies) -> PinMoved:
    """Set a pin from its `created_at` on, in place of another one of its scope.

    Raises:
        InvalidInput: wrong reason or length, or one pin too many.
        StoreUnavailable: no answer in time.
    """
    check_pin(pin)
    now = pin.created_at
    [document] = await read([STATE])
    state = State.from_document(document)
    policy = await policies.of(state.policy_version)
    live = live_pins(state, now)
    replaced = next((each for each in live if each.scope == pin.scope), None)
    if pin.scope != GLOBAL and replaced is None:
        _check_room(live)
    before = mode_of(state, pin.scope, policy.recovery, now)
    others = tuple(each for each in state.pins if each != replaced)
    was, ended = await _ended(read, replaced, now, pin.actor)
    pinned = replace(state, pins=(*others, pin))
    writes = _moved(pinned, policy, pin, (before, pin.mode), now)
    record = PinRecord(pin)
    return PinMoved(record, was, (*writes, Create(pin_ref(pin.id), record.to_data()), *ended))


async def end_pin(
    read: Read, id_: str, policies: Policies, *, actor: str, now: datetime
) -> PinMoved:
    """End a pin before its time. There is nothing to write for one that has ended.

    Raises:
        NotFound: there never was this pin.
        StoreUnavailable: no answer in time.
    """
    [document, found] = await read([STATE, pin_ref(id_)])
    if found is None:
        raise NotFound(f"there is no pin {id_[:80]!r}")
    record = PinRecord.from_document(found)
    if not record.is_live(now):
        return PinMoved(record, record, ())
    state = State.from_document(document)
    policy = await policies.of(state.policy_version)
    pin = record.pin
    left = replace(state, pins=tuple(each for each in state.pins if each.id != id_))
    after = _unpinned_mode(state, pin.scope, policy.recovery, now)
    _, ended = await _ended(read, pin, now, actor)
    writes = _moved(left, policy, pin, (pin.mode, after), now)
    return PinMoved(replace(record, ended_at=now, ended_by=actor), record, (*writes, *ended))


def _check_room(live: Sequence[Pin]) -> None:
    if sum(each.scope != GLOBAL for each in live) >= MOST_PINS:
        raise InvalidInput(f"{MOST_PINS} scopes are pinned already: end one of them", field="scope")


async def _ended(
    read: Read, pin: Pin | None, now: datetime, actor: str
) -> tuple[PinRecord | None, Sequence[Write]]:
    """How the document of a pin was, and what to write where it ends now."""
    if pin is None:
        return None, ()
    [document] = await read([pin_ref(pin.id)])
    was = PinRecord(pin) if document is None else PinRecord.from_document(document)
    ended = replace(was, ended_at=now, ended_by=actor)
    return was, (Put(pin_ref(pin.id), ended.to_data()),)


def _moved(
    state: State, policy: Policy, pin: Pin, step: tuple[Mode, Mode], now: datetime
) -> tuple[Write, ...]:
    """The state, and the change of the mode if it is one."""
    before, after = step
    if before == after:
        return (Put(STATE, state.to_data()),)
    held = state.scopes.get(pin.scope)
    change = Change(
        scope=pin.scope,
        seq=state.seq + 1,
        event_time=now,
        before=before,
        after=after,
        cause="override",
        episode=episode_of(pin.scope, pin.created_at if held is None else held.opened_at),
        signals=(),
        policy_version=state.policy_version,
        enforced=policy.enforced,
    )
    numbered = replace(state, seq=change.seq)
    return (Put(STATE, numbered.to_data()), Create(change.ref, change.to_data()))


def _unpinned_mode(state: State, scope: str, recovery: Recovery, now: datetime) -> Mode:
    held = state.scopes.get(scope)
    return Mode.NORMAL if held is None else advance(held, now, recovery)[0].mode
