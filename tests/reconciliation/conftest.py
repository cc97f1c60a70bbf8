"""A warehouse with calls, a state, and a run over bills that a test writes."""

import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from common.core.events import Event, UsageEvent
from common.core.ports import Document, Documents, Warehouse
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books
from common.reconciliation.records import day_ref, source_ref
from common.reconciliation.rows import Bill, BillsUnavailable, Item, Tokens, Used
from common.reconciliation.running import Account, Reconciliation
from tests.api.conftest import KeepingBus, SetClock, a_call
from tests.chosen_engines import state_of, warehouse_of

DAY = date(2026, 11, 20)
TWO_DAYS_ON = datetime(2026, 11, 22, 3, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOLLAR = 10**9
HOST = "api.openai.com"
OF_A_CALL = Tokens(1_000, 0, 0, 100)


@dataclass(slots=True)
class WrittenBills:
    """`Bills` of days that a test writes; other days are empty."""

    bills: dict[date, Bill] = field(default_factory=dict)
    failure: str | None = None
    asked: list[list[date]] = field(default_factory=list)

    async def read(self, days: Iterable[date]) -> list[Bill]:
        self.asked.append(list(days))
        if self.failure is not None:
            raise BillsUnavailable(self.failure)
        return [self.bills.get(day, Bill(day)) for day in self.asked[-1]]

    def write(self, usd: str, tokens: Tokens = OF_A_CALL) -> None:
        """The day's bill, of one model."""
        used = Used("key_1", "gpt-4o-2024-08-06", tokens)
        self.bills[DAY] = Bill(DAY, (used,), (Item("gpt-4o-2024-08-06", Decimal(usd)),))


@dataclass(slots=True)
class Scene:
    """What a run works with."""

    documents: Documents
    warehouse: Warehouse
    bus: KeepingBus
    clock: SetClock
    bills: WrittenBills
    calls: int = 0

    @property
    def account(self) -> Account:
        return Account("openai", "acme", frozenset({HOST}), self.bills, "OPENAI_ADMIN_KEY")

    def reconciliation(self, *accounts: Account) -> Reconciliation:
        return Reconciliation(
            self.documents,
            self.bus,
            self.clock,
            os.urandom,
            self.warehouse,
            Books(self.documents, bundled_book()).in_force,
            accounts or (self.account,),
        )

    async def run(self) -> list[Event]:
        """Run; what is told."""
        before = len(self.bus.events)
        await self.reconciliation().run()
        return self.bus.events[before:]

    async def call(self, nanos: int = DOLLAR, **fields: Any) -> UsageEvent:
        """One call with the installation's key, in the warehouse."""
        self.calls += 1
        ended = fields.get("event_time", NOON)
        given: dict[str, Any] = {
            "event_time": ended,
            "started_at": ended,
            "credential": "main",
            "provider_key_hash": "ffffffffffff",
            "units": {"input_tokens": 1_000, "output_tokens": 100},
            "card": "openai/gpt-4o",
            "model_billed": "gpt-4o-2024-08-06",
            "cost_nanos": nanos,
            "priced_nanos": nanos,
        }
        event = a_call(self.calls, **given | fields)
        told_of = {"message_id": event.id, "publish_time": event.event_time.isoformat()}
        await self.warehouse.append("usage_raw", [json.loads(event.payload()) | told_of])
        return event

    async def found(self, day: date = DAY) -> dict[str, Any]:
        """What is kept of a day."""
        document = await self.document(day)
        assert document is not None
        return dict(document.data)

    async def document(self, day: date = DAY) -> Document | None:
        [document] = await self.documents.get_many([day_ref("openai", "acme", day)])
        return document

    async def source(self) -> dict[str, Any]:
        [document] = await self.documents.get_many([source_ref("openai", "acme")])
        assert document is not None
        return dict(document.data)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    documents, warehouse = state_of(tmp_path), warehouse_of(tmp_path)
    yield Scene(documents, warehouse, KeepingBus(), SetClock(TWO_DAYS_ON), WrittenBills())
    await warehouse.aclose()
    await documents.aclose()
