"""Budgets that will not last, though no hour stands out.

A chronic burn has no spike: week after week costs a little more than the budget allows. So the rest
of a period is taken to cost what the same hours of the last week cost, times how much the spend has
grown since, and is compared with what is left. Growth is seen over one day and over three, and the
smaller counts, so that a spike of some hours is not carried on to the end of the month.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import MONTH, Finding, Window

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
THREE_DAYS = timedelta(days=3)
LEAST_PERIOD = DAY
"""Shorter periods end before anybody could act on it."""
LEAST_OVERRUN_PERCENT = 10
"""Of the limit: two weeks of one scope differ by as much without a reason."""
LEAST_OVERRUN: Nanos = 5 * NANOS_PER_USD
MOST_GROWTH = 3
"""A scope that was hardly used a week ago says nothing of how it goes on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a budget's calls cost: `spent` since its period began, the others before `now`.

    `like_rest` is what the last week cost in the hours that are left beyond whole weeks, those of
    `rest_spans`. The names that end in `before` are the same spans a week earlier.
    """

    spent: Nanos
    week: Nanos
    like_rest: Nanos
    day: Nanos
    day_before: Nanos
    three: Nanos
    three_before: Nanos


@dataclass(frozen=True, slots=True)
class Watched:
    """A budget's period under way, with its top-ups in `limit`."""

    budget: str
    org: str
    scope: str
    period: Window
    limit: Nanos


def rest_span(period: Window, now: datetime) -> tuple[datetime, datetime]:
    """The span of the last week that stands for what is left of a period beyond whole weeks."""
    since = now - WEEK
    return since, since + (period.until - now) % WEEK


def burn(watched: Watched, pace: Pace, now: datetime) -> Finding | None:
    """The finding where a budget will be overrun before its period ends; None where it lasts."""
    period = watched.period
    if not period.since <= now < period.until or period.until - period.since < LEAST_PERIOD:
        return None
    if pace.spent >= watched.limit:
        return None  # It is spent already, which its thresholds tell.
    to_come = projected_rest(period, pace, now)
    total = pace.spent + to_come
    overrun = total - watched.limit
    least = max(LEAST_OVERRUN, watched.limit * LEAST_OVERRUN_PERCENT // 100)
    if overrun < least:
        return None
    left = watched.limit - pace.spent
    seconds = (period.until - now) // timedelta(seconds=1)
    ends = now + timedelta(seconds=seconds * left // to_come)
    length = period.until - period.since
    return Finding(
        kind="burn",
        org=watched.org,
        scope=f"budget:{watched.budget}",
        window=period,
        told=(
            f"Budget {watched.budget} of {usd_text(watched.limit)} USD will be overrun by"
            f" {usd_text(overrun)} at the pace of the last week."
        ),
        evidence={
            "limit_nanos": watched.limit,
            "spent_nanos": pace.spent,
            "projected_nanos": total,
            "spent_at": ends.replace(minute=0, second=0, microsecond=0).isoformat(),
            "of": watched.scope,
        },
        stake=overrun * (MONTH // timedelta(seconds=1)) // (length // timedelta(seconds=1)),
        confidence="high" if overrun >= 3 * least else "medium",
        rows={"since": period.since.isoformat(), "until": now.isoformat(), "of": watched.scope},
    )


def projected_rest(period: Window, pace: Pace, now: datetime) -> Nanos:
    """What the rest of a period will cost."""
    weeks = (period.until - now) // WEEK
    unchanged = weeks * pace.week + pace.like_rest
    growths = [
        (part, before)
        for part, before in ((pace.day, pace.day_before), (pace.three, pace.three_before))
        if before
    ]
    if len(growths) < 2:
        # Younger than a week: its last day goes on.
        return pace.day * ((period.until - now) // timedelta(seconds=1)) // (DAY.days * 86_400)
    part, before = min(growths, key=lambda each: each[0] / each[1])
    return min(unchanged * part // before, ceil(MOST_GROWTH * unchanged))
