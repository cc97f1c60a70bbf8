"""Identity over every engine of documents, a clock set by hand, and a bus that keeps events."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import pytest

from common.core.events import Event
from common.core.ports import Documents, Query, Row
from common.gateway.changes import Actor, Plan, apply_change
from common.gateway.identity import Agent, Member, Org, Project, Team, create_member
from common.gateway.key_changes import KeyRequest, NewKey, create_key
from tests.document_engines import documents, firestore_emulator

__all__ = ["documents", "firestore_emulator"]

T = TypeVar("T")

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ADMIN = Actor("admin@example.com", "192.0.2.1")


@dataclass(slots=True)
class SetClock:
    """A clock that shows what it is set to."""

    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def advance(self, duration: timedelta) -> None:
        self.time += duration


@dataclass(slots=True)
class KeepingBus:
    """A bus that keeps what was published."""

    events: list[Event] = field(default_factory=list)

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        self.events.append(event)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def bus() -> KeepingBus:
    return KeepingBus()


class Apply(Protocol):
    def __call__(self, plan: Plan[T]) -> Awaitable[T]: ...


@pytest.fixture
def apply(documents: Documents, bus: KeepingBus, clock: SetClock) -> Apply:
    """Apply a plan as the administrator."""

    async def apply(plan: Plan[T]) -> T:
        return await apply_change(
            plan, ADMIN, documents=documents, bus=bus, clock=clock, entropy=os.urandom
        )

    return apply


@pytest.fixture
async def acme(apply: Apply) -> None:
    """Organisation acme: teams search and ops, agents crawler and ranker (search), project q4."""
    members: list[Member] = [
        Org("acme", "Acme"),
        Team("acme", "search", "Search"),
        Team("acme", "ops", "Operations"),
        Agent("acme", "crawler", "search", "Crawler", {"env": "prod"}),
        Agent("acme", "ranker", "search", "Ranker"),
        Project("acme", "q4", "Fourth quarter"),
    ]
    for member in members:
        await apply(create_member(member))


MakeKey = Callable[..., Awaitable[NewKey]]


@pytest.fixture
def make_key(acme: None, apply: Apply) -> MakeKey:
    """Create a key of agent crawler."""

    async def make_key(name: str = "ci", agent: str = "crawler", **fields: object) -> NewKey:
        request = KeyRequest(org="acme", agent=agent, name=name, **fields)  # type: ignore[arg-type]  # any field of a request
        return await apply(create_key(request))

    return make_key


async def audit_entries(documents: Documents) -> list[Row]:
    """All audit entries, oldest first."""
    return [dict(entry.data) for entry in await documents.query(Query("audit"))]


async def together(*awaitables: Awaitable[T]) -> list[T | BaseException]:
    """What became of all of them, started at once."""
    return await asyncio.gather(*awaitables, return_exceptions=True)
