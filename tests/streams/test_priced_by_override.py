"""Calls whose organisation has its own rates: priced, held and settled by them from then on."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.ports import Delete, Document, Documents, Put, Query
from common.gateway.control import CONTROL, REFRESH_AFTER_S
from common.llm.price_book import bundled_book
from common.pricing.overrides import (
    OVERRIDES,
    OVERRIDES_CHANGED,
    Override,
    read_rates,
)
from tests.gateway.building import build_gateway
from tests.gateway.making import START, SetClock, WatchedDocuments, a_key, key_text, store
from tests.streams.fakes import (
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)
from tests.streams.hard_budgets import CAPPED, Make, budget, period_of

__all__ = ["budget"]

LIST = (bundled_book().digest, "openai/gpt-4o-mini", OPENAI_NANOS)
OWN_NANOS = 100 * 1_000 + 20 * 4_000


def an_override(**fields: Any) -> Override:
    rates = read_rates({"input_tokens": "1", "output_tokens": "4"}, bundled_book().units)
    made = Override(
        id="mini",
        org="acme",
        provider="openai",
        model="gpt-4o-mini",
        kind="negotiated",
        rates=rates,
        valid_from=START - timedelta(days=1),
        valid_until=None,
        note="",
    )
    return replace(made, **fields)


class Watched(WatchedDocuments):
    """Counts queries too, and is silent about overrides while `silent`."""

    queried = 0
    silent = False

    async def query(self, query: Query) -> list[Document]:
        if query.collection == OVERRIDES:
            self.queried += 1
            if self.silent:
                raise StoreUnavailable("state did not answer in time")
        return await self.inner.query(query)


class Proxy:
    """One instance with its own copies and clock."""

    def __init__(self, documents: Documents) -> None:
        self.documents = Watched(documents)
        self.clock = SetClock()
        self.bus = KeepingBus(topics=("usage", "events"))
        self.upstream = ScriptedUpstream(ScriptedReply([OPENAI_REPLY], headers=JSON))
        gateway = build_gateway(self.documents, self.upstream, self.bus, self.clock, {})
        self.client = Client(gateway)

    async def call(self, **options: Any) -> tuple[str | None, str | None, int | None]:
        """The book and card that a call was priced by, and what it cost."""
        self.bus.events.clear()
        exchange = await self.client.call(body=CAPPED, **options)
        assert exchange.status == 200, exchange.content
        event = self.bus.only
        return event.book, event.card, event.cost_nanos

    async def until_it_has_changed(self) -> list[tuple[str | None, str | None, int | None]]:
        """Calls after the next reading of the control document, until one pays another price."""
        first = await self.call()
        calls = [first]
        self.clock.advance(REFRESH_AFTER_S)
        async with asyncio.timeout(5):
            while calls[-1] == first:
                calls.append(await self.call())
        return calls

    async def follow(self, override: Override) -> None:
        """Call until calls are priced by this override."""
        self.clock.advance(REFRESH_AFTER_S)
        async with asyncio.timeout(5):
            while override.tag not in str((await self.call())[1]):
                pass


@pytest.fixture
def proxy(documents: Documents) -> Proxy:
    return Proxy(documents)


async def put(documents: Documents, *overrides: Override, told: int = 1) -> None:
    """As an operator does it: with the word to all proxies."""
    [control] = await documents.get_many([CONTROL])
    members = {} if control is None else dict(control.data)
    writes = [Put(each.ref, each.to_data()) for each in overrides]
    await documents.commit([*writes, Put(CONTROL, {**members, OVERRIDES_CHANGED: told})])


def priced_by(override: Override) -> tuple[str, int]:
    return f"openai/gpt-4o-mini+{override.tag}", OWN_NANOS


async def test_reads_nothing_of_overrides_where_nobody_has_ever_set_one(proxy: Proxy) -> None:
    assert await proxy.call() == LIST
    assert proxy.documents.queried == 0


async def test_prices_the_first_call_of_an_instance_by_the_override(
    proxy: Proxy, documents: Documents
) -> None:
    await put(documents, an_override())

    book, *priced = await proxy.call()

    assert tuple(priced) == priced_by(an_override())
    assert book is not None
    assert book.startswith(f"{LIST[0]}+")


async def test_reads_them_once_for_many_calls(proxy: Proxy, documents: Documents) -> None:
    await put(documents, an_override())

    prices = {await proxy.call() for _ in range(5)}

    assert (len(prices), proxy.documents.queried) == (1, 1)


async def test_a_busy_instance_takes_a_change_with_its_next_reading_of_control(
    proxy: Proxy, documents: Documents
) -> None:
    """Which it reads 2 s after the last time; the calls that it reads it beside are the last."""
    await proxy.call()
    await put(documents, an_override())

    *before, after = await proxy.until_it_has_changed()

    assert set(before) == {LIST}
    assert after[1:] == priced_by(an_override())


async def test_goes_back_to_the_list_when_it_is_removed(proxy: Proxy, documents: Documents) -> None:
    await put(documents, an_override())
    await proxy.call()
    await documents.commit([Delete(an_override().ref)])
    await put(documents, told=2)

    *_, after = await proxy.until_it_has_changed()

    assert after == LIST


async def test_leaves_other_organisations_at_the_list(proxy: Proxy, documents: Documents) -> None:
    await put(documents, an_override())
    await store(documents, a_key(key_text("other"), org="other"))

    assert (await proxy.call(headers={"x-gateway-key": key_text("other")})) == LIST
    assert (await proxy.call())[1:] == priced_by(an_override())


async def test_counts_for_every_organisation_if_it_names_none(
    proxy: Proxy, documents: Documents
) -> None:
    override = an_override(org=None)
    await put(documents, override)

    assert (await proxy.call())[1:] == priced_by(override)


async def test_begins_and_ends_by_the_arrival_of_calls(proxy: Proxy, documents: Documents) -> None:
    override = an_override(
        valid_from=START + timedelta(seconds=1), valid_until=START + timedelta(seconds=2)
    )
    await put(documents, override)

    prices = []
    for _ in range(3):
        prices.append((await proxy.call())[2])
        proxy.clock.advance(1)

    assert prices == [OPENAI_NANOS, OWN_NANOS, OPENAI_NANOS]


async def test_holds_and_settles_by_the_rates_of_its_arrival(
    proxy: Proxy, documents: Documents, budget: Make
) -> None:
    """Whatever changes in between: the second call, which sees the change, pays it."""
    await budget()
    override = an_override()
    await put(documents, override)
    answered = asyncio.Event()
    proxy.upstream.before = [answered]
    first, task = proxy.client.start(body=CAPPED)
    await wait_for(proxy.upstream.asked)
    proxy.upstream.before = []
    dear = an_override(rates={unit: 1_000 * rate for unit, rate in override.rates.items()})
    await put(documents, dear, told=2)
    await proxy.follow(dear)
    answered.set()
    await task

    assert first.status == 200
    event = proxy.bus.events[-1]
    assert isinstance(event, UsageEvent)
    assert (event.card, event.cost_nanos) == priced_by(override)
    assert [each.nanos for each in event.settlements] == [OWN_NANOS]
    assert OWN_NANOS <= event.hold_nanos < 1_000 * OWN_NANOS


async def test_holds_the_ceiling_of_own_rates(
    proxy: Proxy, documents: Documents, budget: Make
) -> None:
    await budget()
    held = []
    for told, times in enumerate((1, 3), start=1):
        rates = {unit: rate * times for unit, rate in an_override().rates.items()}
        await put(documents, an_override(rates=rates), told=told)
        made = Proxy(documents)
        await made.call()
        held.append(made.bus.only.hold_nanos)

    assert held[1] == 3 * held[0]
    assert (await period_of(documents)).settled == 4 * OWN_NANOS  # type: ignore[arg-type] # any store


async def test_keeps_its_rates_while_the_store_is_silent(
    proxy: Proxy, documents: Documents
) -> None:
    await put(documents, an_override())
    await proxy.call()
    proxy.documents.silent = True
    await put(documents, an_override(rates={"input_tokens": 0}), told=2)
    proxy.clock.advance(REFRESH_AFTER_S)
    while_silent = {await proxy.call() for _ in range(5)}
    proxy.documents.silent = False

    assert {each[1:] for each in while_silent} == {priced_by(an_override())}
    of_output_by_the_list = 20 * 600
    assert (await proxy.until_it_has_changed())[-1][2] == of_output_by_the_list


async def test_takes_what_it_can_read(proxy: Proxy, documents: Documents) -> None:
    await put(documents, an_override())
    await documents.commit([Put(an_override(id="strange").ref, {"org": "acme"})])

    assert (await proxy.call())[1:] == priced_by(an_override())


async def test_estimates_by_own_rates(proxy: Proxy, documents: Documents) -> None:
    described = b'{"path":"/openai/v1/chat/completions","body":' + CAPPED + b"}"
    plain = (await proxy.client.call("/gateway/v1/estimate", described)).content
    await put(documents, an_override())

    own = (await Proxy(documents).client.call("/gateway/v1/estimate", described)).content

    assert b'"card":"openai/gpt-4o-mini"' in plain
    assert an_override().tag.encode() in own


async def test_lets_what_costs_nothing_through_a_budget_that_is_used_up(
    proxy: Proxy, documents: Documents, budget: Make
) -> None:
    await budget(limit=1)
    free = an_override(kind="prepaid", rates={"input_tokens": 0, "output_tokens": 0})
    await put(documents, free)

    exchange = await proxy.client.call(body=CAPPED)

    assert exchange.status == 200
    event = proxy.bus.events[-1]
    assert isinstance(event, UsageEvent)
    assert (event.cost_nanos, event.hold_nanos, event.settlements) == (0, 0, ())
