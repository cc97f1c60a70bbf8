"""A lower cap stands in the client's own bytes, and nowhere that it could spoil the answer."""

import json
from dataclasses import replace
from typing import Any

import pytest

from common.llm.capabilities import ModelCaps
from common.llm.edits import Edited, NotSafe, Reason
from common.llm.facts import EDIT_LIMIT_BYTES
from common.llm.output_cap import lower_cap
from common.llm.paths import Endpoint, FormName
from tests.fit.requests import CLAUDE_TOOL, COMPACT, GEMINI_TOOL, TOOL, recipient_of

CHAT, RESPONSES, MESSAGES = "gpt-4o", "gpt-4.1", "claude-sonnet-4-5"
FLASH, OLD_FLASH = "gemini-2.5-flash", "gemini-2.0-flash"
MODELS: dict[FormName, str] = {
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "openai_completions": "gpt-3.5-turbo-instruct",
    "anthropic_messages": MESSAGES,
    "gemini_content": OLD_FLASH,
    "gemini_content_stream": OLD_FLASH,
    "gemini_interactions": OLD_FLASH,
}


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("openai_chat", '{"max_tokens": 9000}', '{"max_tokens": 512}'),
        (
            "openai_chat",
            '{ "é":"\\u00e9","max_completion_tokens" : 9000 , "n":1}',
            '{ "é":"\\u00e9","max_completion_tokens" : 512 , "n":1}',
        ),
        ("openai_chat", '{"a":1 }', '{"a":1 ,"max_completion_tokens":512}'),
        ("openai_chat", "{}", '{"max_completion_tokens":512}'),
        ("openai_chat", '{"max_completion_tokens":null}', '{"max_completion_tokens":512}'),
        (
            "openai_chat",
            '{"max_tokens":null}',
            '{"max_tokens":null,"max_completion_tokens":512}',
        ),
        (
            "openai_chat",
            '{"max_tokens":900,"max_completion_tokens":null}',
            '{"max_tokens":512,"max_completion_tokens":null}',
        ),
        ("openai_chat", '{"m\\u0061x_tokens":900}', '{"m\\u0061x_tokens":512}'),
        ("openai_responses", '{"max_output_tokens":9000}', '{"max_output_tokens":512}'),
        ("openai_responses", '{"input":"x"}', '{"input":"x","max_output_tokens":512}'),
        ("openai_completions", '{"max_tokens":600}', '{"max_tokens":512}'),
        ("anthropic_messages", '{"max_tokens":600,"x":"}"}', '{"max_tokens":512,"x":"}"}'),
        (
            "gemini_content",
            '{"generationConfig":{"topK":1,"maxOutputTokens":600}}',
            '{"generationConfig":{"topK":1,"maxOutputTokens":512}}',
        ),
        (
            "gemini_content_stream",
            '{"generation_config":{"max_output_tokens":600},"x":"ü"}',
            '{"generation_config":{"max_output_tokens":512},"x":"ü"}',
        ),
        (
            "gemini_content",
            '{"x":"ü","generation_config":{"maxOutputTokens":600}}',
            '{"x":"ü","generation_config":{"maxOutputTokens":512}}',
        ),
        (
            "gemini_content",
            '{"generationConfig":{"topK":{"a":1} },"x":{}}',
            '{"generationConfig":{"topK":{"a":1} ,"maxOutputTokens":512},"x":{}}',
        ),
        (
            "gemini_content",
            '{"generation_config":{}}',
            '{"generation_config":{"max_output_tokens":512}}',
        ),
        (
            "gemini_content",
            '{"generationConfig":{"max_output_tokens":null}}',
            '{"generationConfig":{"max_output_tokens":512}}',
        ),
        (
            "gemini_content",
            '{"generationConfig": null}',
            '{"generationConfig": {"maxOutputTokens":512}}',
        ),
        ("gemini_content", "{}", '{"generationConfig":{"maxOutputTokens":512}}'),
        (
            "gemini_interactions",
            '{"generation_config":{"seed":1,"max_output_tokens" : 600}}',
            '{"generation_config":{"seed":1,"max_output_tokens" : 512}}',
        ),
        (
            "gemini_interactions",
            '{"input":"ü","generation_config":{"seed":{"a":1} }}',
            '{"input":"ü","generation_config":{"seed":{"a":1} ,"max_output_tokens":512}}',
        ),
        (
            "gemini_interactions",
            '{"generation_config": null}',
            '{"generation_config": {"max_output_tokens":512}}',
        ),
        (
            "gemini_interactions",
            '{"input":"x"}',
            '{"input":"x","generation_config":{"max_output_tokens":512}}',
        ),
    ],
)
def test_changes_the_cap_and_no_other_byte(form: FormName, before: str, after: str) -> None:
    edited = lower_cap(before.encode(), recipient_of(form, MODELS[form]), 512)

    assert isinstance(edited, Edited)
    assert edited.body.decode() == after


