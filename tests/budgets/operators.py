"""Operators' changes to budgets over the store of a test."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from common.budgets.accounts import Period, period_ref
from common.budgets.budgets import Budget
from common.budgets.calendar import Calendar
from common.budgets.standing import Standing
from common.core.events import Event
from common.core.ports import Document, Query, Value
from common.gateway.budget_changes import (
    Extra,
    correct_lease,
    create_budget,
    pause_budget,
    top_up,
    update_budget,
)
from common.gateway.changes import Actor, Plan, apply_change
from common.gateway.control import CONTROL
from tests.budgets.conftest import DOLLAR, World

T = TypeVar("T")

BOSS = Actor("boss@example.com", "192.0.2.1")


def a_budget(**fields: object) -> Budget:
    """A hard budget of an organisation: $10 a day."""
    return Budget(
        **{
            "id": "b",
            "org": "acme",
            "scope": "org:acme",
            "calendar": Calendar("day"),
            "limit": 10 * DOLLAR,
            "enforcement": "hard",
        }
        | fields  # type: ignore[arg-type] # the fields of a budget, by name
    )


@dataclass(slots=True)
class Operators:
    """Apply plans to a store, and keep what is published."""

    world: World
    events: list[Event] = field(default_factory=list)

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        self.events.append(event)

    async def apply(self, plan: Plan[T]) -> T:
        world = self.world
        return await apply_change(
            plan,
            BOSS,
            documents=world.documents,
            bus=self,
            clock=world.clock,
            entropy=os.urandom,
        )

    async def create(self, budget: Budget, spent: Mapping[str, int] | None = None) -> Standing:
        return await self.apply(create_budget(budget, spent or {}, self.world.documents))

    async def update(
        self,
        budget: Budget,
        is_expected: Callable[[Budget], bool] = lambda _: True,
        spent: Mapping[str, int] | None = None,
    ) -> Standing:
        plan = update_budget(budget, is_expected, spent or {}, self.world.documents)
        return await self.apply(plan)

    async def pause(self, budget: Budget) -> Standing:
        return await self.apply(pause_budget(budget.id, lambda _: True))

    async def top_up(self, budget: Budget, extra: Extra) -> Standing:
        return await self.apply(top_up(budget.id, extra))

    async def correct(self, lease: str, refund: int, reason: str = "the bill says so") -> None:
        await self.apply(correct_lease(lease, refund, reason))

    def period_id(self, budget: Budget) -> str:
        return budget.period_at(self.world.clock.now()).id

    async def period(self, budget: Budget) -> Period | None:
        """The current period, as it is stored."""
        [document] = await self.world.documents.inner.get_many([period_ref(self.period_id(budget))])
        return None if document is None else Period.from_document(document)

    async def control(self) -> Mapping[str, Value]:
        [document] = await self.world.documents.inner.get_many([CONTROL])
        return {} if document is None else document.data

    async def audit(self) -> list[Document]:
        return await self.world.documents.inner.query(Query("audit"))
