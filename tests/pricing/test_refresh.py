"""The command that takes the newest prices: what it writes, what it tells, and when it does not."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.errors import PublishFailed, VersionConflict
from common.core.ports import Document, Documents, Outcome, Put, Query, Ref, Write
from common.core.price_events import PriceBookHeld, PriceBookPublished, PriceSourceStale
from common.core.transactions import Read, transact
from common.gateway.control import CONTROL as CONTROL_OF_PROXIES
from common.llm.price_book import PriceBook
from common.pricing.books import CONTROL, POINTER, BookRecord, approve, put_in_force
from common.pricing.refresh import FAILURES
from common.pricing.vetting import Used
from tests.pricing.conftest import Pricing
from tests.pricing.lists import (
    NOW,
    RATES,
    card_text,
    changed,
    compiled,
    lab,
    model,
    names,
    provider,
    text,
    with_units,
    without,
)

OLD = lab()
DEAR = changed(OLD, "two", prices={**RATES, "input_mtok": 20})
NEWER = lab(*[model(name) for name in ("one", "two", "six", "ten", "new")])


def usd(book: PriceBook, name: str) -> str | None:
    card = book.card("lab", name)
    return None if card is None else card.rates(NOW, {})[0].usd


class Watching:
    """A store that counts commits, and does something right before the first that is asked for."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.commits = 0
        self.before: list[BookRecord] = []

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.commits += 1
        if self.before:
            record = self.before.pop()
            await self._inner.commit(
                [Put(CONTROL, {POINTER: record.sha}), Put(record.ref, record.to_data())]
            )
        return await self._inner.commit(writes)


def test_names_the_document_that_proxies_read() -> None:
    assert CONTROL == CONTROL_OF_PROXIES


async def test_puts_what_is_new_in_force(pricing: Pricing) -> None:
    await pricing.documents.commit([Put(CONTROL, {"policy_epoch": 7})])

    await pricing.refresh(NEWER)

    record = await pricing.published()
    assert PriceBook.load(record.data).digest == record.sha
    assert names(record.data) == ["one", "two", "six", "ten", "new"]
    assert (record.number, record.before, record.state) == (1, None, "published")
    assert (record.made_at, record.made_by, record.held) == (NOW, "pricing", ())
    assert record.sources["url"] == "https://prices.example.com"
    [control] = await pricing.documents.get_many([CONTROL])
    assert control is not None
    assert control.data == {"policy_epoch": 7, POINTER: record.sha}


async def test_tells_once_that_a_book_is_published(pricing: Pricing) -> None:
    await pricing.refresh(NEWER)
    await pricing.refresh(NEWER)

    [told] = pricing.bus.events
    assert isinstance(told, PriceBookPublished)
    assert (told.book, told.before, told.held) == ((await pricing.published()).sha, None, 0)


async def test_writes_nothing_when_the_list_says_the_same(pricing: Pricing) -> None:
    await pricing.refresh(NEWER)
    pricing.documents = watched = Watching(pricing.documents)
    pricing.clock.advance(timedelta(days=1))

    described = [{**NEWER[0], "description": "new words"}]
    await pricing.refresh(described)

    assert watched.commits == 0
    assert (await pricing.published()).number == 1


async def test_writes_nothing_when_the_list_says_what_the_code_has(pricing: Pricing) -> None:
    pricing.documents = watched = Watching(pricing.documents)

    await pricing.refresh(OLD)

    assert (watched.commits, pricing.bus.events, await pricing.in_force()) == (0, [], None)


async def test_asks_for_the_models_of_the_last_thirty_days(pricing: Pricing) -> None:
    await pricing.refresh()

    assert pricing.asked_since == [NOW - timedelta(days=30)]


async def test_supersedes_the_book_before(pricing: Pricing) -> None:
    await pricing.refresh(NEWER)
    first = await pricing.published()

    await pricing.refresh(OLD)

    second = await pricing.published()
    [document] = await pricing.documents.get_many([first.ref])
    assert document is not None
    assert (second.number, second.before) == (2, first.sha)
    assert (document.data["state"], BookRecord.from_document(document).data) == (
        "superseded",
        first.data,
    )


