"""Events become rows: each at least once in the table, exactly once in the view."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.adapters.bus_subscriptions import Message, Redelivery, TableSubscription
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.local_bus import DeliveryOrder, LocalBus, oldest_first
from common.adapters.system_clock import SystemClock
from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.ports import Row, Value, Warehouse
from tests.contracts.facts import a_call, a_fact

FAST = Redelivery(first_s=0.001, most_s=0.002)


class Interrupted:
    """A warehouse that answers some appends with an error, before or after storing the rows."""

    def __init__(self, warehouse: Warehouse, *fates: str) -> None:
        self._warehouse = warehouse
        self._fates = list(fates)
        self.sizes: list[int] = []

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        return await self._warehouse.query(sql, parameters)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.sizes.append(len(rows))
        fate = self._fates.pop(0) if self._fates else "stored"
        if fate != "lost":
            await self._warehouse.append(table, rows)
        if fate != "stored":
            raise StoreUnavailable(fate)


@pytest.fixture
async def warehouse(tmp_path: Path) -> AsyncIterator[DuckdbWarehouse]:
    engine = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
    yield engine
    await engine.aclose()


def a_bus(warehouse: Warehouse, order: DeliveryOrder = oldest_first) -> LocalBus:
    subscription = TableSubscription("usage-raw", "usage", ("usage.",), "usage_raw", warehouse)
    return LocalBus(":memory:", SystemClock(), [subscription], redelivery=FAST, order=order)


async def test_writes_the_event_and_its_metadata(warehouse: DuckdbWarehouse) -> None:
    bus = a_bus(warehouse)
    before = datetime.now(UTC).replace(microsecond=0)

    await bus.publish("usage", a_call(id="c1", tags={"env": "prod"}))
    await bus.start()
    await bus.drain(10)
    await bus.aclose()

    [row] = await warehouse.query(
        "SELECT id, event_time, tags, units, cost_nanos, warnings, message_id, publish_time, "
        "subscription_name, attributes FROM usage_raw"
    )
    event = a_call()
    assert row["publish_time"] >= before
    assert {**row, "publish_time": None} == {
        "id": "c1",
        "event_time": event.event_time,
        "tags": {"env": "prod"},
        "units": event.units,
        "cost_nanos": event.cost_nanos,
        "warnings": list(event.warnings),
        "message_id": "1",
        "publish_time": None,
        "subscription_name": "projects/local/subscriptions/usage-raw",
        "attributes": {"type": "usage.call", "id": "c1"},
    }


async def test_drops_fields_of_newer_events(warehouse: DuckdbWarehouse) -> None:
    class NewerEvent(UsageEvent):
        v: int = 2
        mood: str = "sunny"

    bus = a_bus(warehouse)

    await bus.publish("usage", NewerEvent(**a_call(id="c1", v=2).model_dump()))
    await bus.start()
    await bus.drain(10)
    letters = await bus.dead_letters()
    await bus.aclose()

    assert letters == []
    assert await warehouse.query("SELECT id, v FROM usage") == [{"id": "c1", "v": 2}]


async def test_writes_what_has_gathered_in_batches(warehouse: DuckdbWarehouse) -> None:
    counting = Interrupted(warehouse)
    bus = a_bus(counting)
    await asyncio.gather(*(bus.publish("usage", a_call(id=f"c{n}")) for n in range(1200)))

    await bus.start()
    await bus.drain(20)
    await bus.aclose()

    assert counting.sizes == [500, 500, 200]
    assert await warehouse.query("SELECT COUNT(*) AS calls FROM usage") == [{"calls": 1200}]


async def test_shows_each_event_once_through_failures_and_disorder(
    warehouse: DuckdbWarehouse,
) -> None:
    dice = random.Random(3)

    def some_twice_and_shuffled(due: list[Message]) -> list[Message]:
        again = dice.sample(due, len(due) // 3)
        return dice.sample(due + again, len(due + again))

    fates = dice.choices(["stored", "lost", "silent"], k=20)
    bus = a_bus(Interrupted(warehouse, *fates), some_twice_and_shuffled)
    await bus.start()

    for start in range(0, 60, 20):
        await asyncio.gather(
            *(bus.publish("usage", a_call(id=f"c{n}")) for n in range(start, start + 20))
        )
    await bus.drain(20)
    letters = await bus.dead_letters()
    await bus.aclose()

    assert letters == []
    [raw] = await warehouse.query("SELECT COUNT(*) AS deliveries FROM usage_raw")
    [seen] = await warehouse.query(
        "SELECT COUNT(*) AS calls, COUNT(DISTINCT id) AS ids, SUM(cost_nanos) AS nanos FROM usage"
    )
    assert raw["deliveries"] > 60
    assert seen == {"calls": 60, "ids": 60, "nanos": 60 * 4_213_000}


async def test_gives_up_only_the_message_that_does_not_fit(warehouse: DuckdbWarehouse) -> None:
    bus = a_bus(warehouse)
    poison = a_fact(id="poison", type="usage.call", v=1 << 64)
    await asyncio.gather(
        *(bus.publish("usage", a_call(id=f"c{n}")) for n in range(5)),
        bus.publish("usage", poison),
        *(bus.publish("usage", a_call(id=f"d{n}")) for n in range(5)),
    )

    await bus.start()
    await bus.drain(20)
    letters = await bus.dead_letters()
    await bus.aclose()

    assert [letter.data for letter in letters] == [poison.payload()]
    assert letters[0].error.startswith("InvalidInput: v:")
    assert await warehouse.query("SELECT COUNT(*) AS calls FROM usage") == [{"calls": 10}]
