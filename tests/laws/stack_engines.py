"""The engines that whole stacks run on, and what was published there.

A stack on emulators begins with a project of its own. What was published is asked of Pub/Sub
itself, through a subscription that nothing else reads.
"""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from grpc import insecure_channel  # type: ignore[import-untyped]  # grpcio ships no types

from tests.emulators import a_project
from tests.laws.disorderly_stack import ACKNOWLEDGED, PUBLISHED
from tests.local_stack.process import Stack

PREFIX = "law"
CONSUMERS = ("usage-usage", "usage_raw-table")
RESTARTS = 10
NOTHING_MORE_S = 3.0
DELIVERED_WITHIN_S = 600.0
_POLL_S = 0.1

Start: TypeAlias = Callable[[], Stack]
Events: TypeAlias = dict[str, dict[str, Any]]


class StackEngines(Protocol):
    """What a law asks of the engines below a disorderly stack."""

    settings: Mapping[str, str]

    def calls(self, count: int) -> int:
        """How many calls to make where the local engines take `count`."""

    async def published(self, data: Path, start: Start) -> Events:
        """Events by id, when every consumer has had each; nobody publishes any more.

        `start` begins a stack on the folder `data`, which delivers what still waits.
        """


class LocalStackEngines:
    """Files in the stack's folder."""

    settings: Mapping[str, str] = {}

    def calls(self, count: int) -> int:
        return int(os.environ.get("LAW_CALLS", count))

    async def published(self, data: Path, start: Start) -> Events:
        for _ in range(RESTARTS):
            if await asyncio.to_thread(_drained, start):
                break
        notes = (data / PUBLISHED).read_text().splitlines()
        return _by_id([base64.b64decode(line) for line in notes])


class EmulatedStackEngines:
    """Firestore, Pub/Sub and BigQuery on emulators."""

    def __init__(self, firestore: str, pubsub: str, bigquery: str) -> None:
        project = a_project()
        self.settings: Mapping[str, str] = {
            "STATE_URL": f"firestore://{project}/state",
            "FIRESTORE_EMULATOR_HOST": firestore,
            "BUS_URL": f"pubsub://{project}/{PREFIX}",
            "PUBSUB_EMULATOR_HOST": pubsub,
            "WAREHOUSE_URL": f"bigquery://{project}/law",
            "BIGQUERY_EMULATOR_HOST": bigquery,
        }
        self._emulator = pubsub
        self._topic = f"projects/{project}/topics/{PREFIX}-usage"
        self._everything = f"projects/{project}/subscriptions/everything"
        with insecure_channel(pubsub) as channel:
            publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            publisher.create_topic(name=self._topic)
            _subscriber(channel).create_subscription(name=self._everything, topic=self._topic)

    def calls(self, count: int) -> int:
        return int(os.environ.get("LAW_CALLS", count // 5))

    async def published(self, data: Path, start: Start) -> Events:
        messages = await asyncio.to_thread(self._messages)
        with await asyncio.to_thread(start) as stack:
            async with asyncio.timeout(DELIVERED_WITHIN_S):
                ids = [each.message_id for each in messages]
                while not _acknowledged(data, ids):  # noqa: ASYNC110 -- another process notes it
                    await asyncio.sleep(_POLL_S)
            await asyncio.to_thread(stack.stop)
        return _by_id([each.data for each in messages])

    def _messages(self) -> list[PubsubMessage]:
        """All that Pub/Sub ever took."""
        found: list[PubsubMessage] = []
        with insecure_channel(self._emulator) as channel:
            subscriber = _subscriber(channel)
            while True:
                try:
                    answer = subscriber.pull(
                        subscription=self._everything,
                        max_messages=1000,
                        retry=None,
                        timeout=NOTHING_MORE_S,
                    )
                except exceptions.DeadlineExceeded:
                    return found
                if not answer.received_messages:
                    return found
                found += [each.message for each in answer.received_messages]
                subscriber.acknowledge(
                    subscription=self._everything,
                    ack_ids=[each.ack_id for each in answer.received_messages],
                )


def _drained(start: Start) -> bool:
    """Whether a stack that is stopped at once had delivered everything before it ended."""
    with start() as stack:
        stack.stop()
        return "bus.undelivered" not in stack.errors


def _acknowledged(data: Path, ids: Sequence[str]) -> bool:
    """Whether each consumer has acknowledged each of these messages."""
    notes = set((data / ACKNOWLEDGED).read_text().splitlines())
    return all(f"{consumer} {id_}" in notes for consumer in CONSUMERS for id_ in ids)


def _by_id(payloads: Sequence[bytes]) -> Events:
    events = [json.loads(payload) for payload in payloads]
    return {event["id"]: event for event in events}


def _subscriber(channel: Any) -> SubscriberClient:
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
