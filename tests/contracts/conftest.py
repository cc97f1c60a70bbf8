"""The engines that pass the contracts. A new engine is one more entry in one of three tables."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from common.adapters.bus_subscriptions import Redelivery
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.local_bus import AnySubscription, DeliveryOrder, LocalBus, oldest_first
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.core.ports import Documents, Warehouse
from common.warehouse.tables import Definitions

FAST = Redelivery(first_s=0.001, most_s=0.004, attempts=10)
"""The shape of Pub/Sub's redelivery, ten thousand times faster."""


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Documents]:
    documents = SqliteDocuments(folder / "state.sqlite")
    yield documents
    await documents.aclose()


@asynccontextmanager
async def local(
    folder: Path, subscriptions: list[AnySubscription], order: DeliveryOrder
) -> AsyncIterator[LocalBus]:
    bus = LocalBus(
        folder / "bus.sqlite", SystemClock(), subscriptions, redelivery=FAST, order=order
    )
    await bus.start()
    yield bus
    await bus.aclose()


@asynccontextmanager
async def duckdb(folder: Path, definitions: Definitions) -> AsyncIterator[Warehouse]:
    warehouse = DuckdbWarehouse(folder / "warehouse.duckdb", definitions)
    yield warehouse
    await warehouse.aclose()


DOCUMENTS: dict[str, Callable[[Path], AbstractAsyncContextManager[Documents]]] = {"sqlite": sqlite}
BUSES = {"local": local}
WAREHOUSES = {"duckdb": duckdb}

Connect: TypeAlias = Callable[..., Awaitable[LocalBus]]
OpenWarehouse: TypeAlias = Callable[[Definitions], Awaitable[Warehouse]]


@pytest.fixture(params=DOCUMENTS)
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Documents]:
    async with DOCUMENTS[request.param](tmp_path) as engine:
        yield engine


@pytest.fixture(params=BUSES)
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """A function from subscriptions to a bus that delivers to them."""
    async with AsyncExitStack() as opened:

        async def start(
            *subscriptions: AnySubscription, order: DeliveryOrder = oldest_first
        ) -> LocalBus:
            engine = BUSES[request.param](tmp_path, list(subscriptions), order)
            return await opened.enter_async_context(engine)

        yield start


@pytest.fixture(params=WAREHOUSES)
async def open_warehouse(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[OpenWarehouse]:
    """A function from definitions to a warehouse that has them."""
    async with AsyncExitStack() as opened:

        async def open_with(definitions: Definitions) -> Warehouse:
            engine = WAREHOUSES[request.param](tmp_path, definitions)
            return await opened.enter_async_context(engine)

        yield open_with
