"""Deliveries of a local stack on Pub/Sub's emulator."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from common.adapters.bus_subscriptions import Endpoint, Subscription, TableSubscription
from common.adapters.local_bus import AnySubscription
from common.adapters.pubsub_bus import PubsubBus
from common.core.errors import StoreUnavailable
from common.core.ports import Row
from scripts.local_stack.pulling import ACK_DEADLINE_S, Deliveries
from tests.contracts.facts import a_fact
from tests.emulators import a_project

PREFIX = "dev"
ENOUGH_S = 30.0
SOON_S = ACK_DEADLINE_S / 2


class Place:
    """A project on the emulator: a bus, and deliveries that end with the test."""

    def __init__(self, emulator: str, opened: AsyncExitStack) -> None:
        self._emulator = emulator
        self._opened = opened
        self._project = a_project()
        self.bus = PubsubBus(self._project, PREFIX, emulator=emulator)
        opened.push_async_callback(self.bus.aclose)

    async def deliver_to(self, *subscriptions: AnySubscription) -> Deliveries:
        deliveries = Deliveries(self._project, PREFIX, self._emulator, subscriptions)
        self._opened.push_async_callback(deliveries.aclose)
        await deliveries.start()
        return deliveries


@pytest.fixture
async def place(pubsub_emulator: str) -> AsyncIterator[Place]:
    async with AsyncExitStack() as opened:
        yield Place(pubsub_emulator, opened)


class Inbox:
    """A function that keeps the ids it is posted, after as many failures as it was told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.envelopes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __call__(self, envelope: dict[str, Any]) -> int:
        self.envelopes.put_nowait(envelope)
        if self.failures:
            self.failures -= 1
            return 503
        return 204

    async def next_id(self) -> str:
        async with asyncio.timeout(ENOUGH_S):
            envelope = await self.envelopes.get()
        return str(envelope["message"]["attributes"]["id"])


def subscription(endpoint: Endpoint, types: tuple[str, ...] = ()) -> Subscription:
    return Subscription("inbox", "events", types, endpoint)


async def test_posts_what_is_published_in_the_envelope_of_a_push(place: Place) -> None:
    inbox = Inbox()
    await place.deliver_to(subscription(inbox))
    event = a_fact(id="e1")

    await place.bus.publish("events", event)

    assert await inbox.next_id() == "e1"
    await place.bus.publish("events", a_fact(id="e2"))
    async with asyncio.timeout(ENOUGH_S):
        envelope = await inbox.envelopes.get()
    assert envelope["deliveryAttempt"] == 1
    message = envelope["message"]
    assert base64.b64decode(message["data"]) == a_fact(id="e2").payload()
    assert message["attributes"] == {"type": event.type, "id": "e2"}


async def test_posts_again_what_was_refused(place: Place) -> None:
    inbox = Inbox(failures=2)
    await place.deliver_to(subscription(inbox))

    await place.bus.publish("events", a_fact(id="e1"))

    assert [await inbox.next_id() for _ in range(3)] == ["e1"] * 3


async def test_spares_a_function_the_types_it_did_not_ask_for(place: Place) -> None:
    inbox = Inbox()
    await place.deliver_to(subscription(inbox, ("key.",)))

    await place.bus.publish("events", a_fact(id="e1"))
    await place.bus.publish("events", a_fact(id="e2", type="key.created"))

    assert await inbox.next_id() == "e2"


async def test_hands_back_what_is_under_way_when_it_ends(place: Place) -> None:
    begun = asyncio.Event()

    async def never(_envelope: dict[str, Any]) -> int:
        begun.set()
        await asyncio.Event().wait()
        return 204

    first = await place.deliver_to(subscription(never))
    await place.bus.publish("events", a_fact(id="e1"))
    async with asyncio.timeout(ENOUGH_S):
        await begun.wait()
    await first.aclose()
    inbox = Inbox()
    await place.deliver_to(subscription(inbox))

    async with asyncio.timeout(SOON_S):  # before the holder would be taken for dead
        assert await inbox.next_id() == "e1"


class Rows:
    """A warehouse that fails as often as it was told, and keeps what it is given."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.kept: asyncio.Queue[str] = asyncio.Queue()

    async def query(self, sql: str, parameters: object = None) -> list[Row]:
        raise NotImplementedError

    async def append(self, table: str, rows: Any) -> None:
        assert table == "facts"
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable("not now")
        for row in rows:
            self.kept.put_nowait(row["id"])


async def test_appends_to_a_table_what_its_events_say(place: Place) -> None:
    rows = Rows(failures=1)
    await place.deliver_to(TableSubscription("facts-table", "events", (), "facts", rows))

    await place.bus.publish("events", a_fact(id="e1"))
    await place.bus.publish("events", a_fact(id="e2"))

    async with asyncio.timeout(ENOUGH_S):
        assert {await rows.kept.get(), await rows.kept.get()} == {"e1", "e2"}
