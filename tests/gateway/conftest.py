"""A SQLite store that can be silenced, and a clock that stands still until it is moved."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from tests.gateway.making import SetClock, WatchedDocuments


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[WatchedDocuments]:
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    yield WatchedDocuments(engine)
    await engine.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()
