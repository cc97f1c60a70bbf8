"""Legacy completions and compaction: `openai` sees the same with and without the gateway."""

from typing import Any

import openai
import pytest

from tests.sdks.comparison import comparable, outcome, outcome_async
from tests.sdks.conftest import AsyncClients, Clients

CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "long": {"max_tokens": 300, "model": "davinci-002"},
    "several": {"prompt": ["One", "Two"], "n": 2, "max_tokens": 5},
    "best of": {"best_of": 3},
    "tokens": {"prompt": [[1, 2, 3], [4]], "echo": True},
    "echo": {"echo": True},
    "chat model": {"model": "gpt-4o"},
    "unknown model": {"model": "no-such-model"},
    "bad field": {"temperature": 9},
    "unknown argument": {"extra_body": {"no_such_argument": 1}},
}
ASKED: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": "Grüße, 日本"}
# The package's types do not tell which output holds a user's message: it is read as another.
TALK: Any = [
    {"role": "user", "content": "What is a ledger?"},
    {"role": "assistant", "content": "A list of entries."},
    {"role": "user", "content": "And a journal?"},
]


@pytest.mark.parametrize("name", CALLS)
def test_completes_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.completions.create(**{**ASKED, **CALLS[name]})

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", ["plain", "several", "chat model"])
async def test_completes_the_same_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.completions.create(**{**ASKED, **CALLS[name]})

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("include_usage", [None, True, False])
@pytest.mark.parametrize("name", ["plain", "several", "best of"])
def test_streams_the_same_chunks(clients: Clients, name: str, include_usage: bool | None) -> None:
    direct, gateway = clients
    asked = {**ASKED, **CALLS[name], "stream": True}
    if include_usage is not None:
        asked["stream_options"] = {"include_usage": include_usage}

    def call(client: openai.OpenAI) -> Any:
        return [comparable(chunk) for chunk in client.completions.create(**asked)]

    assert outcome(call, gateway) == outcome(call, direct)


async def test_streams_the_same_chunks_asynchronously(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        stream = await client.completions.create(**ASKED, stream=True)
        return [comparable(chunk) async for chunk in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "gpt-5-mini"},
        {"model": "gpt-4.1", "instructions": "Be brief."},
        {"model": "no-such-model"},
        {"model": "gpt-5", "extra_body": {"stream": True}},
    ],
)
def test_compacts_the_same(clients: Clients, asked: dict[str, Any]) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.responses.compact(input=TALK, **asked).model_dump(warnings=False)

    assert outcome(call, gateway) == outcome(call, direct)


async def test_compacts_the_same_as_awaited(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        made = await client.responses.compact(model="gpt-5-nano", input=TALK)
        return made.model_dump(warnings=False)

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_compacts_what_it_has_said(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        made = client.responses.create(model="gpt-4o", input="What is a ledger?")
        return client.responses.compact(
            model="gpt-4o", input="Go on.", previous_response_id=made.id
        ).model_dump(warnings=False)

    assert outcome(call, gateway) == outcome(call, direct)


def test_tells_the_cost_in_a_header(clients: Clients) -> None:
    _, gateway = clients

    completed = gateway.completions.with_raw_response.create(**ASKED)
    compacted = gateway.responses.with_raw_response.compact(model="gpt-5", input=TALK)

    for raw in (completed, compacted):
        assert raw.headers["x-gateway-cost-source"] == "provider"
        assert raw.headers["x-gateway-cost-usd"].startswith("0.00")
