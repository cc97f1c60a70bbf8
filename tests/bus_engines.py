"""The engines of `Bus` with what delivers their messages: the local bus, and Pub/Sub's emulator.

The emulator pushes over HTTP to a server of the test. Like every consumer, that server acknowledges
types its subscription does not want, since the emulator ignores filters. A consumer that raises is
one that dies: its connection is cut without an answer.
"""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest
from aiohttp import web
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import pubsub
from grpc import aio  # type: ignore[import-untyped]  # grpcio ships no types

from common.adapters.bus_subscriptions import (
    ACKNOWLEDGING,
    DeadLetter,
    Redelivery,
    Subscription,
    wants,
)
from common.adapters.local_bus import AnySubscription, DeliveryOrder, LocalBus, oldest_first
from common.adapters.pubsub_bus import PubsubBus
from common.adapters.system_clock import SystemClock
from common.core.events import TOPICS, Event
from tests.emulators import a_project, pubsub_emulator

__all__ = ["ATTEMPTS", "BusUnderTest", "Connect", "connect", "pubsub_emulator"]

FAST = Redelivery(first_s=0.001, most_s=0.004, attempts=5)
"""The shape of Pub/Sub's redelivery, ten thousand times faster."""

ATTEMPTS = 5
"""Deliveries before a message is a dead letter: the fewest that Pub/Sub allows."""

SOURCE = "CloudPubSubDeadLetterSource"
PREFIX = "test"


class BusUnderTest(Protocol):
    """A bus and its deliveries."""

    async def publish(self, topic: str, event: Event) -> None: ...

    async def drain(self, deadline_s: float) -> None:
        """Wait until every message is acknowledged or a dead letter."""

    async def dead_letters(self) -> list[DeadLetter]: ...


Connect: TypeAlias = Callable[..., Awaitable[BusUnderTest]]


@pytest.fixture(params=["local", "pubsub"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """A function from subscriptions to a bus that delivers to them, once of each engine."""
    async with AsyncExitStack() as opened:

        async def local(
            *subscriptions: AnySubscription, order: DeliveryOrder = oldest_first
        ) -> BusUnderTest:
            path = tmp_path / "bus.sqlite"
            bus = LocalBus(path, SystemClock(), subscriptions, redelivery=FAST, order=order)
            opened.push_async_callback(bus.aclose)
            await bus.start()
            return bus

        async def emulated(*subscriptions: Subscription) -> BusUnderTest:
            address = request.getfixturevalue(pubsub_emulator.__name__)
            return await opened.enter_async_context(_emulated(address, subscriptions))

        yield {"local": local, "pubsub": emulated}[request.param]


@asynccontextmanager
async def _emulated(
    address: str, subscriptions: Sequence[Subscription]
) -> AsyncIterator["EmulatedPubsub"]:
    project = a_project()
    bus = EmulatedPubsub(PubsubBus(project, PREFIX, emulator=address), subscriptions)
    server = web.AppRunner(bus.endpoints())
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    host, port = server.addresses[0][:2]
    async with aio.insecure_channel(address) as channel:
        await _create(channel, project, subscriptions, f"http://{host}:{port}")
    try:
        yield bus
    finally:
        await bus.published_through.aclose()
        await server.cleanup()


class EmulatedPubsub:
    """Publishes through the real engine and counts what comes back."""

    def __init__(self, bus: PubsubBus, subscriptions: Sequence[Subscription]) -> None:
        self.published_through = bus
        self._subscriptions = subscriptions
        self._published: Counter[str] = Counter()
        self._acknowledged: dict[str, set[str]] = {each.name: set() for each in subscriptions}
        self._dead: list[DeadLetter] = []
        self._changed = asyncio.Condition()

    async def publish(self, topic: str, event: Event) -> None:
        await self.published_through.publish(topic, event)
        self._published[topic] += 1

    async def drain(self, deadline_s: float) -> None:
        # The emulator looks for due messages every three seconds.
        async with asyncio.timeout(6 * deadline_s), self._changed:
            await self._changed.wait_for(self._settled)

    async def dead_letters(self) -> list[DeadLetter]:
        return list(self._dead)

    def endpoints(self) -> web.Application:
        application = web.Application(client_max_size=20_000_000)
        for subscription in self._subscriptions:
            application.router.add_post(f"/{subscription.name}", self._consumer(subscription))
        application.router.add_post("/dead", self._keep)
        return application

    def _settled(self) -> bool:
        dead = Counter(letter.subscription for letter in self._dead)
        return all(
            len(self._acknowledged[each.name]) + dead[each.name] == self._published[each.topic]
            for each in self._subscriptions
        )

    def _consumer(
        self, subscription: Subscription
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def consume(request: web.Request) -> web.Response:
            envelope = await request.json()
            message = envelope["message"]
            try:
                if wants(subscription.types, message["attributes"]["type"]):
                    status = await subscription.endpoint(envelope)
                else:
                    status = 204
            except Exception:  # noqa: BLE001 -- a test's consumer dies of whatever it likes
                assert request.transport is not None
                request.transport.abort()
                status = 500
            async with self._changed:
                if status in ACKNOWLEDGING:
                    self._acknowledged[subscription.name].add(message["messageId"])
                self._changed.notify_all()
            return web.Response(status=status)

        return consume

    async def _keep(self, request: web.Request) -> web.Response:
        message: dict[str, Any] = (await request.json())["message"]
        told = message["attributes"]
        async with self._changed:
            self._dead.append(
                DeadLetter(
                    subscription=told[f"{SOURCE}Subscription"],
                    message_id=message["messageId"],
                    data=base64.b64decode(message["data"]),
                    attributes={k: v for k, v in told.items() if not k.startswith(SOURCE)},
                    publish_time=datetime.fromisoformat(told[f"{SOURCE}TopicPublishTime"]),
                    attempts=int(told[f"{SOURCE}DeliveryCount"]),
                    error="",
                )
            )
            self._changed.notify_all()
        return web.Response(status=204)


async def _create(
    channel: aio.Channel, project: str, subscriptions: Sequence[Subscription], url: str
) -> None:
    publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
    subscriber = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))
    dead = f"projects/{project}/topics/dead"
    for name in (dead, *(f"projects/{project}/topics/{PREFIX}-{topic}" for topic in TOPICS)):
        await publisher.create_topic(name=name)
    await subscriber.create_subscription(
        pubsub.Subscription(
            name=f"projects/{project}/subscriptions/dead",
            topic=dead,
            push_config=pubsub.PushConfig(push_endpoint=f"{url}/dead"),
        )
    )
    for each in subscriptions:
        await subscriber.create_subscription(
            pubsub.Subscription(
                name=f"projects/{project}/subscriptions/{each.name}",
                topic=f"projects/{project}/topics/{PREFIX}-{each.topic}",
                push_config=pubsub.PushConfig(push_endpoint=f"{url}/{each.name}"),
                ack_deadline_seconds=10,
                retry_policy=pubsub.RetryPolicy(
                    minimum_backoff=timedelta(seconds=1), maximum_backoff=timedelta(seconds=1)
                ),
                dead_letter_policy=pubsub.DeadLetterPolicy(
                    dead_letter_topic=dead, max_delivery_attempts=ATTEMPTS
                ),
            )
        )
