"""A hard budget is never exceeded, whoever dies, and nothing is counted that nobody spent."""

import asyncio
import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import (
    LEASES,
    PERIODS,
    Lease,
    LeaseState,
    Period,
    lease_ref,
    period_ref,
)
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.budgets.settlement import correct
from common.budgets.sweep import sweep
from common.core.ports import Documents, Put, Query
from common.gateway.keys import KeyPolicy
from tests.gateway.making import a_key, store
from tests.laws.drifting_proxy import NOTES, DriftingClock, NotedDocuments, read_notes
from tests.laws.spending_crowd import KEYS, PLAIN, STRICT, Crowd, Place, spendings
from tests.laws.stack_engines import Events, StackEngines
from tests.laws.test_accounting import law_settings, start_stack
from tests.laws.watched_proxy import until
from tests.local_stack.process import Simulator, Stack

CALLS = 3_000
FULL = "LAW_CALLS" in os.environ
PROCESSES, CALLERS = (16, 50) if FULL else (4, 25)
DISTURBANCES = 8 if FULL else 4
SEED = 20261127
OVERDUE = timedelta(minutes=25)
NANOS_A_CALL = 900_000
"""So much of every call is in the limits: it is too little, so that calls are refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    org: int
    plain: int
    strict: int
    top_up: int


@dataclass(slots=True)
class World:
    """One organisation's budgets, and the processes that spend them."""

    data: Path
    documents: SqliteDocuments | FirestoreDocuments
    stack: Stack
    simulator: Simulator
    places: Sequence[Place]
    limits: Limits

    @property
    def noted(self) -> NotedDocuments:
        return NotedDocuments(self.documents, self.data / NOTES.replace("*", "law"))

    async def sweep(self) -> None:
        """As a sweep that thinks every lease is overdue, that of who lives too."""
        await sweep(self.noted, DriftingClock(OVERDUE), entropy=os.urandom)

    async def billed(self) -> Counter[str]:
        """Nano-USD that the provider has charged so far, by key."""
        billed: Counter[str] = Counter()
        after = 0
        async with httpx.AsyncClient(base_url=self.simulator.address, timeout=60) as provider:
            while True:
                answer = await provider.get("/simulated/ledger", params={"after": after})
                rows = answer.raise_for_status().json()["rows"]
                if not rows:
                    return billed
                for row in rows:
                    assert row["unpriced_reason"] is None, row
                    billed[row["tag"].partition(" ")[0]] += row["billed_nanos"]
                after = rows[-1]["seq"]

    async def top_up(self, nanos: int) -> None:
        async with httpx.AsyncClient(base_url=f"{self.stack.address}/api/v1", timeout=60) as api:
            answer = await api.post(
                "/budgets/org/top-ups",
                json={"usd": f"{nanos / 10**9:.9f}", "reason": "half way"},
            )
            assert answer.is_success, answer.text

    async def periods(self) -> dict[str, Period]:
        found = [Period.from_document(each) for each in await _all(self.documents, PERIODS)]
        return {each.budget: each for each in found}

    async def leases(self) -> list[Lease]:
        return [Lease.from_document(each) for each in await _all(self.documents, LEASES)]

    def notes(self) -> list[dict[str, Any]]:
        return [note for path in self.data.glob(NOTES) for note in read_notes(path)]

    def unpublished(self) -> Events:
        """Events that the bus did not take, which are in the log instead.

        Who is frozen may lock the bus of a laptop for longer than others wait for it.
        """
        lines = [
            line
            for path in self.data.glob("proxy-*.log")
            for line in path.read_text().splitlines()
            if "usage_event" in line
        ]
        events = [json.loads(json.loads(line)["usage_event"]) for line in lines]
        return {event["id"]: event for event in events}

    def living(self) -> set[str]:
        """Instances that hold leases in processes that run."""
        ids: set[str] = set()
        for place in self.places:
            assert place.process is not None
            notes = self.data / NOTES.replace("*", str(place.process.process.pid))
            if notes.exists():
                ids |= {i for note in read_notes(notes) for i, _ in note["leases"].values()}
        return ids


