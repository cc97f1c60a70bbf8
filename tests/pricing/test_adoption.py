"""A published book reaches every proxy: beside its calls, and never in the middle of one."""

import asyncio
import gzip
import json
import logging
import os
import sys
import time
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.errors import StoreUnavailable
from common.core.ports import Delete, Document, Documents, Put, Ref, Write
from common.core.transactions import Read, transact
from common.gateway.control import REFRESH_AFTER_S
from common.gateway.price_copy import PriceCopy
from common.llm.price_book import bundled_book
from common.pricing.books import (
    BOOKS,
    CONTROL,
    POINTER,
    BookRecord,
    Place,
    follow,
    name_in_force,
    put_in_force,
)
from common.pricing.in_force import Books
from scripts.commands.price_book import BOOK
from tests.chosen_engines import ON_A_LAPTOP, state_of
from tests.gateway.building import build_gateway
from tests.gateway.making import START, SetClock, WatchedDocuments, a_key, store
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
from tests.streams.hard_budgets import CAPPED

logger = logging.getLogger(__name__)

SHIPPED = BOOK.read_bytes()
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


def dearer(times: int) -> bytes:
    """The book that ships, with other rates of gpt-4o-mini."""
    head, *lines = gzip.decompress(SHIPPED).splitlines()
    place = json.loads(head)["providers"].index("openai")
    part = json.loads(lines[place])
    [card] = [each for each in part["models"] if each["id"] == "gpt-4o-mini"]
    for price in (*card["prices"], *card.get("variants", ())):
        price["rates"] = {unit: rate * times for unit, rate in price["rates"].items()}
    lines[place] = json.dumps(part, separators=(",", ":")).encode()
    return zlib.compress(b"\n".join([head, *lines]), 9, wbits=31)


async def publish(watched: WatchedDocuments, times: int) -> BookRecord:
    """Put a book with other rates in force, read by nobody."""
    documents = watched.inner
    before = await name_in_force(documents.get_many)
    data = dearer(times)
    made = follow(Place(before), data, (), data, actor="pricing", now=START)

    async def decide(read: Read) -> tuple[tuple[Write, ...], None]:
        return await put_in_force(read, made), None

    await transact(documents, SetClock(), decide, entropy=os.urandom)
    return made


class Proxy:
    """One instance, with its own copies and its own clock."""

    def __init__(self, documents: Documents) -> None:
        self.clock = SetClock()
        self.bus = KeepingBus()
        self.upstream = ScriptedUpstream(ScriptedReply([OPENAI_REPLY], headers=JSON))
        self.client = Client(build_gateway(documents, self.upstream, self.bus, self.clock, {}))

    async def call(self) -> tuple[str | None, int | None]:
        """The book that a call was priced by, and what it cost."""
        self.bus.events.clear()
        exchange = await self.client.call(body=CAPPED)
        assert exchange.status == 200, exchange.content
        return self.bus.only.book, self.bus.only.cost_nanos

    async def follow(self) -> list[tuple[str | None, int | None]]:
        """Call until another book has been asked for and come; how those calls went."""
        prices = self.client.gateway.prices
        assert prices is not None
        before = prices.loading
        self.clock.advance(REFRESH_AFTER_S)
        calls = [await self.call()]
        async with asyncio.timeout(PATIENCE_S):
            # The reading goes on beside the calls, which do not wait for it.
            while prices.loading is before:
                calls.append(await self.call())
            assert prices.loading is not None
            await prices.loading
        return calls


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[WatchedDocuments]:
    engine = state_of(tmp_path)
    await store(engine, a_key())
    yield WatchedDocuments(engine)
    await engine.aclose()


OLD = (bundled_book().digest, OPENAI_NANOS)


async def test_prices_by_the_book_that_ships_while_none_is_published(
    documents: WatchedDocuments,
) -> None:
    assert await Proxy(documents).call() == OLD
    assert documents.reads_of("price_books") == 0


