"""What a function that consumes events gets and answers, the same on every bus."""

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from common.adapters.bus_subscriptions import Subscription
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.events import KeyEvent
from common.runtime.push import answer_push
from scripts.local_stack.pushes import endpoint
from tests.bus_engines import ATTEMPTS, Connect
from tests.contracts.facts import NOON, Fact, a_fact


class Bytes(Fact):
    """An event of any form at all."""

    content: bytes

    def payload(self) -> bytes:
        return self.content


class Consumer:
    """A function that keeps the keys it is told of, and fails as often as it was told to."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.tried: list[str] = []
        self.kept: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await answer_push(Request(scope, receive), KeyEvent, self._keep)
        await response(scope, receive, send)

    def subscription(self) -> Subscription:
        return Subscription("keys", "events", (), endpoint(self))

    async def _keep(self, event: KeyEvent) -> None:
        self.tried.append(event.id)
        if self._failures:
            raise self._failures.pop(0)
        self.kept.append(event.id)


def a_key(id_: str) -> KeyEvent:
    return KeyEvent(
        id=id_,
        type="key.created",
        event_time=NOON,
        org="acme",
        team="search",
        agent="crawler",
        key_id="k1",
        line="l1",
        actor="ann",
    )


async def test_is_given_the_event_that_was_published(connect: Connect) -> None:
    consumer = Consumer()
    bus = await connect(consumer.subscription())

    await bus.publish("events", a_key("e1"))
    await bus.drain(10)

    assert consumer.kept == ["e1"]


@pytest.mark.parametrize(
    "content",
    [
        b"not JSON",
        b"[]",
        b"null",
        b'{"id": "no type"}',
        b'{"type": "key.created", "id": 1}',
        b'{"type": "key.created", "v": "two"}',
        b'{"type": "test.happened", "id": "e1"}',
        b'{"type": "key.created", "v": 2}',
        b"",
        b"\xff\xfe",
    ],
)
async def test_is_spared_what_it_cannot_use(connect: Connect, content: bytes) -> None:
    consumer = Consumer()
    bus = await connect(consumer.subscription())

    await bus.publish("events", Bytes(id="b", type="key.created", event_time=NOON, content=content))
    await bus.publish("events", a_key("e1"))
    await bus.drain(10)

    assert consumer.tried == ["e1"]
    assert await bus.dead_letters() == []


async def test_is_given_again_what_it_failed_at(connect: Connect) -> None:
    consumer = Consumer(StoreUnavailable("the store does not answer"))
    bus = await connect(consumer.subscription())

    await bus.publish("events", a_key("e1"))
    await bus.drain(10)

    assert (consumer.tried, consumer.kept) == (["e1", "e1"], ["e1"])


@pytest.mark.slow
async def test_gives_up_what_always_fails(connect: Connect) -> None:
    consumer = Consumer(*[InvalidInput("not today")] * ATTEMPTS)
    bus = await connect(consumer.subscription())

    await bus.publish("events", a_key("poison"))
    await bus.drain(10)

    assert consumer.kept == []
    assert [letter.attributes["id"] for letter in await bus.dead_letters()] == ["poison"]


async def test_is_not_given_what_its_subscription_does_not_want(connect: Connect) -> None:
    consumer = Consumer()
    wanted = Subscription("keys", "events", ("key.",), endpoint(consumer))
    bus = await connect(wanted)

    await bus.publish("events", a_fact())
    await bus.publish("events", a_key("e1"))
    await bus.drain(10)

    assert consumer.tried == ["e1"]
