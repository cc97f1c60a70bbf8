"""Who gets which messages of the local bus, and in which form.

A push subscription hands its endpoint the same JSON that Pub/Sub posts; a table subscription writes
rows as a BigQuery subscription with the table's schema and metadata does. Both say why a delivery
failed instead of raising it further: failing is normal for a bus.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeAlias

from common.core.events import Event
from common.core.ports import Row, Warehouse

Endpoint: TypeAlias = Callable[[dict[str, Any]], Awaitable[int]]
"""Takes a push envelope and answers an HTTP status; those in `ACKNOWLEDGING` acknowledge."""

ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
"""https://cloud.google.com/pubsub/docs/push#receive_push"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way to one subscription."""

    position: int
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    publish_time: datetime
    attempt: int
    due: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that one subscription refused to the end, with its last error."""

    subscription: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    publish_time: datetime
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Redelivery:
    """When a refused message comes again, and after how many attempts it becomes a dead letter."""

    first_s: float = 10.0
    most_s: float = 600.0
    attempts: int = 10

    def pause(self, attempt: int) -> timedelta:
        """Time to wait after attempt number `attempt` (from 1) has failed."""
        return timedelta(seconds=min(self.most_s, self.first_s * 2 ** (attempt - 1)))


@dataclass(frozen=True, slots=True)
class Subscription:
    """Push: one envelope at a time to an endpoint.

    Types ending in a dot are prefixes, others exact; no types means every message of the topic.
    """

    batch: ClassVar[int] = 1

    name: str
    topic: str
    types: tuple[str, ...]
    endpoint: Endpoint
    ack_deadline_s: float = 60.0
    concurrency: int = 8

    async def deliver(self, messages: Sequence[Message]) -> str | None:
        """None when the endpoint acknowledges, else what it answered.

        Raises:
            TimeoutError: it did not answer before its deadline.
        """
        [message] = messages
        async with asyncio.timeout(self.ack_deadline_s):
            status = await self.endpoint(push_envelope(message, self.name))
        return None if status in ACKNOWLEDGING else f"answered {status}"


@dataclass(frozen=True, slots=True)
class TableSubscription:
    """Rows of a warehouse table, in batches, at least once."""

    batch: ClassVar[int] = 500
    concurrency: ClassVar[int] = 1

    name: str
    topic: str
    types: tuple[str, ...]
    table: str
    warehouse: Warehouse

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Append one row per message.

        Raises:
            CloudOpsError: the warehouse did not take them.
        """
        await self.warehouse.append(
            self.table, [table_row(message, self.name) for message in messages]
        )


def wants(types: Sequence[str], type_: str) -> bool:
    """Whether a subscription to `types` gets a message of this type."""
    return not types or any(
        type_.startswith(entry) if entry.endswith(".") else type_ == entry for entry in types
    )


def message_attributes(event: Event) -> dict[str, str]:
    """What subscriptions filter on, and what tells an event apart without reading its data."""
    return {"type": event.type, "id": event.id}


def push_envelope(message: Message, subscription: str) -> dict[str, Any]:
    """The JSON object that Pub/Sub posts for a message.

    Form: https://cloud.google.com/pubsub/docs/push#receive_push (wrapped, with a dead letter
    policy, which adds `deliveryAttempt`).
    """
    publish_time = _timestamp(message.publish_time)
    return {
        "message": {
            "data": base64.b64encode(message.data).decode(),
            "attributes": dict(message.attributes),
            "messageId": message.message_id,
            "message_id": message.message_id,
            "publishTime": publish_time,
            "publish_time": publish_time,
        },
        "subscription": full_name(subscription),
        "deliveryAttempt": message.attempt,
    }


def table_row(message: Message, subscription: str) -> Row:
    """The event's fields and what a BigQuery subscription adds with `write_metadata`.

    Raises:
        ValueError: the message is not a JSON object.
    """
    fields = json.loads(message.data)
    if not isinstance(fields, dict):
        raise ValueError("a message for a table must be a JSON object")  # noqa: TRY004 -- of JSON
    return fields | {
        "subscription_name": full_name(subscription),
        "message_id": message.message_id,
        "publish_time": _timestamp(message.publish_time),
        "attributes": dict(message.attributes),
    }


def full_name(subscription: str) -> str:
    return f"projects/local/subscriptions/{subscription}"


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
