"""A key's limits: refused before anything is sent, and given back however a call ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.rate_limits import CallLimits, Slice
from common.budgets.rate_windows import Admission, RateWindows
from common.core.events import UsageEvent
from common.gateway.keys import KeyPolicy
from common.gateway.rates import Admitted, RateLimits, Running
from common.gateway.upstream import UpstreamDisconnected, UpstreamUnreachable
from tests.gateway.making import WatchedDocuments, a_key, key_text, store
from tests.streams.fakes import (
    ASKING,
    JSON,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    Exchange,
    KeepingBus,
    LoopClock,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)

LIMITED = key_text("limited")
PATHS = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
}
Limited: TypeAlias = Callable[..., Awaitable[Client]]


@pytest.fixture
def limited(client: Client, documents: SqliteDocuments) -> Limited:
    """The client with a key of these limits."""

    async def make(**limits: int) -> Client:
        policy = KeyPolicy(limits=CallLimits(**limits))
        await store(documents, a_key(LIMITED, policy=policy))
        return Client(client.gateway, LIMITED)

    return make


def _error(exchange: Exchange) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(exchange.content)["error"]
    return error


def _answers(upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=list(JSON))


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [
        ("openai", {"type": "rate_limit_exceeded", "code": "rate_limited"}),
        ("anthropic", {"type": "rate_limit_error"}),
        ("gemini", {"status": "RESOURCE_EXHAUSTED", "code": 429}),
    ],
)
async def test_refuses_in_the_form_of_the_api(
    limited: Limited,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    protocol: str,
    kind: dict[str, Any],
) -> None:
    _answers(upstream)
    client = await limited(rpm=1)
    await client.call(PATHS[protocol], b"{}")

    refused = await client.call(PATHS[protocol], b"{}")

    assert (refused.status, len(upstream.requests)) == (429, 1)
    assert _error(refused).items() >= kind.items()
    assert "1 requests of this minute (limit: rpm)" in _error(refused)["message"]
    assert (
        refused.headers.items()
        >= {
            "x-gateway-error": "rate_limited",
            "x-gateway-limit": "rpm",
            "retry-after": "60",
        }.items()
    )
    assert "x-should-retry" not in refused.headers
    event = bus.events[-1]
    assert isinstance(event, UsageEvent)
    assert (event.outcome, event.error_code) == ("client_error", "rate_limited")
    assert (event.status, event.cost_nanos) == (429, 0)


async def test_a_key_without_limits_is_not_counted(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments
) -> None:
    _answers(upstream)
    watched = WatchedDocuments(documents)
    client.gateway = replace(
        client.gateway, forwarding=replace(client.gateway.forwarding, rates=_limits_over(watched))
    )

    await client.call()

    assert watched.reads == []


async def test_counts_tokens_as_they_are_used(limited: Limited, upstream: ScriptedUpstream) -> None:
    # Counted with 8 + 500 before, and 120 after: 4 x 120 + 508 fit into 1,000, and no more.
    _answers(upstream)
    client = await limited(tpm=1_000)
    body = b'{"model":"m" ,"max_tokens": 500}'

    answers = [await client.call(body=body) for _ in range(6)]

    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["x-gateway-limit"] == "tpm"


async def test_a_call_that_never_fits_is_told_so(
    limited: Limited, upstream: ScriptedUpstream
) -> None:
    client = await limited(tpm=1_000)

    refused = await client.call(body=b'{"model":"gpt-4o","max_tokens":1000}')

    assert (refused.status, upstream.requests) == (429, [])
    assert refused.headers["x-should-retry"] == "false"
    assert "counts as 1009 tokens" in _error(refused)["message"]
    assert "retry-after" not in refused.headers


async def test_a_cap_counts_for_each_candidate(limited: Limited) -> None:
    client = await limited(tpm=100)

    refused = await client.call(body=b'{"model":"m","max_tokens":40,"n":3}')

    assert "counts as 129 tokens" in _error(refused)["message"]


def test_what_is_given_back_twice_comes_back_once() -> None:
    running, own = Running(), Slice()
    running.start("line-1")
    running.start("line-1")
    admitted = Admitted(running, "line-1", Admission(own, 10))

    for _ in range(2):
        admitted.release()
        admitted.settle(3)

    assert (running.calls, own.tokens) == ({"line-1": 1}, 7)


async def test_bytes_of_pictures_and_files_are_no_tokens(
    limited: Limited, upstream: ScriptedUpstream
) -> None:
    _answers(upstream)
    client = await limited(tpm=10)
    picture = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}' % (b"A" * 4096)
    seen = b'{"model":"gpt-4o","messages":[{"role":"user","content":[%s]}]}' % picture

    file = await client.call("/openai/v1/files", b"x" * 4096)
    look = await client.call(body=seen)

    assert (file.status, look.status) == (200, 200)


async def test_as_many_run_at_once_as_may(limited: Limited, upstream: ScriptedUpstream) -> None:
    gate = asyncio.Event()
    upstream.before = [gate]
    _answers(upstream)
    client = await limited(concurrency=2)
    running = [client.start(body=b"{}") for _ in range(2)]
    await _sent(upstream, 2)

    refused = await client.call(body=b"{}")
    gate.set()
    await asyncio.gather(*(task for _, task in running))

    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.headers["x-gateway-limit"] == "concurrency"
    assert [exchange.status for exchange, _ in running] == [200, 200]
    assert (await client.call(body=b"{}")).status == 200


async def _sent(upstream: ScriptedUpstream, number: int) -> None:
    while len(upstream.requests) < number:
        upstream.asked.clear()
        await wait_for(upstream.asked)


async def _ends(client: Client, _: ScriptedUpstream) -> None:
    await client.call(body=ASKING)


async def _is_refused(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([b"{}"], status=400, headers=list(JSON))
    await client.call(body=b"{}")


async def _finds_nobody(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.before = [UpstreamUnreachable("connection refused")]
    await client.call(body=b"{}")


async def _breaks_off(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([OPENAI_STREAM[0], UpstreamDisconnected("reset")])
    await client.call(body=ASKING)


async def _fails_here(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.before = [RuntimeError("a fault of ours")]
    await client.call(body=b"{}")


async def _has_no_provider_key(client: Client, _: ScriptedUpstream) -> None:
    await client.call("/v1/messages", b"{}", headers={"authorization": ""})


async def _is_left(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.before = [asyncio.Event()]
    exchange, task = client.start(body=b"{}")
    await wait_for(upstream.asked)
    exchange.leave()
    await task


async def _is_cancelled(client: Client, upstream: ScriptedUpstream) -> None:
    upstream.before = [asyncio.Event()]
    _, task = client.start(body=b"{}")
    await wait_for(upstream.asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    "end",
    [
        _ends,
        _is_refused,
        _finds_nobody,
        _breaks_off,
        _fails_here,
        _has_no_provider_key,
        _is_left,
        _is_cancelled,
    ],
)
async def test_a_call_makes_place_for_another(
    limited: Limited,
    upstream: ScriptedUpstream,
    end: Callable[[Client, ScriptedUpstream], Awaitable[None]],
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])
    client = await limited(concurrency=1)
    await end(client, upstream)
    upstream.before, upstream.reply = [], ScriptedReply([*OPENAI_STREAM])

    assert (await client.call(body=ASKING)).status == 200


@pytest.mark.parametrize("turns", range(40))
async def test_a_call_that_is_left_at_any_turn_makes_place_for_another(
    limited: Limited, upstream: ScriptedUpstream, turns: int
) -> None:
    upstream.reply = ScriptedReply([*OPENAI_STREAM])
    client = await limited(concurrency=1, rpm=1_000)
    await client.call(body=ASKING)

    exchange, task = client.start(body=ASKING)
    for _ in range(turns):
        await asyncio.sleep(0)
    exchange.leave()
    await task

    assert (await client.call(body=ASKING)).status == 200


async def test_a_refused_call_takes_no_place(limited: Limited, upstream: ScriptedUpstream) -> None:
    _answers(upstream)
    client = await limited(rpm=1, concurrency=1)
    await client.call(body=b"{}")

    refused = [await client.call(body=b"{}") for _ in range(2)]

    assert [each.headers["x-gateway-limit"] for each in refused] == ["rpm", "rpm"]


@pytest.mark.parametrize(
    "end", [_finds_nobody, _is_refused, _has_no_provider_key], ids=lambda end: end.__name__
)
async def test_a_call_that_costs_nothing_gives_its_tokens_back(
    limited: Limited,
    upstream: ScriptedUpstream,
    end: Callable[[Client, ScriptedUpstream], Awaitable[None]],
) -> None:
    client = await limited(tpm=10)
    for _ in range(3):
        await end(client, upstream)
    upstream.before = []
    _answers(upstream)

    assert (await client.call(body=b'{"model":"m","max_tokens":1}')).status == 200


async def test_the_store_is_told_to_be_silent(
    limited: Limited, upstream: ScriptedUpstream, documents: SqliteDocuments
) -> None:
    client = await limited(rpm=2)
    down = WatchedDocuments(documents, down=True)
    client.gateway = replace(
        client.gateway, forwarding=replace(client.gateway.forwarding, rates=_limits_over(down))
    )

    refused = await client.call(body=b"{}")

    assert (refused.status, upstream.requests) == (503, [])
    assert (_error(refused)["code"], refused.headers["retry-after"]) == ("store_unavailable", "5")


def _limits_over(documents: WatchedDocuments) -> RateLimits:
    return RateLimits(RateWindows(documents, LoopClock(), entropy=bytes))
