"""Calls through a gateway, bills of the simulated provider for them, and what a run makes of both.

The provider prices with genai-prices itself and answers its reports by HTTP, a day a page; budgets
take what the run tells.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from common.adapters.anthropic_costs import HOSTS as ANTHROPIC_HOSTS
from common.adapters.anthropic_costs import AnthropicCosts
from common.adapters.openai_costs import HOSTS as OPENAI_HOSTS
from common.adapters.openai_costs import OpenAiCosts
from common.adapters.upstream import HttpUpstream
from common.budgets.accounts import PERIODS, Period
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.budgets.reconciled import Reconciler
from common.core.events import Event, SpendReconciled, UsageEvent
from common.core.ports import Documents, Put, Query, Warehouse
from common.core.reconciliation_events import SpendDriftFound
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books
from common.reconciliation.running import Account, Reconciliation
from common.usage.proof import Proof
from scripts.simulated.server import create_app
from tests.chosen_engines import state_of, warehouse_of
from tests.gateway.building import build_gateway
from tests.gateway.making import a_key, store
from tests.simulated.conftest import ANTHROPIC, OPENAI, Served, serve
from tests.streams.fakes import Client

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
DAY = START.date()
DOLLAR = 10**9
PREFIXES = {"api.openai.com": "/openai", "api.anthropic.com": "/anthropic"}
CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"
OPENAI_BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ANTHROPIC_BODY: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 400,
    "messages": [{"role": "user", "content": "Hi"}],
}
LARGE = {"x-simulated-input-tokens": "100000"}


@dataclass(slots=True)
class SharedClock:
    """The time of gateway, provider and run."""

    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass(slots=True)
class InPlace:
    """The connection to the simulated provider, in place of the real ones."""

    url: str
    inner: HttpUpstream = field(default_factory=HttpUpstream)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        target = urlsplit(request.url)
        query = f"?{target.query}" if target.query else ""
        url = f"{self.url}{PREFIXES[target.netloc]}{target.path}{query}"
        return await self.inner.send(replace(request, url=url, allow_private=True))


@dataclass(slots=True)
class Bus:
    events: list[Event] = field(default_factory=list)

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        self.events.append(event)


@dataclass
class World:
    """All parts of it."""

    clock: SharedClock
    served: Served
    upstream: InPlace
    documents: Documents
    warehouse: Warehouse
    bus: Bus = field(default_factory=Bus)
    arrived: int = 0

    @cached_property
    def client(self) -> Client:
        keys = {"OPENAI_API_KEY": Secret("sim"), "ANTHROPIC_API_KEY": Secret("sim")}
        return Client(build_gateway(self.documents, self.upstream, self.bus, self.clock, keys))

    async def calls(self, number: int = 12, *, path: str = CHAT, **more: str) -> None:
        body = OPENAI_BODY if path == CHAT else ANTHROPIC_BODY
        for _ in range(number):
            headers = {"authorization": "", "anthropic-version": "2023-06-01", **LARGE, **more}
            exchange = await self.client.call(path, json.dumps(body).encode(), headers=headers)
            assert exchange.status == 200

    def past_the_gateway(self, number: int = 12) -> None:
        """Calls with another key of the account."""
        with httpx.Client(base_url=self.served.url) as http:
            for path, key, body in (
                (CHAT, OPENAI, OPENAI_BODY),
                (MESSAGES, ANTHROPIC, ANTHROPIC_BODY),
            ):
                for _ in range(number):
                    headers = {**key, **LARGE, "x-simulated-tag": "elsewhere"}
                    http.post(path, json=body, headers=headers).raise_for_status()

    def knobs(self, **knobs: object) -> None:
        named = {name.replace("_", "-"): value for name, value in knobs.items()}
        httpx.post(f"{self.served.url}/simulated/behaviour", json=named).raise_for_status()

    async def arrive(self, lost: int = 0) -> None:
        """The events of all calls in the warehouse, but for each `lost` one."""
        usage = [event for event in self.bus.events if isinstance(event, UsageEvent)]
        for number, event in enumerate(usage[self.arrived :]):
            if lost and number % lost == 0:
                continue
            told_of = {"message_id": event.id, "publish_time": event.event_time.isoformat()}
            await self.warehouse.append("usage_raw", [json.loads(event.payload()) | told_of])
        self.arrived = len(usage)

    def reconciliation(self) -> Reconciliation:
        admin = Secret("sim-admin")
        accounts = [
            Account("openai", "acme", OPENAI_HOSTS, OpenAiCosts(self.upstream, admin), "?"),
            Account(
                "anthropic", "acme", ANTHROPIC_HOSTS, AnthropicCosts(self.upstream, admin), "?"
            ),
        ]
        ports = (self.documents, self.bus, self.clock, os.urandom, self.warehouse)
        return Reconciliation(*ports, Books(self.documents, bundled_book()).in_force, accounts)

    async def told(self) -> list[Event]:
        """What the run of two days later tells of the day."""
        self.clock.time = START + timedelta(days=2)
        before = len(self.bus.events)
        await self.reconciliation().run()
        return [each for each in self.bus.events[before:] if _day(each) == DAY]

    async def period(self) -> Period:
        [document] = await self.documents.query(Query(PERIODS))
        return Period.from_document(document)


def _day(event: Event) -> date | None:
    return event.day if isinstance(event, SpendReconciled | SpendDriftFound) else None


@pytest.fixture
def clock() -> SharedClock:
    return SharedClock()


@pytest.fixture
def provider(clock: SharedClock) -> Iterator[Served]:
    yield from serve(create_app(now=clock.now))


@pytest.fixture
async def world(tmp_path: Path, clock: SharedClock, provider: Served) -> AsyncIterator[World]:
    documents, warehouse = state_of(tmp_path), warehouse_of(tmp_path)
    await store(documents, a_key())
    made = World(clock, provider, InPlace(provider.url), documents, warehouse)
    made.knobs(bill_buckets=1)
    yield made
    await made.upstream.inner.aclose()
    await warehouse.aclose()
    await documents.aclose()


async def test_a_bill_is_what_the_calls_cost(world: World) -> None:
    await world.calls()
    await world.calls(path=MESSAGES)
    await world.arrive()

    told = await world.told()

    assert [type(event) for event in told] == [SpendReconciled] * 2
    for event in told:
        assert isinstance(event, SpendReconciled)
        assert event.theirs_nanos == event.ours_nanos > 2 * DOLLAR


@pytest.mark.parametrize(
    ("knobs", "past", "lost", "cause"),
    [
        ({"bill_factor": "1.6"}, False, 0, "price_off"),
        ({"bill_factor": "100"}, False, 0, "cents_for_dollars"),
        ({"bill_factor": "0.01"}, False, 0, "cents_for_dollars"),
        ({}, True, 0, "past_the_gateway"),
        ({}, False, 2, "lost_events"),
    ],
)
async def test_names_each_planted_fault(
    world: World, knobs: dict[str, object], *, past: bool, lost: int, cause: str
) -> None:
    await world.calls()
    await world.arrive(lost)
    await world.calls(path=MESSAGES)
    await world.arrive(lost)
    if past:
        world.past_the_gateway()
    world.knobs(**knobs)

    told = await world.told()

    drifts = [event for event in told if isinstance(event, SpendDriftFound)]
    assert {(drift.provider, drift.cause) for drift in drifts} == {
        ("openai", cause),
        ("anthropic", cause),
    }
    assert len(drifts) == 2


async def test_a_key_for_calls_reads_no_bills(world: World) -> None:
    reader = OpenAiCosts(world.upstream, Secret("sim"))
    account = Account("openai", "acme", OPENAI_HOSTS, reader, "OPENAI_ADMIN_KEY")

    await replace(world.reconciliation(), accounts=[account]).run()

    [source] = [each.data for each in await world.documents.query(Query("reconciliation_sources"))]
    assert source["standing"] == "silent"
    assert source["cause"].endswith("answers 403: is it an admin key?")


@pytest.mark.parametrize("billed", [False, True])
async def test_budgets_release_what_the_bill_does_not_have(world: World, *, billed: bool) -> None:
    """Two attempts that nobody answered hold money, until the bill tells that they cost nothing."""
    budget = Budget("b", "acme", "org:acme", Calendar("total"), 100 * DOLLAR, "hard")
    await world.documents.commit([Put(budget_ref(budget.id), budget.to_data())])
    await world.calls(3, **{"x-simulated-input-tokens": "10"})
    body = json.dumps({**OPENAI_BODY, "max_tokens": 1_000}).encode()
    headers = {"authorization": "", "x-simulated-fault": "status-502"}
    await world.client.call(CHAT, body, headers=headers)
    await world.arrive()
    if billed:
        world.past_the_gateway(1)
    held = await world.period()
    proof = Proof(world.warehouse)
    reconciler = Reconciler(world.documents, world.clock, os.urandom, proof)

    told = await world.told()
    for event in told:
        assert isinstance(event, SpendReconciled)
        await reconciler.take(event)

    cost = (await proof.day_sums(DAY))["openai"].priced
    after = await world.period()
    assert held.unproven > 0
    assert (held.settled, held.leased) == (cost + held.unproven, 0)
    assert (after.settled, after.unproven) == (
        (held.settled, held.unproven) if billed else (cost, 0)
    )
