"""What nothing tells the cost of: it passes without a hard budget and is refused with one."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import PERIODS
from common.core.ports import Query
from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy
from common.llm.unmetered import read_unmetered
from tests.gateway.making import a_key, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream
from tests.streams.hard_budgets import Make, budget

__all__ = ["budget"]

CACHES = "/gemini/v1beta/cachedContents"
CACHE = f"{CACHES}/sim1"
MAKES = b'{"model":"models/gemini-2.5-flash","contents":[{"parts":[{"text":"x"}]}],"ttl":"60s"}'
PROLONGS = b'{"ttl":"86400s"}'
MADE = b'{"name":"cachedContents/sim1","usageMetadata":{"totalTokenCount":9000}}'
STORES = read_unmetered(["POST /openai/v1/vector_stores", "GET /openai/v1/vector_stores/*"])
STORE = "/openai/v1/vector_stores"


@pytest.fixture
def lenient(make_client: MakeClient) -> Client:
    """A client of an installation that lets vector stores through."""
    return make_client(managed_keys={"openai": Secret("sk-of-the-installation")}, unmetered=STORES)


@pytest.mark.parametrize(
    ("method", "path", "body", "model"),
    [
        ("POST", CACHES, MAKES, "gemini-2.5-flash"),
        ("POST", "/v1beta/cachedContents", MAKES, "gemini-2.5-flash"),
        ("POST", "/v1/cachedContents", MAKES, "gemini-2.5-flash"),
        ("PATCH", CACHE, PROLONGS, None),
    ],
)
async def test_a_cached_content_passes_with_a_reason_for_its_missing_cost(  # noqa: PLR0917 - columns
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    method: str,
    path: str,
    body: bytes,
    model: str | None,
) -> None:
    upstream.reply = ScriptedReply([MADE], headers=JSON)

    exchange = await client.call(path, body, method=method, query=b"updateMask=ttl")

    [sent] = upstream.requests
    assert (exchange.status, exchange.content) == (200, MADE)
    assert (sent.method, sent.body) == (method, body)
    assert sent.url.endswith(
        f"/cachedContents{path.partition('/cachedContents')[2]}?updateMask=ttl"
    )
    event = bus.only
    assert (event.endpoint, event.model_sent) == ("cached_contents", model)
    assert (event.cost_nanos, event.cost_reason) == (None, "unmetered_endpoint")
    assert (event.cost_source, event.priced_nanos, event.outcome) == (None, 0, "ok")
    assert not {"x-gateway-cost-usd", "x-gateway-cost-source"} & exchange.headers.keys()


@pytest.mark.parametrize(("method", "path"), [("GET", CACHES), ("GET", CACHE), ("DELETE", CACHE)])
async def test_reading_and_deleting_a_cached_content_is_free(  # noqa: PLR0917 - columns
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    budget: Make,
    method: str,
    path: str,
) -> None:
    await budget(limit=1)
    upstream.reply = ScriptedReply([b"{}"], headers=JSON)

    exchange = await client.call(path, b"", method=method)

    assert (exchange.status, exchange.headers["x-gateway-cost-source"]) == (200, "free")
    assert (bus.only.cost_nanos, bus.only.cost_source) == (0, "free")


@pytest.mark.parametrize(
    ("method", "path", "body"), [("POST", CACHES, MAKES), ("PATCH", CACHE, PROLONGS)]
)
async def test_a_cached_content_is_402_under_a_hard_budget(  # noqa: PLR0917 - columns
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    documents: SqliteDocuments,
    budget: Make,
    method: str,
    path: str,
    body: bytes,
) -> None:
    await budget()

    exchange = await client.call(path, body, method=method)

    error = orjson.loads(exchange.content)["error"]
    assert (exchange.status, exchange.headers["x-gateway-error"]) == (402, "unbounded_request")
    assert "billed by the hour until it is deleted" in error["message"]
    assert "Send it with a key to which none applies" in error["message"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert upstream.requests == []
    assert (bus.only.cost_nanos, bus.only.hold_nanos) == (0, 0)
    assert await documents.query(Query(PERIODS)) == []


async def test_a_budget_of_other_models_leaves_a_cached_content_alone(
    client: Client,
    upstream: ScriptedUpstream,
    budget: Make,
) -> None:
    await budget(models=("gpt-*",))
    upstream.reply = ScriptedReply([MADE], headers=JSON)

    made = await client.call(CACHES, MAKES)
    prolonged = await client.call(CACHE, PROLONGS, method="PATCH")

    assert made.status == 200
    # Which model's cache this is stands nowhere.
    assert (prolonged.status, prolonged.headers["x-gateway-error"]) == (402, "unbounded_request")


async def test_what_the_provider_refuses_costs_nothing(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    upstream.reply = ScriptedReply([b'{"error":{}}'], status=400, headers=JSON)

    exchange = await client.call(CACHES, MAKES)

    assert (exchange.status, exchange.content) == (400, b'{"error":{}}')
    assert (bus.only.cost_nanos, bus.only.cost_source) == (0, "free")


async def test_a_cached_content_is_made_once_whatever_comes_of_it(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.reply = ScriptedReply([b"{}"], status=503, headers=JSON)

    exchange = await client.call(CACHES, MAKES)

    assert exchange.status == 503
    assert len(upstream.requests) == 1


async def test_a_key_of_other_models_makes_and_prolongs_no_cached_content(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments
) -> None:
    await store(documents, replace(a_key(), policy=KeyPolicy(models=("gemini-2.0-*",))))

    made = await client.call(CACHES, MAKES)
    prolonged = await client.call(CACHE, PROLONGS, method="PATCH")

    assert [each.headers["x-gateway-error"] for each in (made, prolonged)] == [
        "model_not_allowed",
        "model_not_allowed",
    ]
    assert b"does not tell which" in prolonged.content
    assert upstream.requests == []


async def test_a_key_of_the_model_makes_a_cached_content(
    client: Client, upstream: ScriptedUpstream, documents: SqliteDocuments
) -> None:
    await store(documents, replace(a_key(), policy=KeyPolicy(models=("gemini-2.5-*",))))
    upstream.reply = ScriptedReply([MADE], headers=JSON)

    assert (await client.call(CACHES, MAKES)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type"),
    [
        ("POST", STORE, b'{"name":"a"}', "application/json"),
        ("POST", STORE, b"--x\r\nno form\r\n", "multipart/form-data; boundary=x"),
        ("POST", STORE, b"--x\r\nno form\r\n", ""),
        ("POST", STORE, b"", ""),
        ("GET", f"{STORE}/vs_1", b"", ""),
    ],
)
async def test_a_listed_path_passes_as_it_is(  # noqa: PLR0917 - columns
    lenient: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    method: str,
    path: str,
    body: bytes,
    content_type: str,
) -> None:
    reply = [b"not ", b"\xff json"]
    sized = [(b"content-length", b"10"), (b"content-type", b"application/x")]
    upstream.reply = ScriptedReply(reply, headers=sized)

    exchange = await lenient.call(
        path, body, method=method, headers={"content-type": content_type}, query=b"limit=1"
    )

    [sent] = upstream.requests
    assert (sent.method, sent.body) == (method, body)
    assert sent.url == f"https://api.openai.com{path.removeprefix('/openai')}?limit=1"
    assert (exchange.status, exchange.content) == (200, b"".join(reply))
    assert exchange.headers["content-length"] == "10"
    event = bus.only
    assert (event.endpoint, event.cost_nanos) == ("unmetered", None)
    assert (event.cost_reason, event.outcome) == ("unmetered_endpoint", "ok")


async def test_an_event_stream_of_a_listed_path_passes_byte_by_byte(
    lenient: Client, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    chunks = [b"data: {", b'"a":1}\n\n', b"data: [DONE]\n\n"]
    upstream.reply = ScriptedReply(chunks)

    exchange = await lenient.call(STORE, b'{"stream":true}')

    assert exchange.content == b"".join(chunks)
    assert bus.only.cost_reason == "unmetered_endpoint"


async def test_a_reply_of_a_listed_path_is_not_held_back(
    lenient: Client, upstream: ScriptedUpstream
) -> None:
    """It could be a download of hours."""
    rest = asyncio.Event()
    upstream.reply = ScriptedReply([b'{"a":', rest, b"1}"], headers=JSON)
    exchange, task = lenient.start(STORE, b"{}")

    await exchange.until_received(b'{"a":')
    rest.set()
    await task

    assert exchange.content == b'{"a":1}'


async def test_a_path_that_is_not_listed_says_how_it_could_be(
    client: Client, lenient: Client
) -> None:
    for exchange in (
        await client.call(STORE, b"{}"),
        await lenient.call(f"{STORE}/vs_1/files", b"{}"),
    ):
        assert (exchange.status, exchange.headers["x-gateway-error"]) == (
            501,
            "endpoint_not_supported",
        )
        assert b"UNMETERED_PATHS" in exchange.content


async def test_a_path_that_cannot_be_listed_does_not_say_so(lenient: Client) -> None:
    exchange = await lenient.call("/openai/v1/organization/costs", b"{}")

    assert exchange.status == 501
    assert b"UNMETERED_PATHS" not in exchange.content


@pytest.mark.parametrize("body", [b"", b'{"a":1,"a":2}', b"--x\r\n", b"{}"])
async def test_a_listed_path_is_402_under_a_hard_budget(
    lenient: Client,
    upstream: ScriptedUpstream,
    budget: Make,
    body: bytes,
) -> None:
    await budget(models=("gpt-*",))

    exchange = await lenient.call(STORE, body)

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (402, "unbounded_request")
    assert b"does not read what it costs" in exchange.content
    assert exchange.headers["x-should-retry"] == "false"
    assert upstream.requests == []


async def test_a_soft_budget_lets_a_listed_path_through(
    lenient: Client,
    upstream: ScriptedUpstream,
    budget: Make,
) -> None:
    await budget(limit=1, enforcement="soft")
    upstream.reply = ScriptedReply([b"{}"], headers=JSON)

    assert (await lenient.call(STORE, b"{}")).status == 200


async def test_a_key_of_certain_models_calls_no_listed_path(
    lenient: Client, upstream: ScriptedUpstream, documents: SqliteDocuments
) -> None:
    await store(documents, replace(a_key(), policy=KeyPolicy(models=("gpt-*",))))

    exchange = await lenient.call(STORE, b'{"model":"gpt-4o-mini"}')

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (403, "model_not_allowed")
    assert upstream.requests == []


async def test_a_listed_path_needs_a_gateway_key(
    lenient: Client, upstream: ScriptedUpstream
) -> None:
    exchange = await lenient.call(STORE, b"{}", headers={"x-gateway-key": ""})

    assert exchange.status == 401
    assert upstream.requests == []


async def test_an_upgrade_of_a_listed_path_is_refused(
    lenient: Client, upstream: ScriptedUpstream
) -> None:
    exchange = await lenient.call(
        f"{STORE}/vs_1", b"", method="GET", headers={"upgrade": "websocket"}
    )

    assert exchange.status == 501
    assert upstream.requests == []


@pytest.mark.parametrize("path", [STORE, CACHES])
async def test_an_estimate_says_why_there_is_none(
    lenient: Client,
    budget: Make,
    path: str,
) -> None:
    await budget()
    asked = b'{"path":"%b","body":{"model":"gemini-2.5-flash"}}' % path.encode()

    told = orjson.loads((await lenient.call("/gateway/v1/estimate", asked)).content)

    why = {STORE: "unread", CACHES: "storage"}[path]
    assert (told["reason"], told["fits"]) == (f"unmetered_endpoint:{why}", False)
