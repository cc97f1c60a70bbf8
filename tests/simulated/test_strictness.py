"""The simulated provider refuses what the real APIs refuse, in their shapes and words."""

from typing import Any, get_type_hints

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params

from scripts.simulated import anthropic_requests, openai_requests
from scripts.simulated.models import SNAPSHOTS, find_model
from scripts.simulated.refusals import Refusal
from tests.simulated.conftest import ANTHROPIC, OPENAI, Caller, chat, message

CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"


def test_accepts_every_field_the_openai_client_can_send() -> None:
    sendable = set(completion_create_params.CompletionCreateParamsStreaming.__annotations__)

    assert sendable | {"stream"} == openai_requests.FIELDS


def test_accepts_every_field_the_anthropic_client_can_send() -> None:
    plain = set(message_create_params.MessageCreateParamsBase.__annotations__)
    beta = set(beta_create_params.MessageCreateParamsBase.__annotations__)
    in_a_header = {"betas"}
    of_older_clients = {"temperature", "top_p", "top_k", "output_format"}

    expected = (plain | beta | {"stream"} | of_older_clients) - in_a_header
    assert expected == anthropic_requests.FIELDS


def test_reads_messages_as_the_openai_client_types_them() -> None:
    hints = get_type_hints(completion_create_params.CompletionCreateParamsBase)
    roles = [member.__name__ for member in hints["messages"].__args__[0].__args__]

    assert len(roles) == len(openai_requests.ROLES)


