"""Fixtures of the API's tests, a warehouse of each engine, and calls to find something in."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from common.core.events import UsageEvent
from common.core.ports import Warehouse
from common.warehouse.tables import load_definitions
from tests.api.conftest import a_call, bus, clock, documents, record, warehouse
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
