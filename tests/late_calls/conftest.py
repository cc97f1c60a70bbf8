"""A gateway whose calls go on while budgets change, over real engines, swept by hand."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common.adapters.bigquery_warehouse import BigqueryWarehouse
from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.budgets import Budget, budget_ref
from common.budgets.sweep import Sweeper
from common.core.errors import StoreUnavailable
from common.core.events import SweepBudgets, UsageEvent
from common.core.ports import Row, Value, Warehouse
from common.core.secrets import Secret
from common.gateway.budget_reports import read_standings, spent_by_period
from common.gateway.gateway import Gateway
from common.runtime.spending import spent_before, spent_of
from common.usage.apply_events import apply_events
from common.usage.spent import Spent
from common.warehouse.tables import load_definitions
from tests.bigquery_server import PROJECT, Datasets, bigquery_datasets, bigquery_server
from tests.budgets.conftest import Misbehaving, SetClock, World
from tests.budgets.operators import Operators, a_budget
from tests.budgets.sweeping import KeepingBus as SweptBus
from tests.emulators import a_project, firestore_emulator
from tests.gateway.building import build_gateway
from tests.gateway.making import a_key, key_text, store
from tests.streams.fakes import (
    DONE,
    OPENAI_END,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    openai_chunk,
)
from tests.streams.hard_budgets import CAPPED_STREAM

__all__ = ["bigquery_datasets", "bigquery_server", "firestore_emulator"]

NANOS_A_TOKEN = 150
"""What gpt-4o-mini reads: $0.15 per million."""
TEAMS = ("search", "ops")


@dataclass(slots=True)
class Counted:
    """Another warehouse, and what it was asked."""

    inner: Warehouse
    asked: list[Mapping[str, Value]] = field(default_factory=list)
    down: bool = False

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        if self.down:
            raise StoreUnavailable("the warehouse did not answer in time")
        self.asked.append(parameters or {})
        return await self.inner.query(sql, parameters)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.inner.append(table, rows)


@dataclass(slots=True)
class UnderWay:
    """A stream whose end the test decides."""

    tokens: int
    exchange: Exchange
    task: "asyncio.Task[None]"
    gate: asyncio.Event

    async def ends(self) -> int:
        """What it has cost, in nano-USD."""
        self.gate.set()
        await self.task
        assert self.exchange.status == 200, self.exchange.content
        return self.tokens * NANOS_A_TOKEN


@dataclass(slots=True)
class Scene:
    """One organisation, its calls, and what is known of them where. `spent` is the API's."""

    world: World
    warehouse: Counted
    operators: Operators
    gateway: Gateway
    upstream: ScriptedUpstream
    bus: KeepingBus
    sweeper: Sweeper
    spent: Spent
    delivered: int = 0

    @property
    def calls(self) -> list[UsageEvent]:
        """What was published of calls."""
        return [each for each in self.bus.events if isinstance(each, UsageEvent)]

    async def begins(self, tokens: int, team: str = "search", model: str = "") -> UnderWay:
        """A call that has been sent, and whose answer has begun."""
        gate = asyncio.Event()
        usage = {"prompt_tokens": tokens, "completion_tokens": 0}
        end = json.dumps({"model": "gpt-4o-mini", "choices": [], "usage": usage})
        self.upstream.reply = ScriptedReply(
            [openai_chunk("Hel"), gate, OPENAI_END, f"data: {end}\n\n".encode(), DONE]
        )
        body = CAPPED_STREAM.replace(b"gpt-4o-mini", model.encode()) if model else CAPPED_STREAM
        exchange, task = Client(self.gateway, key_text(team)).start(body=body)
        await exchange.until_received(b"Hel")
        return UnderWay(tokens, exchange, task, gate)

    async def call(self, tokens: int, team: str = "search", model: str = "") -> int:
        """A whole call; what it has cost."""
        return await (await self.begins(tokens, team, model)).ends()

    async def deliver(self) -> None:
        """What was published arrives in the rollups and, twice, in the warehouse."""
        calls = self.calls[self.delivered :]
        self.delivered += len(calls)
        rows = [
            {
                **json.loads(call.payload()),
                "message_id": call.id,
                "publish_time": call.event_time.isoformat(),
            }
            for call in calls
        ]
        await self.warehouse.append("usage_raw", [*rows, *rows])
        applied = await apply_events(self.world.documents, calls, self.world.clock)
        assert applied.failed == {}

    async def opened(self, **fields: Any) -> Budget:
        """A budget that is made now, or replaced, as the API does it."""
        budget = a_budget(**fields)
        now = self.world.clock.now()
        spent = await spent_by_period(spent_of(self.spent), [budget], now)
        stored = await self.world.documents.get_many([budget_ref(budget.id)])
        change = self.operators.create if stored == [None] else self.operators.update
        return (await change(budget, spent=spent)).budget

    async def sweep(self) -> None:
        """A minute passes, and its command arrives."""
        self.world.clock.advance(60)
        await self.sweeper.run(SweepBudgets(id="tick", event_time=self.world.clock.now()))

    async def settled(self, budget: Budget) -> int:
        """What the standing of a budget says is spent."""
        documents, now = self.world.documents, self.world.clock.now()
        [standing] = await read_standings(documents, spent_of(self.spent), [budget], now)
        return standing.period.settled

    def minutes(self, minutes: float) -> None:
        self.world.clock.advance(60 * minutes)

    def heard(self) -> None:
        """So much time passes that the gateway's next call waits for what has changed."""
        self.minutes(0.5)


@pytest.fixture(params=["local", "cloud"])
async def engines(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Misbehaving, Counted]]:
    async with AsyncExitStack() as opened:
        if request.param == "local":
            state = SqliteDocuments(tmp_path / "state.sqlite")
            opened.push_async_callback(state.aclose)
            duckdb = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
            opened.push_async_callback(duckdb.aclose)
            yield Misbehaving(state), Counted(duckdb)
            return
        emulator = request.getfixturevalue(firestore_emulator.__name__)
        firestore = FirestoreDocuments(a_project(), "state", emulator=emulator, deadline_s=60)
        opened.push_async_callback(firestore.aclose)
        datasets: Datasets = request.getfixturevalue(bigquery_datasets.__name__)
        dataset = datasets.empty(load_definitions())
        bigquery = BigqueryWarehouse(PROJECT, dataset, emulator=datasets.server)
        opened.push_async_callback(bigquery.aclose)
        yield Misbehaving(firestore), Counted(bigquery)


@pytest.fixture
async def scene(engines: tuple[Misbehaving, Counted]) -> Scene:
    documents, warehouse = engines
    for team in TEAMS:
        await store(documents, a_key(key_text(team), line=f"line-{team}", team=team))
    clock, upstream, bus = SetClock(), ScriptedUpstream(), KeepingBus()
    clock.advance(30)
    world = World(documents, clock)
    spent = Spent(documents, warehouse, clock)
    environment = {"OPENAI_API_KEY": Secret("sk-of-the-installation")}
    return Scene(
        world,
        warehouse,
        Operators(world),
        build_gateway(documents, upstream, bus, clock, environment),
        upstream,
        bus,
        Sweeper(documents, SweptBus(), clock, os.urandom, spent_of(spent), spent_before(spent)),
        Spent(documents, warehouse, clock),
    )
