"""Calls that spend a budget, their events in a warehouse, and bills that are compared with them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.budgets.accounts import Lease, Period
from common.budgets.budgets import Applicable
from common.budgets.holdings import Held, Holdings
from common.budgets.reconciled import Reconciler
from common.core.events import LeaseCorrected, Settlement, SpendReconciled, UsageEvent
from common.usage.proof import Proof
from tests.api.conftest import a_call
from tests.budgets.conftest import START, World
from tests.budgets.sweeping import MINUTE_S, swept, told

DAY = timedelta(days=1)
TODAY = START.date()


@dataclass(slots=True)
class Scene:
    """One budget, who spends it, and what is known of that."""

    world: World
    warehouse: DuckdbWarehouse
    to: Applicable
    bills: int = 0
    events: list[UsageEvent] = field(default_factory=list)

    async def call(
        self,
        cost: int,
        beyond: int = 0,
        *,
        provider: str = "openai",
        lasted: timedelta = timedelta(),
        instance: Holdings | None = None,
    ) -> Lease:
        """One call, which is settled at its cost and what is charged beyond; its lease."""
        owner = instance or self.world.instance()
        started = self.world.clock.now()
        owner.enter()
        held = await owner.admit(self.to, cost + beyond)
        self.world.clock.time += lasted
        await self.record([(held, cost + beyond)], cost, provider=provider, started=started)
        owner.settle(held, cost + beyond, unproven=beyond)
        if instance is None:
            await owner.leave()
        return await self.lease_of(held)

    async def record(
        self,
        settled: Sequence[tuple[Held, int]],
        cost: int,
        *,
        provider: str = "openai",
        started: datetime | None = None,
    ) -> UsageEvent:
        """The event of a call that ends now, in the warehouse."""
        now = self.world.clock.now()
        settlements = tuple(
            Settlement(lease=held.head.id if held.head else "", nanos=nanos)
            for held, nanos in settled
        )
        event = a_call(
            len(self.events),
            event_time=now,
            started_at=started or now,
            provider=provider,
            cost_nanos=cost,
            priced_nanos=cost,
            settlements=settlements,
            unproven_nanos=sum(each.nanos for each in settlements) - cost,
        )
        await self.store(event)
        return event

    async def store(self, event: UsageEvent) -> None:
        self.events.append(event)
        told_of = {"message_id": event.id, "publish_time": event.event_time.isoformat()}
        row = json.loads(event.payload()) | told_of
        await self.warehouse.append("usage_raw", [row])

    async def killed(self, nanos: int, settled: int = 0, beyond: int = 0) -> Lease:
        """An instance that dies with one call under way, and after another that was settled."""
        owner = self.world.instance()
        owner.enter()
        held = await owner.admit(self.to, nanos)
        if settled:
            other = await owner.admit(self.to, settled)
            await self.record([(other, settled)], settled - beyond)
            owner.settle(other, settled, unproven=beyond)
        self.world.clock.advance(21 * MINUTE_S)
        await swept(self.world)
        return await self.lease_of(held)

    async def lease_of(self, held: Held) -> Lease:
        assert held.head is not None
        [lease] = [each for each in await self.world.leases() if each.id == held.head.id]
        return lease

    def bill(
        self,
        excess: int = 0,
        *,
        provider: str = "openai",
        account: str = "org-1",
        day: date = TODAY,
        calls: Sequence[UsageEvent] | None = None,
        after: timedelta = 2 * DAY,
    ) -> SpendReconciled:
        """What is told of a day `after` its beginning: billed as called, or so much more."""
        counted = self.events if calls is None else calls
        its = [e for e in counted if e.provider == provider and e.event_time.date() == day]
        ours = sum(each.priced_nanos for each in its)
        self.bills += 1
        midnight = datetime.combine(day, time(), UTC)
        return SpendReconciled(
            id=f"bill-{self.bills}",
            event_time=midnight + after,
            provider=provider,
            account=account,
            day=day,
            ours_nanos=ours,
            theirs_nanos=ours + excess,
            unproven_nanos=sum(each.unproven_nanos for each in its),
        )

    async def take(self, *bills: SpendReconciled) -> None:
        """Be told of bills, when the last of them is published or later."""
        clock = self.world.clock
        clock.time = max(clock.time, *(bill.event_time for bill in bills))
        reconciler = Reconciler(self.world.documents, clock, os.urandom, Proof(self.warehouse))
        for bill in bills:
            await reconciler.take(bill)

    async def account(self, number: int = 0) -> tuple[int, int]:
        """What is settled in the budget's period, and the unproven part."""
        period: Period = await self.world.period(self.to, number)
        return period.settled, period.unproven

    async def corrections(self) -> list[LeaseCorrected]:
        return [event for event in await told(self.world) if isinstance(event, LeaseCorrected)]
