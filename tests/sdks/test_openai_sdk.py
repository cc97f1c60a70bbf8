"""The official `openai` package sees through the gateway what it sees without it."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.local_stack.process import Stack
from tests.sdks.comparison import comparable, outcome, outcome_async
from tests.sdks.conftest import AsyncClients, Clients

HELLO: Any = [{"role": "user", "content": "Hello, what is a ledger? Grüße, 日本"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Answer(BaseModel):
    text: str
    score: int


CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "gpt-4o-mini"},
    "reasoning": {"model": "gpt-5-mini", "reasoning_effort": "low"},
    "capped": {"model": "gpt-4.1", "max_tokens": 5},
    "two choices": {"model": "gpt-4.1-nano", "n": 2},
    "tools": {"model": "gpt-4.1-mini", "tools": [WEATHER], "tool_choice": "required"},
    "json": {"model": "gpt-4o", "response_format": {"type": "json_object"}},
    "flex tier": {"model": "gpt-5-mini", "service_tier": "flex"},
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": "gpt-4o", "temperature": 9},
    "unknown argument": {"model": "gpt-4o", "extra_body": {"no_such_argument": 1}},
}
FAULTS = [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.chat.completions.create(messages=HELLO, **CALLS[name])

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.chat.completions.create(messages=HELLO, **CALLS[name])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("include_usage", [None, True, False])
@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_chunks(clients: Clients, name: str, include_usage: bool | None) -> None:
    direct, gateway = clients
    asked: dict[str, Any] = dict(CALLS[name])
    if include_usage is not None:
        asked["stream_options"] = {"include_usage": include_usage}

    def call(client: openai.OpenAI) -> Any:
        stream = client.chat.completions.create(messages=HELLO, stream=True, **asked)
        return [comparable(chunk) for chunk in stream]

    assert outcome(call, gateway) == outcome(call, direct)


async def test_streams_the_same_chunks_asynchronously(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=HELLO, stream=True
        )
        return [comparable(chunk) async for chunk in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_parses_structured_output(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        parsed = client.chat.completions.parse(
            model="gpt-4.1", messages=HELLO, response_format=Answer
        )
        return parsed.choices[0].message.parsed

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(clients: Clients, status: int) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.chat.completions.create(
            model="gpt-4o",
            messages=HELLO,
            extra_headers={"x-simulated-fault": f"status-{status}"},
        )

    assert outcome(call, gateway) == outcome(call, direct)


def test_lists_the_models_that_the_key_may_use_and_reads_each(clients: Clients) -> None:
    """The gateway's own list, in the provider's form."""
    direct, gateway = clients

    listed = {model.id: model for model in gateway.models.list()}

    assert "gpt-4o" in listed
    assert gateway.models.retrieve("gpt-4o") == listed["gpt-4o"]
    assert set(listed["gpt-4o"].model_dump()) == set(direct.models.retrieve("gpt-4o").model_dump())


def test_a_model_that_nobody_has_is_not_found(clients: Clients) -> None:
    kinds = set()
    for client in clients:
        with pytest.raises(openai.NotFoundError) as raised:
            client.models.retrieve("none")
        kinds.add((type(raised.value), raised.value.code))

    assert kinds == {(openai.NotFoundError, "model_not_found")}


def test_gives_the_raw_reply_with_the_providers_headers_and_the_cost(clients: Clients) -> None:
    _, gateway = clients

    raw = gateway.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=HELLO)

    assert raw.headers["x-simulated"] == "true"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["x-gateway-cost-source"] == "provider"
    assert raw.headers["x-gateway-cost-usd"].startswith("0.0000")


def test_raises_its_own_authentication_error_for_a_wrong_gateway_key(stack: Stack) -> None:
    client = openai.OpenAI(base_url=f"{stack.address}/openai/v1", api_key="ocg_wrong")

    with client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert caught.value.code == "invalid_gateway_key"


def test_asks_once_for_an_endpoint_that_is_not_supported(clients: Clients) -> None:
    _, gateway = clients

    with pytest.raises(openai.InternalServerError) as caught:
        gateway.with_options(max_retries=5).fine_tuning.jobs.list()

    assert caught.value.status_code == 501
    assert caught.value.code == "endpoint_not_supported"
    retries = caught.value.response.request.headers["x-stainless-retry-count"]
    assert retries == "0"
