"""Deliveries from Pub/Sub's emulator to the functions and tables of one local stack.

The emulator pushes two messages of a subscription at once and knows neither filters nor BigQuery
subscriptions. So the local stack pulls, and posts to each function as many at once as its row
allows, in the envelope that Pub/Sub would post, or appends rows to a table as a BigQuery
subscription would. Everything else is the emulator's: a message stays until it is acknowledged,
comes again after a pause when it is refused or its holder dies, and becomes a dead letter in the
end. That the emulator's own pushes are understood too is for `tests/contracts`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TypeAlias

from google.api_core import exceptions
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import pubsub
from grpc import aio  # type: ignore[import-untyped]  # grpcio ships no types

from common.adapters.bus_subscriptions import Message, wants
from common.adapters.local_bus import AnySubscription, DeliveryOrder, groups, oldest_first
from common.core.events import TOPICS

DEAD_LETTERS = "dead-letter"
ATTEMPTS = 10
ACK_DEADLINE_S = 10
"""After which a message comes again whose holder died: the least that Pub/Sub allows."""

IDLE_S = 0.05
"""Pause before it is asked again whether anything came.

A pull that waits for messages would need none, but the emulator keeps what it was about to answer
to one that is given up, and never gives it to anybody again."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)
AWAY_S = 1.0
"""Pause before the emulator is asked again when it did not answer."""

ANSWER_S = 30.0
"""Long: what the emulator answers to a call that is given up may be lost."""

Handles: TypeAlias = Sequence[str]
"""By what each message of one pull is acknowledged, by its position."""

logger = logging.getLogger(__name__)


