"""Unit costs that creep: what a successful call costs, and what a conversation takes.

One week is compared with each of the weeks before. No day of a creep stands out, and spend may
grow because there is more work; what one piece of work costs is what should stay as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Kind, Window, a_month

WEEK = timedelta(days=7)
WEEKS = 4
"""Weeks that the last one is compared with."""
LEAST_WEEKS = 2
LEAST_UNITS = 200
"""Calls or conversations in each week: the mean of fewer is moved by single ones."""
LEAST_RISE_PERCENT = 20
LEAST_EXCESS: Nanos = 5 * NANOS_PER_USD
"""In a week."""
MOST_APART = 2
"""Times the rise that the weeks before lie apart: a unit cost that swings does not creep."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The calls of a scope on one UTC day. `sessions` are told apart within the day."""

    day: datetime
    calls: int
    ok: int
    nanos: Nanos
    sessions: int
    session_tokens: int
    session_nanos: Nanos


@dataclass(frozen=True, slots=True)
class Daily:
    """The days of a scope."""

    org: str
    scope: str
    days: Sequence[DayFigures]


@dataclass(frozen=True, slots=True)
class _Week:
    units: int
    sum: int
    nanos: Nanos


def drifts(daily: Daily, until: datetime) -> list[Finding]:
    """What crept up in the week before `until`, the end of a day."""
    found = []
    calls = [_calls(daily, until - n * WEEK) for n in range(WEEKS + 1)]
    sessions = [_sessions(daily, until - n * WEEK) for n in range(WEEKS + 1)]
    kinds: tuple[tuple[Kind, str, list[_Week]], ...] = (
        ("unit_cost", "a successful call", calls),
        ("session_tokens", "a conversation", sessions),
    )
    for kind, unit, weeks in kinds:
        finding = _crept(daily, until, kind, unit, weeks)
        if finding is not None:
            found.append(finding)
    return found


def _calls(daily: Daily, end: datetime) -> _Week:
    days = _days(daily, end)
    nanos = sum(each.nanos for each in days)
    return _Week(sum(each.ok for each in days), nanos, nanos)


def _sessions(daily: Daily, end: datetime) -> _Week:
    days = _days(daily, end)
    return _Week(
        sum(each.sessions for each in days),
        sum(each.session_tokens for each in days),
        sum(each.session_nanos for each in days),
    )


def _days(daily: Daily, end: datetime) -> list[DayFigures]:
    return [each for each in daily.days if end - WEEK <= each.day < end]


def _crept(
    daily: Daily, until: datetime, kind: Kind, unit: str, weeks: Sequence[_Week]
) -> Finding | None:
    last, *before = weeks
    known = [week.sum / week.units for week in before if week.units >= LEAST_UNITS]
    if last.units < LEAST_UNITS or len(known) < LEAST_WEEKS:
        return None
    mean, middle = last.sum / last.units, median(known)
    apart = max(known) - min(known)
    if middle <= 0 or 100 * mean < (100 + LEAST_RISE_PERCENT) * middle:
        return None
    if mean <= max(known) or MOST_APART * (mean - middle) <= apart:
        return None
    excess = round(last.nanos * (1 - middle / mean))
    if excess < LEAST_EXCESS:
        return None
    rise = round(100 * (mean / middle - 1))
    amount = (
        f"{round(mean):,} tokens" if kind == "session_tokens" else f"{usd_text(round(mean))} USD"
    )
    return Finding(
        kind=kind,
        org=daily.org,
        scope=daily.scope,
        window=Window.month_of(until - timedelta(seconds=1)),
        told=f"{unit.capitalize()} of {daily.scope} takes {amount}, {rise} % more than before.",
        evidence={
            "last_week": round(mean),
            "weeks_before": round(middle),
            "rise_percent": rise,
            "excess_nanos": excess,
            "units": last.units,
        },
        stake=a_month(excess, WEEK),
        confidence="high" if rise >= 2 * LEAST_RISE_PERCENT else "medium",
        rows={
            "since": (until - WEEK).isoformat(),
            "until": until.isoformat(),
            "of": daily.scope,
        },
    )
