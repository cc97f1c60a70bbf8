"""What a key's holder learns of the gateway: how it stands, and what a call would hold."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import LEASES, PERIODS, Period, period_ref
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.ports import Put, Query
from common.gateway.gateway import Limits
from common.gateway.keys import KeyPolicy
from common.llm.price_book import bundled_book
from tests.gateway.making import START, a_key, key_text, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    JSON,
    OPENAI_REPLY,
    Client,
    Exchange,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    wait_for,
)

DOLLAR = 10**9
CHAT = "/openai/v1/chat/completions"
CAPPED = (
    b'{"model": "gpt-4o-mini", "max_tokens":100,"messages":[{"role":"user","content":"H\xc3\xa9"}]}'
)
STATUS = "/gateway/v1/status"
ESTIMATE = "/gateway/v1/estimate"

Make = Callable[..., Awaitable[Budget]]


@pytest.fixture
def budget(documents: SqliteDocuments) -> Make:
    """Stores a hard budget of the organisation."""

    async def make(limit: int = DOLLAR, **fields: Any) -> Budget:
        made = replace(Budget("b", "acme", "org:acme", Calendar("day"), limit, "hard"), **fields)
        await documents.commit([Put(budget_ref(made.id), made.to_data())])
        return made

    return make


async def ask(client: Client, body: bytes = CAPPED, path: str = CHAT, **options: Any) -> Exchange:
    described = b'{"path":' + json.dumps(path).encode() + b', "body": ' + body + b" }"
    return await client.call(ESTIMATE, described, **options)


async def estimate(client: Client, body: bytes = CAPPED, path: str = CHAT) -> dict[str, Any]:
    exchange = await ask(client, body, path)
    assert exchange.status == 200, exchange.content
    told: dict[str, Any] = json.loads(exchange.content)
    return told


async def status(client: Client) -> dict[str, Any]:
    exchange = await client.call(STATUS, b"", method="GET")
    assert (exchange.status, exchange.complete) == (200, True), exchange.content
    told: dict[str, Any] = json.loads(exchange.content)
    return told


def code_of(exchange: Exchange) -> tuple[int, str]:
    return exchange.status, json.loads(exchange.content)["error"]["code"]


async def test_estimates_what_the_call_then_holds(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, budget: Make
) -> None:
    await budget()
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    told = await estimate(client)
    await client.call(body=CAPPED)

    assert told["bound_nanos"] == bus.only.hold_nanos
    assert told["bound_usd"] == f"0.{told['bound_nanos']:09d}"
    assert (told["bound_kind"], told["output_tokens"]) == ("bytes", 100)
    assert told["input_tokens"] == len(CAPPED) + 64
    assert (told["card"], told["reason"]) == ("openai/gpt-4o-mini", None)
    assert (told["upstream"], told["provider"], told["model"]) == (
        "openai",
        "openai",
        "gpt-4o-mini",
    )
    assert told["book"] == bundled_book().digest


async def test_an_estimate_sends_holds_and_publishes_nothing(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
) -> None:
    await budget()

    await estimate(client)

    assert (upstream.requests, bus.events) == ([], [])
    assert await documents.query(Query(PERIODS)) == []
    assert await documents.query(Query(LEASES)) == []


async def test_names_the_budgets_a_call_would_hold_against(client: Client, budget: Make) -> None:
    await budget()
    await budget(50, id="small", scope="agent:acme/crawler")
    await budget(50, id="other-agent", scope="agent:acme/indexer")
    await budget(50, id="other-model", models=("claude-*",))
    await budget(50, id="soft", enforcement="soft")

    told = await estimate(client)

    assert [(each["id"], each["fits"]) for each in told["budgets"]] == [
        ("b", True),
        ("small", False),
    ]
    assert told["fits"] is False


@pytest.mark.parametrize(("beyond", "fits"), [(0, True), (1, False)])
async def test_says_that_a_call_fits_exactly_when_it_would_be_sent(
    make_client: MakeClient, upstream: ScriptedUpstream, budget: Make, beyond: int, *, fits: bool
) -> None:
    nanos = (await estimate(make_client()))["bound_nanos"]
    await budget(nanos - beyond)
    client = make_client()
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)

    told = await estimate(client)
    sent = await client.call(body=CAPPED, headers={"x-gateway-fit": "off"})

    assert (told["fits"], sent.status) == (fits, 200 if fits else 402)


async def test_counts_what_is_spent_and_leased_by_others(
    make_client: MakeClient, documents: SqliteDocuments, budget: Make
) -> None:
    nanos = (await estimate(make_client()))["bound_nanos"]
    period = (await budget(nanos + 30)).period_at(START)
    taken = replace(period, settled=20, leased=11, open_leases=1)
    await documents.commit([Put(period_ref(period.id), taken.to_data())])

    told = await estimate(make_client())

    [shown] = told["budgets"]
    assert (told["fits"], shown["room_nanos"]) == (False, nanos - 1)


async def test_counts_what_this_instance_has_leased_already(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments, budget: Make
) -> None:
    """Else a budget that lies in this instance's own lease would look full."""
    await budget()
    replied = asyncio.Event()
    upstream.reply = ScriptedReply([replied, OPENAI_REPLY], headers=JSON)

    _, task = client.start(body=CAPPED)
    await wait_for(upstream.asked)
    told, seen = await estimate(client), await status(client)
    [period] = [Period.from_document(each) for each in await documents.query(Query(PERIODS))]
    replied.set()
    await task

    [shown], [stood] = told["budgets"], seen["budgets"]
    assert stood["leased_nanos"] == period.leased > told["bound_nanos"]
    assert stood["own_free_nanos"] == period.leased - told["bound_nanos"]
    assert shown["room_nanos"] == DOLLAR - told["bound_nanos"]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (CHAT, b'{"model":"no-such-model","messages":[]}', "unpriced_model"),
        ("/openai/v1/batches", b'{"input_file_id":"f"}', "async_not_bounded"),
        (CHAT, b'{"model":"gpt-4o-mini","messages":[{"role":1,"role":2}]}', "unreadable_request"),
    ],
)
async def test_says_why_a_call_has_no_bound(
    make_client: MakeClient, budget: Make, path: str, body: bytes, reason: str
) -> None:
    without = await estimate(make_client(), body, path)
    await budget()
    told = await estimate(make_client(), body, path)

    assert (told["bound_nanos"], told["bound_usd"], told["reason"]) == (None, None, reason)
    assert (without["fits"], told["fits"]) == (True, False)


