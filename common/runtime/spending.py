"""Budgets ask what was spent, and usage answers: neither knows the other."""

from collections.abc import Callable, Sequence

from common.budgets.budgets import Budget, Spender, covers
from common.budgets.late_calls import Before, SpentBefore
from common.budgets.sweep import Asked, SpentOf
from common.core.money import Nanos
from common.usage.spent import Portion, Spent, Who


def spent_of(spent: Spent) -> SpentOf:
    """Answers what budgets ask."""

    async def answer(asked: Sequence[Asked]) -> Sequence[Nanos]:
        return await spent.of(
            [Portion(e.budget.org, e.since, e.until, _counts(e.budget)) for e in asked]
        )

    return answer


def spent_before(spent: Spent) -> SpentBefore:
    """Answers what budgets ask of the calls that left before they applied."""

    async def answer(asked: Sequence[Before]) -> Sequence[Nanos]:
        ended = await spent.of(
            [Portion(e.budget.org, e.since, e.ended, _counts(e.budget)) for e in asked]
        )
        later = await spent.under(
            [
                (Portion(e.budget.org, e.ended, e.until, _counts(e.budget)), e.budget.epoch)
                for e in asked
            ]
        )
        return [sum(pair) for pair in zip(ended, later, strict=True)]

    return answer


def _counts(budget: Budget) -> Callable[[Who], bool]:
    """Whether a call of its organisation counts against a budget."""

    def counts(who: Who) -> bool:
        spender = Spender(budget.org, who.team or "", who.agent or "", who.project, who.line or "")
        return budget.scope in spender.scopes and covers(budget, who.model)

    return counts
