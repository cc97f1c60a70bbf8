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
from common.core.brownout_events import BrownoutTick
from common.core.events import SweepBudgets
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from common.runtime.app import App
from scripts.functions_table import read_functions, read_schedules
from tests.api.conftest import KeepingBus
from tests.repository.sources import ROOT

MINUTES = 730 * 60
RUN_S = Decimal("0.2")
"""An estimate, as the two below."""
IMAGES_GB = Decimal("0.5")
LOGS_GB = Decimal("0.2")
CENT = Decimal("0.01")
RUN_BY_SCHEDULES = ("brownout_tick", "budgets")
"""Every minute; the others now and then."""
NOW_AND_THEN_S = 5
EVERY_MINUTE = "* * * * *"
A_MONTH_OF = {"hour": Decimal(730), "day": Decimal(730) / 24}


def rows() -> dict[str, list[str]]:
    """The cells of the table of costs, by what each row is of."""
    text = (ROOT / "terraform/README.md").read_text()
    table = text.partition("<!-- costs: ")[2].partition("<!-- end of costs -->")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    return {what: rest for what, *rest in cells}


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def documents_of(runs: str) -> dict[str, int]:
    """How many documents each of these runs reads and writes, as the table has it."""
    found = {"read": 0, "write": 0}
    for what, cells in rows().items():
        if named := re.fullmatch(rf"documents that {runs} (read|write), (\d+) each", what):
            found[named[1]] = int(named[2])
            assert number(cells[0]) == int(named[2]) * MINUTES
    return found


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

    assert documents_of("sweeps") == {"read": metered.reads, "write": metered.writes}


async def test_counts_the_documents_of_a_tick_that_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a later one: the first notes that no source of signals is asked."""
    for name in ("STATE_URL", "BUS_URL", "DATADOG_API_KEY", "DATADOG_APP_KEY", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    metered, bus = Metered(engine), KeepingBus()
    app = App()
    # Where the App itself keeps what it has made.
    vars(app).update(documents=metered, bus=bus)
    seen = []
    for id_ in ("first", "second", "third"):
        before = (metered.reads, metered.writes)
        await app.ticker.run(BrownoutTick(id=id_, event_time=datetime.now(UTC)))
        seen.append((metered.reads - before[0], metered.writes - before[1]))
    await engine.aclose()

    assert seen[1] == seen[2]
    assert documents_of("ticks") == dict(zip(("read", "write"), seen[2], strict=True))
    assert bus.events == []


def test_counts_what_is_there() -> None:
    """Another schedule, function, secret or alert that costs when nobody calls has a row."""
    table = rows()
    amounts = {what: number(cells[0]) for what, cells in table.items() if cells[0]}
    functions = read_functions(ROOT)
    schedules = read_schedules(ROOT)
    crons = [row.cron for row in schedules.values()]
    runs = crons.count(EVERY_MINUTE) * MINUTES
    now_and_then = sum(
        A_MONTH_OF["hour" if re.fullmatch(r"\d+ \* \* \* \*", cron) else "day"]
        for cron in crons
        if cron != EVERY_MINUTE
    )
    [size] = {(functions[name].cpu, functions[name].memory) for name in RUN_BY_SCHEDULES}
    memory = Decimal(size[1].removesuffix("Mi")) / 1024
    alerts = (ROOT / "terraform/monitoring.tf").read_text()
    watched = re.findall(r"^      [\w-]+ = \{$", alerts, re.MULTILINE)
    heartbeats = re.findall(r"^      (\w+) += \{ line = ", alerts, re.MULTILINE)
    failed_schedules = 1

    assert [cron for cron in crons if not re.fullmatch(r"\S+ \S+ \* \* \*", cron)] == []
    seconds = now_and_then * NOW_AND_THEN_S
    assert amounts["hourly and daily runs, 5 s each of 1 vCPU, in vCPU-seconds"] == round(seconds)
    assert amounts["memory of those, 0.5 GiB, in GiB-seconds"] == round(seconds / 2)
    assert {*heartbeats} == {*RUN_BY_SCHEDULES}
    assert amounts["jobs of Cloud Scheduler"] == len(schedules)
    assert amounts["sweeps of budgets and ticks of brownouts: requests"] == runs
    assert amounts["their CPU, 0.2 s each of 1 vCPU, in vCPU-seconds"] == runs * RUN_S * size[0]
    assert amounts["their memory, 0.5 GiB, in GiB-seconds"] == runs * RUN_S * memory
    assert amounts["conditions of alerts"] == len(watched) + len(heartbeats) + failed_schedules
    assert amounts["images of functions, GB"] == len(functions) * IMAGES_GB
    assert amounts["logs, GB"] == crons.count(EVERY_MINUTE) * LOGS_GB
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
