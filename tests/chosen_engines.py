"""The engines of whole stacks in tests: the local ones, or with ENGINES=cloud those on emulators.

The emulators' addresses are in the environment then (`tests/emulated.py`).
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments


def urls(name: str) -> dict[str, str]:
    """Engines of the cloud that nothing of another name uses."""
    project = f"p-{sha256(name.encode()).hexdigest()[:20]}"
    return {
        "STATE_URL": f"firestore://{project}/state",
        "BUS_URL": f"pubsub://{project}/dev",
        "WAREHOUSE_URL": f"bigquery://{project}/usage",
    }


def state_of(data: Path) -> SqliteDocuments | FirestoreDocuments:
    """The state of the stack that keeps its files in this folder."""
    settings = chosen(data)
    if not settings:
        return SqliteDocuments(data / "state.sqlite")
    project, _, database = settings["STATE_URL"].removeprefix("firestore://").partition("/")
    return FirestoreDocuments(project, database, emulator=os.environ["FIRESTORE_EMULATOR_HOST"])


def chosen(data: Path) -> Mapping[str, str]:
    """The settings of a stack that keeps its files in this folder."""
    return urls(str(data)) if os.environ.get("ENGINES") == "cloud" else {}