@pytest.mark.parametrize(
    ("vendor", "alias", "snapshot"),
    [
        (vendor, alias, snapshot)
        for vendor, names in SNAPSHOTS.items()
        for alias, snapshot in names.items()
    ],
)
def test_prices_a_snapshot_as_its_alias(vendor: Any, alias: str, snapshot: str) -> None:
    known, named = find_model(vendor, alias), find_model(vendor, snapshot)

    assert known is not None
    assert named is not None
    assert (known.window, known.tiers) == (named.window, named.tiers)


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("fields", "status", "param", "code", "says"),
    [
        ({"colour": 1}, 400, None, None, "Unrecognized request argument supplied: colour"),
        (
            {"b": 1, "a": 2},
            400,
            None,
            None,
            "Unrecognized request arguments supplied: a, b",
        ),
        ({"model": "gpt-x"}, 404, None, "model_not_found", "The model `gpt-x` does not exist"),
        ({"model": 5}, 400, "model", "invalid_type", "Invalid type for 'model'"),
        ({"model": "text-embedding-3-small"}, 404, "model", None, "This is not a chat model"),
        ({"messages": []}, 400, "messages", "empty_array", "Invalid 'messages': empty array"),
        ({"messages": "hi"}, 400, "messages", "invalid_type", "expected an array of objects"),
        (
            {"messages": [{"role": "owner", "content": "hi"}]},
            400,
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'owner'. Supported values are: 'system', 'assistant', 'user'",
        ),
        (
            {"messages": [{"content": "hi"}]},
            400,
            "messages[0].role",
            "missing_required_parameter",
            "Missing required parameter: 'messages[0].role'.",
        ),
        (
            {"temperature": 2.5},
            400,
            "temperature",
            "decimal_above_max_value",
            (
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, "
                "but got 2.5 instead."
            ),
        ),
        ({"temperature": -1}, 400, "temperature", "decimal_below_min_value", "below minimum"),
        ({"top_p": "high"}, 400, "top_p", "invalid_type", "expected a decimal"),
        ({"max_tokens": 0}, 400, "max_tokens", "integer_below_min_value", "Expected a value >= 1"),
        ({"max_tokens": 1.5}, 400, "max_tokens", "invalid_type", "expected an integer"),
        ({"n": 129}, 400, "n", "integer_above_max_value", "Expected a value <= 128"),
        (
            {"stream_options": {"include_usage": True}},
            400,
            "stream_options",
            None,
            "only allowed when 'stream' is enabled",
        ),
        (
            {"max_tokens": 5, "max_completion_tokens": 5},
            400,
            None,
            "invalid_parameter_combination",
            "at the same time is not supported",
        ),
        (
            {"model": "gpt-5", "max_tokens": 5},
            400,
            "max_tokens",
            "unsupported_parameter",
            "Use 'max_completion_tokens' instead.",
        ),
        (
            {"model": "gpt-5", "temperature": 0.5},
            400,
            "temperature",
            "unsupported_value",
            "Only the default (1) value is supported.",
        ),
        (
            {"response_format": {"type": "json_object"}},
            400,
            "messages",
            None,
            "must contain the word 'json'",
        ),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type", "invalid_value", ""),
        ({"tool_choice": "required"}, 400, "tool_choice", None, "only allowed when 'tools'"),
        ({"service_tier": "gold"}, 400, "service_tier", "invalid_value", "'gold'"),
        (
            {"service_tier": "flex"},
            400,
            "service_tier",
            None,
            "Invalid service_tier argument",
        ),
        (
            {"web_search_options": {}},
            400,
            "web_search_options",
            None,
            "Web search options not supported with this model.",
        ),
        ({"logprobs": True}, 400, "logprobs", None, "not simulated"),
        (
            {"model": "gpt-4", "messages": [{"role": "user", "content": "word " * 9000}]},
            400,
            "messages",
            "context_length_exceeded",
            "maximum context length is 8192 tokens",
        ),
    ],
)
def test_refuses_as_openai_does(  # noqa: PLR0917 - one row of the table above
    caller: Caller,
    fields: dict[str, Any],
    status: int,
    param: str | None,
    code: str | None,
    says: str,
) -> None:
    answer = caller.openai(chat(**fields))

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]
    assert caller.rows() == []


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"colour": 1}, 400, "colour: Extra inputs are not permitted"),
        ({"max_tokens": None}, 400, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, 400, "max_tokens: Input should be greater than or equal to 0"),
        ({"model": "claude-x"}, 404, "model: claude-x"),
        ({"model": 5}, 400, "model: Input should be a valid string"),
        ({"messages": []}, 400, "messages: at least one message is required"),
        (
            {"messages": [{"role": "owner", "content": "hi"}]},
            400,
            "messages.0.role: Input should be 'user' or 'assistant'",
        ),
        ({"messages": [{"role": "user"}]}, 400, "messages.0.content: Field required"),
        (
            {"messages": [{"role": "user", "content": ""}]},
            400,
            (
                "messages.0: all messages must have non-empty content except for the optional "
                "final assistant message"
            ),
        ),
        (
            {"messages": [{**USER, "name": "x"}]},
            400,
            "messages.0.name: Extra inputs are not permitted",
        ),
        ({"temperature": 1.5}, 400, "temperature: range: 0..1"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1000}},
            400,
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            400,
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        ({"tools": [{"name": "x"}]}, 400, "tools.0.custom.input_schema: Field required"),
        (
            {"tool_choice": {"type": "any"}},
            400,
            "tool_choice may only be specified while providing tools",
        ),
        (
            {"cache_control": {"type": "forever"}},
            400,
            "cache_control: Input tag should be 'ephemeral'",
        ),
        (
            {
                "model": "claude-opus-4-6",
                "output_config": {"effort": "xhigh"},
            },
            400,
            (
                "This model does not support effort level 'xhigh'. "
                "Supported levels: high, low, max, medium."
            ),
        ),
        ({"speed": "fast"}, 400, "speed: 'claude-sonnet-4-5' does not support fast mode"),
    ],
)
def test_refuses_as_anthropic_does(
    caller: Caller, fields: dict[str, Any], status: int, says: str
) -> None:
    answer = caller.anthropic(message(**fields))

    kind = "not_found_error" if status == 404 else "invalid_request_error"
    assert answer.status_code == status
    assert answer.json() == {
        "type": "error",
        "error": {"type": kind, "message": says},
        "request_id": answer.headers["request-id"],
    }
    assert caller.rows() == []


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens"])
def test_asks_for_each_field_that_anthropic_requires(caller: Caller, name: str) -> None:
    body = message()
    del body[name]

    answer = caller.anthropic(body)

    assert answer.json()["error"]["message"] == f"{name}: Field required"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model", "you must provide a model parameter"),
        ("messages", "Missing required parameter: 'messages'."),
    ],
)
def test_asks_for_each_field_that_openai_requires(caller: Caller, name: str, says: str) -> None:
    body = chat()
    del body[name]

    assert caller.openai(body).json()["error"]["message"] == says


