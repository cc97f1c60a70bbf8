"""What moves the modes of all instances: rollups judged once a minute, and monitors of Datadog.

Their words are stored and folded by the shipped code, which judges the rollups too. Datadog is made
up: `monitor_level` is what its monitors would do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import mean

from common.brownout.fold import folded
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policy import LevelLimits, Limits, Policy
from common.brownout.rollup_judgement import RollupJudge
from common.brownout.signals import Signal, Source, ended, merged, raised
from common.brownout.state import State
from common.brownout.trajectory import About
from common.core.money import Nanos
from scripts.brownout_simulation.minutes import Minute, Minutes
from scripts.brownout_simulation.scenes import PROVIDER, Arm

START = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
_LEVELS = (Mode.EMERGENCY, Mode.HARD, Mode.SOFT)
_ERROR_MINUTES = {Mode.SOFT: 3, Mode.HARD: 2, Mode.EMERGENCY: 1}
_LATENCY_MINUTES = {Mode.SOFT: 5, Mode.HARD: 2, Mode.EMERGENCY: 1}
"""Over which the monitors of terraform/modules/datadog look."""
_RENOTIFIES_S = 600.0


def moment(at_s: float) -> datetime:
    """A time of the run as the shipped code takes it."""
    return START + timedelta(seconds=at_s)


def monitor_level(minutes: Minutes, about: About, number: int, policy: Policy, held: Mode) -> Mode:
    """The level of the highest monitor that fires: a plain compare of what its minutes show.

    A monitor that fires goes on until it is below its recovery threshold.
    """
    reading = policy.reading
    scope = GLOBAL if about == "errors" else f"provider:{PROVIDER}"
    for level, limit in _from_the_highest(policy.limits_for(scope)):
        if about == "errors":
            found = minutes.before(scope, number, _ERROR_MINUTES[level])
            shown, above = _error_rate(found), limit.error_rate
            recover_at = reading.error_rate.recover_at
        else:
            found = minutes.before(scope, number, _LATENCY_MINUTES[level])
            told = [each.p95_s for each in found if each.p95_s is not None]
            shown = mean(told) if told else 0.0
            latency = limit.latency_p95
            above = None if latency is None else latency.above.total_seconds()
            recover_at = reading.latency_p95.recover_at
        if above is not None and shown > above * (recover_at if level <= held else 1.0):
            return level
    return Mode.NORMAL


def _error_rate(found: list[Minute]) -> float:
    calls = sum(each.calls + each.refused for each in found)
    return sum(each.failed for each in found) / calls if calls else 0.0


def _from_the_highest(limits: Limits) -> Iterator[tuple[Mode, LevelLimits]]:
    levels = {Mode.EMERGENCY: limits.emergency, Mode.HARD: limits.hard, Mode.SOFT: limits.soft}
    yield from ((level, levels[level]) for level in _LEVELS)


@dataclass(slots=True)
class Watch:
    """Judges, and holds the state that is stored. `usual`: hourly cost of calm calls."""

    arm: Arm
    usual: Nanos
    minutes: Minutes = field(default_factory=Minutes)
    state: State = field(default_factory=State)
    signals: dict[str, Signal] = field(default_factory=dict)
    firing: dict[About, Mode] = field(default_factory=dict)
    told_s: dict[tuple[About, Mode], float] = field(default_factory=dict)

    def judge_rollups(self, number: int, now_s: float) -> None:
        """Judge as the tick does a moment after the minute `number` begins, and fold.

        The minute that has just ended can raise a mode, and so can the one before it, which is
        counted to its end.
        """
        now, policy = moment(now_s), self.arm.policy
        judge = RollupJudge(policy)
        live = [
            each
            for each in self.signals.values()
            if each.source == "rollup" and each.lease_until > now
        ]
        held = {
            scope: {each.about: each.level for each in live if each.scope == scope and each.about}
            for scope in {each.scope for each in live}
        }
        highest: dict[tuple[str, About], Mode] = {}
        for end in (number - 1, number):
            recent = [self.minutes.sums(each) for each in range(end - judge.minutes, end)]
            for found in judge.judge(recent, held, lambda _scope: self.usual):
                key = (found.scope, found.about)
                highest[key] = max(found.level, highest.get(key, Mode.NORMAL))
        for (scope, about), level in highest.items():
            told = _signal("rollup", about, scope, level, now, about=about)
            self._store(raised(told, policy.signals.rollup))
        self._fold(now)

    def judge_monitors(self, number: int, now_s: float) -> None:
        """Evaluate the monitors over whole minutes before `number`, tell their words, and fold.

        Every monitor at or below the highest level that fires fires too.
        """
        now, policy = moment(now_s), self.arm.policy
        about: About
        for about, scope in (("errors", GLOBAL), ("latency", f"provider:{PROVIDER}")):
            held = self.firing.get(about, Mode.NORMAL)
            level = monitor_level(self.minutes, about, number, policy, held)
            self.firing[about] = level
            for each in _LEVELS:
                # An alert of Datadog does not say what it is about.
                told = _signal("datadog", f"{about}-{each.word}", scope, each, now)
                fires, fired = each <= level, each <= held
                again = now_s - self.told_s.get((about, each), 0.0) >= _RENOTIFIES_S
                if fires and (not fired or again):
                    self.told_s[about, each] = now_s
                    self._store(raised(told, policy.signals.datadog))
                elif fired and not fires:
                    self._store(ended(told))
        self._fold(now)

    def _store(self, told: Signal) -> None:
        stored = merged(self.signals.get(told.id), told)
        if stored is not None:
            self.signals[told.id] = stored

    def _fold(self, now: datetime) -> None:
        self.state, _ = folded(self.state, self.signals.values(), self.arm.policy, now)


def _signal(
    source: Source,
    monitor: str,
    scope: str,
    level: Mode,
    now: datetime,
    *,
    about: About | None = None,
) -> Signal:
    return Signal(source, monitor, "", scope, level, now, now, now, about=about)
