"""How a scope gets into a mode, and back to normal by itself.

A state is a function of time, not a value: it says which leases hold a mode and when the mode's
dwell began, and from that anybody computes the mode of any later moment. So a reader with an old
copy is right without another read, and coming back needs no message, no scheduler and no write.

- A lease above the mode moves the scope there at once, and its dwell begins.
- Once no lease holds the mode any more and the dwell is over, the ramp begins: the share of calls
  that are treated in the mode falls from 1 to 0, the others are treated one mode lower. At its end
  the scope goes one mode down, and from there the same again.
- A lease at the mode that begins after all others have ended cancels the ramp, and the dwell begins
  anew. Whatever toggles faster than dwell and ramp together therefore never leaves its mode.

`advance(advance(s, a), b) == advance(s, b)` for all ``a <= b``. From the end of the last lease to
normal it takes at most three times dwell and ramp.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, TypeAlias

from common.brownout.modes import Mode

About: TypeAlias = Literal["errors", "latency", "cost"]
Cause: TypeAlias = Literal["signal", "recovery", "override", "expiry"]
"""Why a mode changed: a signal raised it; what raised it was told to be over; a pin; or nobody has
told that it is over, and the lease has run out."""

_EPISODE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long a mode is kept at least, and how long its calls are handed over to the lower one."""

    dwell: timedelta = timedelta(seconds=90)
    ramp: timedelta = timedelta(seconds=240)


@dataclass(frozen=True, slots=True)
class Lease:
    """What holds a scope at a mode until a moment. `about` is what went wrong, where it is known.

    `told_over`: it ends then because whoever raised it said so.
    """

    level: Mode
    until: datetime
    about: About | None = None
    told_over: bool = False


@dataclass(frozen=True, slots=True)
class ScopeState:
    """A scope that is not at rest.

    `since` is when the mode was entered, `dwells_from` when its dwell began last, `opened_at` when
    the scope left normal. `leases` are those that hold a mode now, or held this one when it began.
    """

    mode: Mode
    since: datetime
    dwells_from: datetime
    opened_at: datetime
    peak: Mode
    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a scope's mode. `opened_at` tells which episode it belongs to."""

    at: datetime
    before: Mode
    after: Mode
    cause: Cause
    opened_at: datetime


def advance(
    state: ScopeState, now: datetime, recovery: Recovery
) -> tuple[ScopeState, tuple[Step, ...]]:
    """The state at `now` if nothing else happens, and the steps down on the way to it."""
    steps: list[Step] = []
    while state.mode > Mode.NORMAL:
        at = _ramp_from(state, recovery) + recovery.ramp
        if at > now:
            break
        lower = Mode(state.mode - 1)
        steps.append(Step(at, state.mode, lower, _cause_of_end(state), state.opened_at))
        left = _live(state.leases, at)
        state = replace(state, mode=lower, since=at, dwells_from=at, leases=left)
    return state, tuple(steps)


def receive(
    state: ScopeState | None, leases: Iterable[Lease], now: datetime, recovery: Recovery
) -> tuple[ScopeState | None, tuple[Step, ...]]:
    """The state once these are the leases of the scope, None if it is at rest then.

    Args:
        state: as it was last stored, None for a scope at rest.
        leases: all that there are for the scope, ended ones too.
        now: by the clock of whoever decides.
        recovery: of the policy.
    """
    told = _longest(leases)
    target = max((each.level for each in _live(told, now)), default=Mode.NORMAL)
    steps: tuple[Step, ...] = ()
    if state is not None:
        state, steps = advance(state, now, recovery)
    if state is None or state.mode == Mode.NORMAL:
        if target == Mode.NORMAL:
            return None, steps
        opened = ScopeState(target, now, now, now, target, _live(told, now))
        return opened, (*steps, Step(now, Mode.NORMAL, target, "signal", now))
    held = any(lease.until > now for lease in _holding(state))
    left = _longest((*told, *_withdrawn(state.leases, told, now)))
    state = replace(state, leases=_live(left, state.since))
    if target > state.mode:
        steps = (*steps, Step(now, state.mode, target, "signal", state.opened_at))
        peak, live = max(state.peak, target), _live(left, now)
        raised = replace(state, mode=target, since=now, dwells_from=now, peak=peak, leases=live)
        return raised, steps
    if target == state.mode and not held:
        state = replace(state, dwells_from=now)
    return state, steps


def share(state: ScopeState, now: datetime, recovery: Recovery) -> float:
    """Of the calls, the part that is treated in the mode; the rest is treated one mode lower.

    `state` is one that `advance` gave for `now`.
    """
    begun = now - _ramp_from(state, recovery)
    return 1.0 if begun <= timedelta(0) else max(0.0, 1.0 - begun / recovery.ramp)


def ends_at(state: ScopeState, recovery: Recovery) -> datetime:
    """When the scope is back to normal if nothing else happens."""
    while state.mode > Mode.NORMAL:
        state, _ = advance(state, _ramp_from(state, recovery) + recovery.ramp, recovery)
    return state.since


def episode_of(scope: str, opened_at: datetime) -> str:
    """The id of what happens to a scope between leaving normal and being back."""
    return sha256(f"{scope} {opened_at.isoformat()}".encode()).hexdigest()[:_EPISODE_DIGITS]


def _holding(state: ScopeState) -> tuple[Lease, ...]:
    return tuple(lease for lease in state.leases if lease.level >= state.mode)


def _ramp_from(state: ScopeState, recovery: Recovery) -> datetime:
    """When the ramp begins, or has begun: the dwell is over, and nothing holds the mode."""
    dwelt = state.dwells_from + recovery.dwell
    return max([dwelt, *(lease.until for lease in _holding(state))])


def _cause_of_end(state: ScopeState) -> Cause:
    last = max(_holding(state), key=lambda lease: lease.until, default=None)
    return "recovery" if last is None or last.told_over else "expiry"


def _withdrawn(before: Iterable[Lease], told: Iterable[Lease], now: datetime) -> Iterable[Lease]:
    """The leases there were: they ended when they ended, or now where nobody renews them.

    Without them a mode that nothing holds any more would seem never to have been held.
    """
    renewed = {(lease.level, lease.about) for lease in told if lease.until > now}
    for lease in before:
        if lease.until <= now:
            yield lease
        elif (lease.level, lease.about) not in renewed:
            yield replace(lease, until=now, told_over=True)


def _live(leases: Iterable[Lease], now: datetime) -> tuple[Lease, ...]:
    return tuple(lease for lease in leases if lease.until > now)


def _longest(leases: Iterable[Lease]) -> tuple[Lease, ...]:
    """Of all leases at one level about one thing, the one that ends last; in a fixed order."""
    longest: dict[tuple[Mode, str], Lease] = {}
    for lease in leases:
        key = (lease.level, lease.about or "")
        if key not in longest or lease.until > longest[key].until:
            longest[key] = lease
    return tuple(longest[key] for key in sorted(longest))