class Deliveries:
    """Topics PREFIX-... of a project, subscriptions to them, and a loop that serves each."""

    def __init__(
        self,
        project: str,
        prefix: str,
        emulator: str,
        subscriptions: Sequence[AnySubscription],
        *,
        order: DeliveryOrder = oldest_first,
    ) -> None:
        """Note the address; nothing is opened before `start`.

        Args:
            project: of Google Cloud; the emulator knows every one there could be.
            prefix: of the names of topics and subscriptions.
            emulator: HOST:PORT.
            subscriptions: the same as the local bus takes.
            order: lets tests repeat and shuffle deliveries.
        """
        self._project = f"projects/{project}"
        self._prefix = prefix
        self._emulator = emulator
        self._subscriptions = tuple(subscriptions)
        self._order = order
        self._channel: aio.Channel | None = None
        self._deliveries: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    async def start(self) -> None:
        """Make what is missing of topics and subscriptions, and begin to deliver.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: the emulator does not take them.
        """
        self._channel = aio.insecure_channel(self._emulator)
        publisher = PublisherAsyncClient(
            transport=PublisherGrpcAsyncIOTransport(channel=self._channel)
        )
        self._client = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=self._channel)
        )
        for topic in (*TOPICS, DEAD_LETTERS):
            with suppress(exceptions.AlreadyExists):
                await publisher.create_topic(name=self._topic(topic))
        kept = pubsub.Subscription(name=self._name(DEAD_LETTERS), topic=self._topic(DEAD_LETTERS))
        for wanted in (kept, *map(self._definition, self._subscriptions)):
            with suppress(exceptions.AlreadyExists):
                await self._client.create_subscription(wanted)
        self._deliveries = asyncio.create_task(self._deliver_all())

    async def aclose(self) -> None:
        """Stop; what is being delivered is handed back and comes again."""
        self._ending.set()
        for delivery in self._under_way:
            delivery.cancel()
        if self._deliveries is not None:
            await asyncio.wait({self._deliveries})
        if self._channel is not None:
            await self._channel.close()

    def _definition(self, subscription: AnySubscription) -> pubsub.Subscription:
        return pubsub.Subscription(
            name=self._name(subscription.name),
            topic=self._topic(subscription.topic),
            ack_deadline_seconds=ACK_DEADLINE_S,
            retry_policy=pubsub.RetryPolicy(
                minimum_backoff=FIRST_PAUSE, maximum_backoff=LONGEST_PAUSE
            ),
            dead_letter_policy=pubsub.DeadLetterPolicy(
                dead_letter_topic=self._topic(DEAD_LETTERS), max_delivery_attempts=ATTEMPTS
            ),
        )

    async def _deliver_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for subscription in self._subscriptions:
                tasks.create_task(self._serve(subscription))

    async def _serve(self, subscription: AnySubscription) -> None:
        """Deliver what comes for one subscription, until the stack ends."""
        slots = asyncio.Semaphore(subscription.concurrency)
        async with asyncio.TaskGroup() as deliveries:
            while not self._ending.is_set():
                messages, handles = await self._pull(subscription)
                wanted = [each for each in messages if _is_for(subscription, each)]
                spared = [each for each in messages if not _is_for(subscription, each)]
                if spared:
                    await self._answer(subscription, spared, handles, acknowledged=True)
                waiting = deque(groups(self._order(wanted), subscription.batch))
                while waiting:
                    await slots.acquire()
                    if self._ending.is_set():
                        break
                    delivery = self._deliver(subscription, waiting.popleft(), handles)
                    task = deliveries.create_task(delivery)
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                    task.add_done_callback(lambda _: slots.release())
                for group in waiting:
                    await self._answer(subscription, group, handles, acknowledged=False)

    async def _pull(self, subscription: AnySubscription) -> tuple[list[Message], Handles]:
        """What waits, and by what it is acknowledged; after a pause where that is nothing."""
        request = pubsub.PullRequest(
            subscription=self._name(subscription.name),
            max_messages=subscription.concurrency * subscription.batch,
            return_immediately=True,
        )
        try:
            answer = await self._client.pull(request, retry=None, timeout=ANSWER_S)
        except exceptions.GoogleAPICallError as error:
            told = {"subscription": subscription.name, "cause": str(error)}
            logger.warning("emulator.unreachable", extra=told)
            await asyncio.sleep(AWAY_S)
            return [], []
        if not answer.received_messages:
            await asyncio.sleep(IDLE_S)
        messages = [_message(number, each) for number, each in enumerate(answer.received_messages)]
        return messages, [each.ack_id for each in answer.received_messages]

    async def _deliver(
        self, subscription: AnySubscription, group: list[Message], handles: Handles
    ) -> None:
        acknowledged, error = False, None
        try:
            async with asyncio.timeout(ACK_DEADLINE_S):
                error = await subscription.deliver(group)
            acknowledged = error is None
        except Exception as raised:  # noqa: BLE001 -- whatever a consumer raises, it comes again
            error = f"{type(raised).__name__}: {raised}"
        finally:  # also when this stack ends: then it is handed back
            await self._answer(subscription, group, handles, acknowledged=acknowledged)
        if error is not None:
            told = {"subscription": subscription.name, "cause": error}
            logger.warning("emulator.refused", extra=told)

    async def _answer(
        self,
        subscription: AnySubscription,
        group: Sequence[Message],
        handles: Handles,
        *,
        acknowledged: bool,
    ) -> None:
        """Acknowledge messages or hand them back; where that fails they come again later."""
        name, ids = self._name(subscription.name), [handles[each.position] for each in group]
        try:
            if acknowledged:
                await self._client.acknowledge(
                    subscription=name, ack_ids=ids, retry=None, timeout=ANSWER_S
                )
            else:
                await self._client.modify_ack_deadline(
                    subscription=name,
                    ack_ids=ids,
                    ack_deadline_seconds=0,
                    retry=None,
                    timeout=ANSWER_S,
                )
        except exceptions.GoogleAPICallError as error:
            told = {"subscription": subscription.name, "cause": str(error)}
            logger.warning("emulator.unreachable", extra=told)

    def _topic(self, topic: str) -> str:
        return f"{self._project}/topics/{self._prefix}-{topic}"

    def _name(self, subscription: str) -> str:
        return f"{self._project}/subscriptions/{self._prefix}-{subscription}"


def _is_for(subscription: AnySubscription, message: Message) -> bool:
    return wants(subscription.types, message.attributes.get("type", ""))


def _message(number: int, received: pubsub.ReceivedMessage) -> Message:
    told = received.message
    return Message(
        position=number,
        message_id=told.message_id,
        data=told.data,
        attributes=dict(told.attributes),
        publish_time=told.publish_time,
        attempt=received.delivery_attempt,
        due=told.publish_time,
    )