async def test_takes_a_new_book_for_the_calls_that_begin_after_it_is_loaded(
    documents: WatchedDocuments,
) -> None:
    proxy = Proxy(documents)
    await proxy.call()
    new = await publish(documents, 10)

    meanwhile = await proxy.follow()

    assert set(meanwhile) == {OLD}
    assert await proxy.call() == (new.sha, 10 * OPENAI_NANOS)


async def test_begins_with_the_book_in_force_from_its_second_call_on(
    documents: WatchedDocuments,
) -> None:
    new = await publish(documents, 10)
    proxy = Proxy(documents)

    first = await proxy.call()
    prices = proxy.client.gateway.prices
    assert prices is not None
    assert prices.loading is not None
    await prices.loading

    assert (first, await proxy.call()) == (OLD, (new.sha, 10 * OPENAI_NANOS))


async def test_reads_a_book_once(documents: WatchedDocuments) -> None:
    await publish(documents, 10)
    proxy = Proxy(documents)

    await proxy.follow()
    for _ in range(5):
        proxy.clock.advance(REFRESH_AFTER_S)
        await proxy.call()

    assert documents.reads_of(BOOKS) == 1


async def test_lets_no_call_wait_for_a_book(documents: WatchedDocuments) -> None:
    proxy = Proxy(documents)
    await publish(documents, 10)
    documents.gate, documents.gated = asyncio.Event(), BOOKS

    while_it_loads = [await proxy.call()]
    await wait_for(documents.waiting)
    for _ in range(3):
        proxy.clock.advance(REFRESH_AFTER_S)
        while_it_loads.append(await proxy.call())
    asked = documents.reads_of(BOOKS)
    documents.gate.set()
    await proxy.call()
    prices = proxy.client.gateway.prices
    assert prices is not None
    assert prices.loading is not None
    await prices.loading

    assert (while_it_loads, asked) == ([OLD] * 4, 1)
    assert (await proxy.call())[1] == 10 * OPENAI_NANOS


async def test_holds_and_settles_a_call_by_the_book_that_it_began_with(
    documents: WatchedDocuments,
) -> None:
    await documents.commit([Put(budget_ref("b"), A_BUDGET.to_data())])
    proxy = Proxy(documents)
    answered = asyncio.Event()
    proxy.upstream.before = [answered]
    in_flight, task = proxy.client.start(body=CAPPED)
    await wait_for(proxy.upstream.asked)
    proxy.upstream.before = []
    new = await publish(documents, 1_000)
    await proxy.follow()
    proxy.bus.events.clear()
    second, task_of_second = proxy.client.start(body=CAPPED)
    await task_of_second
    answered.set()
    await task

    assert [each.status for each in (second, in_flight)] == [200, 200]
    told = [(each.book, each.cost_nanos, each.settlements[0].nanos) for each in proxy.bus.events]  # type: ignore[attr-defined] # usage events
    dear = 1_000 * OPENAI_NANOS
    assert told == [(new.sha, dear, dear), (*OLD, OPENAI_NANOS)]
    held = [each.hold_nanos for each in proxy.bus.events]  # type: ignore[attr-defined] # usage events
    assert held[0] == 1_000 * held[1]


A_BUDGET = Budget("b", "acme", "org:acme", Calendar("day"), 100 * 10**9, "hard")


@pytest.mark.parametrize("damage", ["gone", "cut", "other", "format"])
async def test_keeps_the_book_before_when_the_new_one_cannot_be_read(
    documents: WatchedDocuments, damage: str
) -> None:
    proxy = Proxy(documents)
    first = await publish(documents, 10)
    await proxy.follow()
    second = await publish(documents, 100)
    whole = second.to_data()
    ways: dict[str, Write] = {
        "gone": Delete(second.ref),
        "cut": Put(second.ref, {**whole, "book": whole["book"][:-400]}),
        "other": Put(second.ref, {**whole, "book": b64encode(dearer(7)).decode()}),
        "format": Put(second.ref, {**whole, "book": None}),
    }
    await documents.commit([ways[damage]])
    for _ in range(2):
        await proxy.follow()

    kept = await proxy.call()
    await documents.commit([Put(second.ref, whole)])
    await proxy.follow()

    assert kept == (first.sha, 10 * OPENAI_NANOS)
    assert await proxy.call() == (second.sha, 100 * OPENAI_NANOS)


