"""What insights need to know of budgets, as whoever has them tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.core.money import Nanos
from common.insights.findings import Window


@dataclass(frozen=True, slots=True)
class BudgetAt:
    """A budget that is in force, with its period under way and the limit that counts now.

    `idle_since` is the beginning of its last two whole periods, by its calendar alone.
    """

    id: str
    org: str
    scope: str
    period: Window
    limit: Nanos
    idle_since: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What did the calls cost that count against a budget, from `since` up to, not in, `until`?"""

    budget: str
    since: datetime
    until: datetime


class Budgets(Protocol):
    """How budgets stand. Every method raises StoreUnavailable: no answer in time."""

    async def standing(self, now: datetime) -> Sequence[BudgetAt]:
        """All that are in force and have periods."""

    async def spent(self, asked: Sequence[Question]) -> Sequence[Nanos]:
        """Answers in the order asked."""

    async def began(self, budgets: Sequence[str]) -> Sequence[datetime | None]:
        """When each began to apply, else when it was made; None where nobody knows."""
