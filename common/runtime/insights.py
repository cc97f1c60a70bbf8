"""Insights ask how budgets stand and what was spent of them; neither knows the other."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.budgets.accounts import Period, period_ref
from common.budgets.budgets import BUDGETS, Budget, budget_ref
from common.budgets.sweep import Asked, SpentOf
from common.core.money import Nanos
from common.core.ports import Documents, Query
from common.insights.findings import Window
from common.insights.standing import BudgetAt, Question
from common.insights.unused import PERIODS

PAGE = 300
"""Documents that are asked for together."""


@dataclass(frozen=True, slots=True)
class StoredBudgets:
    """The budgets of the store that are not paused and have periods."""

    documents: Documents
    spent_of: SpentOf

    async def standing(self, now: datetime) -> Sequence[BudgetAt]:
        """Each with its period under way and the limit that counts now.

        Raises:
            StoreUnavailable: no answer in time.
        """
        found = []
        async for budgets in self._budgets():
            made = [budget.period_at(now) for budget in budgets]
            stored = await self.documents.get_many([period_ref(each.id) for each in made])
            for budget, own, document in zip(budgets, made, stored, strict=True):
                period = own if document is None else Period.from_document(document)
                if own.starts_at is not None:
                    found.append(
                        BudgetAt(
                            id=budget.id,
                            org=budget.org,
                            scope=budget.scope,
                            period=Window(own.starts_at, own.ends_at),
                            limit=period.limit_at(now),
                            idle_since=_idle_since(budget, own.starts_at),
                        )
                    )
        return found

    async def spent(self, asked: Sequence[Question]) -> Sequence[Nanos]:
        """What counted against each budget in each span; 0 where it was removed meanwhile.

        Raises:
            StoreUnavailable: no answer in time.
        """
        ids = sorted({each.budget for each in asked})
        known: dict[str, Budget] = {}
        for start in range(0, len(ids), PAGE):
            part = [budget_ref(each) for each in ids[start : start + PAGE]]
            documents = await self.documents.get_many(part)
            known |= {each.ref.id: Budget.from_document(each) for each in documents if each}
        there = [each for each in asked if each.budget in known]
        if not there:
            return [0] * len(asked)
        sums = iter(await self.spent_of([Asked(known[e.budget], e.since, e.until) for e in there]))
        return [next(sums) if each.budget in known else 0 for each in asked]

    async def _budgets(self) -> AsyncIterator[list[Budget]]:
        after = None
        while True:
            page = await self.documents.query(Query(BUDGETS, after=after, limit=PAGE))
            budgets = [Budget.from_document(each) for each in page]
            yield [each for each in budgets if not each.paused and each.calendar.kind != "total"]
            if len(page) < PAGE:
                return
            after = page[-1].ref.id


def _idle_since(budget: Budget, start: datetime) -> datetime | None:
    """The beginning of the last PERIODS whole periods; None where the budget is younger."""
    for _ in range(PERIODS):
        before = budget.period_at(start - timedelta(seconds=1)).starts_at
        if before is None:
            return None
        start = before
    return None if budget.began_at is not None and budget.began_at > start else start
