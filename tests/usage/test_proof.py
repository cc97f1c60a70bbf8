"""What events prove beside a bill, the same from every warehouse."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from common.core.events import Settlement, UsageEvent
from common.core.ports import Warehouse
from common.usage.proof import DaySum, FlaggedCall, Proof
from common.warehouse.tables import load_definitions
from tests.api.conftest import NOW, a_call
from tests.warehouse_engines import OpenWarehouse

MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
async def warehouse(open_warehouse: OpenWarehouse) -> Warehouse:
    return await open_warehouse(load_definitions())


async def store(warehouse: Warehouse, *calls: UsageEvent) -> None:
    """Each twice, as a bus may."""
    rows = [
        json.loads(call.payload()) | {"message_id": call.id, "publish_time": NOW.isoformat()}
        for call in calls
    ]
    await warehouse.append("usage_raw", [*rows, *rows])


def settled(*parts: tuple[str, int]) -> tuple[Settlement, ...]:
    return tuple(Settlement(lease=lease, nanos=nanos) for lease, nanos in parts)


async def test_sums_the_calls_of_a_day_that_were_sent(warehouse: Warehouse) -> None:
    await store(
        warehouse,
        a_call(1, event_time=MIDNIGHT, priced_nanos=1, unproven_nanos=10),
        a_call(2, event_time=MIDNIGHT + DAY - MOMENT, priced_nanos=2, unproven_nanos=20),
        a_call(3, event_time=MIDNIGHT - MOMENT, priced_nanos=4),
        a_call(4, event_time=MIDNIGHT + DAY, priced_nanos=8),
        a_call(5, priced_nanos=16, provider="anthropic"),
        a_call(6, priced_nanos=32, simulated=True),
        a_call(7, priced_nanos=0, provider="google"),
        a_call(8, priced_nanos=0, provider="mistral", upstream=None),
        a_call(9, priced_nanos=64, provider=None),
        a_call(10, priced_nanos=128, org="other"),
    )

    assert await Proof(warehouse).day_sums(MIDNIGHT.date()) == {
        "openai": DaySum(131, 30),
        "anthropic": DaySum(16, 0),
        "google": DaySum(0, 0),
    }


async def test_finds_the_calls_that_were_charged_beyond_their_cost(warehouse: Warehouse) -> None:
    parts = (("l1", 5), ("l2", 7))
    begun = MIDNIGHT - timedelta(minutes=5)
    await store(
        warehouse,
        a_call(1, event_time=MIDNIGHT - MOMENT, unproven_nanos=1),
        a_call(
            2, event_time=MIDNIGHT, started_at=begun, unproven_nanos=9, settlements=settled(*parts)
        ),
        a_call(3, event_time=MIDNIGHT, unproven_nanos=0, settlements=settled(*parts)),
        a_call(4, event_time=MIDNIGHT, unproven_nanos=1, provider="anthropic"),
        a_call(5, event_time=MIDNIGHT, unproven_nanos=1, simulated=True),
        a_call(6, event_time=MIDNIGHT + DAY, unproven_nanos=1),
    )

    assert await Proof(warehouse).flagged("openai", MIDNIGHT, MIDNIGHT + DAY) == [
        FlaggedCall("call-00002", begun, MIDNIGHT, parts, 9)
    ]


async def test_adds_up_what_calls_settled_on_a_lease(warehouse: Warehouse) -> None:
    large = 1 << 61
    await store(
        warehouse,
        a_call(1, event_time=MIDNIGHT - MOMENT, settlements=settled(("l1", 1))),
        a_call(2, event_time=MIDNIGHT, settlements=settled(("l1", 2)), unproven_nanos=1),
        a_call(3, event_time=MIDNIGHT + DAY, settlements=settled(("l1", 4), ("l2", large))),
        a_call(4, event_time=MIDNIGHT + DAY, settlements=settled(("l1", 8)), unproven_nanos=5),
        a_call(5),
    )
    proof = Proof(warehouse)

    assert [
        await proof.settled_on(lease, MIDNIGHT, MIDNIGHT + DAY) for lease in ("l1", "l2", "l3")
    ] == [(14, 5), (large, 0), (0, 0)]
    assert await proof.settled_on("l1", datetime.min.replace(tzinfo=UTC), NOW) == (15, 5)
