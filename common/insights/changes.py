"""Error rates and latencies of a model at an upstream that are not what they were.

An hour is compared with the hours of the week before that had enough calls, by the same test as
spikes: the middle, and how far hours usually lie from it. Latency is the mean of logarithms, which
a few very slow calls do not carry away. Only what became worse is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log, sqrt

from common.core.money import Nanos
from common.insights.findings import Finding, Window, a_month
from common.insights.series import HOUR, usual

COMPARED = timedelta(days=7)
LEAST_HOURS = 14
LEAST_CALLS = 30
"""In an hour; the rate of fewer is chance."""
FAR = 4.0
LEAST_SPREAD = 0.05
LEAST_SLOWER = 1.3
LEAST_FAILED = 10
MILLION = 1_000_000
"""Rates are told in failures of a million calls."""
LEAST_MORE = 50_000
"""Five of a hundred calls more than usual."""
LEAST_TIMES = 3
RUNNING = 2
"""Hours in a row: what is gone within one is over before anybody looks."""


@dataclass(frozen=True, slots=True)
class HourFigures:
    """The calls of an hour.

    `failed` are those the provider failed, at `failed_nanos`; `log_seconds` adds up the logarithms
    of the durations of the `ok` ones.
    """

    hour: datetime
    calls: int
    failed: int
    failed_nanos: Nanos
    ok: int
    log_seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """One model at one upstream as an organisation sees it, hours in order."""

    org: str
    model: str
    upstream: str
    hours: Sequence[HourFigures]

    @property
    def scope(self) -> str:
        return f"model:{self.org}/{self.model}@{self.upstream}"


def changes(served: Served, since: datetime, until: datetime) -> list[Finding]:
    """Findings for the UTC days of [since, until) in which it became worse for RUNNING hours."""
    found: list[Finding] = []
    days: dict[tuple[str, datetime], list[tuple[HourFigures, float, float]]] = {}
    for kind, judge in (("error_rate", _failing), ("latency", _slower)):
        worse: list[tuple[HourFigures, float, float]] = []
        for position, each in enumerate(served.hours):
            if not since - RUNNING * HOUR <= each.hour < until:
                continue
            before = _before(served.hours, position)
            told = judge(each, before)
            if told is None:
                worse = []
                continue
            worse.append((each, *told))
            if len(worse) >= RUNNING and each.hour >= since:
                day = Window.day_of(each.hour).since
                days.setdefault((kind, day), []).append(worse[-1])
    for (kind, day), hours in days.items():
        make = _errors if kind == "error_rate" else _latency
        found.append(make(served, Window.day_of(day), hours))
    return found


def _before(hours: Sequence[HourFigures], position: int) -> Sequence[HourFigures]:
    start, first = hours[position].hour - COMPARED, position
    while first and hours[first - 1].hour >= start:
        first -= 1
    return hours[first:position]


def _failing(each: HourFigures, before: Sequence[HourFigures]) -> tuple[float, float] | None:
    """The rate and the usual one in a million, where it is far above."""
    if each.calls < LEAST_CALLS or each.failed < LEAST_FAILED:
        return None
    rates = [_rate(hour) for hour in before if hour.calls >= LEAST_CALLS]
    if len(rates) < LEAST_HOURS:
        return None
    rate = _rate(each)
    middle, spread = usual(rates, 0.0)
    # What chance alone does to the rate of so few calls, were it the usual one.
    chance = sqrt(max(middle, MILLION / each.calls) * MILLION / each.calls)
    if rate - middle <= FAR * max(spread, chance):
        return None
    return (rate, middle) if rate >= max(middle + LEAST_MORE, LEAST_TIMES * middle) else None


def _rate(each: HourFigures) -> int:
    return MILLION * each.failed // each.calls


def _slower(each: HourFigures, before: Sequence[HourFigures]) -> tuple[float, float] | None:
    """The typical seconds and the usual ones, where they are far above."""
    if each.ok < LEAST_CALLS:
        return None
    usual_logs = [hour.log_seconds / hour.ok for hour in before if hour.ok >= LEAST_CALLS]
    if len(usual_logs) < LEAST_HOURS:
        return None
    now = each.log_seconds / each.ok
    middle, spread = usual(usual_logs, LEAST_SPREAD)
    if now - middle <= max(FAR * spread, log(LEAST_SLOWER)):
        return None
    return exp(now), exp(middle)


def _errors(
    served: Served, window: Window, hours: Sequence[tuple[HourFigures, float, float]]
) -> Finding:
    worst, rate, usual_rate = max(hours, key=lambda each: each[1])
    wasted = sum(each.failed_nanos for each, _, _ in hours)
    return Finding(
        kind="error_rate",
        org=served.org,
        scope=served.scope,
        window=window,
        told=(
            f"{served.model} at {served.upstream} failed {rate / 10_000:.1f} % of its calls"
            f" on {window.since:%Y-%m-%d}; usual are {usual_rate / 10_000:.1f} %."
        ),
        evidence={
            "worst_hour": worst.hour.isoformat(),
            "failed": sum(each.failed for each, _, _ in hours),
            "calls": sum(each.calls for each, _, _ in hours),
            "hours": len(hours),
            "rate_ppm": round(rate),
            "usual_ppm": round(usual_rate),
        },
        stake=a_month(wasted, len(hours) * HOUR),
        confidence="high" if worst.failed >= 3 * LEAST_FAILED else "medium",
        rows=_rows(served, hours) | {"outcome": "upstream_error"},
    )


def _latency(
    served: Served, window: Window, hours: Sequence[tuple[HourFigures, float, float]]
) -> Finding:
    worst, seconds, usual_seconds = max(hours, key=lambda each: each[1] / each[2])
    return Finding(
        kind="latency",
        org=served.org,
        scope=served.scope,
        window=window,
        told=(
            f"{served.model} at {served.upstream} took {seconds:.2f} s on {window.since:%Y-%m-%d}"
            f" where {usual_seconds:.2f} s are usual."
        ),
        evidence={
            "worst_hour": worst.hour.isoformat(),
            "hours": len(hours),
            "typical_ms": round(1_000 * seconds),
            "usual_ms": round(1_000 * usual_seconds),
        },
        stake=0,
        confidence="high" if seconds >= 2 * usual_seconds else "medium",
        rows=_rows(served, hours),
    )


def _rows(served: Served, hours: Sequence[tuple[HourFigures, float, float]]) -> dict[str, str]:
    return {
        "since": hours[0][0].hour.isoformat(),
        "until": (hours[-1][0].hour + HOUR).isoformat(),
        "org": served.org,
        "model": served.model,
    }
