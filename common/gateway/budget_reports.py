"""Budgets, their periods and leases as they stand, read from the state and the sums of usage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from common.budgets.accounts import LEASES, PERIODS, Lease, Period, period_ref
from common.budgets.budgets import BUDGETS, Budget, budget_ref
from common.budgets.late_calls import LONGEST_CALL, began_within
from common.budgets.standing import Standing
from common.budgets.sweep import Asked, SpentOf
from common.core.errors import NotFound
from common.core.money import Nanos
from common.core.paging import every_document
from common.core.ports import Documents, Query

ListedState: TypeAlias = Literal["open", "written_off", "corrected"]
"""Closed leases are not listed: each call of a quiet instance leaves one, and it says nothing."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class OpenLeases:
    """The leases that are open, each with the organisation it belongs to."""

    leases: Sequence[tuple[Lease, str]]

    def arms(self, budget: Budget, now: datetime) -> bool:
        """Whether calls may be on their way that left before a hard budget applied to them.

        Calls to which no hard budget applied have no lease: for these it is a matter of time.
        """
        return budget.hard and (
            began_within(budget, LONGEST_CALL, now)
            or any(
                org == budget.org and lease.policy_epoch < budget.epoch
                for lease, org in self.leases
            )
        )


async def get_budget(documents: Documents, id_: str) -> Budget:
    """Read one budget.

    Raises:
        NotFound: there is none.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([budget_ref(id_)])
    if document is None:
        raise NotFound(f"there is no budget {id_[:80]!r}")
    return Budget.from_document(document)


async def list_budgets(
    documents: Documents, where: Mapping[str, str], *, after: str | None, limit: int
) -> list[Budget]:
    """One page of budgets whose fields equal `where`, ordered by id, behind `after`."""
    page = await documents.query(Query(BUDGETS, dict(where), after=after, limit=limit))
    return [Budget.from_document(document) for document in page]


async def list_periods(
    documents: Documents, budget: str, *, after: str | None, limit: int
) -> list[Period]:
    """One page of a budget's periods in which somebody spent, the oldest first."""
    page = await documents.query(Query(PERIODS, {"budget": budget}, after=after, limit=limit))
    return [Period.from_document(document) for document in page]


async def list_leases(
    documents: Documents, state: ListedState, budget: str | None = None
) -> list[Lease]:
    """All leases in a state, of one budget perhaps, ordered by id."""
    stored = every_document(documents, Query(LEASES, {"state": state}, limit=_PAGE))
    found = [Lease.from_document(document) async for document in stored]
    return [lease for lease in found if budget is None or budget in budgets_of_lease(lease)]


async def read_open_leases(documents: Documents) -> OpenLeases:
    """The open leases, which are few: one for each scope set that an instance uses right now."""
    leases = await list_leases(documents, "open")
    names = sorted({lease.periods[0] for lease in leases})
    found = await documents.get_many([period_ref(name) for name in names]) if names else []
    orgs = {each.ref.id: each.data["org"] for each in found if each is not None}
    return OpenLeases([(lease, orgs.get(lease.periods[0], "")) for lease in leases])


async def spent_by_period(
    spent: SpentOf, budgets: Iterable[Budget], now: datetime
) -> dict[str, Nanos]:
    """What usage says was spent in the current period of each budget, by the period's id.

    Raises:
        StoreUnavailable: no answer in time from the state or the warehouse.
    """
    asked = list(budgets)
    periods = [budget.period_at(now) for budget in asked]
    sums = await spent(
        [
            Asked(budget, period.starts_at or now, None)
            for budget, period in zip(asked, periods, strict=True)
        ]
    )
    return {period.id: nanos for period, nanos in zip(periods, sums, strict=True)}


async def read_standings(
    documents: Documents, spent: SpentOf, budgets: Iterable[Budget], now: datetime
) -> list[Standing]:
    """Budgets with their current periods.

    Raises:
        StoreUnavailable: no answer in time from the state or the warehouse.
    """
    asked = list(budgets)
    if not asked:
        return []
    fresh = [budget.period_at(now) for budget in asked]
    found = await documents.get_many([period_ref(period.id) for period in fresh])
    periods = [
        period if document is None else Period.from_document(document)
        for period, document in zip(fresh, found, strict=True)
    ]
    soft = [budget for budget in asked if not budget.hard]
    sums = await spent_by_period(spent, soft, now)
    return [
        with_spent(Standing(budget, period), sums)
        for budget, period in zip(asked, periods, strict=True)
    ]


def with_spent(standing: Standing, spent: Mapping[str, Nanos]) -> Standing:
    """A budget that is not enforced has no account of its own: usage says what is spent."""
    budget, period = standing.budget, standing.period
    if budget.hard:
        return standing
    return replace(standing, period=replace(period, settled=spent.get(period.id, period.settled)))


def budgets_of_lease(lease: Lease) -> list[str]:
    return [name.partition(":")[0] for name in lease.periods]
