"""Keys that nobody uses and budgets that nothing is spent of: each a risk, or a mistake.

A budget that refuses calls is used, and one that is younger than the periods named was not idle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.insights.findings import Finding, Window

KEY_IDLE = timedelta(days=30)
PERIODS = 2
"""Whole periods without a call, so that a holiday month alone says nothing."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key that works. `used_at` is the end of the last call of its line, None: never."""

    line: str
    name: str
    org: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget and what the calls of its scope were in its last whole PERIODS and since.

    `since` is the beginning of these. `began_at` is when it began to apply, None where nobody
    knows. `refused_at` is when a budget last refused one of them.
    """

    budget: str
    org: str
    scope: str
    since: datetime
    spent: int
    began_at: datetime | None
    refused_at: datetime | None

    @property
    def is_idle(self) -> bool:
        """Whether it was there all the time, and neither paid nor refused a call."""
        is_old = self.began_at is not None and self.began_at <= self.since
        refuses = self.refused_at is not None and self.refused_at >= self.since
        return is_old and not refuses and not self.spent


def unused_keys(keys: Iterable[KeyUse], now: datetime) -> list[Finding]:
    found = []
    for key in keys:
        idle = now - (key.used_at or key.created_at)
        if idle < KEY_IDLE:
            continue
        used = "never used" if key.used_at is None else f"unused for {idle.days} days"
        found.append(
            Finding(
                kind="unused_key",
                org=key.org,
                scope=f"key:{key.line}",
                window=Window.month_of(now),
                told=f"Key {key.name} is {used}: what nobody needs can only be stolen.",
                evidence={
                    "name": key.name,
                    "created_at": key.created_at.isoformat(),
                    "used_at": "" if key.used_at is None else key.used_at.isoformat(),
                },
                stake=0,
                confidence="high",
                rows={"key": key.line, "since": (now - KEY_IDLE).isoformat()},
            )
        )
    return found


def unused_budgets(budgets: Iterable[BudgetUse], now: datetime) -> list[Finding]:
    return [
        Finding(
            kind="unused_budget",
            org=each.org,
            scope=f"budget:{each.budget}",
            window=Window.month_of(now),
            told=f"Nothing was spent of budget {each.budget} in its last {PERIODS} periods.",
            evidence={"of": each.scope, "since": each.since.isoformat()},
            stake=0,
            confidence="medium",
            rows={"since": each.since.isoformat(), "of": each.scope},
        )
        for each in budgets
        if each.is_idle
    ]
