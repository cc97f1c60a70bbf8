"""The simulated Anthropic refuses what the real API refuses of what says how much is wanted."""

from typing import Any

import pytest

from tests.simulated.conftest import Caller, message, told

TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
ASK = {"role": "user", "content": "hi"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2lt"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "seen"}
ENABLED = {"type": "enabled", "budget_tokens": 1024}
ADAPTIVE = {"type": "adaptive"}
DISABLED = {"type": "disabled"}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}}


def looped(*assistant: dict[str, Any]) -> dict[str, Any]:
    """A conversation that ends with the result of a tool."""
    return {
        "tools": [TOOL],
        "messages": [
            ASK,
            {"role": "assistant", "content": list(assistant)},
            {"role": "user", "content": [RESULT]},
        ],
    }


def effort(level: str) -> dict[str, Any]:
    return {"output_config": {"effort": level}}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"max_tokens": 64_001},
            (
                "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens "
                "for claude-sonnet-4-5-20250929"
            ),
        ),
        (
            {"model": "claude-opus-4-7", "thinking": ENABLED, "max_tokens": 4000},
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
        ),
        ({"thinking": ADAPTIVE}, "adaptive thinking is not supported on this model"),
        (
            {"model": "claude-opus-5-5", "thinking": DISABLED},
            '"thinking.type.disabled" is not supported for this model. Use',
        ),
        (
            {"model": "claude-sonnet-5-5", "thinking": DISABLED},
            'To turn thinking off on this model, send "thinking": {"type": "between_tools"}',
        ),
        (
            {"model": "claude-sonnet-5", "thinking": {"type": "between_tools"}},
            '"thinking.type.between_tools" is not supported for this model.',
        ),
        (
            {"model": "claude-3-5-haiku-latest", "thinking": ENABLED, "max_tokens": 4000},
            "does not support thinking.",
        ),
        (effort("low"), "This model does not support the effort parameter."),
        (
            {"model": "claude-opus-4-5", **effort("max")},
            "does not support effort level 'max'. Supported levels: high, low, medium.",
        ),
        (
            {"model": "claude-haiku-5-5", "thinking": DISABLED, **effort("xhigh")},
            "output_config.effort 'xhigh' is not supported when thinking is disabled",
        ),
        (
            {"thinking": ENABLED, "max_tokens": 4000, **FORCED},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
        (
            {"model": "claude-opus-5-5", **FORCED},
            "tool_choice forces tool use is not compatible with this model.",
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}},
            "Tool 'other' not found in provided tools",
        ),
        (
            {"model": "claude-opus-4-8", "temperature": 0.5},
            "`temperature` is deprecated for this model.",
        ),
        (
            {"thinking": ENABLED, "max_tokens": 4000, "temperature": 0.5},
            "`temperature` may only be set to 1 when thinking is enabled.",
        ),
        ({"thinking": ENABLED, "max_tokens": 4000, "top_k": 5}, "`top_k` must be unset"),
        (
            looped(THOUGHT, USE),
            (
                "messages.1.content.0: When thinking is disabled, an `assistant` message in the "
                "final position cannot contain `thinking`."
            ),
        ),
        (
            {**looped(USE), "thinking": ENABLED, "max_tokens": 4000},
            (
                "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                "`tool_use`."
            ),
        ),
        ({"speed": "fast"}, "does not support fast mode"),
        ({"max_tokens": 0, "stream": True}, "max_tokens: 0"),
        ({"max_tokens": 0, **FORCED}, "max_tokens: 0"),
        (
            {"max_tokens": 0, "output_config": {"format": {"type": "json_schema", "schema": {}}}},
            "max_tokens: 0",
        ),
        (
            {
                "model": "claude-3-5-haiku-latest",
                "output_config": {"format": {"type": "json_schema", "schema": {}}},
            },
            "does not support output format.",
        ),
    ],
)
def test_refuses_a_message_beyond_its_model(
    caller: Caller, fields: dict[str, Any], says: str
) -> None:
    error = told(caller.anthropic(message(**{"model": "claude-sonnet-4-5", **fields})))

    assert error["type"] == "invalid_request_error"
    assert says in error["message"]
    assert caller.rows() == []


@pytest.mark.parametrize(
    "fields",
    [
        {**looped(THOUGHT, USE), "thinking": ENABLED, "max_tokens": 4000},
        {**looped(USE)},
        {**looped(THOUGHT, USE), "model": "claude-opus-5"},
        {**looped(USE), "model": "claude-opus-4-6", "thinking": ADAPTIVE},
        {"model": "claude-opus-4-6", "thinking": ADAPTIVE, **FORCED, **effort("max")},
        {"model": "claude-opus-5", "thinking": DISABLED, **effort("high")},
        {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
        {"model": "claude-opus-4-5", "thinking": ENABLED, "max_tokens": 4000, **effort("low")},
        {"model": "claude-opus-5-5", "max_tokens": 128_000},
        {
            "messages": [
                ASK,
                {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "so"}]},
                ASK,
            ]
        },
    ],
)
def test_answers_a_message_that_its_model_takes(caller: Caller, fields: dict[str, Any]) -> None:
    answer = caller.anthropic(message(**{"model": "claude-sonnet-4-5", **fields}))

    assert answer.status_code == 200, answer.text


def test_writes_a_cache_and_no_answer_for_no_tokens(caller: Caller) -> None:
    system = [
        {"type": "text", "text": f"{caller.tag} " * 300, "cache_control": {"type": "ephemeral"}}
    ]
    answer = caller.anthropic(message(max_tokens=0, system=system)).json()

    assert (answer["content"], answer["stop_reason"]) == ([], "max_tokens")
    assert answer["usage"]["output_tokens"] == 0
    assert answer["usage"]["cache_creation_input_tokens"] > 1024