async def test_keeps_and_tells_a_planted_wrong_price(pricing: Pricing) -> None:
    await pricing.refresh(NEWER)

    await pricing.refresh(changed(NEWER, "two", prices={**RATES, "input_mtok": 20}))

    record = await pricing.published()
    assert usd(PriceBook.load(record.data), "two") == "2"
    [held] = record.held
    assert (held.provider, held.model, held.reason) == ("lab", "two", "price")
    told = pricing.bus.events[-1]
    assert isinstance(told, PriceBookHeld)
    assert (told.count, told.refused) == (1, None)
    assert [(each.provider, each.model, each.told) for each in told.cards] == [
        ("lab", "two", held.told)
    ]


async def test_keeps_a_model_in_use_that_vanishes(pricing: Pricing) -> None:
    pricing.in_use = {Used("lab", "one")}

    await pricing.refresh(without(OLD, "one"))

    record = await pricing.published()
    assert card_text(record.data, "one") == card_text(compiled(OLD), "one")
    assert [each.reason for each in record.held] == ["vanished"]


async def test_tells_a_set_of_held_cards_once(pricing: Pricing) -> None:
    for raw in (DEAR, changed(NEWER, "two", prices={**RATES, "input_mtok": 20}), DEAR):
        pricing.clock.advance(timedelta(days=1))
        await pricing.refresh(raw)

    held = [each for each in pricing.bus.events if isinstance(each, PriceBookHeld)]
    assert len(held) == 1


async def test_writes_nothing_when_the_same_is_held_again(pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    pricing.documents = watched = Watching(pricing.documents)

    await pricing.refresh(DEAR)

    assert watched.commits == 0


async def test_notes_that_other_figures_are_held_under_the_same_book(pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    first = await pricing.published()

    await pricing.refresh(changed(OLD, "two", prices={**RATES, "input_mtok": 30}))

    second = await pricing.published()
    assert (second.sha, second.number) == (first.sha, 1)
    assert [each.figures[0].new for each in second.held] == ["30"]
    assert pricing.bus.types() == ["price_book.published", "price_book.held", "price_book.held"]
    made = approve(second, ["lab/two"], "ops@example.com", NOW)
    assert usd(PriceBook.load(made.data), "two") == "30"


async def test_lets_go_of_what_the_source_has_mended(pricing: Pricing) -> None:
    await pricing.refresh(DEAR)

    await pricing.refresh(OLD)

    record = await pricing.published()
    assert (record.held, record.candidate, record.number) == ((), None, 1)
    assert pricing.bus.types() == ["price_book.published", "price_book.held"]


async def test_publishes_an_event_again_that_the_bus_refused(pricing: Pricing) -> None:
    pricing.bus.down = True
    with pytest.raises(PublishFailed):
        await pricing.refresh(DEAR)
    pricing.bus.down = False

    await pricing.refresh(DEAR)
    await pricing.refresh(DEAR)

    assert pricing.bus.types() == ["price_book.published", "price_book.held"]


async def test_does_not_lose_what_waits_when_the_next_book_comes(pricing: Pricing) -> None:
    pricing.bus.down = True
    with pytest.raises(PublishFailed):
        await pricing.refresh(DEAR)
    pricing.bus.down = False

    await pricing.refresh(NEWER)

    assert sorted(pricing.bus.types()) == [
        "price_book.held",
        "price_book.published",
        "price_book.published",
    ]


def priced(price: str) -> bytes:
    """A list whose only price is written like this."""
    return text(lab(model("one", {}))).replace(b"{}", f"{{{price}}}".encode())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'[{"id": "lab"}]',
        b'[{"id":"lab","name":"Lab","api_pattern":"","models":[{"id":"one"',
        priced('"input_mtok":"2"'),
        priced('"input_mtok":-2'),
        priced('"input_mtok":NaN'),
        priced('"input_lightyears":2'),
        b"[" * 100_000,
    ],
    ids=range(11),
)
async def test_keeps_the_book_and_tells_why_when_the_list_is_damaged(
    pricing: Pricing, sent: bytes
) -> None:
    await pricing.refresh(NEWER)
    before = await pricing.published()
    pricing.source.sent = sent

    await pricing.refresh()

    assert await pricing.published() == before
    told = pricing.bus.events[-1]
    assert isinstance(told, PriceBookHeld)
    assert (told.book, told.count) == (before.sha, 0)
    assert told.refused


