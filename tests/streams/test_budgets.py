"""Hard budgets on the way of a call: what is held, what is refused, and what is settled."""

import asyncio
import json

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import PERIODS, Period
from common.budgets.calendar import Calendar
from common.core.ports import Query
from tests.gateway.making import a_key
from tests.streams.fakes import (
    ANTHROPIC_REQUEST,
    ANTHROPIC_STREAM,
    EVENT_STREAM,
    JSON,
    OPENAI_NANOS,
    OPENAI_REPLY,
    OPENAI_STREAM,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)
from tests.streams.hard_budgets import (
    CAPPED,
    CAPPED_STREAM,
    CHAT,
    DOLLAR,
    NO_CAP,
    Make,
    budget,
    period_of,
)

__all__ = ["budget"]


async def test_a_call_holds_its_bound_and_settles_its_cost(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    exchange = await client.call(body=CAPPED)

    event, period = bus.only, await period_of(documents)
    assert (exchange.status, event.cost_nanos) == (200, OPENAI_NANOS)
    assert event.hold_nanos >= OPENAI_NANOS
    assert (event.bound_kind, event.unproven_nanos, event.fit) == ("bytes", 0, None)
    assert [each.nanos for each in event.settlements] == [OPENAI_NANOS]
    assert (period.settled, period.leased, period.open_leases) == (OPENAI_NANOS, 0, 0)


async def test_without_a_hard_budget_nothing_is_held(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget(enforcement="soft")
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    await client.call(body=NO_CAP)

    assert (bus.only.hold_nanos, bus.only.settlements) == (0, ())
    assert await documents.query(Query(PERIODS)) == []


async def test_a_call_that_does_not_fit_is_402_and_never_sent(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget(limit=50)

    exchange = await client.call(body=CAPPED)

    error = json.loads(exchange.content)["error"]
    assert (exchange.status, error["type"], error["code"]) == (
        402,
        "insufficient_quota",
        "budget_exceeded",
    )
    assert "Budget b has no room" in error["message"]
    assert exchange.headers["x-should-retry"] == "false"
    assert exchange.headers["x-gateway-budget"] == "b"
    assert int(exchange.headers["x-gateway-budget-resets-in-s"]) == 12 * 3600
    assert (upstream.requests, bus.only.cost_nanos, bus.only.outcome) == ([], 0, "client_error")


async def test_a_budget_that_never_resets_says_no_time(client: Client, budget: Make) -> None:
    await budget(limit=50, calendar=Calendar("total"))

    exchange = await client.call(body=CAPPED)

    assert exchange.status == 402
    assert "x-gateway-budget-resets-in-s" not in exchange.headers


async def test_a_refusal_has_the_form_of_the_api_that_was_called(
    client: Client, budget: Make
) -> None:
    await budget(limit=50)

    anthropic = await client.call("/anthropic/v1/messages", ANTHROPIC_REQUEST)
    gemini = await client.call(
        "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
        b'{"contents":[{"parts":[{"text":"Hi"}]}],"generationConfig":{"maxOutputTokens":5}}',
    )

    assert json.loads(anthropic.content)["error"]["type"] == "billing_error"
    assert json.loads(gemini.content)["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert (anthropic.status, gemini.status) == (402, 402)


async def test_a_call_without_a_cap_is_made_to_fit(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    """gpt-4o-mini may generate 16,384 tokens, $0.0098: here is a third of that."""
    limit = DOLLAR * 3 // 1000
    await budget(limit=limit)
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    exchange = await client.call(body=NO_CAP)

    sent = json.loads(upstream.requests[0].body)
    assert 256 <= sent["max_completion_tokens"] < 16_384
    assert f"max_completion_tokens={sent['max_completion_tokens']}" in (bus.only.fit or "")
    assert exchange.headers["x-gateway-fit"] == bus.only.fit
    assert bus.only.hold_nanos <= limit


@pytest.mark.parametrize("off", ["the budget", "the caller"])
async def test_a_call_is_not_changed_where_somebody_does_not_want_that(
    client: Client, upstream: ScriptedUpstream, budget: Make, off: str
) -> None:
    await budget(limit=DOLLAR * 3 // 1000, fit=off != "the budget")
    headers = {"x-gateway-fit": "off"} if off == "the caller" else {}

    exchange = await client.call(body=NO_CAP, headers=headers)

    assert (exchange.status, upstream.requests) == (402, [])
    assert "an output cap of" in json.loads(exchange.content)["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (
            (CHAT, b'{"model":"nobody-knows","max_tokens":5,"messages":[]}'),
            (402, "unpriced_model"),
        ),
        (
            (CHAT, b'{"model":"gpt-4o-mini","max_tokens":5,"messages":[],"web_search_options":{}}'),
            (402, "unbounded_request"),
        ),
        (
            ("/openai/v1/responses", b'{"model":"gpt-4o-mini","input":"x","background":true}'),
            (402, "async_not_bounded"),
        ),
        (
            ("/openai/v1/batches", b'{"input_file_id":"f","completion_window":"24h"}'),
            (402, "async_not_bounded"),
        ),
        ((CHAT, b'{"model":'), (400, "unreadable_request")),
        (
            (CHAT, b'{"model":"gpt-4o-mini","max_tokens":5,"max_tokens":9000,"messages":[]}'),
            (400, "unreadable_request"),
        ),
    ],
)
async def test_what_has_no_bound_is_refused(
    client: Client,
    upstream: ScriptedUpstream,
    budget: Make,
    asked: tuple[str, bytes],
    refused: tuple[int, str],
) -> None:
    await budget()

    exchange = await client.call(*asked)

    assert (exchange.status, exchange.headers["x-gateway-error"]) == refused
    assert upstream.requests == []


async def test_what_is_free_needs_no_room(
    client: Client, upstream: ScriptedUpstream, budget: Make
) -> None:
    await budget(limit=1)
    upstream.reply = ScriptedReply([b'{"data":[]}'], headers=JSON)

    exchange = await client.call("/openai/v1/files", b"", method="GET")

    assert exchange.status == 200


async def test_calls_at_once_share_one_budget_and_do_not_overrun_it(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    limit = 400_000
    await budget(limit=limit, fit=False)
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    exchanges = await asyncio.gather(*(client.call(body=CAPPED) for _ in range(60)))

    period = await period_of(documents)
    served = sum(exchange.status == 200 for exchange in exchanges)
    assert {exchange.status for exchange in exchanges} == {200, 402}
    assert period.settled == served * OPENAI_NANOS <= limit
    assert period.leased == 0


async def test_calls_at_once_that_do_not_fit_are_told_so(
    client: Client, upstream: ScriptedUpstream, budget: Make
) -> None:
    """Each is made smaller to what others take meanwhile: that is no outage."""
    await budget(limit=DOLLAR * 3 // 1000)
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    exchanges = await asyncio.gather(*(client.call(body=NO_CAP) for _ in range(40)))

    assert {exchange.status for exchange in exchanges} <= {200, 402}


async def test_a_call_counts_against_all_its_budgets(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments, budget: Make
) -> None:
    key = a_key()
    await budget(id="org")
    await budget(id="team", scope=f"team:acme/{key.team}")
    await budget(id="agent", scope=f"agent:acme/{key.agent}")
    await budget(id="key", scope=f"key:{key.line}")
    await budget(id="model", models=("gpt-4o*",))
    await budget(id="other-team", scope="team:acme/other")
    await budget(id="other-model", models=("claude-*",))
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    await client.call(body=CAPPED)

    charged = [Period.from_document(each) for each in await documents.query(Query(PERIODS))]
    assert {each.budget: each.settled for each in charged} == dict.fromkeys(
        ("agent", "key", "model", "org", "team"), OPENAI_NANOS
    )


async def test_a_stream_s_bytes_are_those_it_has_without_a_budget(
    client: Client, upstream: ScriptedUpstream, budget: Make
) -> None:
    await budget()
    upstream.reply = ScriptedReply(OPENAI_STREAM)

    openai = await client.call(body=CAPPED_STREAM)
    upstream.reply = ScriptedReply(ANTHROPIC_STREAM, headers=list(EVENT_STREAM))
    anthropic = await client.call("/anthropic/v1/messages", ANTHROPIC_REQUEST)

    assert openai.content == b"".join(OPENAI_STREAM)
    assert anthropic.content == b"".join(ANTHROPIC_STREAM)


async def test_a_cost_that_is_not_known_is_settled_at_the_hold(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()
    unknown = OPENAI_REPLY.replace(b"gpt-4o-mini-2024-07-18", b"a-model-of-tomorrow")
    upstream.reply = ScriptedReply([unknown], headers=JSON)

    await client.call(body=CAPPED)

    event, period = bus.only, await period_of(documents)
    assert (event.cost_nanos, event.cost_reason) == (None, "unknown_model")
    assert (period.settled, period.unproven) == (event.hold_nanos, event.hold_nanos)


async def test_a_store_that_is_down_is_503_in_the_provider_s_form(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments, budget: Make
) -> None:
    await budget()
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)
    await client.call(body=CAPPED)
    await documents.aclose()

    exchange = await client.call(body=CAPPED)

    assert exchange.status == 503
    assert exchange.headers["x-gateway-error"] in {"budget_unavailable", "store_unavailable"}


async def test_nothing_counts_as_spent_before_its_event_is_published(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    """Another call's commit tells what is settled; a process may die before the event is out."""
    await budget(limit=250_000)  # for two such calls, and no slice beside them
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)
    bus.gate = asyncio.Event()
    first = asyncio.create_task(client.call(body=CAPPED))
    await wait_for(bus.asked)
    upstream.asked.clear()

    second = asyncio.create_task(client.call(body=CAPPED))
    await wait_for(upstream.asked)

    assert (await period_of(documents)).settled == 0
    bus.gate.set()
    await asyncio.gather(first, second)
    assert (await period_of(documents)).settled == 2 * OPENAI_NANOS
