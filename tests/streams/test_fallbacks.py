"""A call whose rule names more than one model: the next one serves it where the first fails."""

import asyncio
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.gateway.gateway import Limits
from common.gateway.spending import Spending
from common.gateway.upstream import UpstreamDisconnected, UpstreamMalformed, UpstreamUnreachable
from common.gateway.upstream_health import LEAST_CALLS, RESTS_S
from tests.streams.conftest import MakeClient
from tests.streams.fakes import TINY_S, Client, KeepingBus, ScriptedReply
from tests.streams.hard_budgets import CHAT, Make, budget, period_of
from tests.streams.routes import (
    BODY,
    KEYS,
    NO_KEY,
    ByHost,
    Rules,
    Turn,
    client,
    fails,
    ok,
    rules,
    upstream,
    use,
)

__all__ = ["budget", "client", "rules", "upstream"]


@pytest.mark.parametrize(
    "failure",
    [*(429, 500, 503, 529, 401, 403, 404), UpstreamUnreachable("x"), UpstreamMalformed("x")],
)
async def test_is_served_by_the_next_where_the_first_fails(
    client: Client, upstream: ByHost, bus: KeepingBus, rules: Rules, failure: int | Exception
) -> None:
    upstream.turns["openai"] = [fails(failure) if isinstance(failure, int) else failure]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY, headers=NO_KEY)

    assert upstream.asked == [("openai", "gpt-4o"), ("anthropic", "claude-haiku-4-5")]
    assert (exchange.status, exchange.headers["x-gateway-attempts"]) == (200, "2")
    assert [each.upstream for each in bus.only.attempts] == ["openai", "anthropic"]
    assert bus.only.card == "anthropic/claude-haiku-4-5"
    assert all(reply.closed for reply in upstream.replies)


@pytest.mark.parametrize("status", [400, 422])
async def test_is_sent_nowhere_else_where_the_request_is_to_blame(
    client: Client, upstream: ByHost, rules: Rules, status: int
) -> None:
    upstream.turns["openai"] = [fails(status)]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY)

    assert (exchange.status, len(upstream.requests)) == (status, 1)


async def test_tells_a_client_that_its_own_key_was_refused(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    upstream.turns["openai"] = [fails(401)]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY, headers={"authorization": "Bearer sk-of-the-client"})

    assert (exchange.status, len(upstream.requests)) == (401, 1)


async def test_tries_the_last_of_a_chain_as_often_as_any_other_call(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    upstream.turns = {"openai": [fails(500)], "anthropic": [fails(503)]}
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY)

    assert exchange.status == 503
    assert [vendor for vendor, _ in upstream.asked] == ["openai", *["anthropic"] * 3]


async def test_tries_nothing_again_once_the_client_has_a_byte(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    stream: list[Any] = [
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
        UpstreamDisconnected("x"),
    ]
    headers = [(b"content-type", b"text/event-stream")]
    upstream.turns["openai"] = [ScriptedReply(stream, headers=headers)]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY[:-1] + b',"stream":true}')

    assert exchange.status == 200
    assert len(upstream.requests) == 1


async def test_leaves_a_model_out_that_fails_and_comes_back_to_it(
    client: Client, upstream: ByHost, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.turns["openai"] = [*(fails(500) for _ in range(LEAST_CALLS)), ok()]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))
    for _ in range(LEAST_CALLS):
        assert (await client.call(body=BODY)).status == 200
    upstream.requests.clear()

    await client.call(body=BODY)
    clock = client.gateway.clock
    later = clock.monotonic() + RESTS_S + 1
    monkeypatch.setattr(type(clock), "monotonic", lambda _: later)
    await client.call(body=BODY)

    assert [vendor for vendor, _ in upstream.asked] == ["anthropic", "openai"]


async def test_holds_what_each_attempt_may_cost_and_settles_what_one_has_cost(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    bus: KeepingBus,
    budget: Make,
    rules: Rules,
) -> None:
    await budget()
    upstream.turns["openai"] = [fails(500)]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    await client.call(CHAT, BODY)

    event = bus.only
    assert len(event.settlements) == 1
    assert event.settlements[0].nanos == event.cost_nanos
    assert (await period_of(documents)).settled == event.cost_nanos
    assert (await period_of(documents)).leased == 0


async def test_keeps_the_hold_of_an_attempt_that_may_be_billed(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    bus: KeepingBus,
    budget: Make,
    rules: Rules,
) -> None:
    await budget()
    upstream.turns["openai"] = [UpstreamDisconnected("x")]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    await client.call(CHAT, BODY)

    event = bus.only
    first, second = event.settlements
    assert event.card == "anthropic/claude-haiku-4-5"
    assert second.nanos == event.cost_nanos
    assert event.unproven_nanos == first.nanos > second.nanos
    assert (await period_of(documents)).settled == first.nanos + second.nanos


