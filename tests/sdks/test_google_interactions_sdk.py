"""The official `google-genai` package sees the same interactions through the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import httpx
import pytest
from google import genai
from google.genai import types
from google.genai._interactions import APIStatusError
from pydantic import BaseModel

from tests.local_stack.process import Stack

pytestmark = [
    # The package derives a class of its own from aiohttp's session.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

Clients: TypeAlias = tuple[genai.Client, genai.Client]

FLASH = "gemini-2.5-flash"
HELLO = "Hello, what is a ledger? Grüße, 日本"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "gemini-2.0-flash"},
    "thinking": {
        "model": FLASH,
        "generation_config": {"thinking_level": "low", "thinking_summaries": "auto"},
    },
    "system": {"model": "gemini-3.5-flash", "system_instruction": "Be brief."},
    "capped": {"model": "gemini-2.0-flash", "generation_config": {"max_output_tokens": 5}},
    "only thoughts": {"model": "gemini-2.5-pro", "generation_config": {"max_output_tokens": 3}},
    "tools": {"model": FLASH, "tools": [WEATHER], "generation_config": {"tool_choice": "any"}},
    "json": {
        "model": FLASH,
        "response_format": {"type": "text", "mime_type": "application/json", "schema": SCHEMA},
    },
    "steps": {
        "model": FLASH,
        "input": [{"type": "user_input", "content": [{"type": "text", "text": HELLO}]}],
    },
    "not kept": {"model": FLASH, "store": False},
    "agent": {"agent": "deep-research-preview-04-2026"},
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": FLASH, "generation_config": {"temperature": 9}},
    "unknown earlier one": {"model": FLASH, "previous_interaction_id": "v1_none"},
}
FAULTS = [400, 401, 403, 404, 429, 500, 503, 504]
_DIFFERENT_EACH_TIME = frozenset({"id", "created", "updated", "interaction_id", "continuation_ids"})


def _client(address: str, key: str, **headers: str) -> genai.Client:
    once = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(base_url=address, headers=headers, retry_options=once)
    return genai.Client(api_key=key, http_options=options)


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """The provider directly, and through the gateway."""
    direct = _client(f"{stack.address}/simulated/gemini", "sim")
    gateway = _client(f"{stack.address}/gemini", "sim", **{"x-gateway-key": stack.key})
    with direct, gateway:
        yield direct, gateway


@pytest.fixture
async def async_clients(stack: Stack) -> AsyncIterator[Clients]:
    direct = _client(f"{stack.address}/simulated/gemini", "sim")
    # The other forms: a bare base URL, and the gateway key alone.
    gateway = _client(stack.address, stack.key)
    yield direct, gateway
    for client in (direct, gateway):
        await client.aio.aclose()
        client.close()


def comparable(value: Any) -> Any:
    """A value without what differs from call to call, in all its depth."""
    if isinstance(value, BaseModel):
        return {type(value).__name__: comparable(value.model_dump())}
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k not in _DIFFERENT_EACH_TIME}
    return [comparable(each) for each in value] if isinstance(value, list) else value


def outcome(call: Callable[[genai.Client], Any], client: genai.Client) -> Any:
    """The reply, or the exception as its class, status and body."""
    try:
        return comparable(call(client))
    except APIStatusError as error:
        return _raised(error)


async def outcome_async(
    call: Callable[[genai.Client], Awaitable[Any]], client: genai.Client
) -> Any:
    try:
        return comparable(await call(client))
    except APIStatusError as error:
        return _raised(error)


def _raised(error: Any) -> Any:
    return {"raised": type(error).__name__, "status": error.status_code, "body": error.body}


def _asked(name: str, **more: Any) -> dict[str, Any]:
    return {"input": HELLO, **CALLS[name], **more}


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return client.interactions.create(**_asked(name))

    answered = outcome(call, gateway)

    assert answered == outcome(call, direct)
    assert ("raised" in answered) == (name in {"unknown model", "bad field", "unknown earlier one"})


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        return await client.aio.interactions.create(**_asked(name))

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_events(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return list(client.interactions.create(**_asked(name, stream=True)))

    streamed = outcome(call, gateway)

    assert streamed == outcome(call, direct)
    if isinstance(streamed, list):
        assert "InteractionCompletedEvent" in streamed[-1]


@pytest.mark.parametrize("name", CALLS)
async def test_streams_the_same_events_asynchronously(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        stream = await client.aio.interactions.create(**_asked(name, stream=True))
        return [event async for event in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def _failing(fault: str, **more: Any) -> dict[str, Any]:
    return {**_asked("plain"), "extra_headers": {"x-simulated-fault": fault}, **more}


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(clients: Clients, status: int) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return client.interactions.create(**_failing(f"status-{status}"))

    raised = outcome(call, gateway)

    assert raised == outcome(call, direct)
    assert raised["status"] == status


def test_ends_a_failing_stream_in_the_same_event(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return list(client.interactions.create(**_failing("error-event", stream=True)))

    told = outcome(call, gateway)

    assert told == outcome(call, direct)
    assert told[-1]["ErrorEvent"]["event_type"] == "error"


def test_ends_a_stream_that_breaks_off_in_an_event_that_it_reads(clients: Clients) -> None:
    _, gateway = clients

    *_, last = gateway.interactions.create(**_failing("cut", stream=True))

    assert last.event_type == "error"
    assert (last.error.code, bool(last.error.message)) == ("upstream_disconnected", True)


def test_goes_on_with_reads_and_deletes_what_is_kept(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: Any) -> Any:
        first = client.interactions.create(**_asked("plain"))
        second = client.interactions.create(
            model=FLASH, input="And then?", previous_interaction_id=first.id
        )
        assert second.previous_interaction_id == first.id
        again = client.interactions.get(first.id)
        streamed = list(client.interactions.get(second.id, stream=True))
        client.interactions.delete(first.id)
        gone = outcome(lambda c: c.interactions.get(first.id), client)
        assert gone["raised"] == "NotFoundError"
        usage = second.usage.model_dump()
        return [first, again, [event.event_type for event in streamed], usage]

    assert outcome(call, gateway) == outcome(call, direct)


async def test_reads_later_what_was_made_in_the_background(async_clients: Clients) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        begun = await client.aio.interactions.create(**_asked("plain"), background=True)
        done = await client.aio.interactions.get(begun.id)
        assert (begun.status, done.status) == ("in_progress", "completed")
        return [begun, done]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_raises_its_own_error_for_a_wrong_gateway_key(stack: Stack) -> None:
    wrong = _client(f"{stack.address}/gemini", "ocg_wrong")

    with wrong as client, pytest.raises(APIStatusError) as caught:
        client.interactions.create(**_asked("plain"))

    assert caught.value.status_code == 401
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["status"] == "UNAUTHENTICATED"


def test_costs_what_the_provider_bills(stack: Stack, clients: Clients) -> None:
    _, gateway = clients
    asked = _asked("thinking", extra_headers={"x-simulated-tag": "interactions bill"})
    reply = gateway.interactions.with_raw_response.create(**asked)

    rows = httpx.get(f"{stack.address}/simulated/simulated/ledger?after=0").json()["rows"]

    [billed] = [row["billed_nanos"] for row in rows if row["tag"] == "interactions bill"]
    told = reply.headers["x-gateway-cost-usd"]
    assert int(told.replace(".", "")) == billed > 0
