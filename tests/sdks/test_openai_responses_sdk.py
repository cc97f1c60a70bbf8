"""The official `openai` package sees the same Responses through the gateway as without it."""

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.sdks.comparison import comparable, outcome, outcome_async
from tests.sdks.conftest import AsyncClients, Clients

HELLO: Any = "Hello, what is a ledger? Grüße, 日本"
TALK: Any = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "input_text", "text": "Which city? weather"}]},
]
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Answer(BaseModel):
    text: str
    score: int


CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "gpt-4o-mini"},
    "reasoning": {"model": "gpt-5-mini", "reasoning": {"effort": "low"}},
    "instructed": {"model": "gpt-4.1", "instructions": "Be brief.", "input": TALK},
    "capped": {"model": "gpt-4.1", "max_output_tokens": 16},
    "capped in thought": {"model": "gpt-5-mini", "max_output_tokens": 20},
    "tools": {"model": "gpt-5-mini", "tools": [WEATHER], "tool_choice": "required"},
    "not kept": {"model": "gpt-4o", "store": False},
    "flex tier": {"model": "gpt-5-mini", "service_tier": "flex"},
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": "gpt-4o", "temperature": 9},
    "unknown argument": {"model": "gpt-4o", "extra_body": {"no_such_argument": 1}},
}
FAULTS = [400, 401, 403, 404, 409, 422, 429, 500, 503]


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.responses.create(**{"input": HELLO, **CALLS[name]})

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.responses.create(**{"input": HELLO, **CALLS[name]})

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_events(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        stream = client.responses.create(**{"input": HELLO, "stream": True, **CALLS[name]})
        return [comparable(event) for event in stream]

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", CALLS)
async def test_streams_the_same_events_asynchronously(
    async_clients: AsyncClients, name: str
) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        stream = await client.responses.create(**{"input": HELLO, "stream": True, **CALLS[name]})
        return [comparable(event) async for event in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", ["plain", "reasoning", "tools"])
def test_gathers_the_same_response_from_a_stream(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        with client.responses.stream(**{"input": HELLO, **CALLS[name]}) as stream:
            stream.until_done()
            return stream.get_final_response()

    assert outcome(call, gateway) == outcome(call, direct)


def test_parses_structured_output(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        parsed = client.responses.parse(model="gpt-4.1", input=HELLO, text_format=Answer)
        assert isinstance(parsed.output_parsed, Answer)
        return parsed

    assert outcome(call, gateway) == outcome(call, direct)


async def test_parses_structured_output_asynchronously(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        parsed = await client.responses.parse(model="gpt-4.1", input=HELLO, text_format=Answer)
        return parsed.output_parsed

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_goes_on_with_a_stored_response_reads_and_deletes_it(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        first = client.responses.create(model="gpt-4o-mini", input=HELLO)
        second = client.responses.create(
            model="gpt-4o-mini", input="And then?", previous_response_id=first.id
        )
        read = client.responses.retrieve(first.id)
        items = list(client.responses.input_items.list(second.id))
        client.responses.delete(first.id)
        assert read == first
        return comparable([first, second, items])

    assert outcome(call, gateway) == outcome(call, direct)


async def test_reads_and_deletes_asynchronously(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        made = await client.responses.create(model="gpt-5-nano", input=TALK)
        read = await client.responses.retrieve(made.id)
        await client.responses.delete(made.id)
        assert read == made
        return read

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("part", ["retrieve", "delete", "cancel"])
def test_raises_the_same_for_a_response_that_is_not_there(clients: Clients, part: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return getattr(client.responses, part)("resp_none")

    raised = outcome(call, gateway)

    assert raised == outcome(call, direct)
    assert raised["raised"] == "NotFoundError"


def test_counts_the_same_input_tokens(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.responses.input_tokens.count(model="gpt-4o", input=TALK, tools=[WEATHER])

    assert outcome(call, gateway) == outcome(call, direct)


def test_has_no_cost_for_a_background_response(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        raw = client.responses.with_raw_response.create(
            model="gpt-5-mini", input=HELLO, background=True
        )
        begun = raw.parse()
        assert (begun.status, begun.usage) == ("queued", None)
        assert "x-gateway-cost-usd" not in raw.headers
        return client.responses.cancel(begun.id)

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(clients: Clients, status: int) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.responses.create(
            model="gpt-4o",
            input=HELLO,
            extra_headers={"x-simulated-fault": f"status-{status}"},
        )

    assert outcome(call, gateway) == outcome(call, direct)


def test_gives_out_the_provider_s_own_error_event(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        stream = client.responses.create(
            model="gpt-4o",
            input=HELLO,
            stream=True,
            extra_headers={"x-simulated-fault": "error-event"},
        )
        return [comparable(event) for event in stream]

    events = outcome(call, gateway)

    assert events == outcome(call, direct)
    assert "ResponseErrorEvent" in events[-1]


@pytest.mark.parametrize("helper", [False, True])
def test_raises_where_the_gateway_ends_a_broken_stream(clients: Clients, helper: bool) -> None:
    _, gateway = clients
    asked: Any = {
        "model": "gpt-4o",
        "input": HELLO,
        "extra_headers": {"x-simulated-fault": "cut"},
    }

    def read() -> None:
        if helper:
            with gateway.responses.stream(**asked) as stream:
                stream.until_done()
        else:
            list(gateway.responses.create(stream=True, **asked))

    with pytest.raises(openai.APIError) as caught:
        read()

    assert caught.value.code == "upstream_disconnected"


def test_tells_the_cost_in_a_header(clients: Clients) -> None:
    _, gateway = clients

    raw = gateway.responses.with_raw_response.create(model="gpt-4o-mini", input=HELLO)

    assert raw.headers["x-gateway-cost-source"] == "provider"
    assert raw.headers["x-gateway-cost-usd"].startswith("0.000")