async def test_refuses_a_list_that_lost_most_of_its_models(pricing: Pricing) -> None:
    await pricing.refresh(lab(model("one")))

    [told] = pricing.bus.events
    assert isinstance(told, PriceBookHeld)
    assert told.refused == "the list has 1 models, and had 4"
    assert await pricing.in_force() is None


async def test_refuses_a_book_that_no_document_can_hold(pricing: Pricing) -> None:
    noise = [os.urandom(5_000).hex() for _ in range(160)]
    await pricing.refresh([*OLD, provider("large", *[model(name) for name in noise])])

    [told] = pricing.bus.events
    assert isinstance(told, PriceBookHeld)
    assert told.refused is not None
    assert told.refused.endswith("a document has room for 900,000")
    assert await pricing.in_force() is None


async def test_says_nothing_of_one_failure_of_the_source(pricing: Pricing) -> None:
    pricing.source.failure = "it answers 500"

    await pricing.refresh()

    [failure] = await pricing.documents.get_many([Ref(FAILURES, "genai-prices")])
    assert failure is not None
    assert (failure.data["failing_since"], failure.data["cause"]) == (NOW, "it answers 500")
    assert pricing.bus.events == []


async def test_tells_under_one_id_that_a_source_fails_for_a_week(pricing: Pricing) -> None:
    pricing.source.failure = "it answers 500"
    for _ in range(9):
        await pricing.refresh()
        pricing.clock.advance(timedelta(days=1))

    [first, second] = pricing.bus.events
    assert isinstance(first, PriceSourceStale)
    assert (first.since, first.event_time, first.id) == (NOW, NOW + timedelta(days=7), second.id)


async def test_forgets_a_failure_when_the_source_is_back(pricing: Pricing) -> None:
    pricing.source.failure = "it answers 500"
    await pricing.refresh()
    pricing.source.failure = None

    await pricing.refresh()

    assert await pricing.documents.get_many([Ref(FAILURES, "genai-prices")]) == [None]


async def test_vets_again_when_another_book_was_put_in_force_meanwhile(pricing: Pricing) -> None:
    other = Pricing(pricing.documents)
    await other.refresh(NEWER)
    theirs = await other.published()
    await pricing.documents.commit([Put(CONTROL, {})])
    pricing.documents = watched = Watching(pricing.documents)
    watched.before = [theirs]

    await pricing.refresh(changed(NEWER, "six", prices={**RATES, "input_mtok": 2.5}))

    record = await pricing.published()
    assert (record.before, record.number) == (theirs.sha, 2)


async def test_publishes_one_book_when_two_commands_come_at_once(pricing: Pricing) -> None:
    pricing.source.raw = NEWER
    await asyncio.gather(pricing.refresh(), pricing.refresh())

    record = await pricing.published()
    assert (record.number, set(pricing.bus.types())) == (1, {"price_book.published"})


async def test_replaces_a_damaged_book(pricing: Pricing) -> None:
    await pricing.refresh(NEWER)
    record = await pricing.published()
    await pricing.documents.commit([Put(record.ref, {**record.to_data(), "book": "AAAA"})])
    pricing.clock.advance(timedelta(days=1))

    await pricing.refresh(NEWER)

    mended = await pricing.published()
    assert (mended.before, names(mended.data)[-1]) == (record.sha, "new")


async def test_vets_against_the_code_where_it_knows_other_units(pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    stored = await pricing.published()
    data = with_units(pricing.shipped, input_tokens={"per": 1})
    other = replace(stored, data=data, sha=PriceBook.load(data).digest)
    await pricing.documents.commit(
        [Put(CONTROL, {POINTER: other.sha}), Put(other.ref, other.to_data())]
    )

    await pricing.refresh(DEAR)

    record = await pricing.published()
    assert (record.before, [each.model for each in record.held]) == (other.sha, ["two"])


async def test_puts_no_book_in_force_in_place_of_another_than_it_follows(
    pricing: Pricing,
) -> None:
    await pricing.refresh(DEAR)
    record = await pricing.published()
    made = approve(record, ["lab/two"], "ops@example.com", NOW)
    await pricing.refresh(NEWER)

    async def decide(read: Read) -> tuple[Sequence[Write], None]:
        return await put_in_force(read, made), None

    with pytest.raises(VersionConflict, match="another price book is in force"):
        await transact(pricing.documents, pricing.clock, decide, entropy=os.urandom)
