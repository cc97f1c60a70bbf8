"""Another process of `proxy` beside a disorderly local stack, whose clock is off.

CLOCK_OFF_S says by how many seconds. Every commit that changes leases or budgets' periods is a line
of `DATA_DIR/budgets-PID.jsonl` before it is sent: so every committed state is among the lines, also
that of a process that is killed. A commit that the store refuses is taken back by a second line:
its states may have been read at two moments, and never were.
"""

import asyncio
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from common.adapters.system_clock import SystemClock
from common.budgets.accounts import LEASES, PERIODS, Period
from common.budgets.holdings import Holdings
from common.core.ports import Conflict, Create, Document, Documents, Outcome, Put, Query, Ref, Write
from common.runtime import app as wiring
from common.runtime.settings import Settings, read_settings
from tests.laws.disorderly_stack import DisorderlyApp
from tests.laws.second_proxy import serve

CLOCK_OFF_S = "CLOCK_OFF_S"
NOTES = "budgets-*.jsonl"
_NUMBERS = itertools.count()


class DriftingClock(SystemClock):
    """The system's, and so much more or less."""

    def __init__(self, off: timedelta) -> None:
        self._off = off

    def now(self) -> datetime:
        return super().now() + self._off


@dataclass(frozen=True, slots=True)
class NotedDocuments:
    """Another store; notes what is about to be committed for budgets."""

    inner: Documents
    notes: Path

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        number = next(_NUMBERS)
        self._note({"commit": number, **noted(writes)})
        outcome = await self.inner.commit(writes)
        if isinstance(outcome, Conflict):
            self._note({"refused": number})
        return outcome

    def _note(self, line: dict[str, object]) -> None:
        with self.notes.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_notes(path: Path) -> list[dict[str, Any]]:
    """The commits of one process that the store did not refuse; the last line may be cut off."""
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
    lines = [json.loads(line) for line in whole]
    refused = {line["refused"] for line in lines if "refused" in line}
    return [line for line in lines if "commit" in line and line["commit"] not in refused]


def noted(writes: Sequence[Write]) -> dict[str, object]:
    """What the periods are about to be, and whose the leases are."""
    periods: dict[str, tuple[int, int, int]] = {}
    leases: dict[str, tuple[str, list[str]]] = {}
    for write in writes:
        if not isinstance(write, Create | Put):
            continue
        if write.ref.collection == PERIODS:
            period = Period.from_document(Document(write.ref, write.data, ""))
            limit = period.limit + sum(each.nanos for each in period.top_ups)
            periods[period.id] = (period.settled, period.leased, limit)
        elif write.ref.collection == LEASES:
            leases[write.ref.id] = (write.data["instance"], write.data["periods"])
    return {"periods": periods, "leases": leases}


class DriftingApp(DisorderlyApp):
    @cached_property
    def clock(self) -> DriftingClock:
        return DriftingClock(timedelta(seconds=float(os.environ[CLOCK_OFF_S])))

    @cached_property
    def _holdings(self) -> Holdings:
        notes = read_settings(Settings).data_dir / NOTES.replace("*", str(os.getpid()))
        documents = NotedDocuments(self.documents, notes)
        return Holdings(documents, self.clock, self.entropy(16).hex(), self.entropy)


if __name__ == "__main__":
    wiring.App = DriftingApp  # type: ignore[misc] # the wiring of this one process
    asyncio.run(serve())
