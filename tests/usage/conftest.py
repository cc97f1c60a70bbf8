"""The fixtures of the API's tests, and calls to count."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from common.core.events import CountedEvent, UsageEvent
from common.core.ports import Documents, Warehouse
from tests.api.conftest import (
    NOW,
    SetClock,
    a_call,
    api,
    bus,
    client,
    clock,
    documents,
    make_api,
    record,
    warehouse,
)
from tests.emulators import firestore_emulator
from tests.usage.restated import Ledger
from tests.warehouse_engines import bigquery_datasets, bigquery_server, open_warehouse

__all__ = [
    "api",
    "bigquery_datasets",
    "bigquery_server",
    "bus",
    "client",
    "clock",
    "documents",
    "firestore_emulator",
    "make_api",
    "open_warehouse",
    "record",
    "warehouse",
]


@pytest.fixture
def ledger(documents: Documents, warehouse: Warehouse, clock: SetClock) -> Ledger:
    return Ledger(documents, warehouse, clock)


def calls(count: int) -> list[UsageEvent]:
    """Calls of several agents and models over the last three hours."""
    return [
        a_call(
            number,
            event_time=NOW - timedelta(minutes=number % 180, seconds=1),
            agent=f"agent-{number % 7}",
            model_billed=f"model-{number % 3}",
            cost_nanos=number,
            priced_nanos=number,
        )
        for number in range(count)
    ]


def ids(events: Iterable[CountedEvent]) -> frozenset[str]:
    return frozenset(event.id for event in events)
