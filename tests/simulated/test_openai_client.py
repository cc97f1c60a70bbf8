"""The official openai client works against the simulated provider as against OpenAI."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulated.conftest import Served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def client(served: Served) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/openai/v1", api_key="sim", max_retries=0)


@pytest.fixture
def async_client(served: Served) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.url}/openai/v1", api_key="sim", max_retries=0)


def test_answers_with_text_that_says_it_is_simulated(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=ASK)

    assert reply.id.startswith("chatcmpl-sim-")
    assert reply.model == "gpt-4o-mini-2024-07-18"
    assert reply.system_fingerprint == "fp_simulated"
    assert (reply.choices[0].message.content or "").startswith("[simulated] ")
    assert reply.choices[0].finish_reason == "stop"


async def test_answers_the_asynchronous_client(async_client: AsyncOpenAI) -> None:
    async with async_client as client:
        reply = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, n=3)

    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3


def test_streams_the_text_it_would_have_answered_whole(client: OpenAI) -> None:
    headers = {"x-simulated-output-tokens": "40"}
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=ASK,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=headers,
    )
    chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("[simulated] ")
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 40
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_streams_several_choices_to_the_asynchronous_client(
    async_client: AsyncOpenAI,
) -> None:
    seen: dict[int, str] = {}
    async with async_client as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=ASK, stream=True, n=2, max_tokens=20
        )
        async for chunk in stream:
            for choice in chunk.choices:
                seen[choice.index] = seen.get(choice.index, "") + (choice.delta.content or "")

    assert sorted(seen) == [0, 1]
    assert seen[0] != seen[1]


def test_tells_no_usage_in_a_stream_that_did_not_ask_for_it(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True))

    assert [chunk.usage for chunk in chunks if chunk.usage] == []


def test_cuts_at_the_cap(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=ASK, max_tokens=3)

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3


def test_counts_reasoning_inside_the_completion(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-5", messages=ASK, reasoning_effort="low")

    assert reply.usage is not None
    details = reply.usage.completion_tokens_details
    assert details is not None
    assert details.reasoning_tokens in (64, 128)
    assert reply.usage.completion_tokens > (details.reasoning_tokens or 0)


def test_answers_nothing_when_reasoning_uses_up_the_cap(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-5", messages=ASK, reasoning_effort="high", max_completion_tokens=10
    )

    assert reply.choices[0].message.content == ""
    assert reply.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", None),
        ("none", None),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
    ],
)
def test_calls_a_tool_when_forced(client: OpenAI, choice: Any, called: str | None) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini", messages=ASK, tools=[WEATHER], tool_choice=choice
    )

    calls = reply.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == (
        [called] if called else []
    )


def test_calls_the_tool_that_the_user_names(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Call get_weather for Paris."}],
        tools=[WEATHER],
    )

    call = (reply.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "[simulated] text", "days": 1}
    assert reply.choices[0].message.content is None
    assert reply.choices[0].finish_reason == "tool_calls"


def test_streams_a_tool_call_in_pieces(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=ASK,
            tools=[WEATHER],
            tool_choice="required",
            stream=True,
        )
    )

    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    text = "".join((call.function.arguments or "") for call in calls if call.function)
    assert json.loads(text) == {"city": "[simulated] text", "days": 1}
    assert [call.function.name for call in calls if call.function and call.function.name] == [
        "get_weather"
    ]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_answers_valid_json_on_request(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Answer in JSON."}],
        response_format={"type": "json_object"},
    )

    assert json.loads(reply.choices[0].message.content or "")["simulated"] is True


def test_answers_an_instance_of_the_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["city", "village"]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        },
        "required": ["name", "kind", "parts"],
        "additionalProperties": False,
        "$defs": {"part": {"type": "object", "properties": {"size": {"type": "number"}}}},
    }
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=ASK,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "strict": True, "schema": schema},
        },
    )

    assert json.loads(reply.choices[0].message.content or "") == {
        "name": "[simulated] text",
        "kind": "city",
        "parts": [{"size": 1}],
    }


@pytest.mark.parametrize(
    ("model", "asked", "given"),
    [
        ("gpt-5", "flex", "flex"),
        ("gpt-5", "priority", "priority"),
        ("gpt-5", "fast", "priority"),
        ("gpt-5", "auto", "default"),
        ("gpt-3.5-turbo", "priority", "default"),
    ],
)
def test_names_the_service_tier_it_used(client: OpenAI, model: str, asked: Any, given: str) -> None:
    reply = client.chat.completions.create(model=model, messages=ASK, service_tier=asked)

    assert reply.service_tier == given


def test_lists_models(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert "gpt-4o" in names
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_raises_the_class_of_each_status(
    client: OpenAI, status: int, raised: type[openai.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=ASK,
            extra_headers={"x-simulated-fault": f"status-{status}"},
        )

    assert caught.value.status_code == status
    assert (caught.value.request_id or "").startswith("req_sim_")


def test_refuses_another_key(served: Served) -> None:
    client = OpenAI(base_url=f"{served.url}/openai/v1", api_key="sk-other", max_retries=0)

    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=ASK)

    assert caught.value.code == "invalid_api_key"
    assert "sk-other" not in str(caught.value)


def test_raises_the_error_that_a_stream_reports(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=ASK,
        stream=True,
        extra_headers={"x-simulated-fault": "error-event"},
    )

    with pytest.raises(openai.APIError, match="The server had an error"):
        list(stream)
