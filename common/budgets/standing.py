"""How a budget stands in its current period."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from common.budgets.accounts import Period
from common.budgets.budgets import Budget
from common.core.money import Nanos

WARNING_PERCENT = 80

State: TypeAlias = Literal["ok", "warning", "blocked"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget with its current period. That of a soft budget holds what usage says is spent."""

    budget: Budget
    period: Period

    def remaining(self, now: datetime) -> Nanos:
        """What may still be spent or leased; never negative."""
        return max(0, self.period.room(now))

    def state(self, now: datetime) -> State:
        """Blocked is only a hard budget; of all others the most that is said is a warning."""
        if self.budget.hard and self.period.room(now) <= 0:
            return "blocked"
        spent, limit = self.period.settled, self.period.limit_at(now)
        return "warning" if spent * 100 >= limit * WARNING_PERCENT else "ok"
