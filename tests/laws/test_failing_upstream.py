"""An upstream that fails three calls in ten, before another one: clients hardly see it.

Two thousand calls, eight at once, through a gateway with hard budgets and a rule of two places.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.budgets import Applicable, Budget, budget_ref
from common.budgets.calendar import Calendar
from common.budgets.holdings import Held, Holdings
from common.core.events import UsageEvent
from common.core.money import Nanos
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.budget_book import BudgetBook
from common.gateway.control import CONTROL, Control
from common.gateway.destinations import VENDOR_VARIABLES
from common.gateway.gateway import Gateway
from common.gateway.route_book import ROUTES_CHANGED, routes_ref
from common.gateway.spending import Spending
from common.gateway.upstream import (
    AMBIGUOUS_STATUSES,
    UpstreamDisconnected,
    UpstreamRequest,
    UpstreamUnreachable,
)
from common.gateway.upstream_health import LEAST_CALLS, RESTS_S
from common.llm.bounds import Bound, bound
from common.llm.forms import FORMS
from common.llm.price_book import bundled_book
from tests.gateway.building import build_gateway
from tests.gateway.making import START, SetClock, a_key, store
from tests.streams.fakes import (
    JSON,
    OPENAI_STREAM,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    openai_chunk,
)
from tests.streams.hard_budgets import period_of

CALLS = 2_000
AT_ONCE = 8
SEED = 20_261_122
FAILING = 0.3
BROKEN = 0.02
"""Replies that end too soon, after their first byte."""
STEP_S = 0.05
"""Between two calls, so that what rests for a while comes back while there are calls."""
LIMIT = 10**15
FIRST, SECOND = "openai", "anthropic"
MODELS = {FIRST: "gpt-4o", SECOND: "claude-haiku-4-5"}
FAILURES = (429, 500, 502, 503, 529, UpstreamUnreachable, UpstreamDisconnected)
RULE = {
    "name": "both",
    "use": {"fixed": MODELS[FIRST]},
    "fallbacks": [f"{SECOND}/{MODELS[SECOND]}"],
}


class Watched(Holdings):
    """The leases of an instance, with what each call of it was granted."""

    granted: dict[object, list[Held]]

    async def admit(self, to: Applicable, nanos: Nanos) -> Held:
        held = await super().admit(to, nanos)
        self.granted.setdefault(asyncio.current_task(), []).append(held)
        return held

    def open_of_this_call(self) -> list[Nanos]:
        """What it holds now, in the order it was granted."""
        holds = [each.hold for each in self.granted.get(asyncio.current_task(), [])]
        return [hold.nanos for hold in holds if hold is not None and hold.settled is None]


@dataclass(slots=True)
class Told:
    """What the upstreams saw of one call: who was asked, and how that ended."""

    asked: list[str] = field(default_factory=list)
    ended: list[object] = field(default_factory=list)

    @property
    def may_be_billed(self) -> int:
        """Requests before the last that failed and may be billed all the same."""
        return sum(
            each in AMBIGUOUS_STATUSES or each is UpstreamDisconnected for each in self.ended
        )


@dataclass(slots=True)
class Upstreams:
    """The first fails a share of its calls, the second serves; both break a reply now and then."""

    holdings: Watched
    chance: Random
    failing: float = FAILING
    broken: float = BROKEN
    calls: dict[object, Told] = field(default_factory=dict)
    unheld: list[tuple[str, list[Nanos]]] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> ScriptedReply:
        told = self.calls.setdefault(asyncio.current_task(), Told())
        vendor = FIRST if request.host == "api.openai.com" else SECOND
        held = self.holdings.open_of_this_call()
        if len(held) != 1 + told.may_be_billed or held[-1] < _bound(vendor, request.body):
            self.unheld.append((vendor, held))
        told.asked.append(vendor)
        await asyncio.sleep(0)
        fails = vendor == FIRST and self.chance.random() < self.failing
        ended: Any = self.chance.choice(FAILURES) if fails else 200
        if not fails and self.chance.random() < self.broken:
            ended = "broken"
        told.ended.append(ended)
        return _reply(ended, stream=json.loads(request.body).get("stream", False))

    def share(self, vendor: str) -> float:
        """Of the calls, those that asked it."""
        return sum(vendor in told.asked for told in self.calls.values()) / len(self.calls)


def _bound(vendor: str, body: bytes) -> Nanos:
    facts = FORMS["openai_chat"].read_facts(body)
    found = bound(facts, book=bundled_book(), provider=vendor, at=START, tool_allowance=None)
    assert isinstance(found, Bound)
    return found.nanos


def _reply(ended: Any, *, stream: bool) -> ScriptedReply:
    if isinstance(ended, type):
        raise ended("gone")
    if isinstance(ended, int) and ended != 200:
        return ScriptedReply([b'{"error":{"message":"no"}}'], ended, list(JSON))
    if ended == "broken":
        return ScriptedReply([openai_chunk("a"), UpstreamDisconnected("gone")])
    if stream:
        return ScriptedReply(OPENAI_STREAM)
    return ScriptedReply([_WHOLE], headers=list(JSON))


_WHOLE = (
    b'{"model":"gpt-4o","choices":[{"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":20}}'
)


@dataclass(slots=True)
class World:
    """A gateway with a hard budget and one rule, and everything around it."""

    documents: SqliteDocuments
    clock: SetClock
    bus: KeepingBus
    upstreams: Upstreams
    gateway: Gateway

    async def call(self, number: int) -> tuple[Exchange, Told]:
        body: dict[str, Any] = {
            "model": "auto",
            "messages": [{"role": "user", "content": f"call {number}"}],
            "max_tokens": 100,
        }
        if number % 2:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        client = Client(self.gateway)
        exchange, task = client.start(body=json.dumps(body).encode(), headers={"authorization": ""})
        await task
        self.clock.seconds += STEP_S
        return exchange, self.upstreams.calls[task]

    async def calls(self, count: int) -> list[tuple[Exchange, Told]]:
        numbers = iter(range(count))
        made: list[tuple[Exchange, Told]] = []

        async def caller() -> None:
            made.extend([await self.call(number) for number in numbers])

        async with asyncio.TaskGroup() as callers:
            for _ in range(AT_ONCE):
                callers.create_task(caller())
        return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    documents, clock, bus = SqliteDocuments(tmp_path / "state.sqlite"), SetClock(), KeepingBus()
    bus.topics = ("usage", "events")
    budget = Budget("b", "acme", "org:acme", Calendar("day"), LIMIT, "hard")
    await store(documents, a_key())
    await documents.commit(
        [
            Put(budget_ref(budget.id), budget.to_data()),
            Put(routes_ref("acme"), {"rules": json.dumps([RULE])}),
            Put(CONTROL, {ROUTES_CHANGED: 1}),
        ]
    )
    holdings = Watched(documents, clock, "instance", os.urandom)
    holdings.granted = {}
    upstreams = Upstreams(holdings, Random(SEED))
    keys = {VENDOR_VARIABLES[vendor]: Secret(f"sk-{vendor}") for vendor in MODELS}
    gateway = build_gateway(documents, upstreams, bus, clock, keys)
    spending = Spending(BudgetBook(documents, clock, Control(documents, clock)), holdings, clock)
    gateway = replace(gateway, forwarding=replace(gateway.forwarding, spending=spending))
    yield World(documents, clock, bus, upstreams, gateway)
    await documents.aclose()


@pytest.mark.slow
async def test_an_upstream_that_fails_is_hardly_seen_and_never_paid_for_unheld(
    world: World,
) -> None:
    made = await world.calls(CALLS)

    broken = [(exchange, told) for exchange, told in made if "broken" in told.ended]
    whole = [(exchange, told) for exchange, told in made if "broken" not in told.ended]
    failed = [told for exchange, told in whole if exchange.status != 200 or not exchange.complete]
    assert len(failed) <= CALLS // 1_000
    assert world.upstreams.unheld == []
    # Before a first byte each place is tried once, and after it nothing.
    assert {each for _, told in made for each in told.ended[:-1]} <= set(FAILURES)
    assert {told.ended[-1] for _, told in broken} == {"broken"}
    assert {tuple(told.asked) for _, told in made} <= {(FIRST,), (FIRST, SECOND), (SECOND,)}
    # It is about what it says: the first fails as often as it should, and stays in use.
    tried = [told for _, told in made if FIRST in told.asked]
    moved = sum(SECOND in told.asked for told in tried)
    assert 0.25 < moved / len(tried) < 0.35
    assert len(broken) > CALLS * BROKEN / 2
    assert world.upstreams.share(FIRST) > 0.5
    await _is_settled(world)


@pytest.mark.slow
async def test_traffic_returns_to_an_upstream_that_has_rested(world: World) -> None:
    world.upstreams.failing, world.upstreams.broken = 1.0, 0.0
    await world.calls(2 * LEAST_CALLS)

    resting = await world.calls(100)
    world.upstreams.failing = 0.0
    world.clock.seconds += RESTS_S
    after = await world.calls(100)

    assert {tuple(told.asked) for _, told in resting} == {(SECOND,)}
    assert {tuple(told.asked) for _, told in after} == {(FIRST,)}
    assert {exchange.status for exchange, _ in (*resting, *after)} == {200}
    assert world.upstreams.unheld == []
    await _is_settled(world)


async def _is_settled(world: World) -> None:
    """What the budget has settled is what the calls tell, and nothing is held any more."""
    events = [each for each in world.bus.events if isinstance(each, UsageEvent)]
    period = await period_of(world.documents)
    assert len(events) == len(world.upstreams.calls)
    assert period.settled == sum(each.nanos for event in events for each in event.settlements)
    assert (period.leased, period.open_leases) == (0, 0)
