"""When a budget has something to tell: a percentage of it is spent, a call was refused. Pure.

Spend is what is added up of calls, for soft and hard budgets alike; the money that leases hold or
that was written off is not in it. A percentage is of the limit and the top-ups that count at the
moment, and is told once in a period, whatever becomes of the limit later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.budgets.accounts import Period
from common.budgets.alerts import alert_id
from common.budgets.budgets import Budget
from common.budgets.calendar import FOREVER
from common.core.events import BudgetExhausted, ThresholdCrossed
from common.core.money import Nanos

PACE_OVER = timedelta(hours=6)
A_WEEK = timedelta(days=7)
WATCHED_ON = timedelta(hours=1)
"""How long a period is looked at after its end: calls that ended in it are counted later."""

_SECOND = timedelta(seconds=1)
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Watched:
    """One period that is looked at, and the time `at` which it is judged: now, or its last moment.

    The period is as it is stored, or as the budget makes it where nobody has leased from it.
    """

    budget: Budget
    period: Period
    at: datetime

    @property
    def starts_at(self) -> datetime:
        return self.period.starts_at or self.budget.period_at(self.at).starts_at or self.at

    @property
    def is_over(self) -> bool:
        return self.at < self.period.ends_at <= self.at + _MOMENT

    @property
    def until(self) -> datetime | None:
        """The end of what is spent in it, None for now."""
        return self.period.ends_at if self.is_over else None

    def id_of(self, percent: int) -> str:
        """The id of the one event that tells of this percentage."""
        return alert_id("budget.threshold_crossed", self.period.id, percent)


def watched(budgets: Iterable[Budget], now: datetime) -> list[Watched]:
    """The periods under way and those that ended a short while ago, before anything is read."""
    found: dict[str, Watched] = {}
    for budget in budgets:
        for moment in (now, now - WATCHED_ON):
            period = budget.period_at(moment)
            at = min(now, period.ends_at - _MOMENT)
            found.setdefault(period.id, Watched(budget, period, at))
    return list(found.values())


def crossed(each: Watched, spent: Nanos) -> list[int]:
    """The percentages that are reached, smallest first."""
    limit = each.period.limit_at(each.at)
    return sorted(p for p in set(each.budget.thresholds) if 100 * spent >= p * limit)


def threshold_event(
    each: Watched, percent: int, spent: Nanos, paces: Sequence[Nanos]
) -> ThresholdCrossed:
    """What is told of a percentage; `paces` is what PACE_OVER cost lately and a week ago."""
    limit = each.period.limit_at(each.at)
    left = limit - spent
    projected = exhaustion(left, paces, each.at, each.period.ends_at)
    return ThresholdCrossed(
        id=each.id_of(percent),
        event_time=each.at,
        budget_id=each.budget.id,
        period=_key(each.period),
        percent=percent,
        spent_nanos=spent,
        limit_nanos=limit,
        projected_exhaustion=projected,
    )


def exhausted_event(each: Watched) -> BudgetExhausted | None:
    """What is told of the first call that was refused in a period, None where none was."""
    period = each.period
    if period.exhausted_at is None:
        return None
    return BudgetExhausted(
        id=alert_id("budget.exhausted", period.id),
        event_time=period.exhausted_at,
        budget_id=each.budget.id,
        period=_key(period),
        settled_nanos=period.settled,
        leased_nanos=period.leased,
        limit_nanos=period.limit_at(each.at),
        resets_at=period.ends_at if period.ends_at < FOREVER else None,
    )


def pace_spans(now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """The spans that tell the pace: the last PACE_OVER, in whole minutes, and a week ago."""
    until = now.replace(second=0, microsecond=0)
    return tuple((end - PACE_OVER, end) for end in (until, until - A_WEEK))


def exhaustion(
    left: Nanos, paces: Sequence[Nanos], now: datetime, ends_at: datetime
) -> datetime | None:
    """When what is left is spent at the fastest pace; None if not before the period ends.

    Args:
        left: of limit and top-ups; now where it is nothing or less.
        paces: what PACE_OVER cost, at several times.
        now: from when on.
        ends_at: the end of the period.
    """
    if left <= 0:
        return now
    fastest = max(paces, default=0)
    if fastest <= 0:
        return None
    seconds = -(-left * (PACE_OVER // _SECOND) // fastest)
    return now + seconds * _SECOND if seconds < (ends_at - now) // _SECOND else None


def _key(period: Period) -> str:
    return period.id.partition(":")[2]