@dataclass(slots=True)
class WithoutBooks(WatchedDocuments):
    """A store that does not find the time to answer what is asked of price books."""

    silent: bool = True

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        if self.silent and any(ref.collection == BOOKS for ref in refs):
            raise StoreUnavailable("state did not answer in time")
        return await super(WithoutBooks, self).get_many(refs)


async def test_asks_again_when_the_store_did_not_answer(documents: WatchedDocuments) -> None:
    new = await publish(documents, 10)
    store_of_proxy = WithoutBooks(documents)
    proxy = Proxy(store_of_proxy)
    await proxy.follow()
    without = await proxy.call()
    store_of_proxy.silent = False

    await proxy.follow()

    assert (without, (await proxy.call())[0]) == (OLD, new.sha)


async def test_goes_back_to_the_book_that_ships_when_none_is_named(
    documents: WatchedDocuments,
) -> None:
    proxy = Proxy(documents)
    await publish(documents, 10)
    await proxy.follow()
    await documents.commit([Put(CONTROL, {})])
    await proxy.follow()

    assert await proxy.call() == OLD


async def test_never_takes_a_book_that_was_followed_while_it_was_loading(
    documents: WatchedDocuments,
) -> None:
    copy = PriceCopy(Books(documents, bundled_book()))
    first = await publish(documents, 10)
    documents.gate, documents.gated = asyncio.Event(), BOOKS

    copy.hear({POINTER: first.sha})
    await wait_for(documents.waiting)
    newest = await publish(documents, 100)
    copy.hear({POINTER: newest.sha})
    documents.gate.set()
    assert copy.loading is not None
    await copy.loading
    meanwhile = copy.book
    copy.hear({POINTER: newest.sha})
    await copy.loading

    assert (meanwhile, copy.book.digest) == (bundled_book(), newest.sha)


async def test_reaches_four_instances_within_one_reading_of_the_control_document(
    documents: WatchedDocuments,
) -> None:
    proxies = [Proxy(documents) for _ in range(4)]
    for proxy in proxies:
        await proxy.call()
    new = await publish(documents, 10)

    for proxy in proxies:
        await proxy.follow()

    assert [await each.call() for each in proxies] == [(new.sha, 10 * OPENAI_NANOS)] * 4


FOLLOWING = """
import asyncio, sys, time
from pathlib import Path
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.gateway.control import Control
from common.gateway.price_copy import PriceCopy
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books

async def main():
    documents = SqliteDocuments(Path(sys.argv[1]))
    prices = PriceCopy(Books(documents, bundled_book()))
    control = Control(documents, SystemClock(), listeners=[prices.hear])
    await control.follow()
    print("ready", flush=True)
    while prices.book.digest == bundled_book().digest:
        await control.follow()  # As a call in flight does.
        await asyncio.sleep(0.01)
    print(prices.book.digest, time.time(), flush=True)
    await documents.aclose()

asyncio.run(main())
"""


@ON_A_LAPTOP
async def test_reaches_four_processes(documents: WatchedDocuments, tmp_path: Path) -> None:
    file = str(tmp_path / "state.sqlite")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOLLOWING, file, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    try:
        async with asyncio.timeout(PATIENCE_S):
            for each in processes:
                assert each.stdout is not None
                assert await each.stdout.readline() == b"ready\n"
            new = await publish(documents, 10)
            published_at = time.time()
            told = [(await each.communicate())[0].split() for each in processes]
    finally:
        for each in processes:
            if each.returncode is None:
                each.kill()
            await each.wait()

    took = [float(at) - published_at for _, at in told]
    logger.info("adopted after %s s", sorted(took))
    assert [sha.decode() for sha, _ in told] == [new.sha] * 4
    assert [each.returncode for each in processes] == [0] * 4
