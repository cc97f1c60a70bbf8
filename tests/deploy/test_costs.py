"""What an idle installation costs is worked out from what it does, and the sums are right."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.budgets.late_calls import Before
from common.budgets.sweep import Asked, Sweeper
from common.core.events import SweepBudgets
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from scripts.functions_table import read_functions, read_schedules
from tests.api.conftest import KeepingBus
from tests.repository.sources import ROOT

MINUTES = 730 * 60
SWEEP_S = Decimal("0.2")
CENT = Decimal("0.01")


def rows() -> dict[str, list[str]]:
    """The cells of the table of costs, by what each row is of."""
    text = (ROOT / "terraform/README.md").read_text()
    table = text.partition("<!-- costs: ")[2].partition("<!-- end of costs -->")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    return {what: rest for what, *rest in cells}


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


@dataclass(slots=True)
class Metered:
    """Documents, and what Firestore would bill for reading and writing them.

    A query without a result is billed as one read.
    https://cloud.google.com/firestore/pricing
    """

    inner: Documents
    reads: int = 0
    writes: int = 0

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        self.reads += len(refs)
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        found = await self.inner.query(query)
        self.reads += max(1, len(found))
        return found

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.writes += len(writes)
        return await self.inner.commit(writes)


async def nothing(asked: Sequence[Asked | Before]) -> list[int]:
    return [0 for _ in asked]


async def test_counts_the_documents_of_a_sweep_that_finds_nothing(tmp_path: Path) -> None:
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    metered = Metered(engine)
    sweeper = Sweeper(metered, KeepingBus(), SystemClock(), os.urandom, nothing, nothing)

    await sweeper.run(SweepBudgets(id="tick", event_time=datetime.now(UTC)))
    await engine.aclose()

    table = rows()
    [read] = [what for what in table if what.startswith("documents they read")]
    [written] = [what for what in table if what.startswith("documents they write")]
    assert f"{metered.reads} each" in read
    assert f"{metered.writes} each" in written
    assert number(table[read][0]) == metered.reads * MINUTES
    assert number(table[written][0]) == metered.writes * MINUTES


def test_counts_what_is_there() -> None:
    """Another schedule, function, secret or alert that costs when nobody calls has a row."""
    table = rows()
    amounts = {what: number(cells[0]) for what, cells in table.items() if cells[0]}
    functions = read_functions(ROOT)
    memory = Decimal(functions["budgets"].memory.removesuffix("Mi")) / 1024
    alerts = (ROOT / "terraform/monitoring.tf").read_text()
    watched = re.findall(r"^      [\w-]+ = \{$", alerts, re.MULTILINE)

    assert [row.cron for row in read_schedules(ROOT).values()] == ["* * * * *"]
    assert amounts["jobs of Cloud Scheduler"] == len(read_schedules(ROOT))
    assert amounts["sweeps of budgets: requests"] == MINUTES
    assert (
        amounts["their CPU, 0.2 s each of 1 vCPU, in vCPU-seconds"]
        == MINUTES * SWEEP_S * functions["budgets"].cpu
    )
    assert amounts["their memory, 0.5 GiB, in GiB-seconds"] == MINUTES * SWEEP_S * memory
    heartbeats, schedules = 1, 1
    assert amounts["conditions of alerts"] == len(watched) + heartbeats + schedules
    assert [name for name, row in functions.items() if row.instances.min] == []


@pytest.mark.parametrize("what", [what for what in rows() if not what.startswith("**")])
def test_multiplies_amounts_by_prices(what: str) -> None:
    amount, price, unit, cost = map(number, rows()[what][:4])

    assert cost == (amount * price / unit).quantize(CENT)


def test_adds_up() -> None:
    table = rows()
    total = number(table["**all**"][3].strip("*"))
    parts = [number(cells[3]) for what, cells in table.items() if what != "**all**"]
    rounded = f"{total.quantize(Decimal('0.1'))}0 USD"

    assert total == sum(parts)
    assert rounded in re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
