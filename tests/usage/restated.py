"""Calls that are priced as the gateway does it, and a ledger that restates them."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from common.core.correction_events import UsageCorrected
from common.core.errors import PublishFailed
from common.core.events import Event, UsageEvent
from common.core.money import Nanos
from common.core.ports import Documents, Put, Warehouse
from common.llm.price_book import PriceBook, bundled_book
from common.pricing.in_force import Books
from common.pricing.overrides import Override, read_rates
from common.pricing.restatement import Chosen, Restated, Restatement
from common.usage.apply_events import apply_events
from common.usage.reports import Filter, Summary, summarise
from common.usage.summaries import summarise_usage
from tests.api.conftest import NOW, KeepingBus, SetClock, a_call

BOOK = bundled_book()
UNITS = {"input_tokens": 100, "output_tokens": 20}
NANOS = 100 * 150 + 20 * 600
"""By the list: $0.15 and $0.60 a million."""
OWN_NANOS = 100 * 1_000 + 20 * 4_000


def priced(number: int = 0, book: PriceBook = BOOK, **fields: Any) -> UsageEvent:
    """A call of gpt-4o-mini, priced as the gateway does it."""
    units, model = fields.pop("units", UNITS), fields.pop("model_billed", "gpt-4o-mini-2024-07-18")
    time = fields.pop("event_time", NOW - timedelta(minutes=5))
    card = book.card("openai", model)
    nanos = book.price([(card, units)], time, {}).nanos
    known: dict[str, Any] = {
        "event_time": time,
        "started_at": time,
        "model_asked": "gpt-4o-mini",
        "model_sent": "gpt-4o-mini",
        "model_billed": model,
        "units": units,
        "book": book.digest,
        "card": card.key if card is not None else None,
        "cost_nanos": nanos,
        "priced_nanos": nanos,
    }
    return a_call(number, **(known | fields))


def an_override(usd: tuple[str, str] = ("1", "4"), **fields: Any) -> Override:
    rates = read_rates({"input_tokens": usd[0], "output_tokens": usd[1]}, BOOK.units)
    known: dict[str, Any] = {
        "id": "mini",
        "org": "acme",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "kind": "negotiated",
        "rates": rates,
        "valid_from": NOW - timedelta(days=100),
        "valid_until": None,
        "note": "",
    }
    return Override(**(known | fields))


@dataclass(slots=True)
class RefusingBus(KeepingBus):
    """Does not accept what is for these calls."""

    refused: set[str] = field(default_factory=set)

    async def publish(self, topic: str, event: Event) -> None:
        if isinstance(event, UsageCorrected) and event.call_id in self.refused:
            raise PublishFailed("the bus is down")
        await KeepingBus.publish(self, topic, event)


@dataclass(slots=True)
class Ledger:
    """Calls and corrections, in rollups and warehouse as events bring them there."""

    documents: Documents
    warehouse: Warehouse
    clock: SetClock
    bus: RefusingBus = field(default_factory=RefusingBus)
    deliveries: int = 0

    async def take(self, *events: Event, times: int = 1) -> None:
        """Deliver events to both, as often as that."""
        rows = []
        for _ in range(times):
            for event in events:
                self.deliveries += 1
                rows.append(
                    json.loads(event.payload())
                    | {
                        "subscription_name": "s",
                        "message_id": str(self.deliveries),
                        "publish_time": NOW + timedelta(seconds=self.deliveries),
                        "attributes": {},
                    }
                )
            counted: list[Any] = list(events)
            applied = await apply_events(self.documents, counted, self.clock)
            assert applied.failed == {}
        await self.warehouse.append("usage_raw", rows)

    async def override(self, *overrides: Override) -> None:
        for each in overrides:
            data = each.to_data()
            await self.documents.commit([Put(each.ref, data), Put(each.version_ref, data)])

    async def restate(
        self,
        sha: str | None = None,
        since: datetime = NOW - timedelta(days=300),
        *,
        is_dry: bool = False,
        **chosen: Any,
    ) -> tuple[Restated, list[UsageCorrected]]:
        """What is told, and the corrections that are published."""
        self.bus.events.clear()
        restatement = Restatement(
            self.documents, self.warehouse, self.bus, self.clock, Books(self.documents, BOOK)
        )
        found = await restatement.run(
            Chosen(since, NOW, **chosen), sha=sha, reason="contract of October", is_dry=is_dry
        )
        return found, [each for each in self.bus.events if isinstance(each, UsageCorrected)]

    async def totals(self, **chosen: Any) -> tuple[Nanos, Nanos]:
        """What all calls of two hours cost, by rollups and by the warehouse."""
        asked = Filter(NOW - timedelta(hours=2), NOW, **chosen)
        summary, division = await summarise_usage(self.documents, self.warehouse, NOW, asked)
        assert division.warehouse == ()
        return summary.total.priced_nanos, (await self.summary(**chosen)).total.priced_nanos

    async def summary(self, **chosen: Any) -> Summary:
        return await summarise(self.warehouse, Filter(NOW - timedelta(hours=2), NOW, **chosen))

    async def rows(self) -> dict[str, tuple[int | None, int | None, int]]:
        """Cost, original cost and number of corrections of each call."""
        found = await self.warehouse.query(
            "SELECT id, cost_nanos, original_cost_nanos, corrections FROM usage ORDER BY id"
        )
        return {
            row["id"]: (row["cost_nanos"], row["original_cost_nanos"], row["corrections"])
            for row in found
        }
