"""A store that can be silenced, and a clock that stands still until it is moved."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chosen_engines import state_of
from tests.gateway.making import SetClock, WatchedDocuments


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[WatchedDocuments]:
    engine = state_of(tmp_path)
    yield WatchedDocuments(engine)
    await engine.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()
