"""The engines that laws of accounting are held on: those of a laptop, and those of the cloud."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.adapters.bigquery_warehouse import BigqueryWarehouse
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Documents, Warehouse
from common.warehouse.tables import load_definitions
from tests.bigquery_server import PROJECT, bigquery_datasets, bigquery_server
from tests.emulators import a_project, firestore_emulator, pubsub_emulator
from tests.laws.stack_engines import EmulatedStackEngines, LocalStackEngines, StackEngines
from tests.local_stack.process import Simulator

__all__ = ["bigquery_datasets", "bigquery_server", "firestore_emulator", "pubsub_emulator"]

DEADLINE_S = 120.0
"""So that a busy machine is no outage."""


@dataclass(frozen=True, slots=True)
class Engines:
    """State, warehouse, the settings of another process for the same state, events to count."""

    documents: Documents
    warehouse: Warehouse
    settings: Mapping[str, str]
    events: int


@pytest.fixture(params=["local", "cloud"])
async def engines(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engines]:
    documents: SqliteDocuments | FirestoreDocuments
    warehouse: DuckdbWarehouse | BigqueryWarehouse
    if request.param == "local":
        events = 3_000
        settings = {"STATE_URL": f"sqlite:///{tmp_path / 'state.sqlite'}"}
        documents = SqliteDocuments(tmp_path / "state.sqlite")
        warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
    else:
        events = 600
        emulator = request.getfixturevalue(firestore_emulator.__name__)
        datasets = request.getfixturevalue(bigquery_datasets.__name__)
        project, dataset = a_project(), datasets.empty(load_definitions())
        settings = {
            "STATE_URL": f"firestore://{project}/state",
            "FIRESTORE_EMULATOR_HOST": emulator,
        }
        documents = FirestoreDocuments(project, "state", emulator=emulator, deadline_s=DEADLINE_S)
        warehouse = BigqueryWarehouse(
            PROJECT, dataset, emulator=datasets.server, deadline_s=DEADLINE_S
        )
    yield Engines(documents, warehouse, settings, int(os.environ.get("LAW_CALLS", events)))
    await documents.aclose()
    await warehouse.aclose()


FULL_LENGTH = "LAW_CALLS" in os.environ
"""Whole stacks on emulators take many minutes, so they run where the full number is asked for."""


@pytest.fixture(params=["local", "cloud"] if FULL_LENGTH else ["local"])
def stack_engines(request: pytest.FixtureRequest) -> StackEngines:
    """What a stack of its own stands on."""
    if request.param == "local":
        return LocalStackEngines()
    emulators = (firestore_emulator, pubsub_emulator, bigquery_server)
    return EmulatedStackEngines(*(request.getfixturevalue(each.__name__) for each in emulators))


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path) as running:
        yield running
