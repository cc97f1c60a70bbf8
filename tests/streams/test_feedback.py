"""`POST /v1/feedback`: who may rate what, what is published of it, and what is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.rate_limits import CallLimits
from common.core.errors import PublishFailed
from common.core.feedback_events import CallFeedback
from common.core.ids import time_ordered_id
from common.gateway.keys import KeyPolicy
from tests.gateway.making import START, a_key, key_text, store
from tests.streams.conftest import KeptRecords
from tests.streams.fakes import (
    JSON,
    OPENAI_REPLY,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)

PATH = "/v1/feedback"
RATED = time_ordered_id(START, bytes(10))
CANARY = "feedback-canary-1414"


def rating(**fields: Any) -> bytes:
    return json.dumps({"request_id": RATED, "score": 0.75, **fields}).encode()


async def rate(client: Client, body: bytes, path: str = PATH, **options: Any) -> Exchange:
    return await client.call(path, body, **options)


def published(bus: KeepingBus) -> CallFeedback:
    event = bus.events[-1]
    assert isinstance(event, CallFeedback)
    return event


def code_of(exchange: Exchange) -> tuple[int, str]:
    error: dict[str, Any] = json.loads(exchange.content)["error"]
    assert exchange.headers["x-gateway-error"] == error["code"]
    return exchange.status, error["code"]


@pytest.mark.parametrize("path", ["/v1/feedback", "/gateway/v1/feedback"])
async def test_publishes_who_rates_which_call(client: Client, bus: KeepingBus, path: str) -> None:
    exchange = await rate(client, rating(labels=["helpful", "short", "helpful"]), path)

    assert (exchange.status, exchange.complete) == (202, True)
    assert json.loads(exchange.content) == {"status": "accepted", "request_id": RATED}
    key = a_key()
    event = published(bus)
    assert event.model_dump(include={"call_id", "org", "team", "agent", "line", "score"}) == {
        "call_id": RATED,
        "org": key.org,
        "team": key.team,
        "agent": key.agent,
        "line": key.line,
        "score": 0.75,
    }
    assert event.labels == ("helpful", "short")
    assert event.event_time == START
    assert len(bus.events) == 1


async def test_takes_the_id_that_an_answer_had(
    client: Client, bus: KeepingBus, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=list(JSON))
    answered = await client.call(body=b'{"model":"gpt-4o-mini"}')
    request_id = answered.headers["x-gateway-request-id"]

    exchange = await rate(client, rating(request_id=request_id, score=1))

    assert exchange.status == 202
    assert published(bus).call_id == request_id == bus.events[0].id
    assert len(upstream.requests) == 1


async def test_rates_a_call_again_under_the_same_id_and_another_line_under_its_own(
    client: Client, bus: KeepingBus, documents: SqliteDocuments
) -> None:
    other = key_text("other")
    await store(documents, a_key(other, line="ba9876543210"))

    await rate(client, rating(score=1))
    await rate(client, rating(score=0))
    await rate(Client(client.gateway, other), rating())

    first, again, others = (event.id for event in bus.events)
    assert first == again != others


@pytest.mark.parametrize("score", [0, 1, 0.5])
async def test_takes_scores_from_0_to_1(client: Client, bus: KeepingBus, score: float) -> None:
    assert (await rate(client, rating(score=score))).status == 202
    assert published(bus).score == score


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        CANARY.encode(),
        rating(comment=CANARY),
        rating(request_id=CANARY),
        rating(request_id=None),
        rating(request_id=f"{RATED}\n"),
        rating(request_id=RATED.upper()),
        rating(request_id="0" * 36),
        rating(request_id=time_ordered_id(START + timedelta(minutes=2), bytes(10))),
        rating(request_id=time_ordered_id(START - timedelta(days=39, seconds=1), bytes(10))),
        rating(score=None),
        rating(score=True),
        rating(score="1"),
        rating(score=-0.001),
        rating(score=1.001),
        rating(score=10**40),
        b'{"request_id":"%s","score":NaN}' % RATED.encode(),
        rating(labels="helpful"),
        rating(labels=None),
        rating(labels=[1]),
        rating(labels=["Two words"]),
        rating(labels=[""]),
        rating(labels=["ok\n"]),
        rating(labels=["a" * 41]),
        rating(labels=[CANARY.upper()]),
        rating(labels=[f"l{n}" for n in range(11)]),
    ],
)
async def test_says_what_is_wrong_and_publishes_nothing(
    client: Client, bus: KeepingBus, logged: KeptRecords, body: bytes
) -> None:
    exchange = await rate(client, body)

    assert code_of(exchange) == (400, "unreadable_request")
    assert b'{\\"request_id\\": \\"...\\"' in exchange.content
    assert CANARY not in exchange.content.decode().lower()
    assert CANARY not in repr([each.__dict__ for each in logged.records]).lower()
    assert bus.events == []


async def test_takes_no_large_body(client: Client, bus: KeepingBus) -> None:
    assert code_of(await rate(client, rating(labels=["x" * 9000]))) == (413, "body_too_large")
    assert bus.events == []


async def test_takes_feedback_from_keys_alone(client: Client, bus: KeepingBus) -> None:
    stranger = Client(client.gateway, key_text("stranger"))

    assert code_of(await rate(stranger, rating())) == (401, "invalid_gateway_key")
    assert bus.events == []


async def test_takes_post_alone(client: Client) -> None:
    exchange = await rate(client, b"", method="GET")

    assert code_of(exchange) == (405, "method_not_allowed")
    assert exchange.headers["allow"] == "POST"


async def test_counts_as_a_call_of_the_keys_limits(
    client: Client, bus: KeepingBus, documents: SqliteDocuments
) -> None:
    limited = key_text("limited")
    policy = KeyPolicy(limits=CallLimits(rpm=2, tpm=1, concurrency=1))
    await store(documents, a_key(limited, policy=policy))
    limited_client = Client(client.gateway, limited)

    statuses = [(await rate(limited_client, rating())).status for _ in range(2)]
    refused = await rate(limited_client, rating())

    assert statuses == [202, 202]
    assert code_of(refused) == (429, "rate_limited")
    assert refused.headers["x-gateway-limit"] == "rpm"
    assert len(bus.events) == 2


@pytest.mark.parametrize("failure", [PublishFailed("no topic"), ValueError(CANARY)])
async def test_accepts_nothing_that_could_be_lost(
    client: Client, bus: KeepingBus, logged: KeptRecords, failure: Exception
) -> None:
    bus.failure = failure

    exchange = await rate(client, rating())

    assert code_of(exchange) == (503, "store_unavailable")
    assert exchange.headers["retry-after"] == "5"
    [line] = logged.named("feedback.unpublished")
    assert line.__dict__["error"] == type(failure).__name__
    assert CANARY not in repr(line.__dict__)
