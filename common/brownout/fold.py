"""Folding all signals into the state: the one decision that moves a mode.

Storing a signal and folding are two steps. Many signals arrive at once, each stores its own
document, and one fold takes them all: a state that each of them read and wrote by itself would
mostly meet conflicts. Whoever folds later finds the same signals and decides the same.

The state has room for `MOST_SCOPES`, and a scope that is off rest keeps its place until it is back.
For others there is room in the order of their signals' levels, the highest first:

- `global` always finds room. `KEPT_FREE` places are for it, organisations and providers alone, of
  which there are few, so that many models or teams never stand in the way of a provider's outage.
- What is told of a team or an agent that finds no room counts for its organisation, if that is off
  rest or finds room. It is the only scope around another that is treated for it.
- Whatever else finds no room is refused it. Its signals are stored and have no effect until a scope
  is back: nobody's calls are given up because too many others are in need. Who told it is answered
  so, and every fold tells how many are refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from common.brownout.changes import Change
from common.brownout.modes import GLOBAL, Mode, kind_of, org_around
from common.brownout.policies import Policies
from common.brownout.policy import Policy
from common.brownout.signals import SIGNALS, Signal
from common.brownout.state import STATE, Pin, State
from common.brownout.trajectory import ScopeState, Step, episode_of, receive
from common.core.brownout_events import SignalTold
from common.core.ports import Create, Documents, Put, Query, Write
from common.core.transactions import Read

MOST_SCOPES = 200
"""So many may be off rest at once."""
KEPT_FREE = 20
"""Of these: one for `global`, the others for organisations and providers too."""

_WIDE = ("global", "org", "provider")
MOST_SIGNALS_TOLD = 10
_MOST_STEPS = 60
"""Of one fold, so that its commit stays small; the next one takes the rest."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold found and did. `state` is of the moment `at`.

    `elsewhere` has the scopes that found no room, each with the one that its signals count for
    instead; None where they are refused.
    """

    state: State
    at: datetime
    changes: tuple[Change, ...]
    elsewhere: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))


async def stored_signals(documents: Documents) -> list[Signal]:
    """The newest word of every source, also of what has ended lately.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found: list[Signal] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(SIGNALS, after=after))
        found += [Signal.from_document(each) for each in page]
        if len(page) < Query(SIGNALS).limit:
            return found
        after = page[-1].ref.id


def folded(
    state: State, signals: Iterable[Signal], policy: Policy, now: datetime
) -> tuple[State, tuple[Change, ...]]:
    """The state once these signals are all there are, and what changed since it was stored."""
    by_scope, _ = _placed(signals, state.scopes, now)
    scopes: dict[str, ScopeState] = {}
    steps: list[tuple[Step, str, Sequence[Signal]]] = []
    for scope in sorted({*state.scopes, *by_scope}):
        before = state.scopes.get(scope)
        if len(steps) >= _MOST_STEPS:
            if before is not None:
                scopes[scope] = before
            continue
        told = by_scope.get(scope, [])
        leases = [signal.lease for signal in told]
        after, taken = receive(before, leases, now, policy.recovery)
        if after is not None:
            scopes[scope] = after
        steps += [(step, scope, told) for step in taken]
    changes = [_change(step, scope, told) for step, scope, told in steps]
    changes += [_unpinned(pin, scopes) for pin in state.pins if pin.until <= now]
    numbered = tuple(
        replace(
            change,
            seq=state.seq + number,
            policy_version=state.policy_version,
            enforced=policy.enforced,
        )
        for number, change in enumerate(sorted(changes, key=_when), 1)
    )
    after_all = replace(
        state,
        seq=state.seq + len(numbered),
        scopes=MappingProxyType(scopes),
        pins=tuple(pin for pin in state.pins if pin.until > now),
    )
    return after_all, numbered


async def fold(
    documents: Documents, read: Read, policies: Policies, now: datetime
) -> tuple[Sequence[Write], Folded]:
    """What to write so that the state is that of all stored signals; one step of a `transact`.

    Args:
        documents: where the signals are.
        read: reads what will be written.
        policies: where the state's policy is.
        now: by the clock of whoever folds.

    Raises:
        StoreUnavailable: no answer in time.
    """
    [document] = await read([STATE])
    before = State.from_document(document)
    signals = await stored_signals(documents)
    policy = await policies.of(before.policy_version)
    after, changes = folded(before, signals, policy, now)
    writes: list[Write] = [Create(change.ref, change.to_data()) for change in changes]
    if after != before:
        writes.append(Put(STATE, after.to_data()))
    _, elsewhere = _placed(signals, before.scopes, now)
    return writes, Folded(after, now, changes, elsewhere)


def _placed(
    signals: Iterable[Signal], off_rest: Mapping[str, ScopeState], now: datetime
) -> tuple[Mapping[str, list[Signal]], Mapping[str, str | None]]:
    """The signals by the scope that they count for, and which scopes found no room."""
    found: dict[str, list[Signal]] = defaultdict(list)
    elsewhere: dict[str, str | None] = {}

    def has_place(scope: str) -> bool:
        return scope in off_rest or scope in found or _has_room(scope, {*off_rest, *found})

    for signal in sorted(signals, key=lambda each: (-each.level, each.scope, each.id)):
        scope = signal.scope
        if signal.lease_until <= now and scope not in off_rest and scope not in found:
            continue
        if scope not in elsewhere and not has_place(scope):
            org = org_around(scope)
            elsewhere[scope] = org if org is not None and has_place(org) else None
        counts_for = elsewhere.get(scope, scope)
        if counts_for is not None:
            found[counts_for].append(signal)
    return found, elsewhere


def _has_room(scope: str, taken: AbstractSet[str]) -> bool:
    if scope == GLOBAL:
        return True
    narrow = sum(kind_of(each) not in _WIDE for each in taken)
    is_kept = kind_of(scope) not in _WIDE and narrow >= MOST_SCOPES - KEPT_FREE
    return not is_kept and len(taken - {GLOBAL}) < MOST_SCOPES - 1


def _change(step: Step, scope: str, told: Iterable[Signal]) -> Change:
    least = max(step.before, step.after)
    holding = [signal for signal in told if signal.level >= least]
    newest = sorted(holding, key=lambda signal: signal.observed_at, reverse=True)
    return Change(
        scope=scope,
        seq=0,
        event_time=step.at,
        before=step.before,
        after=step.after,
        cause=step.cause,
        episode=episode_of(scope, step.opened_at),
        signals=tuple(
            SignalTold(
                source=each.source, monitor=each.monitor, level=each.level.word, link=each.link
            )
            for each in newest[:MOST_SIGNALS_TOLD]
        ),
        policy_version=0,
        enforced=False,
    )


def _unpinned(pin: Pin, scopes: Mapping[str, ScopeState]) -> Change:
    state = scopes.get(pin.scope)
    return Change(
        scope=pin.scope,
        seq=0,
        event_time=pin.until,
        before=pin.mode,
        after=Mode.NORMAL if state is None else state.mode,
        cause="expiry",
        episode=episode_of(pin.scope, pin.created_at if state is None else state.opened_at),
        signals=(),
        policy_version=0,
        enforced=False,
    )


def _when(change: Change) -> datetime:
    return change.event_time
