"""Requests that never reach a provider."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Documents
from common.gateway.keys import KeyPolicy
from common.llm.price_book import bundled_book
from tests.gateway.making import a_key, key_text, store
from tests.streams.conftest import MakeClient
from tests.streams.fakes import Client, KeepingBus, ScriptedUpstream


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/realtime",
        "/openai/v1/responses/r/x",
        "/v1/fine_tuning/jobs",
        "/openai/v1/assistants",
    ],
)
async def test_an_endpoint_that_is_not_forwarded_is_501_and_not_retried(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, path: str
) -> None:
    exchange = await client.call(path)

    assert (exchange.status, exchange.headers["x-should-retry"]) == (501, "false")
    assert json.loads(exchange.content)["error"]["code"] == "endpoint_not_supported"
    assert (bus.only.endpoint, bus.only.cost_nanos, upstream.requests) == ("unsupported", 0, [])


async def test_an_anthropic_endpoint_is_refused_in_anthropic_s_form(client: Client) -> None:
    exchange = await client.call("/anthropic/v1/organizations/me")

    assert (exchange.status, json.loads(exchange.content)["type"]) == (501, "error")


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/u/anthropic/v1/messages", "/anthropic/v1/"),
        ("/u/gemini/v1/models/g:generateContent", "/gemini/v1beta/"),
        ("/u/vertex/v1/publishers/google/models/g:generateContent", "/vertex/v1/"),
    ],
)
async def test_a_vendor_s_own_path_under_u_is_told_its_own_address(
    client: Client, path: str, root: str
) -> None:
    exchange = await client.call(path)

    message = json.loads(exchange.content)["error"]["message"]
    assert exchange.status in {405, 501}
    assert f"its own paths begin with {root}." in message


async def test_other_refused_paths_tell_no_other_address(client: Client) -> None:
    for path in ("/openai/v1/assistants", "/anthropic/v1/skills", "/u/groq/v1/messages"):
        assert b"its own paths" not in (await client.call(path)).content


async def test_an_upgrade_is_refused(client: Client, upstream: ScriptedUpstream) -> None:
    exchange = await client.call(
        "/openai/v1/models",
        b"",
        method="GET",
        headers={"upgrade": "websocket", "connection": "upgrade"},
    )

    assert (exchange.status, upstream.requests) == (501, [])


async def test_another_method_is_405(client: Client, bus: KeepingBus) -> None:
    exchange = await client.call("/v1/messages", b"", method="GET")

    assert exchange.status == 405
    assert "POST" in json.loads(exchange.content)["error"]["message"]
    assert exchange.headers["allow"] == "POST"
    assert bus.only.error_code == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/v2/x", "/gateway/v1/unknown"])
async def test_other_paths_are_404_without_an_event(
    client: Client, bus: KeepingBus, path: str
) -> None:
    exchange = await client.call(path, headers={"x-gateway-key": ""})

    assert (exchange.status, exchange.complete, bus.events) == (404, True, [])
    assert exchange.headers["x-gateway-error"] == "not_found"
    assert path in json.loads(exchange.content)["error"]["message"]


async def test_a_path_is_encoded_anew_from_what_was_matched(
    client: Client, upstream: ScriptedUpstream
) -> None:
    """However it was written: what is checked is what is sent."""
    await client.call("/openai/v1/files/a b?c%2f", b"", method="GET")

    assert upstream.requests[0].url == "https://api.openai.com/v1/files/a%20b%3Fc%252f"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "expired_gateway_key"),
        ({"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)}, "revoked_gateway_key"),
    ],
)
async def test_a_call_with_a_retired_key_is_accounted_to_it(
    client: Client, documents: SqliteDocuments, bus: KeepingBus, change: dict[str, Any], code: str
) -> None:
    """So that operators see who still uses it."""
    retired = a_key(key_text("retired"), **change)
    await store(documents, retired)

    exchange = await client.call(headers={"x-gateway-key": key_text("retired")})

    assert (exchange.status, bus.only.error_code) == (401, code)
    assert (bus.only.key_id, bus.only.agent) == (retired.key_id, retired.agent)


async def test_health_needs_no_key(client: Client, bus: KeepingBus) -> None:
    exchange = await client.call("/gateway/v1/health", b"", method="GET")

    assert json.loads(exchange.content) == {
        "status": "ok",
        "version": "1.2.3",
        "book": bundled_book().digest,
    }
    assert bus.events == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-gateway-key": ""}, "missing_gateway_key"),
        ({"x-gateway-key": "ocg_nonsense"}, "invalid_gateway_key"),
        ({"x-gateway-key": key_text("another")}, "invalid_gateway_key"),
    ],
)
async def test_a_call_without_a_usable_key_is_401(
    make_client: MakeClient,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    headers: dict[str, str],
    code: str,
) -> None:
    exchange = await make_client().call(headers=headers)

    assert (exchange.status, exchange.headers["x-gateway-error"]) == (401, code)
    assert (bus.only.org, bus.only.cost_nanos, bus.only.outcome) == (None, 0, "client_error")
    assert (upstream.requests, exchange.sent) == ([], 0)


async def test_a_model_outside_the_key_s_globs_is_403(
    client: Client, documents: Documents, upstream: ScriptedUpstream, bus: KeepingBus
) -> None:
    text = key_text("bound")
    policy = KeyPolicy(models=("gpt-4o-mini*",))
    await store(documents, a_key(text, policy=policy))

    exchange = await client.call(body=b'{"model":"gpt-5"}', headers={"x-gateway-key": text})

    assert (exchange.status, upstream.requests) == (403, [])
    assert (bus.only.model_asked, bus.only.error_code) == ("gpt-5", "model_not_allowed")