FORCED = {"type": "function", "function": {"name": "look"}}
JSON = {"type": "json_object"}


@pytest.mark.parametrize(
    ("form", "more", "reason"),
    [
        ("openai_chat", {"response_format": JSON}, "structured_output"),
        ("openai_chat", {"response_format": {"type": "json_schema"}}, "structured_output"),
        ("openai_chat", {"response_format": "json"}, "structured_output"),
        ("openai_chat", {"response_format": {"type": "new"}}, "structured_output"),
        ("openai_chat", {"guided_json": {"type": "object"}}, "structured_output"),
        ("openai_chat", {"tool_choice": "required"}, "forced_tool"),
        ("openai_chat", {"tool_choice": FORCED}, "forced_tool"),
        ("openai_chat", {"tool_choice": {"type": "custom"}}, "forced_tool"),
        (
            "openai_chat",
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}},
            "forced_tool",
        ),
        ("openai_chat", {"function_call": {"name": "look"}}, "forced_tool"),
        ("openai_chat", {"modalities": ["text", "audio"]}, "media_output"),
        ("openai_responses", {"text": {"format": JSON}}, "structured_output"),
        ("openai_responses", {"text": {"format": {"type": "json_schema"}}}, "structured_output"),
        ("openai_responses", {"text": "json"}, "structured_output"),
        ("openai_responses", {"tool_choice": "required"}, "forced_tool"),
        ("openai_responses", {"tool_choice": {"type": "web_search"}}, "forced_tool"),
        (
            "openai_responses",
            {"tool_choice": {"type": "allowed_tools", "mode": "required"}},
            "forced_tool",
        ),
        ("anthropic_messages", {"tool_choice": {"type": "any"}}, "forced_tool"),
        ("anthropic_messages", {"tool_choice": {"type": "tool", "name": "x"}}, "forced_tool"),
        ("anthropic_messages", {"output_format": {"type": "json_schema"}}, "structured_output"),
        ("anthropic_messages", {"output_config": {"format": {}}}, "structured_output"),
        ("anthropic_messages", {"thinking": "on"}, "thinking"),
        ("anthropic_messages", {"thinking": {"budget_tokens": "many"}}, "thinking"),
    ],
)
def test_leaves_alone_what_must_not_be_cut(
    form: FormName, more: dict[str, Any], reason: Reason
) -> None:
    cap = {"openai_responses": "max_output_tokens"}.get(form, "max_tokens")
    body = json.dumps({cap: 9_000, **more}).encode()

    assert lower_cap(body, recipient_of(form, MODELS[form]), 4_096) == NotSafe(reason)


@pytest.mark.parametrize(
    ("request_", "config", "reason"),
    [
        ({}, {"responseMimeType": "application/json"}, "structured_output"),
        ({}, {"response_mime_type": "text/x.enum"}, "structured_output"),
        ({}, {"responseSchema": {}}, "structured_output"),
        ({}, {"response_schema": {}}, "structured_output"),
        ({}, {"responseJsonSchema": {}}, "structured_output"),
        ({}, {"responseModalities": ["TEXT", "IMAGE"]}, "media_output"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, {}, "forced_tool"),
        ({"tool_config": {"function_calling_config": {"mode": "any"}}}, {}, "forced_tool"),
        ({"toolConfig": {"functionCallingConfig": {"mode": 2}}}, {}, "forced_tool"),
        ({"toolConfig": []}, {}, "forced_tool"),
        ({}, {"thinkingConfig": 1}, "thinking"),
        ({}, {"thinkingConfig": {"thinkingBudget": "1"}}, "thinking"),
        ({"generation_config": {}}, {}, "duplicate_members"),
        ({"tool_config": {}, "toolConfig": {}}, {}, "duplicate_members"),
        (
            {},
            {"responseMimeType": "text/plain", "response_mime_type": "application/json"},
            "duplicate_members",
        ),
        ({}, {"max_output_tokens": 8_000}, "duplicate_members"),
    ],
)
def test_leaves_alone_what_gemini_must_not_cut(
    request_: dict[str, Any], config: dict[str, Any], reason: Reason
) -> None:
    whole = {"generationConfig": {"maxOutputTokens": 9_000, **config}, **request_}
    body = json.dumps(whole).encode()

    assert lower_cap(body, recipient_of("gemini_content", FLASH), 4_096) == NotSafe(reason)


