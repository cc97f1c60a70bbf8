"""The engines of `Warehouse`: what runs over all of them imports these fixtures in its conftest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from common.adapters.bigquery_warehouse import BigqueryWarehouse
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.core.ports import Warehouse
from common.warehouse.tables import Definitions
from tests.bigquery_server import PROJECT, Datasets, bigquery_datasets, bigquery_server

__all__ = ["OpenWarehouse", "bigquery_datasets", "bigquery_server", "open_warehouse"]

OpenWarehouse: TypeAlias = Callable[[Definitions], Awaitable[Warehouse]]


@pytest.fixture(params=["duckdb", "bigquery"])
async def open_warehouse(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[OpenWarehouse]:
    """A function from definitions to a warehouse that has them, once of each engine."""
    async with AsyncExitStack() as opened:

        async def duckdb(definitions: Definitions) -> Warehouse:
            warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb", definitions)
            opened.push_async_callback(warehouse.aclose)
            return warehouse

        async def bigquery(definitions: Definitions) -> Warehouse:
            datasets: Datasets = request.getfixturevalue(bigquery_datasets.__name__)
            dataset = datasets.empty(definitions)
            warehouse = BigqueryWarehouse(PROJECT, dataset, definitions, emulator=datasets.server)
            opened.push_async_callback(warehouse.aclose)
            return warehouse

        yield {"duckdb": duckdb, "bigquery": bigquery}[request.param]
