"""What no figure bounds has no bound, and a reason that names the part."""

from typing import Any

import pytest

from common.llm.bounds import Bound, Unbounded, bound
from common.llm.facts import CallFacts
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from tests.bounds.asking import AT, bound_of, chat, content, message, response

WEB = {"type": "web_search"}
FILES = {"type": "file_search", "vector_store_ids": ["vs_1"]}
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
CLAUDE_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FUNCTION = {"type": "function", "function": {"name": "f"}}
FLASH = "gemini-2.5-flash"


@pytest.mark.parametrize(
    ("form", "asked", "model", "reason"),
    [
        ("openai_chat", chat(model="no-such-model"), None, "unpriced_model"),
        ("openai_chat", chat(model=7), None, "unpriced_model"),
        ("openai_chat", chat(model="gpt-4" * 100), None, "unpriced_model"),
        ("openai_responses", response(background=True), None, "async_not_bounded"),
        ("openai_batches", {"input_file_id": "file-1"}, None, "async_not_bounded"),
        ("openai_chat", chat(web_search_options={}), None, "unbounded_request:web_search_options"),
        ("openai_chat", chat(brand_new="x"), None, "unbounded_request:brand_new"),
        ("openai_chat", chat(tools=[{"type": "mcp"}]), None, "unbounded_request:mcp"),
        ("openai_chat", chat(tools=[FUNCTION, {}]), None, "unbounded_request:untyped"),
        ("openai_chat", chat(tools={"a": 1}), None, "unbounded_request:tools"),
        ("openai_chat", chat(prediction="x"), None, "unbounded_request:prediction"),
        ("openai_chat", chat(prediction={"content": [{}]}), None, "unbounded_request:prediction"),
        ("openai_chat", chat(model="gpt-4o-search-preview"), None, "unbounded_request:web_search"),
        ("openai_chat", chat(model="gpt-5-search-api"), None, "unbounded_request:web_search"),
        ("openai_chat", chat(service_tier="scale"), None, "unknown_tier:scale"),
        ("openai_chat", chat(service_tier=["flex"]), None, "unknown_tier:unreadable"),
        (
            "openai_chat",
            chat(prompt_cache_options={"ttl": "12h"}),
            None,
            "unknown_unit:cache_write_12h_tokens",
        ),
        (
            "openai_chat",
            chat([{"type": "image_url"}], model="gpt-5.5-cyber"),
            None,
            "unknown_limit:context_window",
        ),
        (
            "openai_chat",
            chat(model="gpt-5.5-cyber", max_completion_tokens=None),
            None,
            "unknown_limit:max_output",
        ),
        ("openai_chat", chat(model="text-embedding-3-small"), None, "unknown_unit:output_tokens"),
        ("openai_responses", response(tools=[WEB]), None, "unbounded_request:web_search"),
        ("openai_responses", response(tools=[{"type": "mcp"}]), None, "unbounded_request:mcp"),
        (
            "openai_responses",
            response(tools=[WEB, {"type": "mcp"}], max_tool_calls=3),
            None,
            "unbounded_request:mcp",
        ),
        (
            "openai_responses",
            response(tools=[WEB], max_tool_calls="3"),
            None,
            "unbounded_request:web_search",
        ),
        (
            "openai_responses",
            response(tools=[WEB], max_tool_calls=0),
            None,
            "unbounded_request:web_search",
        ),
        (
            "openai_responses",
            response(tools=[CODE], max_tool_calls=3),
            None,
            "unknown_unit:code_interpreter_sessions",
        ),
        (
            "openai_responses",
            response(tools=[{"type": "web_search_preview"}], max_tool_calls=3),
            None,
            "unknown_unit:web_search_previews",
        ),
        (
            "openai_responses",
            response(tools=[FILES], max_tool_calls=3, model="gpt-4.1-nano"),
            None,
            "unknown_unit:storage_searches",
        ),
        (
            "openai_responses",
            response(context_management=[{"type": "compaction"}]),
            None,
            "unbounded_request:context_management",
        ),
        (
            "openai_responses",
            response(reasoning={"mode": "pro"}),
            None,
            "unbounded_request:reasoning.mode",
        ),
        ("openai_responses", response(tools="all"), None, "unbounded_request:tools"),
        ("openai_responses", response(swarm=9), None, "unbounded_request:swarm"),
        (
            "anthropic_messages",
            message(tools=[CLAUDE_SEARCH]),
            None,
            "unbounded_request:web_search_20250305",
        ),
        (
            "anthropic_messages",
            message(tools=[{**CLAUDE_SEARCH, "max_uses": 0}]),
            None,
            "unbounded_request:web_search_20250305",
        ),
        (
            "anthropic_messages",
            message(tools=[{"type": "web_search_20990101", "max_uses": 1}]),
            None,
            "unbounded_request:web_search_20990101",
        ),
        (
            "anthropic_messages",
            message(tools=[{**CLAUDE_SEARCH, "max_uses": 1}, {"type": "code_execution_20250825"}]),
            None,
            "unbounded_request:code_execution_20250825",
        ),
        (
            "anthropic_messages",
            message(mcp_servers=[{"url": "https://example.org"}]),
            None,
            "unbounded_request:mcp_servers",
        ),
        (
            "anthropic_messages",
            message(context_management={"edits": []}),
            None,
            "unbounded_request:context_management",
        ),
        ("anthropic_messages", message(container="c"), None, "unbounded_request:container"),
        ("anthropic_messages", message(fallbacks=[]), None, "unbounded_request:fallbacks"),
        ("gemini_content", content(tools=[{"googleSearch": {}}]), FLASH, "googleSearch"),
        ("gemini_content", content(tools=[{"google_search": {}}]), FLASH, "google_search"),
        ("gemini_content", content(tools={"codeExecution": {}}), FLASH, "codeExecution"),
        ("gemini_content", content(tools=["x"]), FLASH, "tools"),
        ("gemini_content", content(agents=[1]), FLASH, "agents"),
        (
            "gemini_content",
            content(serviceTier="flex", service_tier="standard"),
            FLASH,
            "unreadable",
        ),
        ("gemini_content", content(serviceTier="PRIORITY"), FLASH, "unknown_tier:priority"),
        ("gemini_embeddings", {"requests": ["x"]}, "gemini-embedding-001", "requests"),
    ],
)
def test_names_what_has_no_bound(
    form: FormName, asked: dict[str, Any], model: str | None, reason: str
) -> None:
    expected = reason if ":" in reason or reason in _PLAIN else f"unbounded_request:{reason}"

    assert bound_of(form, asked, model=model) == Unbounded(expected)