PLAIN = {"type": "text", "mime_type": "text/plain"}


@pytest.mark.parametrize(
    ("request_", "config", "reason"),
    [
        ({"response_format": {"type": "object"}}, {}, "structured_output"),
        ({"response_format": {**PLAIN, "schema": {}}}, {}, "structured_output"),
        (
            {"response_format": [PLAIN, {"type": "text", "mime_type": "application/json"}]},
            {},
            "structured_output",
        ),
        ({"response_format": "json"}, {}, "structured_output"),
        ({"response_mime_type": "application/json"}, {}, "structured_output"),
        ({"response_format": {"type": "image"}}, {}, "media_output"),
        ({"response_modalities": ["text", "image"]}, {}, "media_output"),
        ({}, {"tool_choice": "any"}, "forced_tool"),
        ({}, {"tool_choice": {"allowed_tools": {"mode": "any", "tools": ["f"]}}}, "forced_tool"),
        ({}, {"tool_choice": {"type": "function"}}, "forced_tool"),
        ({}, {"maxOutputTokens": 8_000}, "duplicate_members"),
        ({}, {"max_output_tokens": "9"}, "cap_unreadable"),
        ({"generation_config": []}, {}, "unreadable"),
    ],
)
def test_leaves_alone_what_an_interaction_must_not_cut(
    request_: dict[str, Any], config: dict[str, Any], reason: Reason
) -> None:
    whole = {"generation_config": {"max_output_tokens": 9_000, **config}, **request_}
    body = json.dumps(whole).encode()

    assert lower_cap(body, recipient_of("gemini_interactions", FLASH), 4_096) == NotSafe(reason)


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("openai_chat", {"response_format": {"type": "text"}, "tool_choice": "auto"}),
        ("openai_chat", {"tools": [TOOL], "tool_choice": "none", "modalities": ["text"]}),
        (
            "openai_chat",
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
        ),
        ("openai_responses", {"text": {"verbosity": "low", "format": {"type": "text"}}}),
        ("openai_responses", {"tool_choice": {"type": "allowed_tools", "mode": "auto"}}),
        ("anthropic_messages", {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto"}}),
        ("anthropic_messages", {"output_config": {"effort": "low"}}),
        ("anthropic_messages", {"thinking": {"type": "disabled"}}),
        ("gemini_content_stream", {"tool_config": {"functionCallingConfig": {"mode": "none"}}}),
        (
            "gemini_content",
            {
                "tools": [GEMINI_TOOL],
                "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
                "generationConfig": {
                    "maxOutputTokens": 9_000,
                    "responseMimeType": "text/plain",
                    "responseModalities": ["TEXT"],
                },
            },
        ),
        (
            "gemini_interactions",
            {
                "response_format": [PLAIN, {"type": "text"}],
                "response_modalities": ["text"],
                "generation_config": {"max_output_tokens": 9_000, "tool_choice": "validated"},
            },
        ),
        (
            "gemini_interactions",
            {
                "response_mime_type": "text/plain",
                "generation_config": {"tool_choice": {"allowed_tools": {"mode": "auto"}}},
            },
        ),
    ],
)
def test_cuts_what_may_be_cut(form: FormName, more: dict[str, Any]) -> None:
    cap = {"openai_responses": "max_output_tokens"}.get(form, "max_tokens")
    whole = more if form.startswith("gemini") else {cap: 9_000, **more}
    body = json.dumps(whole).encode()

    assert isinstance(lower_cap(body, recipient_of(form, MODELS[form]), 512), Edited)


