"""The engines of `Documents`: what runs over all of them imports these fixtures in its conftest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Documents
from tests.emulators import a_project, firestore_emulator

__all__ = ["documents", "firestore_emulator"]

DEADLINE_S = 60.0
"""So that a busy machine is no outage."""


@pytest.fixture(params=["sqlite", "firestore"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Documents]:
    """An empty store, once of each engine."""
    engine: SqliteDocuments | FirestoreDocuments
    if request.param == "sqlite":
        engine = SqliteDocuments(tmp_path / "state.sqlite")
    else:
        emulator = request.getfixturevalue(firestore_emulator.__name__)
        engine = FirestoreDocuments(a_project(), "state", emulator=emulator, deadline_s=DEADLINE_S)
    yield engine
    await engine.aclose()
