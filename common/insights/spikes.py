"""Hours that cost far more than the same hour of the week usually does.

An hour is compared with the middle of what the same hour of the last four weeks cost, so that
nights, weekends and single outliers mislead nobody. How much such ratios vary is learned from the
scope itself, so a restless scope needs a higher rise than a steady one. A level that has lasted for
most of a day is the new level: it is told once, and is a matter of budgets from then on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from statistics import median
from typing import TypeAlias

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Window
from common.insights.series import A_DAY, A_WEEK, HOUR, Series, usual

WEEKS = 4
"""Same hours that are compared: the middle of four is moved by no single one."""
LEAST_WEEKS = 2
LEARNED_OVER = WEEKS * A_WEEK
"""Hours before a day from which it is learned how much the scope varies."""
NEEDED = 2 * LEARNED_OVER
"""Hours of a series before the first that is judged."""
LEAST_VALUES = 14
"""With fewer ratios nobody knows how much a scope varies; then the last week is compared."""
LEAST_SPREAD = 0.05
"""5 %: a scope that never varies would otherwise be alarmed by a cent."""
FAR = 4.0
"""Spreads above the middle: one in 30,000 normal values lies as far."""
ALIKE = 3
"""Hours whose usual costs differ by no more than this factor vary alike: quiet ones vary more."""
LEAST_EXCESS: Nanos = 5 * NANOS_PER_USD
"""Less in an hour is nobody's time worth."""
LEAST_RISE = 1.3
UNKNOWN_RISE = 3
"""Over the dearest hour of the last week, where there is no usual hour to compare with."""
QUIET = 3
"""Hours without a spike after which it is over."""


@dataclass(frozen=True, slots=True)
class SpikeHour:
    """One hour that stands out. `expected` is what was to be expected of it."""

    hour: datetime
    actual: Nanos
    expected: Nanos


def spikes(series: Series, since: datetime, until: datetime) -> list[Finding]:
    """A finding for each UTC day in which hours from `since` up to `until` stand out.

    `since` is a day's beginning; `until` is the end of the last complete hour. The series begins
    NEEDED hours before, where the scope is as old.
    """
    days: dict[datetime, list[SpikeHour]] = {}
    for each in spike_hours(series, since, until):
        days.setdefault(Window.day_of(each.hour).since, []).append(each)
    return [_finding(series, Window.day_of(day), hours, until) for day, hours in days.items()]


def spike_hours(series: Series, since: datetime, until: datetime) -> list[SpikeHour]:
    """The hours that stand out, in order."""
    start, end = max(0, series.index(since)), min(len(series.nanos), series.index(until))
    ratios = _Ratios.of(series, max(0, start - LEARNED_OVER), end)
    found = []
    for day in range(start, end, A_DAY):
        learned = [i for i in range(day - LEARNED_OVER, day) if i in ratios.logs]
        habit = _habit([ratios.logs[i] for i in learned])
        for i in range(day, min(day + A_DAY, end)):
            if habit is not None and i in ratios.logs:
                expected = ratios.expected(i, learned, habit)
            else:
                expected = _unlearned(series.nanos, i, series.born)
            if expected is not None and _is_much(series.nanos[i], expected):
                found.append(SpikeHour(series.hour(i), series.nanos[i], expected))
    return found


_Habit: TypeAlias = tuple[float, float]
"""The middle of logarithms of ratios, and their spread."""


@dataclass(frozen=True, slots=True)
class _Ratios:
    """By hour, what is usual of it, and the logarithm of what it cost over that."""

    bases: Mapping[int, Nanos]
    logs: Mapping[int, float]

    @classmethod
    def of(cls, series: Series, start: int, end: int) -> "_Ratios":
        nanos, born = series.nanos, series.born
        bases = {i: base for i in range(start, end) if (base := _base(nanos, i, born))}
        return cls(bases, {i: log(nanos[i] / base) for i, base in bases.items() if nanos[i]})

    def expected(self, hour: int, learned: Sequence[int], habit: _Habit) -> Nanos | None:
        """What was to be expected of an hour that is far from usual; None where it is not far."""
        ratio = self.logs[hour]
        if ratio <= habit[0] + FAR * habit[1]:
            return None
        base = self.bases[hour]
        alike = [i for i in learned if base <= ALIKE * self.bases[i] <= ALIKE**2 * base]
        middle, spread = _habit([self.logs[i] for i in alike]) or habit
        lately = [self.logs[i] for i in range(hour - A_DAY, hour) if i in self.logs]
        level = max(middle, median(lately)) if len(lately) > A_DAY // 2 else middle
        return int(base * exp(level)) if ratio > level + FAR * spread else None


def _habit(ratios: Sequence[float]) -> _Habit | None:
    return usual(ratios, LEAST_SPREAD) if len(ratios) >= LEAST_VALUES else None


def _is_much(actual: Nanos, expected: Nanos) -> bool:
    return actual - expected >= LEAST_EXCESS and actual >= LEAST_RISE * expected


def _base(nanos: Sequence[Nanos], index: int, born: int) -> Nanos | None:
    """The middle of the same hours of the weeks before, None where the scope is too young."""
    weeks = range(index - A_WEEK, max(born - 1, index - WEEKS * A_WEEK - 1), -A_WEEK)
    same = sorted(nanos[i] for i in weeks)
    if len(same) < LEAST_WEEKS:
        return None
    half = len(same) // 2
    return same[half] if len(same) % 2 else (same[half - 1] + same[half]) // 2


def _unlearned(nanos: Sequence[Nanos], index: int, born: int) -> Nanos | None:
    """The most that can be expected without a usual hour; None in the first day of a life."""
    first = max(born, index - A_WEEK)
    return UNKNOWN_RISE * max(nanos[first:index]) if index - first >= A_DAY else None


def _finding(
    series: Series, window: Window, hours: Sequence[SpikeHour], until: datetime
) -> Finding:
    actual, expected = sum(each.actual for each in hours), sum(each.expected for each in hours)
    first, last = hours[0].hour, hours[-1].hour
    excess = actual - expected
    return Finding(
        kind="spike",
        org=series.org,
        scope=series.scope,
        window=window,
        told=(
            f"{series.scope} spent {usd_text(actual)} USD in {len(hours)} hours of"
            f" {window.since:%Y-%m-%d} where {usd_text(expected)} was to be expected."
        ),
        evidence={
            "actual_nanos": actual,
            "expected_nanos": expected,
            "hours": len(hours),
            "first_hour": first.isoformat(),
            "last_hour": last.isoformat(),
        },
        stake=excess,
        confidence="high" if actual >= 2 * expected else "medium",
        rows={"since": first.isoformat(), "until": (last + HOUR).isoformat(), "of": series.scope},
        over=until - (last + HOUR) >= timedelta(hours=QUIET),
    )
