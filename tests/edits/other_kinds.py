"""What clients ask for of Anthropic and Gemini, beside the model, as in `openai_kinds`."""

from collections.abc import Mapping
from typing import Any

from tests.edits.openai_kinds import ADDED_CAP, PIXEL, SCHEMA, WHY, YES, Kind, user

_MARK = {"cache_control": {"type": "ephemeral"}}
_TOOL = {"name": "look", "input_schema": SCHEMA}
_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
_IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
}
_TEXT = {"type": "text", "text": "What is this?"}
_THOUGHT = {"type": "thinking", "thinking": "I look.", "signature": "c2ln"}
_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
_RESULT = user([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Balanced."}])
_BEGUN = [WHY, YES, user("And why twice?")]
_TOLD = [WHY, {"role": "assistant", "content": [_USE]}, _RESULT]
_TOLD_THINKING = [WHY, {"role": "assistant", "content": [_THOUGHT, _USE]}, _RESULT]


def _thinks(tokens: int, **more: Any) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}, **more}


MESSAGES: Mapping[str, Kind] = {
    "plain": Kind({}),
    "long": Kind({"max_tokens": ADDED_CAP, "stream": True}),
    "short": Kind({"max_tokens": 300, "stop_sequences": ["x"]}),
    "warming a cache": Kind({"max_tokens": 0, "system": [{**_TEXT, **_MARK}]}),
    "soon": Kind({"speed": "fast", "service_tier": "auto"}),
    "with instructions": Kind({"system": "Be kind.", "temperature": 0.3}),
    "with a turn of the system's": Kind({"messages": [WHY, {"role": "system", "content": "Go."}]}),
    "marked": Kind({"messages": [user([{**_TEXT, **_MARK}])], "system": [{**_TEXT, **_MARK}]}),
    "marking itself": Kind({"cache_control": {"type": "ephemeral"}}),
    "schema": Kind(
        {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            "max_tokens": 8_000,
        },
        formed=True,
    ),
    "schema, at high effort": Kind(
        {
            "output_config": {
                "format": {"type": "json_schema", "schema": SCHEMA},
                "effort": "high",
            },
            "max_tokens": 8_000,
        },
        formed=True,
    ),
    "tools": Kind({"tools": [_TOOL]}),
    "tools, capped": Kind({"tools": [_TOOL], "max_tokens": ADDED_CAP, "stream": True}),
    "forced tool": Kind({"tools": [_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 8_000}),
    "named tool": Kind(
        {"tools": [_TOOL], "tool_choice": {"type": "tool", "name": "look"}, "max_tokens": 8_000}
    ),
    "searches": Kind({"tools": [_SEARCH]}),
    "searches and tools": Kind({"tools": [_SEARCH, _TOOL], "tool_choice": {"type": "auto"}}),
    "must search": Kind(
        {"tools": [_SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}}
    ),
    "pictures": Kind({"messages": [user([_IMAGE, _TEXT])]}),
    "least thinking": Kind(_thinks(1_024, max_tokens=1_025)),
    "some thinking": Kind(_thinks(2_000, max_tokens=2_001)),
    "much thinking": Kind(_thinks(16_000, max_tokens=20_000)),
    "adaptive": Kind({"thinking": {"type": "adaptive"}, "max_tokens": 8_000}),
    "adaptive and short": Kind({"thinking": {"type": "adaptive"}, "max_tokens": 900}),
    "adaptive, at most effort": Kind(
        {
            "thinking": {"type": "adaptive", "display": "omitted"},
            "output_config": {"effort": "max"},
            "max_tokens": ADDED_CAP,
        }
    ),
    "no thinking": Kind({"thinking": {"type": "disabled"}, "max_tokens": 8_000}),
    "no thinking, at high effort": Kind(
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}
    ),
    "thinking between tools": Kind({"thinking": {"type": "between_tools"}, "tools": [_TOOL]}),
    "begun": Kind({"messages": _BEGUN, "max_tokens": 8_000}, began=True),
    "begun, soon": Kind({"messages": _BEGUN, "speed": "fast"}, began=True),
    "begun thinking": Kind(_thinks(16_000, max_tokens=20_000, messages=_BEGUN), began=True),
    "begun, at high effort": Kind(
        {"messages": _BEGUN, "output_config": {"effort": "high"}, "max_tokens": 8_000}, began=True
    ),
    "begun with searches": Kind({"messages": _BEGUN, "tools": [_SEARCH, _TOOL]}, began=True),
    "tool result": Kind(
        {"messages": _TOLD, "tools": [_TOOL], "max_tokens": 8_000}, began=True, answers_tool=True
    ),
    "tool result while thinking": Kind(
        _thinks(4_000, max_tokens=8_000, messages=_TOLD_THINKING, tools=[_TOOL]),
        began=True,
        answers_tool=True,
    ),
    "tool result while adapting": Kind(
        {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
            "messages": _TOLD_THINKING,
            "tools": [_TOOL],
            "max_tokens": 8_000,
        },
        began=True,
        answers_tool=True,
    ),
    **{
        f"effort {word}": Kind({"output_config": {"effort": word}, "max_tokens": 8_000})
        for word in ("low", "medium", "high", "xhigh", "max")
    },
}
SHORTEST_MESSAGE: Mapping[str, Any] = {"messages": [WHY], "max_tokens": 2_500}

