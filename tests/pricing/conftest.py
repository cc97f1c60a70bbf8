"""A refresher over a real store, with a list that says what it is told to."""

import os
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from common.adapters.price_sources import read_providers
from common.core.errors import PublishFailed
from common.core.events import Event
from common.core.ports import Documents
from common.core.price_events import RefreshPrices
from common.pricing.books import BookRecord, name_in_force, read_book
from common.pricing.refresh import Refresher
from common.pricing.sources import Listed, SourceFailed
from common.pricing.vetting import Used
from tests.chosen_engines import state_of
from tests.pricing.lists import NOW, Raw, compile_bare, compiled, lab, text


@dataclass(slots=True)
class SetClock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - NOW).total_seconds()

    def advance(self, duration: timedelta) -> None:
        self.time += duration


@dataclass(slots=True)
class KeepingBus:
    """Keeps what is published; refuses it while `down`."""

    events: list[Event] = field(default_factory=list)
    down: bool = False

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        if self.down:
            raise PublishFailed("the bus is down")
        self.events.append(event)

    def types(self) -> list[str]:
        return [each.type for each in self.events]


@dataclass(slots=True)
class SaidSource:
    """Says `raw`, or `sent` as it is; fails with `failure`."""

    raw: list[Raw]
    sent: bytes | None = None
    failure: str | None = None
    name: str = "genai-prices"

    async def read(self) -> Listed:
        if self.failure is not None:
            raise SourceFailed(self.failure)
        body = text(self.raw) if self.sent is None else self.sent
        return Listed(read_providers(body), {"url": "https://prices.example.com"})


@dataclass(slots=True)
class Pricing:
    """The command, and what it works on. The book in the code is that of `lab()`."""

    documents: Documents
    clock: SetClock = field(default_factory=SetClock)
    bus: KeepingBus = field(default_factory=KeepingBus)
    source: SaidSource = field(default_factory=lambda: SaidSource(lab()))
    in_use: set[Used] = field(default_factory=set)
    asked_since: list[datetime] = field(default_factory=list)
    shipped: bytes = field(default_factory=lambda: compiled(lab()))

    async def used(self, since: datetime) -> Collection[Used]:
        self.asked_since.append(since)
        return self.in_use

    async def refresh(self, raw: list[Raw] | None = None) -> None:
        if raw is not None:
            self.source.raw = raw
        refresher = Refresher(
            documents=self.documents,
            bus=self.bus,
            clock=self.clock,
            entropy=os.urandom,
            source=self.source,
            compile=compile_bare,
            in_use=self.used,
            shipped=lambda: self.shipped,
        )
        await refresher.run(RefreshPrices(id="refresh", event_time=self.clock.now()))

    async def in_force(self) -> BookRecord | None:
        """The stored book in force."""
        sha = await name_in_force(self.documents.get_many)
        return None if sha is None else await read_book(self.documents.get_many, sha)

    async def published(self) -> BookRecord:
        record = await self.in_force()
        assert record is not None
        return record


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    engine = state_of(tmp_path)
    yield engine
    await engine.aclose()


@pytest.fixture
async def pricing(documents: Documents) -> Pricing:
    return Pricing(documents)
