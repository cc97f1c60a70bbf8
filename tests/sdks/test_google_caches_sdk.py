"""Cached contents through the gateway, as `google-genai` makes, names and prolongs them."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from google import genai
from google.genai import errors, types

from common.core.money import usd_text
from tests.local_stack.process import Stack

pytestmark = [
    # The package derives a class of its own from aiohttp's session.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

Clients: TypeAlias = tuple[genai.Client, genai.Client]

MODEL = "gemini-2.5-flash"
LONG = "A ledger has two sides. " * 400
_TIMES = frozenset({"name", "create_time", "update_time", "expire_time", "sdk_http_response"})


def _client(address: str, key: str, **headers: str) -> genai.Client:
    return genai.Client(
        api_key=key, http_options=types.HttpOptions(base_url=address, headers=headers)
    )


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """The provider directly, and through the gateway with its own key."""
    direct = _client(f"{stack.address}/simulated/gemini", "sim")
    gateway = _client(f"{stack.address}/gemini", stack.key)
    with direct, gateway:
        yield direct, gateway


def _shape(value: Any) -> Any:
    return type(value), value.model_dump(exclude=set(_TIMES))


def _made(client: genai.Client) -> types.CachedContent:
    config = types.CreateCachedContentConfig(contents=LONG, display_name="Ledgers", ttl="600s")
    return client.caches.create(model=MODEL, config=config)


def _life_of(client: genai.Client) -> list[Any]:
    """What a client sees of a cache from its making to its end."""
    made = _made(client)
    assert made.name is not None
    assert made.expire_time is not None
    found = client.caches.get(name=made.name)
    listed = [each.name for each in client.caches.list(config={"page_size": 1})]
    longer = client.caches.update(
        name=made.name, config=types.UpdateCachedContentConfig(ttl="7200s")
    )
    assert longer.expire_time is not None
    deleted = client.caches.delete(name=made.name)
    with pytest.raises(errors.ClientError) as caught:
        client.caches.get(name=made.name)
    assert made.name == found.name == longer.name
    return [
        _shape(made),
        _shape(found),
        listed.count(made.name),
        _shape(longer),
        longer.expire_time > made.expire_time,
        _shape(deleted),
        (caught.value.code, caught.value.status, caught.value.message),
    ]


def test_makes_finds_prolongs_and_deletes_a_cache(clients: Clients) -> None:
    direct, gateway = clients

    through = _life_of(gateway)

    assert through == _life_of(direct)
    assert (through[2], through[4]) == (1, True)


async def test_makes_a_cache_asynchronously(clients: Clients) -> None:
    shapes = []
    for client in clients:
        made = await client.aio.caches.create(
            model=MODEL, config=types.CreateCachedContentConfig(contents=LONG)
        )
        assert made.name is not None
        await client.aio.caches.delete(name=made.name)
        await client.aio.aclose()
        shapes.append(_shape(made))

    assert shapes[0] == shapes[1]


def test_raises_for_a_cache_that_is_too_small(clients: Clients) -> None:
    raised = []
    for client in clients:
        with pytest.raises(errors.ClientError) as caught:
            client.caches.create(
                model=MODEL, config=types.CreateCachedContentConfig(contents="Hello")
            )
        raised.append((caught.value.code, caught.value.message))

    assert raised[0] == raised[1]
    assert raised[0][0] == 400


def test_a_call_that_uses_a_cache_is_priced_with_what_it_reads(clients: Clients) -> None:
    _, gateway = clients
    cache = _made(gateway)
    assert cache.usage_metadata is not None
    config = types.GenerateContentConfig(cached_content=cache.name, max_output_tokens=50)

    reply = gateway.models.generate_content(model=MODEL, contents="Hello", config=config)

    usage, http = reply.usage_metadata, reply.sdk_http_response
    assert usage is not None
    assert http is not None
    assert http.headers is not None
    cached = usage.cached_content_token_count
    assert cached == cache.usage_metadata.total_token_count
    assert cached is not None
    assert usage.prompt_token_count is not None
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    # $0.30, $0.03 and $2.50 a million.
    nanos = (usage.prompt_token_count - cached) * 300 + cached * 30 + output * 2500
    assert http.headers["x-gateway-cost-usd"] == usd_text(nanos)
    assert http.headers["x-gateway-cost-source"] == "provider"