@pytest.mark.parametrize(
    ("form", "body", "reason"),
    [
        ("openai_chat", '{"max_tokens":512}', "already_lower"),
        ("openai_chat", '{"max_tokens":100}', "already_lower"),
        ("openai_chat", '{"max_tokens":0}', "already_lower"),
        ("anthropic_messages", '{"max_tokens":0}', "already_lower"),
        ("openai_chat", '{"max_tokens":9000.0}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":"9000"}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":-1}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":true}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":9000,"max_completion_tokens":800}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":9000,"max_tokens":8000}', "duplicate_members"),
        ("openai_chat", '{"max_tokens":9000,"m\\u0061x_tokens":8000}', "duplicate_members"),
        ("openai_chat", '{"max_tokens":9000,"a":[{"b":1,"b":2}]}', "duplicate_members"),
        ("openai_chat", '{"max_tokens":9000', "unreadable"),
        ("openai_chat", '[{"max_tokens":9000}]', "unreadable"),
        ("openai_chat", '{"max_tokens":100000000000000000000}', "cap_unreadable"),
        ("openai_chat", '{"max_tokens":9000,"a":NaN}', "unreadable"),
        ("openai_chat", '{"max_tokens":9000,"a":' + "[" * 3_000 + "]" * 3_000 + "}", "unreadable"),
        ("openai_completions", '{"prompt":"x"}', "cap_absent"),
        ("openai_completions", '{"max_tokens":null}', "cap_absent"),
        ("anthropic_messages", '{"messages":[]}', "cap_absent"),
        ("gemini_content", '{"generationConfig":[]}', "unreadable"),
    ],
)
def test_leaves_alone_what_it_does_not_understand(
    form: FormName, body: str, reason: Reason
) -> None:
    found = lower_cap(body.encode(), recipient_of(form, MODELS[form]), 512)

    assert found == NotSafe(reason)


def test_leaves_alone_what_is_too_large() -> None:
    body = b'{"max_tokens":9000,"a":"' + b"x" * EDIT_LIMIT_BYTES + b'"}'

    found = lower_cap(body, recipient_of("openai_chat", CHAT), 512)

    assert found == NotSafe("too_large")


@pytest.mark.parametrize(
    ("model", "upstream", "size", "tokens", "may"),
    [
        (CHAT, "openai", 10, 16_383, True),
        (CHAT, "openai", 10, 16_384, False),
        (CHAT, "groq", 10, 512, False),
        ("gpt-unheard-of", "openai", 10, 2_048, False),
        ("gpt-4", "openai", 100, 4_000, True),
        ("gpt-4", "openai", 8_192 - 4_000, 4_000, True),
        ("gpt-4", "openai", 8_193 - 4_000, 4_000, False),
    ],
)
def test_adds_only_a_cap_that_the_model_takes(
    model: str, upstream: str, size: int, tokens: int, *, may: bool
) -> None:
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'

    found = lower_cap(body, recipient_of("openai_chat", model, upstream=upstream), tokens)

    assert len(body) == size
    assert isinstance(found, Edited) == may
    assert may or found == NotSafe("cap_absent")


@pytest.mark.parametrize(
    ("model", "tokens", "may"),
    [(OLD_FLASH, 8_191, True), (OLD_FLASH, 8_192, False), (FLASH, 20_000, True)],
)
def test_adds_no_cap_above_what_a_gemini_model_gives_anyway(
    model: str, tokens: int, *, may: bool
) -> None:
    found = lower_cap(b"{}", recipient_of("gemini_content", model), tokens)

    assert isinstance(found, Edited) == may


def test_adds_none_without_a_limit() -> None:
    recipient = replace(recipient_of("gemini_content", FLASH), caps=ModelCaps())

    assert lower_cap(b"{}", recipient, 4_096) == NotSafe("cap_absent")


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("openai", "embeddings", "POST", "/v1/embeddings", "openai_embeddings"),
        Endpoint("openai", "models", "GET", "/v1/models", None),
    ],
)
def test_finds_no_cap_where_there_is_none(endpoint: Endpoint) -> None:
    recipient = replace(recipient_of("openai_chat", CHAT), endpoint=endpoint)

    assert lower_cap(b'{"max_tokens":9000}', recipient, 512) == NotSafe("no_cap")


def test_adds_none_to_a_compaction() -> None:
    recipient = replace(recipient_of("openai_responses", CHAT), endpoint=COMPACT)

    assert lower_cap(b'{"input":"x"}', recipient, 512) == NotSafe("cap_absent")
