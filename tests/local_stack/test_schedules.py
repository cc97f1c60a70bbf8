"""Commands of the schedules: each minute once, at its beginning, on a clock set by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from common.core.errors import PublishFailed
from common.core.events import Event, SweepBudgets
from scripts.functions_table import Schedule
from scripts.local_stack.schedules import publish_on_time

START = datetime(2026, 11, 22, 3, 16, 20, tzinfo=UTC)
EVERY_MINUTE = Schedule(cron="* * * * *", command="budgets.sweep", data={})
ONCE_AN_HOUR = Schedule(cron="17 * * * *", command="budgets.sweep", data={})


class Over(Exception):
    """The time that a test looks at is over."""


@dataclass(slots=True)
class Day:
    """A clock, a bus and a sleep that takes no time. `oversleeps` are seconds slept too long."""

    ends_at: datetime
    time: datetime = START
    oversleeps: list[float] = field(default_factory=list)
    down_until: datetime = START
    events: list[Event] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds + (self.oversleeps or [0]).pop(0))
        if self.time > self.ends_at:
            raise Over

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic == "commands"
        if self.time < self.down_until:
            raise PublishFailed("the bus is down")
        self.events.append(event)

    async def passes(self, schedules: Mapping[str, Schedule] | None = None) -> list[str]:
        """The times at which something was published."""
        entropy = iter(range(256))
        with pytest.raises(Over):
            await publish_on_time(
                self,
                self,
                lambda n: bytes([next(entropy)]) * n,
                schedules=schedules,
                sleep=self.sleep,
            )
        return [f"{event.event_time:%H:%M:%S}" for event in self.events]


async def test_publishes_at_the_beginning_of_each_minute() -> None:
    day = Day(START + timedelta(minutes=3))

    assert await day.passes({"s": EVERY_MINUTE}) == ["03:17:00", "03:18:00", "03:19:00"]
    assert {type(event) for event in day.events} == {SweepBudgets}
    assert len({event.id for event in day.events}) == 3


async def test_publishes_what_the_table_says() -> None:
    day = Day(START + timedelta(minutes=1))

    await day.passes()

    assert "budgets.sweep" in {event.type for event in day.events}


async def test_publishes_only_what_is_due() -> None:
    day = Day(START + timedelta(hours=2))

    assert await day.passes({"s": ONCE_AN_HOUR}) == ["03:17:00", "04:17:00"]


async def test_publishes_nothing_before_its_minute_however_short_a_sleep_was() -> None:
    day = Day(START + timedelta(minutes=1), oversleeps=[-0.3, -0.01])

    assert await day.passes({"s": EVERY_MINUTE}) == ["03:17:00"]


async def test_leaves_out_the_minutes_that_a_laptop_slept() -> None:
    day = Day(START + timedelta(minutes=12), oversleeps=[10 * 60 + 5])

    times = await day.passes({"s": EVERY_MINUTE})

    assert times == ["03:27:05", "03:28:00"]


async def test_goes_on_when_the_bus_was_down() -> None:
    day = Day(START + timedelta(minutes=3), down_until=START + timedelta(minutes=1))

    assert await day.passes({"s": EVERY_MINUTE}) == ["03:18:00", "03:19:00"]
