"""An empty store on a laptop's engine, and a clock that stands at the scenes' first moment."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from tests.brownout.scenes import T0
from tests.gateway.making import SetClock


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    yield engine
    await engine.aclose()


@pytest.fixture
def clock() -> SetClock:
    clock = SetClock()
    clock.advance((T0 - clock.now()).total_seconds())
    return clock
