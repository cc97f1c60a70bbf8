"""Insights ask how budgets stand and what was spent of them; neither knows the other."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.budgets.accounts import Period, period_ref
from common.budgets.budgets import BUDGETS, Budget, budget_ref
from common.budgets.sweep import Asked, SpentOf
from common.core.audit import AUDIT
from common.core.money import Nanos
from common.core.ports import Documents, Query
from common.insights.findings import Window
from common.insights.running import KEYS
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
        known = await self._known({each.budget for each in asked})
        there = [each for each in asked if each.budget in known]
        if not there:
            return [0] * len(asked)
        sums = iter(await self.spent_of([Asked(known[e.budget], e.since, e.until) for e in there]))
        return [next(sums) if each.budget in known else 0 for each in asked]

    async def began(self, budgets: Sequence[str]) -> Sequence[datetime | None]:
        """When each began to apply, else when it was made; None where nobody knows.

        Raises:
            StoreUnavailable: no answer in time.
        """
        known = await self._known(set(budgets))
        return [await self._began(known[each]) if each in known else None for each in budgets]

    async def _began(self, budget: Budget) -> datetime | None:
        """The budget of a new key has no entry of its own: it was made with the key."""
        if budget.began_at is not None:
            return budget.began_at
        made = Query(AUDIT, {"target": f"{BUDGETS}/{budget.id}"}, limit=1)
        for entry in await self.documents.query(made):
            time: datetime = entry.data["time"]
            return time
        kind, _, line = budget.scope.partition(":")
        keys = [] if kind != "key" else await self.documents.query(Query(KEYS, {"line": line}))
        return min((each.data["created_at"] for each in keys), default=None)

    async def _known(self, ids: set[str]) -> dict[str, Budget]:
        """Those that are there."""
        ordered = sorted(ids)
        known: dict[str, Budget] = {}
        for start in range(0, len(ordered), PAGE):
            part = [budget_ref(each) for each in ordered[start : start + PAGE]]
            documents = await self.documents.get_many(part)
            known |= {each.ref.id: Budget.from_document(each) for each in documents if each}
        return known

    async def _budgets(self) -> AsyncIterator[list[Budget]]:
        after = None
        while True:
            page = await self.documents.query(Query(BUDGETS, after=after, limit=PAGE))
            budgets = [Budget.from_document(each) for each in page]
            yield [each for each in budgets if not each.paused and each.calendar.kind != "total"]
            if len(page) < PAGE:
                return
            after = page[-1].ref.id


def _idle_since(budget: Budget, start: datetime) -> datetime:
    """The beginning of the last PERIODS whole periods before the one that begins with `start`."""
    for _ in range(PERIODS):
        start = budget.period_at(start - timedelta(seconds=1)).starts_at or start
    return start
