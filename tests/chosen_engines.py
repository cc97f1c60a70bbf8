"""The engines that tests stand on: the local ones, or with ENGINES=cloud those on emulators.

The emulators' addresses are in the environment then (`tests/emulated.py`).
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from common.adapters.bigquery_warehouse import BigqueryWarehouse
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from scripts.local_stack.cloud_engines import make_dataset

DEADLINE_S = 60.0
"""So that a busy machine is no outage."""

ON_A_LAPTOP = pytest.mark.skipif(
    os.environ.get("ENGINES") == "cloud",
    reason="it is about a laptop's files, or about subscriptions that only an installation has",
)
"""What has no meaning on the engines of the cloud."""


def urls(name: str) -> dict[str, str]:
    """Engines of the cloud that nothing of another name uses."""
    project = f"p-{sha256(name.encode()).hexdigest()[:20]}"
    return {
        "STATE_URL": f"firestore://{project}/state",
        "BUS_URL": f"pubsub://{project}/dev",
        "WAREHOUSE_URL": f"bigquery://{project}/usage",
    }


def state_of(data: Path) -> SqliteDocuments | FirestoreDocuments:
    """The state of the stack, or the test, that keeps its files in this folder."""
    settings = chosen(data)
    if not settings:
        return SqliteDocuments(data / "state.sqlite")
    project, _, database = settings["STATE_URL"].removeprefix("firestore://").partition("/")
    emulator = os.environ["FIRESTORE_EMULATOR_HOST"]
    return FirestoreDocuments(project, database, emulator=emulator, deadline_s=DEADLINE_S)


def warehouse_of(data: Path) -> DuckdbWarehouse | BigqueryWarehouse:
    """The warehouse of the test that keeps its files in this folder, with its tables."""
    settings = chosen(data)
    if not settings:
        return DuckdbWarehouse(data / "warehouse.duckdb")
    project, _, dataset = settings["WAREHOUSE_URL"].removeprefix("bigquery://").partition("/")
    emulator = os.environ["BIGQUERY_EMULATOR_HOST"]
    make_dataset(project, dataset, emulator)
    return BigqueryWarehouse(project, dataset, emulator=emulator, deadline_s=DEADLINE_S)


def chosen(data: Path) -> Mapping[str, str]:
    """The settings of a stack that keeps its files in this folder."""
    return urls(str(data)) if os.environ.get("ENGINES") == "cloud" else {}
