"""Histories of alerts that are told badly, and of a source that is asked each minute.

Three monitors of one scope (soft, hard, emergency) fire and are calm again for some hours. Of what
their webhooks say 30 % is lost, 30 % comes twice and 30 % late by up to 10 min; of the minutes'
commands 5 % are not obeyed. Time is simulated and nothing is stored: what decides are the functions
that are shipped.
"""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from common.brownout.fold import folded
from common.brownout.modes import Mode
from common.brownout.policy_file import shipped_policy
from common.brownout.reconciling import Found, Group, Monitor, reconciled
from common.brownout.signals import Signal, ended, merged, raised
from common.brownout.state import State
from common.brownout.trajectory import advance
from tests.brownout.scenes import LEASE, T0, a_signal

HOURS = 6
MINUTE_S = 60.0
AFTERWARDS_S = 70 * MINUTE_S
LATE_S = 10 * MINUTE_S
RENOTIFIED_S = 10 * MINUTE_S
SHORTEST_S, LONGEST_S = 2 * MINUTE_S, 30 * MINUTE_S
"""Of an alert. A monitor looks at a window of a minute or more, so it is seldom shorter."""
CALM_S = 240 * MINUTE_S
"""Between two alerts of one monitor, on the average. Leases alone then leave 15 to 20 minutes of
six hours without protection."""
LOST, TWICE, LATE, DEAD = 0.3, 0.3, 0.3, 0.05
LOOKED_EACH_S = 30.0
POLICY = shipped_policy()

