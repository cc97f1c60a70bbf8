"""The simulated OpenAI refuses what the real API refuses of what says how much is wanted."""

from typing import Any

import pytest

from tests.simulated.conftest import RESPONSES, Caller, chat, told

FUNCTION = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("fields", "param", "code", "says"),
    [
        (
            {"model": "gpt-5", "max_tokens": 100},
            "max_tokens",
            "unsupported_parameter",
            "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
        (
            {"max_tokens": 20_000},
            "max_tokens",
            None,
            (
                "max_tokens is too large: 20000. This model supports at most 16384 completion "
                "tokens, whereas you provided 20000."
            ),
        ),
        (
            {"model": "o3", "max_completion_tokens": 100_001},
            "max_completion_tokens",
            None,
            "at most 100000 completion tokens",
        ),
        ({"reasoning_effort": "low"}, None, None, "Unrecognized request argument supplied"),
        (
            {"model": "gpt-5", "reasoning_effort": "none"},
            "reasoning_effort",
            "unsupported_value",
            (
                "'reasoning_effort' does not support 'none' with this model. Supported values are: "
                "'minimal', 'low', 'medium', and 'high'."
            ),
        ),
        (
            {"model": "gpt-5.1", "reasoning_effort": "minimal"},
            "reasoning_effort",
            "unsupported_value",
            "Supported values are: 'none', 'low', 'medium', and 'high'.",
        ),
        (
            {"model": "gpt-6-luna", "reasoning_effort": "max"},
            "reasoning_effort",
            "unsupported_value",
            "Supported values are: 'none', 'low', 'medium', 'high', and 'xhigh'.",
        ),
        (
            {"model": "gpt-5-pro", "reasoning_effort": "low"},
            "reasoning_effort",
            "unsupported_value",
            "Supported values are: 'high'.",
        ),
        (
            {"model": "gpt-5.6-luna", "tools": [FUNCTION]},
            "reasoning_effort",
            None,
            "Function tools with reasoning_effort are not supported for gpt-5.6-luna",
        ),
        (
            {"model": "gpt-5.4", "tools": [FUNCTION], "reasoning_effort": "low"},
            "reasoning_effort",
            None,
            "To use function tools, use /v1/responses",
        ),
        (
            {"verbosity": "low"},
            "verbosity",
            "unsupported_value",
            "'verbosity' does not support 'low' with this model. Supported values are: 'medium'.",
        ),
        (
            {"model": "gpt-5", "verbosity": "short"},
            "verbosity",
            "invalid_value",
            "Supported values are: 'low', 'medium', and 'high'.",
        ),
        ({"service_tier": "cheap"}, "service_tier", "invalid_value", "'flex'"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "x", "detail": "tiny"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].image_url.detail",
            "invalid_value",
            "'tiny'",
        ),
        (
            {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": [PICTURE]}]},
            "messages[0].content[0].type",
            None,
            "image_url is only supported by certain models",
        ),
        (
            {"model": "gpt-4-turbo", "response_format": SCHEMA},
            "response_format",
            None,
            "'json_schema' is not supported with this model",
        ),
    ],
)
def test_refuses_a_chat_completion_beyond_its_model(
    caller: Caller, fields: dict[str, Any], param: str | None, code: str | None, says: str
) -> None:
    error = told(caller.openai(chat(**fields)))

    assert (error["param"], error["code"]) == (param, code)
    assert says in error["message"]
    assert caller.rows() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-5", "reasoning_effort": "minimal", "verbosity": "low"},
        {"model": "gpt-5.4", "tools": [FUNCTION]},
        {"model": "gpt-5.4", "temperature": 0.5},
        {"model": "gpt-6-luna", "tools": [FUNCTION], "reasoning_effort": "none"},
        {"model": "gpt-5", "tools": [FUNCTION], "reasoning_effort": "low"},
        {"model": "gpt-4o", "max_tokens": 16_384, "verbosity": "medium"},
        {"messages": [{"role": "user", "content": [PICTURE]}], "response_format": SCHEMA},
    ],
)
def test_answers_a_chat_completion_that_its_model_takes(
    caller: Caller, fields: dict[str, Any]
) -> None:
    answer = caller.openai(chat(**fields))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("fields", "param", "code", "says"),
    [
        (
            {"model": "gpt-6-astra", "reasoning": {"effort": "none"}},
            "reasoning.effort",
            "unsupported_value",
            (
                "Unsupported value: 'none' is not supported with the 'gpt-6-astra' model. "
                "Supported values are: 'low', 'medium', 'high', 'xhigh', and 'max'."
            ),
        ),
        (
            {"reasoning": {"effort": "low"}},
            "reasoning.effort",
            "unsupported_parameter",
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        ),
        (
            {"model": "o1-mini", "reasoning": {"effort": "low"}},
            "reasoning.effort",
            "unsupported_parameter",
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        ),
        (
            {"reasoning": {"summary": "auto"}},
            "reasoning.summary",
            "unsupported_parameter",
            "'reasoning.summary'",
        ),
        (
            {"text": {"verbosity": "low"}},
            "text.verbosity",
            "unsupported_value",
            "'low' is not supported with the 'gpt-4o-mini' model. Supported values are: 'medium'.",
        ),
        ({"text": {"verbosity": "short"}}, "text.verbosity", "invalid_value", "'short'"),
        (
            {"max_output_tokens": 15},
            "max_output_tokens",
            "integer_below_min_value",
            "integer below minimum value. Expected a value >= 16, but got 15 instead.",
        ),
        (
            {"max_output_tokens": 16_385},
            "max_output_tokens",
            "integer_above_max_value",
            "Expected a value <= 16384",
        ),
        (
            {"tool_choice": {"type": "web_search"}},
            "tool_choice",
            None,
            "Tool choice 'web_search' must be specified with 'tools' parameter.",
        ),
        (
            {"tools": [{"type": "web_search"}], "tool_choice": {"type": "function", "name": "a"}},
            "tool_choice",
            None,
            "Tool choice 'a' must be specified with 'tools' parameter.",
        ),
        ({"max_tool_calls": 0}, "max_tool_calls", "integer_below_min_value", ">= 1"),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": "x", "detail": "tiny"}],
                    }
                ]
            },
            "input[0].content[0].detail",
            "invalid_value",
            "'tiny'",
        ),
        ({"max_tokens": 64}, "max_tokens", "unknown_parameter", "Unknown parameter: 'max_tokens'."),
    ],
)
def test_refuses_a_response_beyond_its_model(
    caller: Caller, fields: dict[str, Any], param: str, code: str | None, says: str
) -> None:
    error = told(caller.post(RESPONSES, {"model": "gpt-4o-mini", "input": "hi", **fields}))

    assert (error["param"], error["code"]) == (param, code)
    assert says in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-6-luna", "reasoning": {"effort": "max"}, "text": {"verbosity": "low"}},
        {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
        {"tools": [{"type": "web_search"}], "tool_choice": "required", "max_tool_calls": 1},
        {"max_output_tokens": 16},
    ],
)
def test_answers_a_response_that_its_model_takes(caller: Caller, fields: dict[str, Any]) -> None:
    answer = caller.post(RESPONSES, {"model": "gpt-4o-mini", "input": "hi", **fields})

    assert answer.status_code == 200, answer.text