async def test_what_is_free_holds_nothing(client: Client, budget: Make) -> None:
    await budget(1)

    told = await estimate(client, b'{"input":"x"}', "/openai/v1/moderations")

    assert (told["metered"], told["bound_nanos"], told["budgets"]) == (False, 0, [])
    assert (told["bound_kind"], told["fits"]) == (None, True)


@pytest.mark.parametrize(
    ("path", "body", "upstream_name", "model"),
    [
        (
            "/anthropic/v1/messages",
            b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
            "anthropic",
            "claude-sonnet-4-5",
        ),
        (
            "/gemini/v1beta/models/gemini-2.5-flash:generateContent?alt=json",
            b'{"contents":[]}',
            "gemini",
            "gemini-2.5-flash",
        ),
        (CHAT, b'{"model":"gemini/gemini-2.5-flash","messages":[]}', "gemini", "gemini-2.5-flash"),
        (
            "/v1/messages",
            b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}',
            "anthropic",
            "claude-sonnet-4-5",
        ),
    ],
)
async def test_estimates_calls_of_every_api(
    client: Client, path: str, body: bytes, upstream_name: str, model: str
) -> None:
    told = await estimate(client, body, path)

    assert (told["upstream"], told["model"], told["reason"]) == (upstream_name, model, None)
    assert told["bound_nanos"] > 0


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"{}",
        b'{"path":"/openai/v1/chat/completions"}',
        b'{"path":"/openai/v1/chat/completions","body":"{}"}',
        b'{"path":1,"body":{}}',
        b'{"path":"/openai/v1/chat/completions","body":{},"headers":{}}',
        b'{"path":"/openai/v1/chat/completions","body":{},"body":{}}',
    ],
)
async def test_refuses_what_describes_no_call(client: Client, bus: KeepingBus, sent: bytes) -> None:
    exchange = await client.call(ESTIMATE, sent)

    assert code_of(exchange) == (400, "unreadable_request")
    assert exchange.headers["x-gateway-error"] == "unreadable_request"
    assert bus.events == []


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/favicon.ico", b"{}", (501, "endpoint_not_supported")),
        ("/openai/v1/realtime", b"{}", (501, "endpoint_not_supported")),
        ("/u/nobody/v1/chat/completions", CAPPED, (404, "unknown_upstream")),
        ("/openai/v1/models", b"{}", (405, "method_not_allowed")),
    ],
)
async def test_refuses_what_the_call_would_be_refused_for(
    client: Client, path: str, body: bytes, code: tuple[int, str]
) -> None:
    assert code_of(await ask(client, body, path)) == code


async def test_a_key_learns_nothing_of_models_it_may_not_use(
    client: Client, documents: SqliteDocuments
) -> None:
    await store(documents, a_key(key_text("bound"), policy=KeyPolicy(models=("claude-*",))))

    exchange = await ask(client, headers={"x-gateway-key": key_text("bound")})

    assert code_of(exchange) == (403, "model_not_allowed")


@pytest.mark.parametrize(("path", "method"), [(STATUS, "GET"), (ESTIMATE, "POST")])
@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("", (401, "missing_gateway_key")),
        ("ocg_short", (401, "invalid_gateway_key")),
        (key_text("unknown"), (401, "invalid_gateway_key")),
        (key_text("revoked"), (401, "revoked_gateway_key")),
    ],
)
async def test_answers_holders_of_a_usable_key_only(  # noqa: PLR0917 - fixtures and columns
    client: Client,
    documents: SqliteDocuments,
    bus: KeepingBus,
    path: str,
    method: str,
    shown: str,
    code: tuple[int, str],
) -> None:
    await store(documents, a_key(key_text("revoked"), revoked_at=START))

    exchange = await client.call(path, b"{}", method=method, headers={"x-gateway-key": shown})

    assert (code_of(exchange), bus.events) == (code, [])


@pytest.mark.parametrize(
    ("path", "method", "allowed"), [(STATUS, "POST", "GET"), (ESTIMATE, "GET", "POST")]
)
async def test_takes_one_method(client: Client, path: str, method: str, allowed: str) -> None:
    exchange = await client.call(path, b"{}", method=method)

    assert code_of(exchange) == (405, "method_not_allowed")
    assert exchange.headers["allow"] == allowed


async def test_takes_no_larger_body_than_a_call(make_client: MakeClient) -> None:
    client = make_client(Limits(body_bytes=100))

    assert code_of(await ask(client)) == (413, "body_too_large")


async def test_looks_for_no_call_in_more_than_8_mib(client: Client) -> None:
    body = CAPPED[:-1] + b',"user":"' + b"x" * 8 * 1024 * 1024 + b'"}'

    assert code_of(await ask(client, body)) == (413, "body_too_large")
