"""Other processes for tests: `run("publish", path)` runs the command of that name below.

A process that is to die says so by killing itself, which no handler of Python can soften.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.adapters.bus_subscriptions import Subscription
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.local_bus import LocalBus
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.core.ports import Increment, Put, Ref
from tests.contracts.facts import a_fact

ROOT = Path(__file__).parents[2]


async def run(command: str, *arguments: str | Path, zone: str = "UTC") -> tuple[int | None, str]:
    """Exit code and output of a command of this module in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.engines.processes",
        command,
        *map(str, arguments),
        cwd=ROOT,
        env={**os.environ, "TZ": zone},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def ignore(_: dict[str, Any]) -> int:
    return 200


async def increments(path: str) -> None:
    """Add 1 two hundred times, 20 at a time."""
    documents = SqliteDocuments(path, deadline_s=30)

    async def count() -> None:
        for _ in range(10):
            await documents.commit([Increment(Ref("counters", "a"), {"n": 1})])

    await asyncio.gather(*(count() for _ in range(20)))
    await documents.aclose()


async def commit_and_die(path: str) -> None:
    documents = SqliteDocuments(path)
    await documents.commit([Put(Ref("things", "a"), {"n": 1})])
    os.kill(os.getpid(), signal.SIGKILL)


async def count_and_end(path: str) -> None:
    """Add 1 and print the sum."""
    documents = SqliteDocuments(path)
    await documents.commit([Increment(Ref("counters", "a"), {"n": 1})])
    [found] = await documents.get_many([Ref("counters", "a")])
    await documents.aclose()
    print(found and found.data["n"])  # noqa: T201 -- read by the other process


async def fork_and_commit(emulator: str, project: str) -> None:
    """Print what a child makes of a store that its parent had imported and made."""
    documents = FirestoreDocuments(project, "state", emulator=emulator)
    child = multiprocessing.get_context("fork").Process(target=_commit, args=[documents])
    child.start()
    child.join()


def _commit(documents: FirestoreDocuments) -> None:
    async def commit() -> None:
        outcome = await documents.commit([Put(Ref("things", "a"), {"n": 1})])
        print(outcome)  # noqa: T201 -- read by the other process
        await documents.aclose()

    asyncio.run(commit())


async def publish_and_die(path: str) -> None:
    bus = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), ignore)])
    await asyncio.gather(*(bus.publish("events", a_fact(id=f"e{n}")) for n in range(20)))
    os.kill(os.getpid(), signal.SIGKILL)


async def die_after_the_effect(path: str, effects: str) -> None:
    async def act(_: dict[str, Any]) -> int:
        await asyncio.to_thread(Path(effects).write_text, "done\n", "utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
        return 200

    bus = LocalBus(path, SystemClock(), [Subscription("inbox", "events", (), act)])
    await bus.publish("events", a_fact(id="e1"))
    await bus.start()
    await bus.drain(30)


async def open_warehouse(path: str) -> None:
    """Print what a second owner of the file is told."""
    try:
        await DuckdbWarehouse(path).query("SELECT 1 AS one")
    except Exception as error:  # noqa: BLE001 -- the test looks at what it is
        print(type(error).__name__, error)  # noqa: T201 -- read by the other process


async def print_day(path: str) -> None:
    """Print the day of an instant that is another day in most time zones."""
    warehouse = DuckdbWarehouse(path)
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    rows = await warehouse.query("SELECT DATE(@late) AS day_", {"late": late})
    await warehouse.aclose()
    print(rows[0]["day_"])  # noqa: T201 -- read by the other process


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
