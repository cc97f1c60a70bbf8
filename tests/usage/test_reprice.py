"""`scripts/reprice` on a laptop, in a process of its own."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.core.ports import Documents, Warehouse
from tests.api.conftest import SetClock
from tests.repository.sources import ROOT
from tests.usage.restated import Ledger, an_override, priced

RESTATED = "1 of 1 calls are restated: $0.000027000 -> $0.000180000 (+$0.000153000)"


def reprice(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What it says; its environment names no engines but those of the folder."""
    kept = ("PATH", "HOME", "PYTHONPATH")
    return subprocess.run(
        [sys.executable, "-P", "-m", "scripts.commands.reprice", *map(str, arguments)],
        cwd=ROOT,
        env={name: os.environ[name] for name in kept if name in os.environ}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def span() -> tuple[str, ...]:
    now = SystemClock().now()
    return ("--from", f"{now.year - 1}-12-31", "--to", now.isoformat())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a stack that is stopped, with a call that an override prices otherwise."""

    async def fill(documents: Documents, warehouse: Warehouse) -> None:
        clock = SetClock(SystemClock().now())
        ledger = Ledger(documents, warehouse, clock)
        call = priced(event_time=clock.time.replace(microsecond=0))
        await ledger.take(call)
        await ledger.override(an_override(valid_from=call.started_at))

    async def stack() -> None:
        documents = SqliteDocuments(tmp_path / "state.sqlite")
        warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
        await fill(documents, warehouse)
        await documents.aclose()
        await warehouse.aclose()

    asyncio.run(stack())
    return tmp_path


def test_restates_once_and_says_the_second_time_that_it_is_on_its_way(folder: Path) -> None:
    first = reprice(*span(), "--data", folder)
    second = reprice(*span(), "--data", folder)

    assert (first.stdout, first.stderr, first.returncode) == (f"{RESTATED}\n", "", 0)
    assert second.stdout.splitlines()[1:] == [
        "1 are restated so already: their corrections are on their way"
    ]
    assert (second.stderr, second.returncode) == ("", 0)


def test_refuses_a_folder_without_a_ledger_and_makes_none(tmp_path: Path) -> None:
    said = reprice(*span(), "--data", tmp_path / "nosuch")

    assert said.returncode == 2
    assert said.stderr == (
        f"Nothing more is restated: there is no ledger at {tmp_path}/nosuch/warehouse.duckdb: "
        "give --data the folder that scripts/dev has used\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["reprice", "route_eval", "insights_eval"])
def test_commands_call_themselves_what_people_type(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"scripts.commands.{name}", "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert f"Usage: scripts/{name} " in done.stdout