Word: TypeAlias = Literal["raise", "renew", "end"]
Reconcile: TypeAlias = Callable[[Found, Sequence[Signal], datetime], list[Signal]]


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert, in seconds from the beginning."""

    level: Mode
    group: str
    begin: float
    end: float

    def signal(self, seen: datetime, now: datetime) -> Signal:
        return a_signal(
            self.level, monitor=self.level.word, group=self.group, observed_at=seen, received_at=now
        )


@dataclass(frozen=True, slots=True)
class Post:
    """What a webhook says of an alert: when that was so, and when it arrives."""

    arrives: float
    id: int
    word: Word
    firing: Firing
    seen: float


@dataclass(slots=True)
class History:
    """One history as it went. Without `reconcile` nobody asks the source."""

    seed: int
    reconcile: Reconcile | None = reconciled
    signals: dict[str, Signal] = field(default_factory=dict)
    state: State = field(default_factory=State)
    known_posts: set[int] = field(default_factory=set)
    unprotected_s: float = 0.0
    normal_since: float = 0.0
    last_cause: float = 0.0

    def run(self) -> "History":
        chance = random.Random(self.seed)
        firings = list(_firings(chance))
        self.last_cause = max((firing.end for firing in firings), default=0.0)
        posts = list(_posts(chance, firings))
        until = self.last_cause + AFTERWARDS_S
        offset = chance.uniform(0, MINUTE_S)
        # At one moment what happens comes before what looks at it.
        steps: list[tuple[float, int, int]] = [
            *((post.arrives, 0, number) for number, post in enumerate(posts)),
            *(
                (offset + minute * MINUTE_S, 1, 0)
                for minute in range(int(until / MINUTE_S))
                if chance.random() >= DEAD
            ),
            *((step * LOOKED_EACH_S, 2, 0) for step in range(int(until / LOOKED_EACH_S))),
        ]
        heapq.heapify(steps)
        while steps:
            at, kind, number = heapq.heappop(steps)
            match kind:
                case 0:
                    self._take(posts[number], _moment(at))
                case 1:
                    self._tick(firings, at)
                case _:
                    self._look(firings, at)
        return self

    @property
    def minutes_back(self) -> float:
        """From the end of the last cause until normal mode, for good."""
        return max(0.0, self.normal_since - self.last_cause) / MINUTE_S

    def _take(self, post: Post, now: datetime) -> None:
        if post.id in self.known_posts:
            return
        self.known_posts.add(post.id)
        told = post.firing.signal(_moment(post.seen), now)
        before = self.signals.get(told.id)
        signal = ended(told) if post.word == "end" else raised(told, LEASE)
        self._store([signal] if post.word == "end" or signal.lease_until > now else [])
        if self.signals.get(told.id) is not before:
            self._fold(now)

    def _tick(self, firings: Sequence[Firing], at: float) -> None:
        now = _moment(at)
        if self.reconcile is not None:
            found = Found("datadog", _monitors(firings, at), now, LEASE)
            known = list(self.signals.values())
            self._store(self.reconcile(found, known, now + timedelta(seconds=1)))
        self._fold(now + timedelta(seconds=1))

    def _store(self, told: Sequence[Signal]) -> None:
        for signal in told:
            kept = merged(self.signals.get(signal.id), signal)
            if kept is not None:
                self.signals[signal.id] = kept

    def _fold(self, now: datetime) -> None:
        self.state, changes = folded(self.state, self.signals.values(), POLICY, now)
        for change in changes:
            if change.after == Mode.NORMAL:
                self.normal_since = (change.event_time - T0).total_seconds()

    def _look(self, firings: Sequence[Firing], at: float) -> None:
        scope = self.state.scopes.get("global")
        mode = Mode.NORMAL
        if scope is not None:
            mode = advance(scope, _moment(at), POLICY.recovery)[0].mode
            self.normal_since = max(self.normal_since, at) if mode else self.normal_since
        if any(firing.level > mode for firing in firings if firing.begin <= at < firing.end):
            self.unprotected_s += LOOKED_EACH_S


def without_ends(found: Found, known: Sequence[Signal], now: datetime) -> list[Signal]:
    """A reconciliation with a fault: it ends nothing."""
    return [signal for signal in reconciled(found, known, now) if not signal.told_over]


def without_raises(found: Found, known: Sequence[Signal], now: datetime) -> list[Signal]:
    """A reconciliation with a fault: it raises nothing."""
    return [signal for signal in reconciled(found, known, now) if signal.told_over]


def dated_back(found: Found, known: Sequence[Signal], now: datetime) -> list[Signal]:
    """A reconciliation with a fault: what it says counts as old, and so for nothing."""
    old = found.asked_at - timedelta(minutes=30)
    return [replace(signal, observed_at=old) for signal in reconciled(found, known, now)]


def _firings(chance: random.Random) -> Iterator[Firing]:
    for level in (Mode.SOFT, Mode.HARD, Mode.EMERGENCY):
        at = chance.uniform(0, CALM_S)
        while at < HOURS * 3600 - LONGEST_S:
            lasts = chance.uniform(SHORTEST_S, LONGEST_S)
            yield Firing(level, "host:a", at, at + lasts)
            at += lasts + chance.expovariate(1 / CALM_S) + MINUTE_S


def _posts(chance: random.Random, firings: Sequence[Firing]) -> Iterator[Post]:
    """What arrives of what is said."""
    number = 0
    for firing in firings:
        renewals = range(1, int((firing.end - firing.begin) / RENOTIFIED_S) + 1)
        said: list[tuple[Word, float]] = [
            ("raise", firing.begin),
            *(("renew", firing.begin + each * RENOTIFIED_S) for each in renewals),
            ("end", firing.end),
        ]
        for word, seen in said:
            number += 1
            copies = 0 if chance.random() < LOST else 1 + (chance.random() < TWICE)
            for _ in range(copies):
                delay = chance.uniform(0, LATE_S) if chance.random() < LATE else 2.0
                yield Post(seen + delay, number, word, firing, seen)


def _monitors(firings: Sequence[Firing], at: float) -> list[Monitor]:
    going_on = [firing for firing in firings if firing.begin <= at < firing.end]
    return [
        Monitor(
            level.word,
            tuple(
                Group(frozenset({firing.group}), level, ("global",))
                for firing in going_on
                if firing.level == level
            ),
        )
        for level in (Mode.SOFT, Mode.HARD, Mode.EMERGENCY)
    ]


def _moment(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)
