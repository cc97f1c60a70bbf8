"""The official `google-genai` package sees through the gateway what it sees without it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.local_stack.process import Stack

pytestmark = [
    # The package derives a class of its own from aiohttp's session.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

Clients: TypeAlias = tuple[genai.Client, genai.Client]

HELLO = "Hello, what is a ledger? Grüße, 日本"
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
            ),
        )
    ]
)


class Answer(BaseModel):
    text: str
    score: int


CALLS: dict[str, dict[str, Any]] = {
    "plain": {"model": "gemini-2.0-flash"},
    "thinking": {
        "model": "gemini-2.5-flash",
        "config": {"thinking_config": {"include_thoughts": True}},
    },
    "system": {"model": "gemini-3.5-flash", "config": {"system_instruction": "Be brief."}},
    "capped": {"model": "gemini-2.0-flash", "config": {"max_output_tokens": 5}},
    "only thoughts": {"model": "gemini-2.5-pro", "config": {"max_output_tokens": 3}},
    "tools": {
        "model": "gemini-2.5-flash",
        "config": {
            "tools": [WEATHER],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
        },
    },
    "json": {
        "model": "gemini-2.5-flash",
        "config": {"response_mime_type": "application/json", "response_schema": Answer},
    },
    "cached content": {
        "model": "gemini-2.5-flash",
        "config": {"cached_content": "cachedContents/none"},
    },
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": "gemini-2.5-flash", "config": {"temperature": 9}},
}
FAULTS = [400, 401, 403, 404, 429, 500, 502, 503, 504]
_DIFFERENT_EACH_TIME = frozenset({"response_id", "sdk_http_response"})


def _client(address: str, key: str, **headers: str) -> genai.Client:
    return genai.Client(
        api_key=key, http_options=types.HttpOptions(base_url=address, headers=headers)
    )


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
    if isinstance(value, BaseModel):
        dumped = value.model_dump(exclude=set(_DIFFERENT_EACH_TIME))
        return {type(value).__name__: dumped}
    return [comparable(each) for each in value] if isinstance(value, list) else value


def outcome(call: Callable[[genai.Client], Any], client: genai.Client) -> Any:
    """The reply, or the exception as its class, code and body."""
    try:
        return comparable(call(client))
    except errors.APIError as error:
        return _raised(error)


async def outcome_async(
    call: Callable[[genai.Client], Awaitable[Any]], client: genai.Client
) -> Any:
    try:
        return comparable(await call(client))
    except errors.APIError as error:
        return _raised(error)


def _raised(error: errors.APIError) -> Any:
    return {
        "raised": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "status": error.status,
    }


@pytest.mark.parametrize("name", CALLS)
def test_answers_the_same_object(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return client.models.generate_content(contents=HELLO, **CALLS[name])

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", CALLS)
async def test_answers_the_same_object_as_awaited(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        return await client.aio.models.generate_content(contents=HELLO, **CALLS[name])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", CALLS)
def test_streams_the_same_chunks(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        return list(client.models.generate_content_stream(contents=HELLO, **CALLS[name]))

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", CALLS)
async def test_streams_the_same_chunks_asynchronously(async_clients: Clients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: genai.Client) -> Any:
        stream = await client.aio.models.generate_content_stream(contents=HELLO, **CALLS[name])
        return [chunk async for chunk in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def _failing(fault: str) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        http_options=types.HttpOptions(headers={"x-simulated-fault": fault})
    )


@pytest.mark.parametrize("status", FAULTS)
def test_raises_the_same_exception(clients: Clients, status: int) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        config = _failing(f"status-{status}")
        return client.models.generate_content(
            model="gemini-2.5-flash", contents=HELLO, config=config
        )

    raised = outcome(call, gateway)

    assert raised == outcome(call, direct)
    assert raised["code"] == status


def test_raises_the_same_exception_in_a_stream(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: genai.Client) -> Any:
        config = _failing("error-event")
        return list(
            client.models.generate_content_stream(
                model="gemini-2.5-flash", contents=HELLO, config=config
            )
        )

    raised = outcome(call, gateway)

    assert raised == outcome(call, direct)
    assert raised["raised"] == "ServerError"


def test_raises_a_server_error_for_a_stream_that_breaks_off(clients: Clients) -> None:
    _, gateway = clients
    stream = gateway.models.generate_content_stream(
        model="gemini-2.5-flash", contents=HELLO, config=_failing("cut")
    )

    with pytest.raises(errors.ServerError) as caught:
        list(stream)

    assert (caught.value.code, caught.value.status) == (502, "UNAVAILABLE")


def test_counts_tokens_embeds_and_lists_models(clients: Clients) -> None:
    direct, gateway = clients
    calls: list[Callable[[genai.Client], Any]] = [
        lambda c: c.models.count_tokens(model="gemini-2.5-flash", contents=HELLO),
        lambda c: c.models.embed_content(model="gemini-embedding-001", contents=[HELLO, "b"]),
        lambda c: list(c.models.list()),
        lambda c: c.models.get(model="gemini-2.5-flash"),
        lambda c: c.models.get(model="none"),
    ]

    for call in calls:
        assert outcome(call, gateway) == outcome(call, direct)


def test_raises_its_own_client_error_for_a_wrong_gateway_key(stack: Stack) -> None:
    wrong = _client(f"{stack.address}/gemini", "ocg_wrong")

    with wrong as client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-2.5-flash", contents=HELLO)

    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert caught.value.response.headers["x-gateway-error"] == "invalid_gateway_key"


def test_raises_for_an_endpoint_that_is_not_supported(clients: Clients) -> None:
    _, gateway = clients

    with pytest.raises(errors.ServerError) as caught:
        list(gateway.files.list())

    assert (caught.value.code, caught.value.status) == (501, "UNIMPLEMENTED")
