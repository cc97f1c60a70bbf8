"""Fixtures of the API's tests, a warehouse of each engine, and calls to find something in."""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from common.core.events import UsageEvent
from common.core.insight_events import RunInsights
from common.core.ports import Documents, Warehouse
from common.insights.findings import Insight
from common.insights.keeping import find_insights
from common.insights.running import Runs
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books
from common.runtime.insights import StoredBudgets
from common.runtime.spending import spent_of
from common.usage.spent import Spent
from common.warehouse.tables import load_definitions
from tests.api.conftest import (
    KeepingBus,
    SetClock,
    a_call,
    bus,
    clock,
    documents,
    record,
    warehouse,
)
from tests.warehouse_engines import (
    OpenWarehouse,
    bigquery_datasets,
    bigquery_server,
    open_warehouse,
)

__all__ = [
    "a_call",
    "bigquery_datasets",
    "bigquery_server",
    "bus",
    "clock",
    "documents",
    "open_warehouse",
    "record",
    "warehouse",
]

DAY = datetime(2026, 10, 26, tzinfo=UTC)
"""A Monday."""
HOUR = timedelta(hours=1)
MOMENT = timedelta(minutes=6)
"""After an hour, its calls are complete."""


@pytest.fixture
async def each_warehouse(open_warehouse: OpenWarehouse) -> Warehouse:
    return await open_warehouse(load_definitions())


async def store(warehouse: Warehouse, calls: Iterable[UsageEvent]) -> None:
    """Write calls as the subscription of the warehouse does."""
    rows = [
        {
            **json.loads(call.payload()),
            "message_id": str(number),
            "publish_time": DAY.isoformat(),
            "subscription_name": "usage-raw",
            "attributes": {},
        }
        for number, call in enumerate(calls)
    ]
    await warehouse.append("usage_raw", rows)


@pytest.fixture
def runs(documents: Documents, warehouse: Warehouse, bus: KeepingBus, clock: SetClock) -> Runs:
    budgets = StoredBudgets(documents, spent_of(Spent(documents, warehouse, clock)))
    clock.time = DAY + 12 * HOUR + MOMENT
    return Runs(
        documents,
        warehouse,
        bus,
        clock,
        os.urandom,
        Books(documents, bundled_book()).in_force,
        budgets,
    )


async def hourly(runs: Runs) -> None:
    await runs.run(RunInsights(id="h", event_time=DAY, type="insights.hourly"))


async def daily(runs: Runs) -> None:
    await runs.run(RunInsights(id="d", event_time=DAY, type="insights.daily"))


async def kept(runs: Runs, kind: str) -> list[Insight]:
    found = await find_insights(runs.documents, {"kind": kind})
    return sorted(found, key=lambda each: (each.finding.scope, each.finding.window.since))
