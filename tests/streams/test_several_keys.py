"""Several keys of the installation at one upstream: one that fails stops nobody."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.events import CredentialEvent, UsageEvent
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamReply, UpstreamRequest, UpstreamUnreachable
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord, upstream_ref
from tests.gateway.building import build_gateway
from tests.gateway.making import SetClock
from tests.streams.fakes import (
    DONE,
    JSON,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    Step,
)

CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}'
KEYS = ("a", "b", "c")
ONE_TRY = {"x-stainless-retry-count": "1"}
"""A client that counts its own tries: the gateway makes one, with as many keys as that takes."""
RATE_LIMIT = b'{"error":{"message":"slow down","type":"rate_limit_exceeded"}}'
NO_MONEY = b'{"error":{"message":"top up","type":"insufficient_quota","code":"insufficient_quota"}}'

Answer: TypeAlias = Callable[[UpstreamRequest], ScriptedReply]


def _ok(_request: UpstreamRequest) -> ScriptedReply:
    return ScriptedReply([OPENAI_REPLY], headers=JSON)


def _fails(status: int, body: bytes = b"{}", retry_after: str = "") -> Answer:
    headers = [*JSON, (b"retry-after", retry_after.encode())] if retry_after else JSON
    return lambda _request: ScriptedReply([body], status, list(headers))


@dataclass(slots=True)
class KeyedUpstream:
    """Answers each request as its key deserves, and keeps which keys it saw."""

    answers: dict[str, Answer] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    requests: list[UpstreamRequest] = field(default_factory=list)
    replies: list[ScriptedReply] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        shown = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
        self.used.append(shown)
        self.requests.append(request)
        reply = self.answers.get(shown, _ok)(request)
        self.replies.append(reply)
        return reply


@dataclass(slots=True)
class AllTopics(KeepingBus):
    topics: tuple[str, ...] = ("usage", "events")

    @property
    def calls(self) -> list[UsageEvent]:
        return [event for event in self.events if isinstance(event, UsageEvent)]

    @property
    def failures(self) -> list[CredentialEvent]:
        return [event for event in self.events if isinstance(event, CredentialEvent)]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def upstream() -> KeyedUpstream:
    return KeyedUpstream()


@pytest.fixture
def bus() -> AllTopics:
    return AllTopics()


@pytest.fixture
async def client(
    documents: SqliteDocuments, clock: SetClock, upstream: KeyedUpstream, bus: AllTopics
) -> Client:
    """A gateway with three keys for OpenAI, and a fourth that is not set."""
    records = [CredentialRecord(name, f"{name.upper()}_API_KEY") for name in (*KEYS, "unset")]
    openai = UpstreamRecord("openai", credentials=tuple(records))
    await documents.commit([Put(upstream_ref("openai"), openai.to_data())])
    held: Mapping[str, Secret] = {f"{name.upper()}_API_KEY": Secret(name) for name in KEYS}
    return Client(build_gateway(documents, upstream, bus, clock, held))


async def _call(client: Client, body: bytes | list[Step] = CHAT, **options: Any) -> Exchange:
    headers = {"authorization": "", **ONE_TRY, **options.pop("headers", {})}
    return await client.call(body=body, headers=headers, **options)


async def _in_sessions(client: Client, number: int) -> list[Exchange]:
    return [
        await _call(client, headers={"x-gateway-session": f"s{each}"}) for each in range(number)
    ]


async def test_every_key_serves_its_share(client: Client, upstream: KeyedUpstream) -> None:
    await _in_sessions(client, 60)

    assert set(upstream.used) == set(KEYS)


async def test_a_session_keeps_its_key(client: Client, upstream: KeyedUpstream) -> None:
    await _in_sessions(client, 20)
    first = list(upstream.used)

    await _in_sessions(client, 20)

    assert upstream.used[20:] == first


async def test_no_client_sees_an_error_while_one_key_works(
    client: Client, upstream: KeyedUpstream
) -> None:
    upstream.answers = {"a": _fails(429, RATE_LIMIT), "b": _fails(401)}

    exchanges = await _in_sessions(client, 60)

    assert {exchange.status for exchange in exchanges} == {200}
    # Each of the two was asked once, and rests since.
    assert (upstream.used.count("a"), upstream.used.count("b")) == (1, 1)


async def test_a_failed_key_is_tried_again_when_its_rest_is_over(
    client: Client, upstream: KeyedUpstream, clock: SetClock
) -> None:
    upstream.answers = {"a": _fails(429, RATE_LIMIT, "7")}
    await _in_sessions(client, 30)
    upstream.answers = {}

    clock.advance(6.9)
    await _in_sessions(client, 30)
    assert upstream.used.count("a") == 1
    clock.advance(0.1)
    await _in_sessions(client, 30)

    assert upstream.used.count("a") > 1


@pytest.mark.parametrize("failure", [_fails(401), _fails(403), _fails(429, NO_MONEY)])
async def test_a_key_that_somebody_must_look_at_is_told_once_an_hour(
    client: Client, upstream: KeyedUpstream, bus: AllTopics, clock: SetClock, failure: Answer
) -> None:
    upstream.answers = dict.fromkeys(KEYS, failure)

    await _in_sessions(client, 10)
    within = {event.id for event in bus.failures}
    clock.advance(3600)
    await _in_sessions(client, 10)

    assert {event.credential for event in bus.failures} == set(KEYS)
    assert len(within) == 3
    assert len({event.id for event in bus.failures}) == 6


async def test_a_busy_minute_is_no_failure_to_look_at(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    upstream.answers = dict.fromkeys(KEYS, _fails(429, RATE_LIMIT))

    await _in_sessions(client, 5)

    assert bus.failures == []


async def test_where_no_key_works_the_last_answer_passes_whole(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    upstream.answers = dict.fromkeys(KEYS, _fails(429, RATE_LIMIT, "7"))

    exchange = await _call(client)
    again = await _call(client)

    assert (exchange.status, exchange.content) == (429, RATE_LIMIT)
    assert exchange.headers["retry-after"] == "7"
    assert (again.status, len(upstream.used)) == (429, 4)
    assert [event.cost_nanos for event in bus.calls] == [0, 0]


async def test_the_event_tells_every_attempt(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    upstream.answers = {"a": _fails(429, RATE_LIMIT), "b": _fails(429, RATE_LIMIT)}

    exchanges = await _in_sessions(client, 20)

    number, longest = max(enumerate(bus.calls), key=lambda each: len(each[1].attempts))
    statuses = [attempt.status for attempt in longest.attempts]
    assert statuses == [429] * (len(statuses) - 1) + [200]
    assert len(statuses) > 1
    assert (longest.credential, longest.upstream_status, longest.outcome) == ("c", 200, "ok")
    assert longest.cost_nanos == 100 * 150 + 20 * 600
    assert exchanges[number].headers["x-gateway-attempts"] == str(len(statuses))


async def test_calls_about_objects_stay_with_one_key(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    upstream.answers = dict.fromkeys(KEYS, _fails(429, RATE_LIMIT))
    for path in ("/openai/v1/files", "/openai/v1/responses/resp_1", "/openai/v1/batches/batch_1"):
        await _call(client, b"", path=path, method="GET")
    await _call(client, b'{"model":"gpt-4o-mini"}', path="/openai/v1/responses")

    assert len(set(upstream.used)) == 1
    assert len(upstream.used) == 4


async def test_a_stateless_response_may_take_any_key(
    client: Client, upstream: KeyedUpstream
) -> None:
    for number in range(30):
        await _call(
            client,
            b'{"model":"gpt-4o-mini","store":false}',
            path="/openai/v1/responses",
            headers={"x-gateway-session": str(number)},
        )

    assert set(upstream.used) == set(KEYS)


async def test_a_caller_s_own_key_is_used_once_and_rests_nothing(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    upstream.answers = {"theirs": _fails(429, RATE_LIMIT)}

    headers = {"authorization": "Bearer theirs", **ONE_TRY}
    exchange = await client.call(body=CHAT, headers=headers)
    await client.call(body=CHAT, headers=headers)

    assert (exchange.status, exchange.content) == (429, RATE_LIMIT)
    assert upstream.used == ["theirs", "theirs"]
    assert [event.credential for event in bus.calls] == [None, None]


async def test_a_request_is_the_same_with_the_next_key(
    client: Client, upstream: KeyedUpstream
) -> None:
    upstream.answers = {"a": _fails(429), "b": _fails(429)}
    streamed = CHAT[:-1] + b',"stream":true}'

    for number in range(20):
        await _call(client, streamed, headers={"x-gateway-session": str(number)})

    assert len({request.body for request in upstream.requests}) == 1
    assert json.loads(upstream.requests[0].body)["stream_options"] == {"include_usage": True}


async def test_a_refused_attempt_lets_its_connection_go(
    client: Client, upstream: KeyedUpstream
) -> None:
    upstream.answers = {"a": _fails(429), "b": _fails(401)}

    await _in_sessions(client, 20)

    assert {reply.closed for reply in upstream.replies} == {1}


async def test_nothing_is_sent_again_after_the_first_byte(
    client: Client, upstream: KeyedUpstream, bus: AllTopics
) -> None:
    broken = ScriptedReply([OPENAI_STREAM[0], UpstreamUnreachable("reset")])
    upstream.answers = dict.fromkeys(KEYS, lambda _request: broken)

    await _call(client, CHAT[:-1] + b',"stream":true}')

    assert len(upstream.used) == 1


class TestAnUpstreamThatDoesNotKnowTheUsageFlag:
    STREAMED = CHAT[:-1] + b',"stream":true}'

    @staticmethod
    def _strict(request: UpstreamRequest) -> ScriptedReply:
        if b"stream_options" in request.body:
            return ScriptedReply([b'{"error":"unknown field stream_options"}'], 422, list(JSON))
        return ScriptedReply([*OPENAI_STREAM[:3], DONE])

    async def test_is_asked_again_without_it(
        self, client: Client, upstream: KeyedUpstream, bus: AllTopics
    ) -> None:
        upstream.answers = dict.fromkeys(KEYS, self._strict)

        exchange = await _call(client, self.STREAMED)

        assert exchange.content == b"".join([*OPENAI_STREAM[:3], DONE])
        assert [request.body == self.STREAMED for request in upstream.requests] == [False, True]
        assert [attempt.status for attempt in bus.calls[0].attempts] == [422, 200]
        assert bus.calls[0].cost_source == "estimated"

    async def test_is_not_asked_for_an_hour(
        self, client: Client, upstream: KeyedUpstream, clock: SetClock
    ) -> None:
        upstream.answers = dict.fromkeys(KEYS, self._strict)

        await _call(client, self.STREAMED)
        clock.advance(3599)
        await _call(client, self.STREAMED)
        assert len(upstream.requests) == 3
        clock.advance(1)
        await _call(client, self.STREAMED)

        assert len(upstream.requests) == 5

    async def test_a_client_that_asks_for_it_itself_gets_the_refusal(
        self, client: Client, upstream: KeyedUpstream
    ) -> None:
        upstream.answers = dict.fromkeys(KEYS, self._strict)
        asking = CHAT[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'

        exchange = await _call(client, asking)

        assert (exchange.status, len(upstream.requests)) == (422, 1)
