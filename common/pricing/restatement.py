"""A time of calls, read again and restated under other prices: corrections are published, or told.

What it reads and publishes may be read and published again: until a correction is in the warehouse
it has the next number of its call, and no other one can have it (`claims.py`); from then on there
is nothing to correct. Other prices meanwhile make no second one: the call is left until the first
has arrived.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from common.core.correction_events import UsageCorrected
from common.core.errors import InvalidInput, NotFound, PublishFailed
from common.core.money import Nanos
from common.core.ports import Bus, Clock, Documents, Row, Value, Warehouse
from common.llm.price_book import PriceBook
from common.pricing.claims import claim, claims_of
from common.pricing.in_force import Books
from common.pricing.overrides import (
    Override,
    all_overrides,
    book_named,
    laid_over,
    tag_of,
    version_ref,
)
from common.pricing.restating import Left, PastCall, Prices, restated

OLDEST = timedelta(days=390)
"""Ten days less than hours and rows are kept: what is corrected must be there to be corrected."""
PAGE = 2_000
AT_ONCE = 50
"""Corrections that are on their way to the bus together."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Calls that ended from `since` up to, not including, `until`; equal to what is not None."""

    since: datetime
    until: datetime
    org: str | None = None
    provider: str | None = None
    model: str | None = None


@dataclass(slots=True)
class Restated:
    """What became of calls. `failed` corrections were not accepted by the bus."""

    calls: int = 0
    corrected: int = 0
    failed: int = 0
    old_nanos: Nanos = 0
    new_nanos: Nanos = 0
    left: Counter[Left] = field(default_factory=Counter)


class Restatement:
    """Restates calls. Made anew for each time it is asked for."""

    def __init__(
        self, documents: Documents, warehouse: Warehouse, bus: Bus, clock: Clock, books: Books
    ) -> None:
        self._documents = documents
        self._warehouse = warehouse
        self._bus = bus
        self._clock = clock
        self._books = books
        self._then: dict[tuple[str, str | None], PriceBook | None] = {}

    async def run(self, chosen: Chosen, *, sha: str | None, reason: str, is_dry: bool) -> Restated:
        """Correct what costs something else under a book and the overrides of now.

        Args:
            chosen: which calls.
            sha: of the book; None for the one in force.
            reason: why, as the corrections say it.
            is_dry: nothing is published.

        Raises:
            InvalidInput: the time is empty or too long ago, or the book is damaged.
            NotFound: there is no such book.
            StoreUnavailable: no answer in time; what is published by then stands.
        """
        now = self._clock.now()
        if chosen.since >= chosen.until:
            raise InvalidInput("it must begin before it ends", field="from")
        if now - chosen.since > OLDEST:
            raise InvalidInput(f"calls are kept for {OLDEST.days} days: begin later", field="from")
        book = await (self._books.in_force() if sha is None else self._books.load(sha))
        prices = Prices.of(book, await all_overrides(self._documents))
        found = Restated()
        async for page in self._pages(chosen):
            await self._read_books(page)
            corrections = []
            for call in page:
                made = restated(call, self._book_of, prices, reason=reason, now=now)
                found.calls += 1
                if isinstance(made, str):
                    found.left[made] += 1
                else:
                    corrections.append(made)
            await self._correct(corrections, found, is_dry=is_dry)
        return found

    async def _correct(
        self, corrections: list[UsageCorrected], found: Restated, *, is_dry: bool
    ) -> None:
        for start in range(0, len(corrections), AT_ONCE):
            part = corrections[start : start + AT_ONCE]
            held: list[UsageCorrected | None]
            if is_dry:
                taken = await claims_of(self._documents, part)
                held = [there or each for each, there in zip(part, taken, strict=True)]
                accepted = [True] * len(part)
            else:
                held = await claim(self._documents, part, self._clock.now())
                accepted = await asyncio.gather(*(self._publish(each) for each in held))
            for each, there, is_accepted in zip(part, held, accepted, strict=True):
                _count(found, each, there if is_accepted else None)

    async def _publish(self, correction: UsageCorrected | None) -> bool:
        if correction is None:
            return False
        try:
            await self._bus.publish(correction.topic, correction)
        except PublishFailed:
            return False
        return True

    async def _pages(self, chosen: Chosen) -> AsyncIterator[list[PastCall]]:
        after: PastCall | None = None
        while True:
            rows = await self._warehouse.query(_sql(), _parameters(chosen, after))
            page = [_past_call(row) for row in rows]
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1]

    async def _read_books(self, calls: list[PastCall]) -> None:
        """Have the prices of their time at hand."""
        for sha, tag in {_priced_by(call) for call in calls if call.book is not None}:
            if (sha, tag) not in self._then:
                self._then[sha, tag] = await self._read_book(sha, tag)

    async def _read_book(self, sha: str, tag: str | None) -> PriceBook | None:
        try:
            book = await self._books.load(sha)
        except (NotFound, InvalidInput):
            return None
        if tag is None:
            return book
        [document] = await self._documents.get_many([version_ref(tag)])
        if document is None:
            return None
        return laid_over(book, [Override.from_document(document)])

    def _book_of(self, call: PastCall) -> PriceBook | None:
        return None if call.book is None else self._then.get(_priced_by(call))


def _count(found: Restated, wanted: UsageCorrected, held: UsageCorrected | None) -> None:
    """Count what became of a call; `held` has its number, None where nothing was accepted."""
    if held is None:
        found.failed += 1
    elif held is wanted:
        found.corrected += 1
        found.old_nanos += wanted.old_nanos
        found.new_nanos += wanted.new_nanos
    else:
        same = held.new_nanos == wanted.new_nanos
        found.left["on_its_way" if same else "other_on_its_way"] += 1


def _priced_by(call: PastCall) -> tuple[str, str | None]:
    return book_named(call.book or ""), tag_of(call.card or "")


def _parameters(chosen: Chosen, after: PastCall | None) -> dict[str, Value]:
    return {
        "since": chosen.since,
        "until": chosen.until,
        "org": chosen.org,
        "provider": chosen.provider,
        "model": chosen.model,
        "after_time": None if after is None else after.event_time,
        "after_id": None if after is None else after.id,
        "limit": PAGE,
    }


def _past_call(row: Row) -> PastCall:
    values: dict[str, Any] = dict(row)
    units: Mapping[str, Any] = json.loads(values.pop("units") or "{}")
    cost, original = values.pop("cost_nanos"), values.pop("original_cost_nanos")
    return PastCall(
        **values,
        units={unit: int(count) for unit, count in units.items()},
        cost=None if cost is None else int(cost),
        original_cost=original,
    )


@cache
def _sql() -> str:
    return (files("common.pricing") / "sql/past_calls.sql").read_text("utf-8")