@pytest.mark.parametrize("failure", [fails(502), UpstreamDisconnected("gone")])
async def test_passes_the_first_failure_on_where_there_is_no_room_for_another_attempt(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    bus: KeepingBus,
    budget: Make,
    rules: Rules,
    failure: Turn,
) -> None:
    await budget(limit=5_000_000)
    upstream.turns["openai"] = [failure]
    await rules(use("gpt-4o", "anthropic/claude-opus-4-5"))

    exchange = await client.call(CHAT, BODY, headers={"x-gateway-fit": "off"})

    assert (exchange.status, len(upstream.requests)) == (502, 1)
    assert bus.only.model_sent == "gpt-4o"
    assert (await period_of(documents)).settled == bus.only.settlements[0].nanos > 0


async def test_leaves_no_reply_open_where_time_is_over_before_the_next_attempt(
    client: Client, upstream: ByHost, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.turns["openai"] = [fails(500)]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))
    hold, asked = Spending.hold, []

    async def hold_once(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        if len(asked) > 1:
            raise TimeoutError
        return await hold(*arguments, **options)

    monkeypatch.setattr(Spending, "hold", hold_once)

    exchange = await client.call(body=BODY, headers=NO_KEY)

    assert (exchange.status, len(upstream.requests)) == (504, 1)
    assert all(reply.closed for reply in upstream.replies)


async def test_is_served_by_the_next_where_the_first_says_nothing_in_time(
    make_client: MakeClient, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    client = make_client(Limits(first_byte_s=1.0), managed_keys=KEYS)
    upstream.turns["openai"] = [asyncio.Event()]
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY, headers=NO_KEY)

    assert exchange.status == 200
    assert [each.status for each in bus.only.attempts] == [None, 200]
    assert bus.only.card == "anthropic/claude-haiku-4-5"


async def test_is_504_where_none_says_anything_in_time(
    make_client: MakeClient, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    client = make_client(Limits(first_byte_s=TINY_S), managed_keys=KEYS)
    upstream.turns = {"openai": [asyncio.Event()], "anthropic": [asyncio.Event()]}
    await rules(use("gpt-4o", "anthropic/claude-haiku-4-5"))

    exchange = await client.call(body=BODY, headers=NO_KEY)

    assert (exchange.status, bus.only.error_code) == (504, "upstream_timeout")
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("dear", "code"),
    [("gpt-4", "budget_exceeded"), ("gemini/gemini-next", "unpriced_model")],
)
async def test_leaves_out_what_a_hard_budget_does_not_let_through(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    bus: KeepingBus,
    budget: Make,
    rules: Rules,
    dear: str,
    code: str,
) -> None:
    await budget(limit=5_000_000)
    await rules(use(dear, "gpt-4o-mini", "gpt-4o"))

    exchange = await client.call(CHAT, BODY, headers={"x-gateway-fit": "off"})

    assert (exchange.status, upstream.asked) == (200, [("openai", "gpt-4o-mini")])
    name = dear.removeprefix("gemini/")
    assert exchange.headers["x-gateway-warning"] == f"{name} left out ({code})"
    assert (await period_of(documents)).settled == bus.only.cost_nanos


async def test_is_refused_for_its_first_model_where_a_budget_lets_none_through(
    client: Client, upstream: ByHost, bus: KeepingBus, budget: Make, rules: Rules
) -> None:
    await budget(limit=1)
    await rules(use("anthropic/claude-opus-4-5", "gemini/gemini-next"))

    exchange = await client.call(CHAT, BODY)

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (402, "budget_exceeded")
    assert (upstream.requests, bus.only.provider, bus.only.settlements) == ([], "anthropic", ())


async def test_goes_on_to_what_there_is_room_for_after_an_attempt_that_may_be_billed(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    bus: KeepingBus,
    budget: Make,
    rules: Rules,
) -> None:
    await budget(limit=5_000_000)
    upstream.turns["openai"] = [UpstreamDisconnected("x")]
    await rules(use("gpt-4o", "anthropic/claude-opus-4-5", "gemini/gemini-2.5-flash"))

    exchange = await client.call(CHAT, BODY, headers={"x-gateway-fit": "off"})

    first, second = bus.only.settlements
    assert (exchange.status, bus.only.card) == (200, "google/gemini-2.5-flash")
    assert (bus.only.unproven_nanos, second.nanos) == (first.nanos, bus.only.cost_nanos)
    assert (await period_of(documents)).settled == first.nanos + second.nanos
