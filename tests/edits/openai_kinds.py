"""What clients ask for in OpenAI's two APIs, beside the model: one entry for each kind of request.

Not every model takes every kind. One that its provider refuses as it is says nothing about edits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = f"data:image/png;base64,{PIXEL}"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["text", "score"],
    "additionalProperties": False,
}
ADDED_CAP = 30_000
"""A cap as clients set it who want none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Members of a request. `began`: the model has spoken in it; `formed`: its answer is JSON.

    `answers_tool`: the last thing said is what a tool answered.
    """

    members: Mapping[str, Any]
    began: bool = False
    formed: bool = False
    answers_tool: bool = False


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


WHY = user("Why do ledgers balance? Answer in json.")
YES = {"role": "assistant", "content": "Because each entry stands twice."}
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
OWN_FUNCTION = {"type": "function", "name": "look", "parameters": SCHEMA}
TOOL_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    ],
}
TOOL_RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Balanced."}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _seen(**detail: str) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PICTURE, **detail}},
    ]


CHAT: Mapping[str, Kind] = {
    "plain": Kind({}),
    "streamed": Kind({"stream": True, "stream_options": {"include_usage": True}}),
    "capped": Kind({"max_completion_tokens": 3_000, "user": "u"}),
    "capped the old way": Kind({"max_tokens": 3_000, "temperature": 0.3, "stop": ["x"]}),
    "several, soon": Kind({"n": 3, "service_tier": "priority"}),
    "flexible": Kind({"service_tier": "flex", "seed": 7}),
    "with parts": Kind({"messages": [user([{"type": "text", "text": "Why?"}])]}),
    "with instructions": Kind({"messages": [{"role": "system", "content": "Be kind."}, WHY]}),
    "json": Kind({"response_format": {"type": "json_object"}}, formed=True),
    "schema": Kind(
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "s", "strict": True, "schema": SCHEMA},
            },
            "max_completion_tokens": ADDED_CAP,
        },
        formed=True,
    ),
    "tools": Kind({"tools": [FUNCTION], "parallel_tool_calls": False}),
    "tools, capped": Kind({"tools": [FUNCTION], "max_completion_tokens": ADDED_CAP}),
    "forced tool": Kind({"tools": [FUNCTION], "tool_choice": "required"}),
    "named tool": Kind(
        {
            "tools": [FUNCTION],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "max_completion_tokens": ADDED_CAP,
        }
    ),
    "no tool now": Kind({"tools": [FUNCTION], "tool_choice": "none"}),
    "searches": Kind({"web_search_options": {"search_context_size": "low"}}),
    "long answers": Kind({"verbosity": "high"}),
    "pictures": Kind({"messages": [user(_seen())]}),
    "fine pictures": Kind({"messages": [user(_seen(detail="high"))], "n": 2}),
    "effort beside tools": Kind({"tools": [FUNCTION], "reasoning_effort": "high"}),
    "effort in a schema": Kind(
        {
            "reasoning_effort": "high",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "s", "schema": SCHEMA},
            },
        },
        formed=True,
    ),
    "begun": Kind({"messages": [WHY, YES, user("And why twice?")], "n": 2}, began=True),
    "begun, at high effort": Kind(
        {
            "messages": [WHY, YES, user("And why twice?")],
            "reasoning_effort": "high",
            "max_completion_tokens": ADDED_CAP,
        },
        began=True,
    ),
    "begun with pictures": Kind(
        {"messages": [user(_seen(detail="high")), YES, user(_seen())]}, began=True
    ),
    "begun with tools": Kind({"messages": [WHY, YES, WHY], "tools": [FUNCTION]}, began=True),
    "tool result": Kind(
        {"messages": [WHY, TOOL_CALL, TOOL_RESULT], "tools": [FUNCTION]},
        began=True,
        answers_tool=True,
    ),
    "tool result, at high effort": Kind(
        {
            "messages": [WHY, TOOL_CALL, TOOL_RESULT],
            "tools": [FUNCTION],
            "reasoning_effort": "high",
        },
        began=True,
        answers_tool=True,
    ),
    "tool result and instructions": Kind(
        {
            "messages": [WHY, TOOL_CALL, TOOL_RESULT, {"role": "system", "content": "Go on."}],
            "tools": [FUNCTION],
        },
        began=True,
        answers_tool=True,
    ),
    **{f"effort {word}": Kind({"reasoning_effort": word}) for word in EFFORTS if word != "max"},
}
SHORTEST_CHAT: Mapping[str, Any] = {"messages": [WHY]}

_SEEN = [
    {"type": "input_text", "text": "What is this?"},
    {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
]
_FORMAT = {"format": {"type": "json_schema", "name": "s", "strict": True, "schema": SCHEMA}}
_CALLED = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
_ANSWERED = {"type": "function_call_output", "call_id": "c1", "output": "Balanced."}
_THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
RESPONSES: Mapping[str, Kind] = {
    "plain": Kind({}),
    "streamed": Kind({"stream": True, "store": False}),
    "capped": Kind({"max_output_tokens": 3_000, "instructions": "Be kind."}),
    "soon": Kind({"service_tier": "priority", "metadata": {"a": "b"}}),
    "in items": Kind({"input": [WHY], "temperature": 0.3}),
    "with instructions": Kind({"input": [{"role": "developer", "content": "Be kind."}, WHY]}),
    "json": Kind({"text": {"format": {"type": "json_object"}}}, formed=True),
    "schema": Kind({"text": _FORMAT, "max_output_tokens": ADDED_CAP}, formed=True),
    "long schema": Kind({"text": {**_FORMAT, "verbosity": "high"}}, formed=True),
    "tools": Kind({"tools": [OWN_FUNCTION], "tool_choice": "auto"}),
    "tools, capped": Kind({"tools": [OWN_FUNCTION], "max_output_tokens": ADDED_CAP}),
    "forced tool": Kind({"tools": [OWN_FUNCTION], "tool_choice": "required"}),
    "named tool": Kind(
        {
            "tools": [OWN_FUNCTION],
            "tool_choice": {"type": "function", "name": "look"},
            "max_output_tokens": ADDED_CAP,
        }
    ),
    "searches": Kind({"tools": [{"type": "web_search"}], "max_tool_calls": 3}),
    "searches and tools": Kind(
        {
            "tools": [{"type": "web_search"}, OWN_FUNCTION],
            "include": ["web_search_call.action.sources"],
            "parallel_tool_calls": False,
        }
    ),
    "must search": Kind({"tools": [{"type": "web_search"}], "tool_choice": "required"}),
    "long answers": Kind({"text": {"verbosity": "high"}}),
    "pictures": Kind({"input": [user(_SEEN)]}),
    "told thoughts": Kind(
        {
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
    ),
    "effort beside tools": Kind({"tools": [OWN_FUNCTION], "reasoning": {"effort": "high"}}),
    "begun": Kind({"input": [WHY, YES, user("And why twice?")]}, began=True),
    "begun, at high effort": Kind(
        {
            "input": [WHY, _THOUGHT, YES, user("And why twice?")],
            "reasoning": {"effort": "high"},
            "max_output_tokens": ADDED_CAP,
        },
        began=True,
    ),
    "begun with pictures": Kind({"input": [user(_SEEN), YES, user(_SEEN)]}, began=True),
    "begun with searches": Kind(
        {"input": [WHY, YES, WHY], "tools": [{"type": "web_search"}]}, began=True
    ),
    "tool result": Kind(
        {"input": [WHY, _CALLED, _ANSWERED], "tools": [OWN_FUNCTION]},
        began=True,
        answers_tool=True,
    ),
    "tool result, at high effort": Kind(
        {
            "input": [WHY, _THOUGHT, _CALLED, _ANSWERED],
            "tools": [OWN_FUNCTION],
            "reasoning": {"effort": "high"},
        },
        began=True,
        answers_tool=True,
    ),
    **{f"effort {word}": Kind({"reasoning": {"effort": word}}) for word in EFFORTS},
}
SHORTEST_RESPONSE: Mapping[str, Any] = {"input": "Why do ledgers balance? Answer in json."}
