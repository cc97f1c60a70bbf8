"""Models that name no upstream, none that the key may call, or nothing at all."""

import json
from typing import Any

import orjson
import pytest

from common.gateway.keys import KeyPolicy
from tests.front.conftest import CHAT, Front
from tests.front.upstreams import VENDORS
from tests.gateway.making import a_key, store
from tests.streams.fakes import Exchange

HELLO = [{"role": "user", "content": "Hi"}]


def _code(exchange: Exchange) -> tuple[int, str]:
    error = json.loads(exchange.content)["error"]
    assert exchange.headers["x-gateway-error"] == error["code"]
    return exchange.status, error["code"]


async def _bind(front: Front, *upstreams: str) -> None:
    await store(front.documents, a_key(policy=KeyPolicy(upstreams=upstreams)))


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("anthropic/", "model_not_found"),
        ("/x", "unknown_upstream"),
        ("/", "unknown_upstream"),
        ("a//b", "unknown_upstream"),
        ("anthropic//claude-sonnet-4-5", "model_not_found"),
        ("no-such-upstream/gpt-4o", "unknown_upstream"),
        ("../gpt-4o", "unknown_upstream"),
        ("OpenAI/gpt-4o", "unknown_upstream"),
        (" anthropic/claude-sonnet-4-5", "unknown_upstream"),
        ("x" * 10_000 + "/y", "unknown_upstream"),
        ("anthropic/" + "/" * 10_000, "model_not_found"),
    ],
)
async def test_nothing_is_sent_for_a_model_that_names_no_one(
    front: Front, model: str, code: str
) -> None:
    exchange = await front.call({"model": model, "messages": HELLO})

    assert _code(exchange) == (404, code)
    assert front.upstream.requests == []
    assert (front.event.cost_nanos, front.event.error_code) == (0, code)
    assert len(exchange.content) < 2_000
    assert len(front.event.model_asked or "") <= 128


async def test_a_model_of_ten_thousand_characters_reaches_its_vendor(front: Front) -> None:
    exchange = await front.call({"model": "groq/" + "m" * 10_000, "messages": HELLO})

    [sent] = front.upstream.requests
    assert orjson.loads(sent.body)["model"] == "m" * 10_000
    assert exchange.status == 404
    assert "x-gateway-error" not in exchange.headers


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"groq/a","model":"anthropic/b","messages":[]}',
        b'{"model":"anthropic/claude-sonnet-4-5","messages":[],"model":"gpt-4o"}',
        b'{"model":["anthropic/claude-sonnet-4-5"],"messages":[]}',
        b'{"model":{"a":"anthropic/x"},"messages":[]}',
        b'{"model":17,"messages":[]}',
        b'{"model":null,"messages":[]}',
        b'{"messages":[]}',
        b'{"model":"anthropic/claude-sonnet-4-5","messages":[}',
        b"not json",
    ],
)
async def test_a_model_given_twice_or_not_as_text_has_no_prefix(front: Front, body: bytes) -> None:
    exchange = await front.call(body)

    [sent] = front.upstream.requests
    assert sent.url == f"{front.provider.url}/openai/v1/chat/completions"
    assert sent.body == body
    assert exchange.status in (400, 404)
    assert exchange.content == b"".join(front.upstream.replies[0].passed)


async def test_an_unknown_prefix_is_answered_with_those_the_key_may_use(front: Front) -> None:
    await _bind(front, "groq", "x*", "anthropic")

    exchange = await front.call({"model": "cohere/command", "messages": HELLO})

    assert _code(exchange) == (404, "unknown_upstream")
    message = json.loads(exchange.content)["error"]["message"]
    # x-ai is the price list's name of xai.
    assert "'cohere'" in message
    assert "This key may use: anthropic, groq, xai." in message


@pytest.mark.parametrize("prefix", [name for name in VENDORS if name != "groq"])
async def test_a_known_prefix_that_is_not_granted_is_refused(front: Front, prefix: str) -> None:
    await _bind(front, "groq")

    exchange = await front.call({"model": VENDORS[prefix].asked, "messages": HELLO})

    assert _code(exchange) == (403, "upstream_not_allowed")
    assert front.upstream.requests == []


async def test_a_bare_name_is_not_granted_by_a_prefix(front: Front) -> None:
    await _bind(front, "groq")

    exchange = await front.call({"model": "gpt-4o-mini", "messages": HELLO})

    assert _code(exchange) == (403, "upstream_not_allowed")


@pytest.mark.parametrize(
    ("path", "body", "native"),
    [
        ("/openai/v1/responses", {"model": "anthropic/claude-sonnet-4-5", "input": "Hi"},
         "/anthropic/v1/messages"),
        ("/openai/v1/responses", {"model": "gemini/gemini-2.5-flash", "input": "Hi"},
         "/gemini/v1beta/models/{model}:generateContent"),
        ("/openai/v1/responses", {"model": "groq/openai/gpt-oss-120b", "input": "Hi"},
         "/u/groq/v1/responses"),
        ("/openai/v1/completions", {"model": "mistral/codestral-2508", "prompt": "Hi"},
         "/u/mistral/v1/completions"),
        ("/openai/v1/images/generations", {"model": "xai/grok-2-image", "prompt": "Hi"},
         "/u/xai/v1/images/generations"),
        ("/openai/v1/audio/speech", {"model": "groq/playai-tts", "input": "Hi", "voice": "a"},
         "/u/groq/v1/audio/speech"),
        ("/openai/v1/embeddings", {"model": "anthropic/claude-sonnet-4-5", "input": "Hi"},
         "/anthropic/v1/messages"),
    ],
)  # fmt: skip
async def test_other_paths_take_no_prefix_and_name_the_native_one(
    front: Front, path: str, body: dict[str, Any], native: str
) -> None:
    exchange = await front.call(body, path)

    assert _code(exchange) == (501, "endpoint_not_supported")
    assert native in json.loads(exchange.content)["error"]["message"]
    assert exchange.headers["x-should-retry"] == "false"
    assert front.upstream.requests == []


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/u/openrouter/v1/chat/completions", "anthropic/claude-sonnet-4.5"),
        ("/u/groq/v1/chat/completions", "openai/gpt-oss-120b"),
        ("/u/openrouter/v1/chat/completions", "openai/gpt-4o-mini"),
    ],
)
async def test_a_name_behind_its_upstreams_path_is_never_cut(
    front: Front, path: str, model: str
) -> None:
    body = orjson.dumps({"model": model, "messages": HELLO})

    exchange = await front.call(body, path)

    [sent] = front.upstream.requests
    assert (exchange.status, sent.body) == (200, body)
    assert sent.url == f"{front.provider.url}/u/{path.split('/')[2]}/chat/completions"


async def test_an_upstream_that_nobody_knows_is_not_found_by_path(front: Front) -> None:
    exchange = await front.call({"model": "x", "messages": HELLO}, "/u/no-such/v1/chat/completions")

    assert _code(exchange) == (404, "unknown_upstream")
    assert "groq" in json.loads(exchange.content)["error"]["message"]


@pytest.mark.parametrize("path", [CHAT, "/v1/chat/completions"])
async def test_the_bare_form_takes_prefixes_too(front: Front, path: str) -> None:
    exchange = await front.call({"model": VENDORS["groq"].asked, "messages": HELLO}, path)

    assert exchange.status == 200
    assert front.upstream.requests[0].url.endswith("/u/groq/chat/completions")