def test_refuses_more_than_four_cache_marks(caller: Caller) -> None:
    mark = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}

    answer = caller.anthropic(message(messages=[{"role": "user", "content": [mark] * 5}]))

    assert answer.json()["error"]["message"] == (
        "A maximum of 4 blocks with cache_control may be provided. Found 5."
    )


def test_refuses_a_one_hour_mark_after_a_five_minute_one(caller: Caller) -> None:
    short = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
    long = {**short, "cache_control": {"type": "ephemeral", "ttl": "1h"}}

    answer = caller.anthropic(message(messages=[{"role": "user", "content": [short, long]}]))

    assert "must not come after" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "headers", "status", "says"),
    [
        (CHAT, {}, 401, "You didn't provide an API key."),
        (CHAT, {"authorization": "Bearer no"}, 401, "Incorrect API key provided"),
        (CHAT, {"x-api-key": "sim"}, 401, "You didn't provide an API key."),
        (MESSAGES, {"anthropic-version": "2023-06-01"}, 401, "x-api-key header is required"),
        (MESSAGES, {**ANTHROPIC, "x-api-key": "no"}, 401, "invalid x-api-key"),
        (MESSAGES, {"x-api-key": "sim"}, 400, "anthropic-version: header is required"),
        (MESSAGES, {**ANTHROPIC, "anthropic-version": "1"}, 400, "is not a valid version"),
        ("/openai/v1/nothing", OPENAI, 404, "Invalid URL (POST /v1/nothing)"),
        ("/anthropic/v1/nothing", ANTHROPIC, 404, "Not Found"),
        ("/elsewhere", {}, 404, "nothing is served"),
        ("/openai/v1/models", OPENAI, 405, "Not allowed to POST on /v1/models."),
    ],
)
def test_refuses_at_the_door(
    caller: Caller, path: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = caller.http.post(path, json={}, headers=headers)

    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert answer.headers["x-simulated"] == "true"


@pytest.mark.parametrize(("path", "headers"), [(CHAT, OPENAI), (MESSAGES, ANTHROPIC)])
def test_refuses_another_method(caller: Caller, path: str, headers: dict[str, str]) -> None:
    answer = caller.http.get(path, headers=headers)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(("path", "headers"), [(CHAT, OPENAI), (MESSAGES, ANTHROPIC)])
def test_refuses_what_is_not_json(caller: Caller, path: str, headers: dict[str, str]) -> None:
    answer = caller.http.post(path, content=b'{"model": ', headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just("function"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "content", "role", "function", "text", "schema"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(openai_requests.FIELDS - {"n"})), JSON)
def test_answers_or_refuses_any_value_of_an_openai_field(
    caller: Caller, name: str, value: Any
) -> None:
    answer = caller.openai(chat(**{name: value}))

    assert answer.status_code in (200, 400, 404)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(anthropic_requests.FIELDS)), JSON)
def test_answers_or_refuses_any_value_of_an_anthropic_field(
    caller: Caller, name: str, value: Any
) -> None:
    answer = caller.anthropic(message(**{name: value}))

    assert answer.status_code in (200, 400, 404)


def test_names_what_is_wrong_with_a_knob(caller: Caller) -> None:
    answer = caller.openai(chat(), latency_ms="soon")

    assert answer.status_code == 400
    assert "latency-ms" in answer.json()["error"]["message"]


def test_can_be_raised_more_than_once() -> None:
    refusal = Refusal(400, "wrong")

    with pytest.raises(Refusal) as first:
        raise refusal
    with pytest.raises(Refusal) as second:
        raise refusal

    assert first.value is second.value
