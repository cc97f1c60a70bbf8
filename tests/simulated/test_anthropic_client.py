"""The official anthropic client works against the simulated provider as against Anthropic."""

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.simulated.conftest import Served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MODEL = "claude-sonnet-4-6"


@pytest.fixture
def client(served: Served) -> Anthropic:
    return Anthropic(base_url=f"{served.url}/anthropic", api_key="sim", max_retries=0)


@pytest.fixture
def async_client(served: Served) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=f"{served.url}/anthropic", api_key="sim", max_retries=0)


def test_answers_with_text_that_says_it_is_simulated(client: Anthropic) -> None:
    reply = client.messages.create(
        model=MODEL, max_tokens=500, messages=ASK, system="Answer briefly."
    )

    assert reply.id.startswith("msg_sim_")
    assert reply.model == "claude-sonnet-4-6"
    assert reply.content[0].type == "text"
    assert reply.content[0].text.startswith("[simulated] ")
    assert reply.stop_reason == "end_turn"


async def test_answers_the_asynchronous_client(async_client: AsyncAnthropic) -> None:
    async with async_client as client:
        reply = await client.messages.create(model=MODEL, max_tokens=5, messages=ASK)

    assert reply.stop_reason == "max_tokens"
    assert reply.usage.output_tokens == 5


def test_streams_what_the_client_puts_together_again(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL,
        max_tokens=500,
        messages=ASK,
        extra_headers={"x-simulated-output-tokens": "40"},
    ) as stream:
        text = "".join(stream.text_stream)
        whole = stream.get_final_message()

    assert text.startswith("[simulated] ")
    assert whole.usage.output_tokens == 40
    assert whole.stop_reason == "end_turn"


async def test_streams_to_the_asynchronous_client(async_client: AsyncAnthropic) -> None:
    async with (
        async_client as client,
        client.messages.stream(model=MODEL, max_tokens=7, messages=ASK) as stream,
    ):
        kinds = [event.type async for event in stream]
        whole = await stream.get_final_message()

    assert kinds[0] == "message_start"
    assert whole.stop_reason == "max_tokens"


def test_thinks_before_it_answers(client: Anthropic) -> None:
    reply = client.messages.create(
        model=MODEL,
        max_tokens=4000,
        messages=ASK,
        thinking={"type": "enabled", "budget_tokens": 1024},
    )

    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert reply.content[0].type == "thinking"
    assert reply.content[0].thinking.startswith("[simulated] ")
    assert reply.content[0].signature


def test_streams_the_same_thinking_as_it_answers_whole(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL,
        max_tokens=4000,
        messages=ASK,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        whole = stream.get_final_message()

    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[0].type == "thinking"
    assert whole.content[0].thinking.startswith("[simulated] ")
    assert whole.content[0].signature


def test_signs_thinking_that_it_does_not_show(client: Anthropic) -> None:
    reply = client.messages.create(
        model="claude-opus-4-6",
        max_tokens=4000,
        messages=ASK,
        thinking={"type": "adaptive", "display": "omitted"},
    )

    assert reply.content[0].type == "thinking"
    assert reply.content[0].thinking == ""
    assert reply.content[0].signature


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto"}, []),
        ({"type": "none"}, []),
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_weather"}, ["get_weather"]),
    ],
)
def test_calls_a_tool_when_forced(client: Anthropic, choice: Any, called: list[str]) -> None:
    reply = client.messages.create(
        model=MODEL, max_tokens=500, messages=ASK, tools=[WEATHER], tool_choice=choice
    )

    assert [block.name for block in reply.content if block.type == "tool_use"] == called
    assert reply.stop_reason == ("tool_use" if called else "end_turn")


def test_streams_a_tool_call_whose_input_is_complete(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL,
        max_tokens=500,
        messages=[{"role": "user", "content": "Please use get_weather."}],
        tools=[WEATHER],
    ) as stream:
        whole = stream.get_final_message()

    assert whole.content[0].type == "tool_use"
    assert whole.content[0].input == {"city": "[simulated] text"}


def test_lists_models(client: Anthropic) -> None:
    names = [model.id for model in client.models.list()]

    assert MODEL in names
    assert client.models.retrieve(MODEL).id == MODEL


def test_accepts_the_key_in_the_older_header(served: Served) -> None:
    client = Anthropic(
        base_url=f"{served.url}/anthropic",
        auth_token="unused",
        default_headers={"x-api-key": "sim"},
        max_retries=0,
    )

    reply = client.messages.create(model=MODEL, max_tokens=5, messages=ASK)

    assert reply.type == "message"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (409, anthropic.ConflictError),
        (422, anthropic.UnprocessableEntityError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_raises_the_class_of_each_status(
    client: Anthropic, status: int, raised: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        client.messages.create(
            model=MODEL,
            max_tokens=5,
            messages=ASK,
            extra_headers={"x-simulated-fault": f"status-{status}"},
        )

    assert caught.value.status_code == status


def test_refuses_another_key(served: Served) -> None:
    client = Anthropic(base_url=f"{served.url}/anthropic", api_key="other", max_retries=0)

    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model=MODEL, max_tokens=5, messages=ASK)


def test_raises_the_error_that_a_stream_reports(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(
            model=MODEL,
            max_tokens=50,
            messages=ASK,
            extra_headers={"x-simulated-fault": "error-event"},
        ) as stream,
    ):
        stream.get_final_message()