@pytest.mark.slow
@pytest.mark.parametrize("dying", [False, True], ids=["nobody dies", "processes die"])
async def test_a_hard_budget_is_never_exceeded_and_holds_what_the_rows_say(
    tmp_path: Path, simulator: Simulator, stack_engines: StackEngines, *, dying: bool
) -> None:
    """Many processes, callers, streams, hang-ups and faults, clocks apart, processes that die."""
    count = stack_engines.calls(CALLS)
    async with _world(tmp_path, simulator, stack_engines, count) as world:
        crowd = Crowd(world.places, spendings(count, SEED))
        spending = asyncio.create_task(crowd.spend(CALLERS))
        await _disturb(world, crowd, spending, count, dying=dying)
        await spending
        await _assert_idle_instances_hold_nothing(world)
        await world.sweep()
        for place in world.places:
            assert place.process is not None
            await asyncio.to_thread(place.process.stop)
        await asyncio.to_thread(world.stack.stop)
        start = partial(start_stack, world.data, _settings(simulator, stack_engines))
        events = await stack_engines.published(world.data, start) | world.unpublished()
        billed = await world.billed()

        _assert_no_state_was_over(world.notes())
        limits = world.limits
        assert billed[PLAIN] <= limits.plain
        assert billed[STRICT] <= limits.strict
        assert billed.total() <= limits.org + limits.top_up
        settled = (await world.periods())["org"].settled
        assert settled > (limits.org + limits.top_up) // 4, "too little was spent"
        assert crowd.refused > count * 0.02, "nothing was short"
        await _assert_rows_are_what_is_settled(world, events, billed, dying=dying)


