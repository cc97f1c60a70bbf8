"""The official SDKs understand every answer and every refusal of a brownout, in each mode."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeAlias

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.local_stack.process import Stack
from tests.sdks.modes import MODES, Traffic, keys_in_modes

pytestmark = [
    # The package derives a class of its own from aiohttp's session.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

Keys: TypeAlias = Mapping[str, str]
MODE = pytest.mark.parametrize("mode", MODES)
HELLO: Any = [{"role": "user", "content": "Hello, what is a ledger? Answer in json."}]
SHED = {"x-priority": "batch"}
STRICT = {"x-brownout": "strict"}
LONGEST_ADMIT_S, LONGEST_SHED_S = 30, 60
MOST_CALLS = 40
"""Half of the calls are let in: so many are never all let in, nor all refused."""


class Answer(BaseModel):
    text: str
    score: int


@pytest.fixture(scope="module")
def keys(stack: Stack) -> Keys:
    return keys_in_modes(stack)


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


class Clients:
    """A client of each SDK, synchronous and not, all of which tell the same traffic."""

    def __init__(self, stack: Stack, key: str, traffic: Traffic) -> None:
        gateway = {"x-gateway-key": key}
        self.traffic = traffic
        self.openai = openai.OpenAI(
            base_url=f"{stack.address}/openai/v1",
            api_key="sim",
            default_headers=gateway,
            http_client=openai.DefaultHttpxClient(event_hooks=traffic.hooks),
        )
        self.openai_async = openai.AsyncOpenAI(
            base_url=f"{stack.address}/openai/v1",
            api_key="sim",
            default_headers=gateway,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=traffic.async_hooks),
        )
        self.anthropic = anthropic.Anthropic(
            base_url=f"{stack.address}/anthropic",
            api_key="sim",
            default_headers=gateway,
            http_client=anthropic.DefaultHttpxClient(event_hooks=traffic.hooks),
        )
        self.anthropic_async = anthropic.AsyncAnthropic(
            base_url=f"{stack.address}/anthropic",
            api_key="sim",
            default_headers=gateway,
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=traffic.async_hooks),
        )
        self.session = aiohttp.ClientSession(trace_configs=[traffic.traces])
        self.google = genai.Client(
            api_key="sim",
            http_options=types.HttpOptions(
                base_url=f"{stack.address}/gemini",
                headers=gateway,
                client_args={"event_hooks": traffic.hooks},
                aiohttp_client=self.session,
            ),
        )


@pytest.fixture
async def clients(stack: Stack, keys: Keys, mode: str, traffic: Traffic) -> AsyncIterator[Clients]:
    made = Clients(stack, keys[mode], traffic)
    yield made
    made.openai.close()
    made.anthropic.close()
    await made.openai_async.close()
    await made.anthropic_async.close()
    await made.google.aio.aclose()
    await made.session.close()
    made.google.close()


@MODE
def test_openai_reads_what_is_answered(clients: Clients, mode: str) -> None:
    chats, responses = clients.openai.chat.completions, clients.openai.responses

    said = chats.create(model="gpt-5", messages=HELLO, n=2, service_tier="priority")
    chunks = list(chats.create(model="gpt-5", messages=HELLO, stream=True))
    formed = chats.parse(model="gpt-5", messages=HELLO, response_format=Answer)
    response = responses.create(model="gpt-5", input="Hello")
    parsed = responses.parse(model="gpt-5", input="Hello", text_format=Answer)

    assert len(said.choices) == 1
    assert said.choices[0].message.content
    assert any(choice.delta.content for chunk in chunks for choice in chunk.choices)
    assert isinstance(formed.choices[0].message.parsed, Answer)
    assert response.output_text
    assert isinstance(parsed.output_parsed, Answer)
    assert clients.traffic.modes == [mode] * 5


@MODE
async def test_openai_reads_what_is_answered_asynchronously(clients: Clients, mode: str) -> None:
    chats = clients.openai_async.chat.completions

    said = await chats.create(model="gpt-5", messages=HELLO)
    stream = await chats.create(model="gpt-5", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    formed = await chats.parse(model="gpt-5", messages=HELLO, response_format=Answer)

    assert said.choices[0].message.content
    assert any(choice.delta.content for chunk in chunks for choice in chunk.choices)
    assert isinstance(formed.choices[0].message.parsed, Answer)
    assert clients.traffic.modes == [mode] * 3


@MODE
def test_anthropic_reads_what_is_answered(clients: Clients, mode: str) -> None:
    messages = clients.anthropic.messages
    asked: dict[str, Any] = {"model": "claude-opus-4-6", "messages": HELLO, "max_tokens": 8_000}

    said = messages.create(**asked, service_tier="auto")
    with messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    formed = messages.parse(**asked, output_format=Answer)

    for message in (said, streamed):
        assert [block.type for block in message.content] == ["text"]
        assert message.stop_reason in ("end_turn", "max_tokens")
    assert isinstance(formed.parsed_output, Answer)
    assert clients.traffic.modes == [mode] * 3


@MODE
async def test_anthropic_reads_what_is_answered_asynchronously(clients: Clients, mode: str) -> None:
    messages = clients.anthropic_async.messages
    asked: dict[str, Any] = {"model": "claude-opus-4-6", "messages": HELLO, "max_tokens": 8_000}

    said = await messages.create(**asked)
    async with messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()

    for message in (said, streamed):
        assert [block.type for block in message.content] == ["text"]
    assert clients.traffic.modes == [mode] * 2


@MODE
def test_google_reads_what_is_answered(clients: Clients, mode: str) -> None:
    models = clients.google.models
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Answer
    )

    said = models.generate_content(model="gemini-2.5-pro", contents="Hello")
    chunks = list(models.generate_content_stream(model="gemini-2.5-pro", contents="Hello"))
    formed = models.generate_content(model="gemini-2.5-pro", contents="Hello", config=config)

    assert said.text
    assert any(chunk.text for chunk in chunks)
    assert isinstance(formed.parsed, Answer)
    assert clients.traffic.modes == [mode] * 3


@MODE
async def test_google_reads_what_is_answered_asynchronously(clients: Clients, mode: str) -> None:
    models = clients.google.aio.models

    said = await models.generate_content(model="gemini-2.5-pro", contents="Hello")
    stream = await models.generate_content_stream(model="gemini-2.5-pro", contents="Hello")
    chunks = [chunk async for chunk in stream]

    assert said.text
    assert any(chunk.text for chunk in chunks)
    assert clients.traffic.modes == [mode] * 2


EMERGENCY = pytest.mark.parametrize("mode", ["emergency"])
HARD = pytest.mark.parametrize("mode", ["hard"])


@EMERGENCY
def test_openai_does_not_send_again_what_is_shed(clients: Clients, mode: str) -> None:
    assert clients.openai.max_retries > 0

    with pytest.raises(openai.RateLimitError) as shed:
        clients.openai.chat.completions.create(model="gpt-5", messages=HELLO, extra_headers=SHED)
    with pytest.raises(openai.RateLimitError):
        clients.openai.responses.create(model="gpt-5", input="Hello", extra_headers=SHED)

    assert shed.value.code == "brownout_shed"
    assert mode in shed.value.message
    assert 1 <= int(shed.value.response.headers["retry-after"]) <= LONGEST_SHED_S
    assert len(clients.traffic.sent) == 2


@EMERGENCY
async def test_openai_does_not_send_again_what_is_shed_asynchronously(clients: Clients) -> None:
    with pytest.raises(openai.RateLimitError):
        await clients.openai_async.chat.completions.create(
            model="gpt-5", messages=HELLO, extra_headers=SHED
        )

    assert len(clients.traffic.sent) == 1


@EMERGENCY
async def test_anthropic_does_not_send_again_what_is_shed(clients: Clients) -> None:
    asked: dict[str, Any] = {"model": "claude-opus-4-6", "messages": HELLO, "max_tokens": 8_000}

    with pytest.raises(anthropic.RateLimitError) as shed:
        clients.anthropic.messages.create(**asked, extra_headers=SHED)
    with pytest.raises(anthropic.RateLimitError):
        await clients.anthropic_async.messages.create(**asked, extra_headers=SHED)

    assert shed.value.type == "rate_limit_error"
    assert 1 <= int(shed.value.response.headers["retry-after"]) <= LONGEST_SHED_S
    assert len(clients.traffic.sent) == 2


@EMERGENCY
async def test_google_does_not_send_again_what_is_shed(clients: Clients) -> None:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=SHED))
    asked: dict[str, Any] = {"model": "gemini-2.5-pro", "contents": "Hello", "config": config}

    with pytest.raises(errors.ClientError) as shed:
        clients.google.models.generate_content(**asked)
    with pytest.raises(errors.ClientError):
        await clients.google.aio.models.generate_content(**asked)

    assert (shed.value.code, shed.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert len(clients.traffic.sent) == 2


@EMERGENCY
def test_tells_who_wants_all_or_nothing_to_come_back(clients: Clients) -> None:
    asked: dict[str, Any] = {"model": "claude-opus-4-6", "messages": HELLO, "max_tokens": 8_000}
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=STRICT))

    with pytest.raises(openai.InternalServerError) as refused:
        clients.openai.with_options(max_retries=0).chat.completions.create(
            model="gpt-5", messages=HELLO, extra_headers=STRICT
        )
    with pytest.raises(anthropic.InternalServerError) as refused_there:
        clients.anthropic.with_options(max_retries=0).messages.create(**asked, extra_headers=STRICT)
    with pytest.raises(errors.ServerError) as refused_by_google:
        clients.google.models.generate_content(
            model="gemini-2.5-pro", contents="Hello", config=config
        )

    for error in (refused.value, refused_there.value):
        assert error.status_code == 503
        assert 1 <= int(error.response.headers["retry-after"]) <= LONGEST_ADMIT_S
    assert refused_by_google.value.code == 503


class PatientOpenAI(openai.OpenAI):
    """Notes how long it would wait before a retry, and does not."""

    waits: list[float]

    def _calculate_retry_timeout(self, *arguments: Any) -> float:
        self.waits.append(super()._calculate_retry_timeout(*arguments))
        return 0.0


class PatientAnthropic(anthropic.Anthropic):
    waits: list[float]

    def _calculate_retry_timeout(self, *arguments: Any) -> float:
        self.waits.append(super()._calculate_retry_timeout(*arguments))
        return 0.0


@pytest.fixture
def patient(stack: Stack, keys: Keys) -> Iterator[tuple[PatientOpenAI, PatientAnthropic]]:
    headers = {"x-gateway-key": keys["hard"], "x-priority": "batch"}
    first = PatientOpenAI(
        base_url=f"{stack.address}/openai/v1",
        api_key="sim",
        default_headers=headers,
        max_retries=MOST_CALLS,
    )
    second = PatientAnthropic(
        base_url=f"{stack.address}/anthropic",
        api_key="sim",
        default_headers=headers,
        max_retries=MOST_CALLS,
    )
    first.waits, second.waits = [], []
    with first, second:
        yield first, second


def test_waits_as_long_as_it_is_asked_to_where_only_a_part_is_let_in(
    patient: tuple[PatientOpenAI, PatientAnthropic],
) -> None:
    sdk, other = patient

    for _ in range(MOST_CALLS):
        said = sdk.chat.completions.create(model="gpt-5", messages=HELLO)
        message = other.messages.create(model="claude-opus-4-6", messages=HELLO, max_tokens=900)
        assert said.choices[0].message.content
        assert message.content
        if sdk.waits and other.waits:
            break

    for waits in (sdk.waits, other.waits):
        assert waits
        assert all(1 <= wait <= LONGEST_ADMIT_S and wait == int(wait) for wait in waits)
