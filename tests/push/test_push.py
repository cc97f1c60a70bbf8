"""Push requests: what is read from them, what they are answered, and what the log says."""

import base64
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from common.core.errors import InvalidInput, StoreUnavailable
from common.core.events import Event, KeyEvent, SweepBudgets, UsageEvent
from common.runtime import push as pushes
from common.runtime.push import Garbage, Push, Unknown, answer_push, read_push
from tests.contracts.facts import NOON, a_call, a_fact

ANY_JSON = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["type", "v", "id", "tags"]), inner)
    ),
)
SUBSCRIPTION = "projects/p/subscriptions/usage-usage"


def an_envelope(data: bytes, **message: Any) -> dict[str, Any]:
    return {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": {"type": "usage.call"},
            "messageId": "7",
            "message_id": "7",
            "publishTime": "2026-03-01T12:00:00.250Z",
            **message,
        },
        "subscription": SUBSCRIPTION,
        "deliveryAttempt": 3,
    }


def a_body(data: bytes, **message: Any) -> bytes:
    return json.dumps(an_envelope(data, **message)).encode()


class Function:
    """Answers pushes with a deed, and notes the events it was done with."""

    def __init__(self, failure: Exception | None = None, kind: type[Event] = UsageEvent) -> None:
        self._failure = failure
        self._kind = kind
        self.events: list[Event] = []

    async def answers(self, *parts: bytes) -> int:
        arriving = [
            {"type": "http.request", "body": part, "more_body": n + 1 < len(parts)}
            for n, part in enumerate(parts)
        ]

        async def receive() -> Any:
            return arriving.pop(0)

        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        return (await answer_push(request, self._kind, self._act)).status_code

    async def _act(self, event: Event) -> None:
        self.events.append(event)
        if self._failure is not None:
            raise self._failure


class TestReading:
    def test_gives_the_event_and_what_came_with_it(self) -> None:
        assert read_push(a_body(a_call(id="c1").payload())) == Push(
            content=a_call(id="c1"),
            message_id="7",
            attributes={"type": "usage.call"},
            subscription=SUBSCRIPTION,
            attempt=3,
        )

    def test_needs_neither_attempt_nor_attributes(self) -> None:
        envelope = an_envelope(a_call().payload())
        del envelope["deliveryAttempt"], envelope["message"]["attributes"]

        push = read_push(json.dumps(envelope).encode())

        assert (push.content, push.attempt, push.attributes) == (a_call(), None, {})

    @pytest.mark.parametrize(
        ("data", "content"),
        [
            (a_fact(type="test.happened").payload(), Unknown("test.happened", "1")),
            (b'{"type": "usage.call", "v": 99}', Unknown("usage.call", "99")),
            (b"not JSON", Garbage("the data is not JSON in base64")),
            (b"[" * 100_000, Garbage("the data is not JSON in base64")),
            (b"[]", Garbage("the data is not an object with a type")),
            (b'{"type": ["usage.call"]}', Garbage("the data is not an object with a type")),
            (
                b'{"type": "key.created", "v": {}}',
                Garbage("the version of key.created is not a number"),
            ),
        ],
        ids=["type", "version", "text", "depth", "list", "type is a list", "odd version"],
    )
    def test_tells_what_it_does_not_know_from_garbage(
        self, data: bytes, content: Unknown | Garbage
    ) -> None:
        assert read_push(a_body(data)).content == content

    @pytest.mark.parametrize(
        ("told", "id_"), [({}, "7"), ({"id": "own", "type": "budgets.sweep"}, "own")]
    )
    def test_completes_a_command_that_says_nothing_from_its_message(
        self, told: dict[str, Any], id_: str
    ) -> None:
        data = json.dumps(told).encode()

        push = read_push(a_body(data, attributes={"type": "budgets.sweep"}))

        assert push.content == SweepBudgets(id=id_, event_time=NOON)

    @pytest.mark.parametrize("type_", ["usage.call", "key.created", "commands.unknown"])
    def test_completes_nothing_but_commands(self, type_: str) -> None:
        push = read_push(a_body(b"{}", attributes={"type": type_}))

        assert push.content == Garbage("the data is not an object with a type")

    def test_names_the_fields_that_are_wrong_and_not_their_values(self) -> None:
        data = json.loads(a_call().payload()) | {"status": "secret", "tags": {"secret": 1}}

        content = read_push(a_body(json.dumps(data).encode())).content

        assert content == Garbage("not of the form of usage.call: status, tags")

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"{}", b'{"message": {}}', b'{"message": {"data": 1}}', b"\xff"]
    )
    def test_takes_what_is_no_envelope_for_garbage(self, body: bytes) -> None:
        assert read_push(body) == Push(Garbage("the body is not a push envelope"), "", {}, "", None)

    @given(st.binary())
    def test_never_raises(self, data: bytes) -> None:
        assert isinstance(read_push(data).content, Garbage)
        assert isinstance(read_push(a_body(data)).content, Garbage)

    @given(ANY_JSON)
    def test_never_raises_for_any_json(self, value: Any) -> None:
        for data in (value, {"type": "usage.call", "v": value}, {"type": value}):
            read_push(a_body(json.dumps(data).encode()))


class TestAnswering:
    async def test_acknowledges_when_the_deed_is_done(self) -> None:
        function = Function()
        body = a_body(a_call(id="c1").payload())

        assert await function.answers(body[:50], body[50:]) == 204
        assert function.events == [a_call(id="c1")]

    @pytest.mark.parametrize(
        ("data", "logged"),
        [
            (b"not JSON", "push.garbage"),
            (a_fact().payload(), "push.unknown"),
            (a_call().payload(), "push.unwanted"),
        ],
    )
    async def test_acknowledges_and_tells_what_is_not_for_it(
        self, data: bytes, logged: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        function = Function(kind=KeyEvent)
        with caplog.at_level(logging.INFO, pushes.logger.name):
            status = await function.answers(a_body(data))

        assert (status, function.events) == (204, [])
        assert [record.message for record in caplog.records] == [logged]
        assert caplog.records[0].__dict__["message_id"] == "7"

    @pytest.mark.parametrize(
        ("failure", "status", "logged"),
        [
            (StoreUnavailable("away"), 503, "push.failed"),
            (InvalidInput("odd"), 500, "push.failed"),
            (KeyError("a bug"), 500, "push.crashed"),
        ],
    )
    async def test_asks_for_another_delivery_when_the_deed_fails(
        self,
        failure: Exception,
        status: int,
        logged: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        answer = await Function(failure).answers(a_body(a_call().payload()))

        assert answer == status
        assert [record.message for record in caplog.records] == [logged]

    async def test_reads_no_more_than_a_message_can_have(self) -> None:
        chunk = b" " * 1_000_000

        assert await Function().answers(*[chunk] * 16) == 413

    async def test_takes_the_largest_message(self) -> None:
        body = a_body(a_call().payload() + b" " * 9_900_000)

        assert await Function().answers(body) == 204
