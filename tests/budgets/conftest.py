"""Budgets over every engine of documents, with a clock set by hand and stores that misbehave."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from common.budgets.accounts import LEASES, Lease, Period, period_ref
from common.budgets.budgets import Applicable, Budget, budget_ref
from common.budgets.calendar import Calendar
from common.budgets.holdings import Holdings
from common.core.errors import StoreUnavailable
from common.core.ports import (
    Clock,
    Committed,
    Document,
    Documents,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Write,
)
from tests.document_engines import documents, firestore_emulator

__all__ = ["documents", "firestore_emulator"]

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOLLAR = 10**9


@dataclass(slots=True)
class SetClock:
    """A clock that shows what it is set to."""

    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass(slots=True)
class Misbehaving:
    """Another store. `fates` decides the next commits: applied or not, and answered or not."""

    inner: Documents
    fates: list[str] = field(default_factory=list)
    down: bool = False
    commits: int = 0
    reads: int = 0
    before_commit: Callable[[], Awaitable[None]] | None = None

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        self.reads += 1
        if self.down:
            raise StoreUnavailable("state did not answer in time")
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.commits += 1
        if self.before_commit is not None:
            hook, self.before_commit = self.before_commit, None
            await hook()
        fate = self.fates.pop(0) if self.fates else "answered"
        if fate == "lost":
            return Unknown("no answer")
        outcome = await self.inner.commit(writes)
        if fate == "unanswered" and isinstance(outcome, Committed):
            return Unknown("no answer")
        return outcome


@dataclass(slots=True)
class World:
    """One store, and the instances on it."""

    documents: Misbehaving
    clock: SetClock

    async def budget(self, name: str, limit: int, **fields: object) -> Budget:
        """A hard budget of an organisation, stored."""
        budget = Budget(
            **{
                "id": name,
                "org": "acme",
                "scope": "org:acme",
                "calendar": Calendar("day"),
                "limit": limit,
                "enforcement": "hard",
            }
            | fields  # type: ignore[arg-type] # the fields of a budget, by name
        )
        await self.documents.inner.commit([Put(budget_ref(name), budget.to_data())])
        return budget

    def to(self, *budgets: Budget) -> Applicable:
        return Applicable.at(budgets, self.clock.now())

    def instance(self, clock: Clock | None = None, wait_s: float = 30.0) -> Holdings:
        return Holdings(
            self.documents,
            clock or self.clock,
            os.urandom(8).hex(),
            os.urandom,
            sleep=self.sleep,
            wait_s=wait_s,
        )

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    async def period(self, to: Applicable, number: int = 0) -> Period:
        [document] = await self.documents.inner.get_many([period_ref(to.scope_set[number])])
        assert document is not None
        return Period.from_document(document)

    async def leases(self) -> list[Lease]:
        return [Lease.from_document(d) for d in await self.documents.inner.query(Query(LEASES))]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def world(documents: Documents, clock: SetClock) -> World:
    return World(Misbehaving(documents), clock)
