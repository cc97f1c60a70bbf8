"""What Pub/Sub adds to the contract: shared requests, and failures an emulator does not have."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
from google.pubsub_v1.types import pubsub

from common.adapters import pubsub_bus
from common.adapters.pubsub_bus import PubsubBus
from common.core.errors import PublishFailed
from tests.contracts.facts import Fact, a_fact

Request = pubsub.PublishRequest.pb()
Response = pubsub.PublishResponse.pb()


class StandIn:
    """A Pub/Sub that keeps what it is sent, and answers with the given statuses first."""

    def __init__(self, *statuses: grpc.StatusCode) -> None:
        self._statuses = list(statuses)
        self.requests: list[Any] = []
        self.refuses: Callable[[Any], bool] = lambda _: False
        self.arrived = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    @property
    def sizes(self) -> list[int]:
        return [len(request.messages) for request in self.requests]

    @property
    def ids(self) -> list[str]:
        return [
            message.attributes["id"] for request in self.requests for message in request.messages
        ]

    async def publish(self, request: Any, context: Any) -> Any:
        first = not self.requests
        self.requests.append(request)
        self.arrived.set()
        if first:
            await self.answers.wait()
        if self._statuses:
            await context.abort(self._statuses.pop(0), "as told")
        if any(self.refuses(message) for message in request.messages):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "one message is wrong")
        return Response(message_ids=[str(n) for n in range(len(request.messages))])


@asynccontextmanager
async def listening(stand_in: StandIn) -> AsyncIterator[str]:
    """HOST:PORT of a Pub/Sub."""
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        stand_in.publish, Request.FromString, Response.SerializeToString
    )
    service = grpc.method_handlers_generic_handler(
        "google.pubsub.v1.Publisher", {"Publish": method}
    )
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def serving(stand_in: StandIn, *, deadline_s: float = 10.0) -> AsyncIterator[PubsubBus]:
    async with listening(stand_in) as address:
        bus = PubsubBus("p1", "oco", emulator=address, deadline_s=deadline_s)
        try:
            yield bus
        finally:
            stand_in.answers.set()
            await bus.aclose()


async def publish(bus: PubsubBus, *ids: str) -> None:
    await asyncio.gather(*(bus.publish("events", a_fact(id=id_)) for id_ in ids))


async def test_names_topic_type_and_id() -> None:
    stand_in = StandIn()

    async with serving(stand_in) as bus:
        await publish(bus, "e1")

    [request] = stand_in.requests
    assert request.topic == "projects/p1/topics/oco-events"
    assert dict(request.messages[0].attributes) == {"type": "test.happened", "id": "e1"}
    assert request.messages[0].data == a_fact(id="e1").payload()


class TestSharing:
    async def test_gathers_no_longer_than_a_moment_behind_a_slow_request(self) -> None:
        stand_in = StandIn()
        stand_in.answers.clear()

        async with serving(stand_in) as bus:
            slow = asyncio.create_task(publish(bus, "slow"))
            await stand_in.arrived.wait()
            await publish(bus, *(f"e{n}" for n in range(50)))
            answered_first = not slow.done()
            stand_in.answers.set()
            await slow

        assert answered_first
        assert stand_in.sizes == [1, 50]

    async def test_leaves_as_soon_as_the_request_before_is_answered(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pubsub_bus, "GATHERING_S", 3600)
        stand_in = StandIn()
        stand_in.answers.clear()

        async with serving(stand_in) as bus:
            publishing = asyncio.create_task(publish(bus, *(f"e{n}" for n in range(51))))
            await stand_in.arrived.wait()
            stand_in.answers.set()
            await publishing

        assert stand_in.sizes == [1, 50]

    async def test_sends_no_more_messages_at_once_than_pubsub_takes(self) -> None:
        stand_in = StandIn()
        ids = [f"e{n}" for n in range(2500)]

        async with serving(stand_in) as bus:
            await publish(bus, *ids)

        assert max(stand_in.sizes) == 1000
        assert sorted(stand_in.ids) == sorted(ids)

    async def test_sends_no_more_bytes_at_once_than_pubsub_takes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pubsub_bus, "MOST_BYTES", 10_000)
        stand_in = StandIn()
        ids = [f"e{n}" for n in range(10)]

        async with serving(stand_in) as bus:
            await asyncio.gather(
                *(bus.publish("events", a_fact(id=id_, note="x" * 3000)) for id_ in ids)
            )

        assert max(stand_in.sizes) == 3
        assert sorted(stand_in.ids) == ids

    async def test_serves_the_others_when_a_caller_leaves(self) -> None:
        stand_in = StandIn()
        stand_in.answers.clear()

        async with serving(stand_in) as bus:
            first = asyncio.create_task(publish(bus, "first"))
            await stand_in.arrived.wait()
            leaving = asyncio.create_task(bus.publish("events", a_fact(id="leaves")))
            staying = asyncio.create_task(bus.publish("events", a_fact(id="stays")))
            await asyncio.sleep(0)
            leaving.cancel()
            stand_in.answers.set()
            await asyncio.gather(first, staying)

        assert stand_in.ids == ["first", "leaves", "stays"]


class TestFailures:
    @pytest.mark.parametrize(
        "status",
        [
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.ABORTED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ],
    )
    async def test_sends_again_what_may_not_be_stored(self, status: grpc.StatusCode) -> None:
        stand_in = StandIn(status, status)

        async with serving(stand_in) as bus:
            await publish(bus, "e1")

        assert stand_in.ids == ["e1", "e1", "e1"]

    @pytest.mark.parametrize(
        "status", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED]
    )
    async def test_says_at_once_what_will_not_get_better(self, status: grpc.StatusCode) -> None:
        stand_in = StandIn(status)

        async with serving(stand_in) as bus:
            with pytest.raises(PublishFailed, match="as told"):
                await publish(bus, "e1")

        assert stand_in.ids == ["e1"]

    async def test_accepts_the_neighbours_of_a_message_that_is_refused(self) -> None:
        stand_in = StandIn()
        stand_in.refuses = lambda message: message.attributes["id"] == "wrong"

        async with serving(stand_in) as bus:
            answers = await asyncio.gather(
                *(bus.publish("events", a_fact(id=id_)) for id_ in ("a", "b", "wrong", "c")),
                return_exceptions=True,
            )

        assert [type(answer) for answer in answers] == [
            type(None),
            type(None),
            PublishFailed,
            type(None),
        ]

    async def test_tells_every_caller_of_a_request_that_failed(self) -> None:
        stand_in = StandIn(grpc.StatusCode.NOT_FOUND, grpc.StatusCode.NOT_FOUND)

        async with serving(stand_in) as bus:
            answers = await asyncio.gather(
                *(bus.publish("events", a_fact(id=f"e{n}")) for n in range(10)),
                return_exceptions=True,
            )

        assert [type(answer) for answer in answers] == [PublishFailed] * 10
        assert stand_in.sizes == [1, 9]

    async def test_does_not_wait_beyond_the_deadline(self) -> None:
        stand_in = StandIn()
        stand_in.answers.clear()

        async with serving(stand_in, deadline_s=0.2) as bus:
            with pytest.raises(PublishFailed):
                await publish(bus, "e1")

    async def test_fails_when_nobody_listens(self) -> None:
        bus = PubsubBus("p1", "oco", emulator="127.0.0.1:1", deadline_s=0.3)

        with pytest.raises(PublishFailed, match="oco-events"):
            await publish(bus, "e1")
        await bus.aclose()

    async def test_fails_without_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
        bus = PubsubBus("p1", "oco")

        with pytest.raises(PublishFailed, match="nowhere"):
            await publish(bus, "e1")
        await bus.aclose()

    async def test_sends_nothing_that_pubsub_would_not_take(self) -> None:
        stand_in = StandIn()
        event: Fact = a_fact(id="huge", note="x" * 9_000_000)

        async with serving(stand_in) as bus:
            with pytest.raises(PublishFailed, match="huge has 90"):
                await bus.publish("events", event)

        assert stand_in.requests == []


class TestClosing:
    async def test_sends_what_was_handed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pubsub_bus, "GATHERING_S", 3600)
        stand_in = StandIn()
        stand_in.answers.clear()

        async with serving(stand_in) as bus:
            publishing = asyncio.create_task(publish(bus, "a", "b"))
            await stand_in.arrived.wait()
            closing = asyncio.create_task(bus.aclose())
            stand_in.answers.set()
            await closing
            await publishing

        assert stand_in.ids == ["a", "b"]

    async def test_accepts_nothing_afterwards(self) -> None:
        async with serving(StandIn()) as bus:
            await bus.aclose()

            with pytest.raises(PublishFailed, match="closed"):
                await publish(bus, "e1")
