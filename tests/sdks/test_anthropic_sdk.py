"""The official `anthropic` package sees through the gateway what it sees without it."""

from typing import Any

import anthropic
import pytest

from tests.local_stack.process import Stack
from tests.sdks.comparison import comparable, outcome, outcome_async
from tests.sdks.conftest import AnthropicClients, AsyncAnthropicClients

HELLO: Any = [{"role": "user", "content": "Hello, what is a ledger? Grüße, 日本"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "claude-sonnet-5"},
    "system": {"model": "claude-haiku-5-5", "system": "Be brief."},
    "capped": {"model": "claude-opus-4-6", "max_tokens": 3},
    "thinking": {
        "model": "claude-sonnet-5",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    },
    "tools": {
        "model": "claude-sonnet-5",
        "tools": [WEATHER],
        "tool_choice": {"type": "tool", "name": "weather"},
    },
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": "claude-sonnet-5", "extra_body": {"temperature": 9}},
    "unknown argument": {"model": "claude-sonnet-5", "extra_body": {"no_such_argument": 1}},
}
FAULTS = [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504, 529]


def messages(client: anthropic.Anthropic, name: str) -> Any:
    return client.messages.create(messages=HELLO, **{"max_tokens": 400, **CALLS[name]})


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(anthropic_clients: AnthropicClients, name: str) -> None:
    direct, gateway = anthropic_clients

    assert outcome(lambda c: messages(c, name), gateway) == outcome(
        lambda c: messages(c, name), direct
    )


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(
    async_anthropic_clients: AsyncAnthropicClients, name: str
) -> None:
    direct, gateway = async_anthropic_clients

    async def call(client: anthropic.AsyncAnthropic) -> Any:
        return await client.messages.create(messages=HELLO, **{"max_tokens": 400, **CALLS[name]})

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_events(anthropic_clients: AnthropicClients, name: str) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        asked = {"max_tokens": 400, **CALLS[name]}
        with client.messages.create(messages=HELLO, stream=True, **asked) as stream:
            return [comparable(event) for event in stream]

    assert outcome(call, gateway) == outcome(call, direct)


async def test_streams_the_same_message_asynchronously(
    async_anthropic_clients: AsyncAnthropicClients,
) -> None:
    direct, gateway = async_anthropic_clients

    async def call(client: anthropic.AsyncAnthropic) -> Any:
        async with client.messages.stream(
            model="claude-sonnet-5", max_tokens=400, messages=HELLO
        ) as stream:
            return await stream.get_final_message()

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(anthropic_clients: AnthropicClients, status: int) -> None:
    direct, gateway = anthropic_clients

    def call(client: anthropic.Anthropic) -> Any:
        return client.messages.create(
            model="claude-sonnet-5",
            max_tokens=10,
            messages=HELLO,
            extra_headers={"x-simulated-fault": f"status-{status}"},
        )

    assert outcome(call, gateway) == outcome(call, direct)


def test_lists_and_reads_models(anthropic_clients: AnthropicClients) -> None:
    direct, gateway = anthropic_clients

    assert outcome(lambda c: list(c.models.list()), gateway) == outcome(
        lambda c: list(c.models.list()), direct
    )
    assert outcome(lambda c: c.models.retrieve("none"), gateway) == outcome(
        lambda c: c.models.retrieve("none"), direct
    )


def test_raises_its_own_authentication_error_for_a_wrong_gateway_key(stack: Stack) -> None:
    client = anthropic.Anthropic(base_url=f"{stack.address}/anthropic", api_key="ocg_wrong")

    with client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(model="claude-sonnet-5", max_tokens=10, messages=HELLO)

    assert caught.value.response.headers["x-gateway-error"] == "invalid_gateway_key"


def test_asks_once_for_an_endpoint_that_is_not_supported(
    anthropic_clients: AnthropicClients,
) -> None:
    _, gateway = anthropic_clients

    with pytest.raises(anthropic.InternalServerError) as caught:
        gateway.with_options(max_retries=5).post("/v1/complete", cast_to=object, body={})

    assert caught.value.status_code == 501
    assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"
