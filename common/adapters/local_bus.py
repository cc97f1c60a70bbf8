"""The bus of a laptop: a durable queue in a SQLite file that behaves like Pub/Sub.

`publish` stores one row per subscription that wants the event and returns when they are on the
disk. One loop per subscription then delivers what is due, a bounded number at a time, either as a
push envelope to an endpoint or as rows into a warehouse table. Whatever is not acknowledged is
delivered again, later each time, and after its last attempt becomes a dead letter. A row leaves the
queue only when its acknowledgement is stored: a process that dies between effect and
acknowledgement repeats the delivery. So consumers see each event at least once, in no promised
order, exactly as in the cloud.

One process delivers; others may publish into the file, and the file may outlive them all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from common.adapters.bus_subscriptions import (
    DeadLetter,
    Message,
    Redelivery,
    Subscription,
    TableSubscription,
    message_attributes,
    wants,
)
from common.adapters.local_queue import LocalQueue
from common.core.errors import PublishFailed, StoreUnavailable
from common.core.events import TOPICS, Event
from common.core.ports import Clock

logger = logging.getLogger(__name__)

AnySubscription = Subscription | TableSubscription

DeliveryOrder = Callable[[list[Message]], list[Message]]
"""What is delivered of what is due, in which order; a message named twice is delivered twice."""

WINDOW = 500
"""Due messages that one look into the queue takes."""

LONGEST_PAUSE_S = 1.0
"""After which a loop looks again by itself: other processes publish into the file without waking
this one, and timers stand still while a laptop sleeps."""


def oldest_first(due: list[Message]) -> list[Message]:
    """The order of deliveries outside tests."""
    return due


class LocalBus:
    """Topics, subscriptions, redelivery and dead letters in one process."""

    def __init__(
        self,
        path: str | Path,
        clock: Clock,
        subscriptions: Sequence[AnySubscription] = (),
        *,
        redelivery: Redelivery | None = None,
        order: DeliveryOrder = oldest_first,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        deadline_s: float = 5.0,
    ) -> None:
        """Note the address; nothing is opened before the first use.

        Args:
            path: file, made with its folders on first use, or ``:memory:``.
            clock: dates messages and decides what is due.
            subscriptions: who gets what; a message is stored for those known when it is published.
            redelivery: when to try again and when to give up.
            order: lets tests repeat and shuffle deliveries.
            sleep: waits for the next message that is due.
            deadline_s: seconds that storing may take.
        """
        self._queue = LocalQueue(path, redelivery or Redelivery(), deadline_s=deadline_s)
        self._clock = clock
        self._subscriptions = tuple(subscriptions)
        self._known_receivers: dict[tuple[str, str], list[str]] = {}
        self._order = order
        self._sleep = sleep
        self._wake = {subscription.name: asyncio.Event() for subscription in subscriptions}
        self._changed = asyncio.Condition()
        self._deliveries: asyncio.Task[None] | None = None

    async def publish(self, topic: str, event: Event) -> None:
        """Return when the event is on the disk for every subscription that wants it.

        Raises:
            PublishFailed: there is no such topic, or the file did not take it.
        """
        if topic not in TOPICS:
            raise PublishFailed(f"there is no topic {topic}: use one of {', '.join(TOPICS)}")
        receivers = self._receivers(topic, event.type)
        if not receivers:
            return
        try:
            await self._queue.add(
                receivers, event.payload(), message_attributes(event), self._clock.now()
            )
        except StoreUnavailable as error:
            raise PublishFailed(error.detail) from error
        for name in receivers:
            self._wake[name].set()

    def _receivers(self, topic: str, type_: str) -> list[str]:
        """The names of the subscriptions that want such an event."""
        if (topic, type_) not in self._known_receivers:
            self._known_receivers[topic, type_] = [
                subscription.name
                for subscription in self._subscriptions
                if subscription.topic == topic and wants(subscription.types, type_)
            ]
        return self._known_receivers[topic, type_]

    async def start(self) -> None:
        """Begin to deliver, first of all what an earlier process left."""
        if self._deliveries is None:
            self._deliveries = asyncio.create_task(self._deliver_all())

    @property
    def is_delivering(self) -> bool:
        """Whether this process delivers; others may do so from the same file."""
        return self._deliveries is not None

    async def drain(self, deadline_s: float) -> None:
        """Wait until every message is acknowledged or a dead letter, later ones included.

        Raises:
            TimeoutError: messages were left at the deadline.
        """
        names = [subscription.name for subscription in self._subscriptions]
        async with asyncio.timeout(deadline_s), self._changed:
            while await self._queue.waiting(names):
                await self._changed.wait()

    async def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first.

        Raises:
            StoreUnavailable: the file did not answer in time.
        """
        return await self._queue.dead_letters()

    async def deliver_again(self, letter: DeadLetter) -> None:
        """Let a dead letter's subscription have it as if it were new; nothing if it is none now.

        Raises:
            StoreUnavailable: the file did not answer in time; it is due now, or dead still.
        """
        await self._queue.revive(letter, self._clock.now())

    async def aclose(self) -> None:
        """Stop delivering and close; what runs is cut off and comes again with the next start."""
        if self._deliveries is not None:
            self._deliveries.cancel()
            await asyncio.wait({self._deliveries})
        await self._queue.aclose()

    async def _deliver_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for subscription in self._subscriptions:
                tasks.create_task(self._serve(subscription))

    async def _serve(self, subscription: AnySubscription) -> None:
        """Deliver what is due for one subscription, for ever."""
        wake = self._wake[subscription.name]
        slots = asyncio.Semaphore(subscription.concurrency)
        in_flight: list[int] = []  # a position stands here as often as it is being delivered
        async with asyncio.TaskGroup() as deliveries:
            while True:
                wake.clear()
                due, pause_s = await self._look(subscription.name, in_flight)
                for group in groups(self._order(due), subscription.batch):
                    await slots.acquire()
                    in_flight.extend(message.position for message in group)
                    deliveries.create_task(self._deliver(subscription, group, in_flight, slots))
                if not due:
                    await self._woken(wake, pause_s)

    async def _look(self, name: str, in_flight: list[int]) -> tuple[list[Message], float]:
        """Messages to deliver now, or seconds after which to look again."""
        # What is in flight when the look begins may be acknowledged before it is answered.
        taken = set(in_flight)
        try:
            waiting = await self._queue.next(name, len(taken) + WINDOW)
        except StoreUnavailable as error:
            logger.warning("bus.unreadable", extra={"subscription": name, "cause": error.detail})
            return [], LONGEST_PAUSE_S
        free = [message for message in waiting if message.position not in taken]
        now = self._clock.now()
        due = [message for message in free if message.due <= now]
        if due or not free:
            return due, LONGEST_PAUSE_S
        return [], min(LONGEST_PAUSE_S, (free[0].due - now).total_seconds())

    async def _woken(self, wake: asyncio.Event, pause_s: float) -> None:
        waits = {asyncio.ensure_future(wake.wait()), asyncio.ensure_future(self._sleep(pause_s))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _deliver(
        self,
        subscription: AnySubscription,
        group: list[Message],
        in_flight: list[int],
        slots: asyncio.Semaphore,
    ) -> None:
        positions = [message.position for message in group]
        try:
            error = await _failure(subscription, group)
            if error is None:
                await self._queue.acknowledge(positions)
            else:
                logger.warning(
                    "bus.refused", extra={"subscription": subscription.name, "cause": error}
                )
                await self._queue.refuse(positions, error, self._clock.now())
        except StoreUnavailable as error:  # nothing is noted, so it will be delivered again
            logger.warning(
                "bus.unwritable", extra={"subscription": subscription.name, "cause": error.detail}
            )
        finally:
            for position in positions:
                in_flight.remove(position)
            slots.release()
            self._wake[subscription.name].set()
        async with self._changed:
            self._changed.notify_all()


async def _failure(subscription: AnySubscription, group: list[Message]) -> str | None:
    """Why the delivery is not acknowledged, or None when it is."""
    try:
        return await subscription.deliver(group)
    except TimeoutError:
        return "no answer before the acknowledgement deadline"
    except Exception as error:  # noqa: BLE001 -- whatever a consumer raises, the message comes again
        return f"{type(error).__name__}: {error}"


def groups(messages: list[Message], size: int) -> list[list[Message]]:
    """Deliveries of at most `size` messages.

    One that failed before travels alone, so that it cannot take others with it again.
    """
    groups: list[list[Message]] = []
    for message in messages:
        last = groups[-1] if groups else None
        if last is None or len(last) == size or message.attempt > 1 or last[0].attempt > 1:
            groups.append([message])
        else:
            last.append(message)
    return groups