@asynccontextmanager
async def _world(
    folder: Path, simulator: Simulator, engines: StackEngines, count: int
) -> AsyncIterator[World]:
    data = folder / "data"
    settings = _settings(simulator, engines)
    stack = await asyncio.to_thread(start_stack, data, settings)
    documents = _documents(data, engines)
    total = count * NANOS_A_CALL
    limits = Limits(total // 2, total // 2, total // 2, total // 4)
    strict = replace(
        _budget("strict", f"key:{STRICT}", limits.strict), strict=True, tool_allowance=None
    )
    budgets = [
        _budget("org", "org:acme", limits.org),
        _budget("plain", f"key:{PLAIN}", limits.plain),
        strict,
    ]
    await documents.commit([Put(budget_ref(each.id), each.to_data()) for each in budgets])
    for kind, text in KEYS.items():
        await store(documents, a_key(text, line=kind, policy=KeyPolicy(tags=("call",))))
    places = [Place(number, data, settings) for number in range(PROCESSES)]
    try:
        await asyncio.gather(*(place.open() for place in places))
        yield World(data, documents, stack, simulator, places, limits)
    finally:
        for place in places:
            if place.process is not None and place.process.process.poll() is None:
                place.kill()
        if stack.process.poll() is None:
            stack.stop(signal.SIGKILL)
        await documents.aclose()


async def _disturb(
    world: World, crowd: Crowd, spending: "asyncio.Task[None]", count: int, *, dying: bool
) -> None:
    """Processes are frozen, killed and written off at random; half way there is more money."""
    draw = random.Random(SEED)
    moments = sorted(draw.sample(range(count // 10, 9 * count // 10), DISTURBANCES))
    halfway = count // 2
    for moment in sorted([*moments, halfway]):
        await crowd.until_made(moment, spending)
        if moment == halfway:
            billed = await world.billed()
            assert billed.total() <= world.limits.org
            await world.top_up(world.limits.top_up)
            continue
        frozen, other = draw.sample(list(world.places), 2)
        frozen.send(signal.SIGSTOP)
        await crowd.until_made(moment + count // 20, spending)
        if dying:
            await world.sweep()
            await other.die_and_open_again()
        frozen.send(signal.SIGCONT)


async def _assert_idle_instances_hold_nothing(world: World) -> None:
    async def given_back() -> bool:
        living = world.living()
        return not [each for each in await world.leases() if _holds(each) and _of(each, living)]

    await until(given_back)
    living = world.living()
    assert [each for each in await world.leases() if _holds(each) and _of(each, living)] == []


def _holds(lease: Lease) -> bool:
    """Money that is leased, or written off and not corrected."""
    return lease.state in (LeaseState.OPEN, LeaseState.WRITTEN_OFF)


def _of(lease: Lease, instances: set[str]) -> bool:
    return lease.instance in instances


def _assert_no_state_was_over(notes: Sequence[dict[str, Any]]) -> None:
    states = [(name, *each) for note in notes for name, each in note["periods"].items()]
    over = [each for each in states if each[1] + each[2] > each[3] or min(each[1:3]) < 0]
    assert over == []
    assert len(states) > PROCESSES


async def _assert_rows_are_what_is_settled(
    world: World, events: Events, billed: Counter[str], *, dying: bool
) -> None:
    """What differs is written off, and listed, and nothing else."""
    leases = {each.id: each for each in await world.leases()}
    told: Counter[str] = Counter()
    for event in events.values():
        for each in event["settlements"]:
            told[each["lease"]] += each["nanos"]
    rows: dict[str, int] = defaultdict(int)
    for lease, nanos in told.items():
        for name in leases[lease].periods:
            rows[name.partition(":")[0]] += nanos
    periods = await world.periods()
    owed = {"org": billed.total(), "plain": billed[PLAIN], "strict": billed[STRICT]}
    lost = [each for each in leases.values() if each.state is LeaseState.WRITTEN_OFF]
    for name, period in periods.items():
        listed = sum(each.written_off for each in lost if period.id in each.periods)
        assert (period.leased, period.open_leases) == (0, 0)
        assert owed[name] <= period.settled
        assert listed <= period.unproven
        assert 0 <= period.settled - rows[name] <= listed, name
    if not dying:
        assert lost == []
        return
    for each in lost:
        spent = told[each.id] - each.reported
        assert 0 <= spent <= each.written_off
        await _release(world.documents, each, spent)
    assert {name: each.settled for name, each in (await world.periods()).items()} == rows


async def _release(documents: Documents, lease: Lease, spent: int) -> None:
    """As an operator does who knows what was spent."""
    found = await documents.get_many([period_ref(name) for name in lease.periods])
    periods = [Period.from_document(each) for each in found if each is not None]
    corrected, changed = correct(lease, periods, spent, "law")
    await documents.commit(
        [
            Put(lease_ref(lease.id), corrected.to_data()),
            *(Put(period_ref(each.id), each.to_data()) for each in changed),
        ]
    )


def _budget(name: str, scope: str, limit: int) -> Budget:
    return Budget(name, "acme", scope, Calendar("total"), limit, "hard")


def _settings(simulator: Simulator, engines: StackEngines) -> dict[str, str]:
    return {**engines.settings, **law_settings(simulator)}


def _documents(data: Path, engines: StackEngines) -> SqliteDocuments | FirestoreDocuments:
    url = engines.settings.get("STATE_URL")
    if url is None:
        return SqliteDocuments(data / "state.sqlite")
    project, _, database = url.removeprefix("firestore://").partition("/")
    emulator = engines.settings["FIRESTORE_EMULATOR_HOST"]
    return FirestoreDocuments(project, database, emulator=emulator, deadline_s=60.0)


async def _all(documents: Documents, collection: str) -> list[Any]:
    found: list[Any] = []
    while True:
        page = await documents.query(Query(collection, after=found[-1].ref.id if found else None))
        found += page
        if len(page) < Query(collection).limit:
            return found
