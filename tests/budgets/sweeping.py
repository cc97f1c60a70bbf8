"""What tests of the sweep share: a bus that keeps events, a call under way, a sweep by hand."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from common.budgets.accounts import LeaseState
from common.budgets.alerts import publish_waiting
from common.budgets.budgets import Applicable
from common.budgets.holdings import Held, Holdings
from common.budgets.late_calls import Before
from common.budgets.sweep import Asked, Sweeper, sweep
from common.core.errors import PublishFailed
from common.core.events import Event, SweepBudgets
from tests.budgets.conftest import SetClock, World

MINUTE_S = 60


@dataclass(slots=True)
class KeepingBus:
    """A bus that keeps what was published, unless it is down."""

    events: list[Event] = field(default_factory=list)
    down: bool = False

    async def publish(self, topic: str, event: Event) -> None:
        if self.down:
            raise PublishFailed("the bus is down")
        assert topic == event.topic
        self.events.append(event)


async def nothing(asked: Sequence[Asked | Before]) -> list[int]:
    return [0 for _ in asked]


def a_sweeper(world: World, bus: KeepingBus, clock: SetClock | None = None) -> Sweeper:
    return Sweeper(world.documents, bus, clock or world.clock, os.urandom, nothing, nothing)


def a_tick(clock: SetClock, age_s: float = 0) -> SweepBudgets:
    return SweepBudgets(id="tick", event_time=clock.now() - timedelta(seconds=age_s))


async def a_call_held(world: World, to: Applicable, nanos: int) -> tuple[Holdings, Held]:
    """An instance with one call under way."""
    instance = world.instance()
    instance.enter()
    return instance, await instance.admit(to, nanos)


async def swept(world: World, clock: SetClock | None = None) -> list[Event]:
    return await sweep(world.documents, clock or world.clock, entropy=os.urandom)


async def told(world: World) -> list[Event]:
    bus = KeepingBus()
    await publish_waiting(world.documents, bus)
    return bus.events


async def state(world: World) -> LeaseState:
    [lease] = await world.leases()
    return lease.state
