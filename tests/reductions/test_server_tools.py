"""Tools of the provider's go where nothing insists on them; the client's own stay."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.request import Unsafe
from common.llm.reductions.server_tools import drop_server_tools
from common.llm.reductions.wanted import WithoutServerTools
from tests.reductions.asked import (
    CLAUDE_SEARCH,
    CLAUDE_TOOL,
    FUNCTION,
    GEMINI_TOOL,
    OWN_TOOL,
    asked,
    members_of,
    said,
    user,
)

WANTED = WithoutServerTools()
SEARCH = {"type": "web_search"}
CHAT = {"messages": [user("Hi")]}
RESPONSE = {"input": "Hi"}
MESSAGE = {"messages": [user("Hi")], "max_tokens": 9}
CONTENT = {"contents": [said({"text": "Hi"})]}
HOSTED = (
    "web_search_preview",
    "web_search_2025_08_26",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
)


@pytest.mark.parametrize("kind", HOSTED)
def test_drops_hosted_tools_of_a_response_and_what_is_said_of_them(kind: str) -> None:
    members = {
        **RESPONSE,
        "tools": [{"type": kind}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_tool_calls": 3,
        "include": ["web_search_call.action.sources", "file_search_call.results"],
    }

    assert members_of(drop_server_tools(asked("openai_responses", members), WANTED)) == RESPONSE


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        (
            "openai_responses",
            {
                **RESPONSE,
                "tools": [SEARCH, OWN_TOOL, {"type": "computer_use_preview"}],
                "tool_choice": {"type": "function", "name": "look"},
                "include": ["file_search_call.results", "reasoning.encrypted_content"],
            },
            {
                **RESPONSE,
                "tools": [OWN_TOOL, {"type": "computer_use_preview"}],
                "tool_choice": {"type": "function", "name": "look"},
                "include": ["reasoning.encrypted_content"],
            },
        ),
        (
            "anthropic_messages",
            {**MESSAGE, "tools": [CLAUDE_SEARCH], "tool_choice": {"type": "auto"}},
            MESSAGE,
        ),
        (
            "anthropic_messages",
            {
                **MESSAGE,
                "tools": [{"type": "code_execution_20250825"}, CLAUDE_TOOL, CLAUDE_SEARCH],
                "tool_choice": {"type": "tool", "name": "look"},
            },
            {
                **MESSAGE,
                "tools": [CLAUDE_TOOL],
                "tool_choice": {"type": "tool", "name": "look"},
            },
        ),
        (
            "gemini_content",
            {**CONTENT, "tools": [{"googleSearch": {}}, {"url_context": {}}], "toolConfig": {}},
            CONTENT,
        ),
        (
            "gemini_content",
            {**CONTENT, "tools": [{"codeExecution": {}, **GEMINI_TOOL}], "toolConfig": {}},
            {**CONTENT, "tools": [GEMINI_TOOL], "toolConfig": {}},
        ),
        (
            "gemini_interactions",
            {
                "input": "Hi",
                "tools": [{"type": "google_search"}],
                "generation_config": {"tool_choice": "auto", "seed": 1},
            },
            {"input": "Hi", "generation_config": {"seed": 1}},
        ),
    ],
)
def test_keeps_the_tools_of_the_client(form: FormName, before: Any, after: Any) -> None:
    assert members_of(drop_server_tools(asked(form, before), WANTED)) == after


def test_drops_the_search_of_a_chat_elsewhere_than_at_a_model_that_always_searches() -> None:
    members = {**CHAT, "web_search_options": {}, "tools": [FUNCTION]}
    request = asked("openai_chat", members, "acme/large", upstream="openrouter")

    assert members_of(drop_server_tools(request, WANTED)) == {**CHAT, "tools": [FUNCTION]}


@pytest.mark.parametrize(
    ("form", "model", "members"),
    [
        ("openai_chat", "gpt-4o-search-preview", {**CHAT, "web_search_options": {}}),
        ("openai_chat", "gpt-5-search-api", {**CHAT, "web_search_options": {}}),
        ("openai_responses", "o3-deep-research", {**RESPONSE, "tools": [SEARCH]}),
        ("openai_responses", "o4-mini-deep-research-2025-06-26", {**RESPONSE, "tools": [SEARCH]}),
    ],
)
def test_leaves_a_model_that_works_with_them_only(form: FormName, model: str, members: Any) -> None:
    assert drop_server_tools(asked(form, members, model), WANTED) == Unsafe("model_needs_it")


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_responses", {**RESPONSE, "tools": [SEARCH], "tool_choice": "required"}),
        ("openai_responses", {**RESPONSE, "tools": [SEARCH], "tool_choice": SEARCH}),
        (
            "openai_responses",
            {
                **RESPONSE,
                "tools": [SEARCH, OWN_TOOL],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]},
            },
        ),
        (
            "anthropic_messages",
            {
                **MESSAGE,
                "tools": [CLAUDE_SEARCH],
                "tool_choice": {"type": "tool", "name": "web_search"},
            },
        ),
        (
            "anthropic_messages",
            {**MESSAGE, "tools": [CLAUDE_SEARCH, CLAUDE_TOOL], "tool_choice": {"type": "any"}},
        ),
        (
            "gemini_content",
            {
                **CONTENT,
                "tools": [{"googleSearch": {}, **GEMINI_TOOL}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            },
        ),
        (
            "gemini_interactions",
            {
                "input": "Hi",
                "tools": [{"type": "google_search"}],
                "generation_config": {"tool_choice": "any"},
            },
        ),
    ],
)
def test_leaves_tools_that_the_request_insists_on(form: FormName, members: Any) -> None:
    assert drop_server_tools(asked(form, members), WANTED) == Unsafe("forced_tool")


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_responses", {**RESPONSE, "tools": [SEARCH], "previous_response_id": "resp_1"}),
        (
            "anthropic_messages",
            {
                "messages": [user("Hi"), {"role": "assistant", "content": "Yes?"}, user("Look")],
                "tools": [CLAUDE_SEARCH],
            },
        ),
        ("gemini_content", {**CONTENT, "cachedContent": "c/1", "tools": [{"googleSearch": {}}]}),
    ],
)
def test_leaves_a_conversation_that_has_begun(form: FormName, members: Any) -> None:
    assert drop_server_tools(asked(form, members), WANTED) == Unsafe("not_fresh")


@pytest.mark.parametrize(
    "beside", [{"container": "c_1"}, {"tools": [{**CLAUDE_TOOL, "allowed_callers": ["x"]}]}]
)
def test_leaves_code_that_calls_tools_of_the_client(beside: Any) -> None:
    code = {"type": "code_execution_20250825", "name": "code_execution"}
    members = {**MESSAGE, **beside, "tools": [code, *beside.get("tools", [])]}

    found = drop_server_tools(asked("anthropic_messages", members), WANTED)

    assert found == Unsafe("code_execution")


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {**CHAT, "tools": [FUNCTION]}),
        ("openai_responses", {**RESPONSE, "tools": [OWN_TOOL, {"type": "local_shell"}]}),
        ("openai_responses", {**RESPONSE, "tools": "web_search"}),
        (
            "anthropic_messages",
            {
                **MESSAGE,
                "tools": [
                    {"type": "bash_20250124", "name": "bash"},
                    {"type": "text_editor_20250728", "name": "edit"},
                    {"type": "computer_20250124", "name": "computer"},
                    {"type": "memory_20250818", "name": "memory"},
                    {"type": "custom", **CLAUDE_TOOL},
                ],
            },
        ),
        ("gemini_content", {**CONTENT, "tools": [GEMINI_TOOL, {"computerUse": {}}]}),
        ("gemini_interactions", {"input": "Hi", "tools": [OWN_TOOL]}),
    ],
)
def test_leaves_requests_without_tools_of_the_provider(form: FormName, members: Any) -> None:
    assert drop_server_tools(asked(form, members), WANTED) is None