_FUNCTIONS = {"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT"}}]}
_SHOWN = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}


def _said(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def _config(**members: Any) -> dict[str, Any]:
    return {"generationConfig": members}


_QUESTION = _said({"text": "Why do ledgers balance?"})
_ANSWER = _said({"text": "Because each entry stands twice."}, role="model")
_CALLS = _said({"functionCall": {"name": "look", "args": {}}}, role="model")
_RETURNS = _said({"functionResponse": {"name": "look", "response": {"is": "balanced"}}})
_OBJECT = {"type": "OBJECT", "properties": {"text": {"type": "STRING"}}}

CONTENT: Mapping[str, Kind] = {
    "plain": Kind({}),
    "without configuration": Kind({"generationConfig": None}),
    "short": Kind(_config(maxOutputTokens=300)),
    "long": Kind(_config(maxOutputTokens=8_000, temperature=0.3)),
    "longest": Kind(_config(maxOutputTokens=30_000)),
    "longest schema": Kind(
        _config(responseMimeType="application/json", maxOutputTokens=30_000), formed=True
    ),
    "in snake case": Kind(
        {
            "generation_config": {"max_output_tokens": 8_000, "candidate_count": 1},
            "system_instruction": _said({"text": "Be kind."}),
        }
    ),
    "several": Kind(_config(candidateCount=3)),
    "soon": Kind({"serviceTier": "priority"}),
    "json": Kind(_config(responseMimeType="application/json"), formed=True),
    "schema": Kind(
        _config(responseMimeType="application/json", responseSchema=_OBJECT, maxOutputTokens=8_000),
        formed=True,
    ),
    "JSON schema": Kind(
        _config(responseMimeType="application/json", responseJsonSchema=SCHEMA), formed=True
    ),
    "tools": Kind({"tools": [_FUNCTIONS]}),
    "tools, capped": Kind({"tools": [_FUNCTIONS], **_config(maxOutputTokens=30_000)}),
    "forced tool": Kind(
        {
            "tools": [_FUNCTIONS],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            **_config(maxOutputTokens=8_000),
        }
    ),
    "no tool now": Kind(
        {"tools": [_FUNCTIONS], "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    ),
    "searches": Kind({"tools": [{"googleSearch": {}}]}),
    "searches and tools": Kind({"tools": [{"googleSearch": {}}, _FUNCTIONS]}),
    "pictures": Kind({"contents": [_said(_SHOWN, {"text": "What is this?"})]}),
    "fine pictures": Kind(
        {
            "contents": [_said(_SHOWN, {"text": "What is this?"})],
            **_config(mediaResolution="MEDIA_RESOLUTION_HIGH"),
        }
    ),
    "shown thoughts": Kind(_config(thinkingConfig={"includeThoughts": True})),
    "begun": Kind({"contents": [_QUESTION, _ANSWER, _QUESTION]}, began=True),
    "begun, thinking": Kind(
        {
            "contents": [_QUESTION, _ANSWER, _QUESTION],
            **_config(thinkingConfig={"thinkingBudget": 8_000}),
        },
        began=True,
    ),
    "begun, at high level": Kind(
        {
            "contents": [_QUESTION, _ANSWER, _QUESTION],
            **_config(thinkingConfig={"thinkingLevel": "HIGH"}),
        },
        began=True,
    ),
    "begun with pictures": Kind({"contents": [_said(_SHOWN), _ANSWER, _QUESTION]}, began=True),
    "begun with searches": Kind(
        {"contents": [_QUESTION, _ANSWER, _QUESTION], "tools": [{"googleSearch": {}}]}, began=True
    ),
    "tool result": Kind(
        {"contents": [_QUESTION, _CALLS, _RETURNS], "tools": [_FUNCTIONS]},
        began=True,
        answers_tool=True,
    ),
    "tool result, at high level": Kind(
        {
            "contents": [_QUESTION, _CALLS, _RETURNS],
            "tools": [_FUNCTIONS],
            **_config(thinkingConfig={"thinkingLevel": "HIGH"}),
        },
        began=True,
        answers_tool=True,
    ),
    "tool result while thinking": Kind(
        {
            "contents": [_QUESTION, _CALLS, _RETURNS],
            "tools": [_FUNCTIONS],
            **_config(thinkingConfig={"thinkingBudget": -1}),
        },
        began=True,
        answers_tool=True,
    ),
    **{
        f"budget {tokens}": Kind(_config(thinkingConfig={"thinkingBudget": tokens}))
        for tokens in (-1, 0, 128, 512, 8_000, 24_576)
    },
    **{
        f"level {word}": Kind(_config(thinkingConfig={"thinkingLevel": word}))
        for word in ("MINIMAL", "low", "MEDIUM", "HIGH")
    },
}
STREAMED_CONTENT: Mapping[str, Kind] = {
    name: kind for name, kind in CONTENT.items() if name != "several"
}
"""A stream is one answer."""
SHORTEST_CONTENT: Mapping[str, Any] = {"contents": [_QUESTION]}