_PLAIN = ("unpriced_model", "async_not_bounded")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (CallFacts(readable=False, model="gpt-4o"), "unreadable_request"),
        (CallFacts(readable=True, model="gpt-4o"), "unbounded_request"),
    ],
)
def test_bounds_nothing_that_was_not_read(facts: CallFacts, reason: str) -> None:
    assert bound(facts, book=bundled_book(), provider="openai", at=AT) == Unbounded(reason)


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ("openai_chat", chat(tools=[FUNCTION, {"type": "custom", "custom": {"name": "c"}}])),
        ("openai_chat", chat(web_search_options=None, tools=None, service_tier=None)),
        ("openai_chat", chat(response_format={"type": "json_object"}, tool_choice="required")),
        ("openai_responses", response(tools=[{"type": "function", "name": "f"}])),
        ("openai_responses", response(tools=[{"type": "local_shell"}])),
        ("openai_responses", response(reasoning={"effort": "low"}, previous_response_id=None)),
        ("anthropic_messages", message(thinking={"type": "enabled", "budget_tokens": 1024})),
        ("anthropic_messages", message(tools=[{"type": "bash_20250124", "name": "bash"}])),
        ("anthropic_messages", message(mcp_servers=[], container=None)),
    ],
)
def test_bounds_by_its_bytes_what_the_client_runs_itself(
    form: FormName, asked: dict[str, Any]
) -> None:
    found = bound_of(form, asked)

    assert isinstance(found, Bound)
    assert found.bound_kind == "bytes"


@pytest.mark.parametrize(
    ("form", "asked", "model"),
    [
        ("gemini_content", content(tools=[{"googleSearch": {}}]), FLASH),
        ("openai_responses", response(tools=[WEB]), None),
        ("openai_chat", chat(model="gpt-4o-search-preview"), None),
    ],
)
def test_takes_the_declared_cost_of_tools_without_a_limit(
    form: FormName, asked: dict[str, Any], model: str | None
) -> None:
    free = bound_of(form, asked, model=model, tool_allowance=0)
    declared = bound_of(form, asked, model=model, tool_allowance=500_000_000)

    assert isinstance(free, Bound)
    assert isinstance(declared, Bound)
    assert declared.bound_kind == "declared"
    assert declared.nanos == free.nanos + 500_000_000


def test_no_declared_cost_bounds_what_is_unknown() -> None:
    asked = chat(brand_new="x")

    found = bound_of("openai_chat", asked, tool_allowance=10**9)

    assert found == Unbounded("unbounded_request:brand_new")
