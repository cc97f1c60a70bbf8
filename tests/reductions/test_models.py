"""A request moves to a cheaper model only with all that it says."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from common.llm.reductions.models import use_model
from common.llm.reductions.request import Reduced, Unsafe
from common.llm.reductions.wanted import UseModel
from tests.reductions.asked import (
    CLAUDE_SEARCH,
    CLAUDE_TOOL,
    FUNCTION,
    GEMINI_TOOL,
    IMAGE,
    asked,
    members_of,
    said,
    user,
)

CHAT = {"messages": [user("Why?")]}
RESPONSE = {"input": "Why?"}
MESSAGE = {"messages": [user("Why?")], "max_tokens": 900}
CONTENT = {"contents": [said({"text": "Why?"})]}
YES = {"role": "assistant", "content": "Yes?"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://pictures.test/cat.png"}}
SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}}
CAPPED = {**CHAT, "max_completion_tokens": 20_000}
EFFORT = {"reasoning_effort": "xhigh"}
TO_MINI, TO_HAIKU, TO_FLASH = "gpt-5-mini", "claude-haiku-4-5", "gemini-2.5-flash"


def moved(
    form: FormName, members: Any, old: str, new: str, *, size_bytes: int = 1_000
) -> Reduced | Unsafe | None:
    named = members if form.startswith("gemini_content") else {"model": old, **members}
    request = asked(form, named, old)
    return use_model(request, UseModel(new), book=bundled_book(), size_bytes=size_bytes)


@pytest.mark.parametrize(
    ("form", "old", "new", "before", "after"),
    [
        ("openai_chat", "gpt-5", TO_MINI, CHAT, CHAT),
        ("openai_chat", "gpt-5-2025-08-07", TO_MINI, CHAT, CHAT),
        ("openai_chat", "gpt-4o", "gpt-4o-mini", {**CHAT, "n": 2}, {**CHAT, "n": 2}),
        (
            "openai_chat",
            "gpt-4o",
            "gpt-4o-mini",
            {**CHAT, **SCHEMA, "max_tokens": 9, "temperature": 0, "tools": [FUNCTION]},
            {**CHAT, **SCHEMA, "max_tokens": 9, "temperature": 0, "tools": [FUNCTION]},
        ),
        ("openai_chat", "gpt-4.1", "gpt-4.1-mini", CAPPED, CAPPED),
        (
            "openai_chat",
            "gpt-4.1",
            "gpt-4o-mini",
            CAPPED,
            {**CHAT, "max_completion_tokens": 16_384},
        ),
        (
            "openai_chat",
            "gpt-5.2",
            TO_MINI,
            {**CHAT, **EFFORT},
            {**CHAT, "reasoning_effort": "high"},
        ),
        ("openai_chat", "gpt-5.1", TO_MINI, CHAT, {**CHAT, "reasoning_effort": "minimal"}),
        (
            "openai_responses",
            "gpt-5.1",
            TO_MINI,
            {**RESPONSE, "reasoning": {"effort": "none"}},
            {**RESPONSE, "reasoning": {"effort": "minimal"}},
        ),
        (
            "openai_chat",
            "gpt-5",
            TO_MINI,
            {"messages": [user([IMAGE])]},
            {"messages": [user([IMAGE])]},
        ),
        ("anthropic_messages", "claude-opus-4-5", TO_HAIKU, MESSAGE, MESSAGE),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {
                **MESSAGE,
                "max_tokens": 100_000,
                "tools": [CLAUDE_TOOL],
                "thinking": {"type": "enabled", "budget_tokens": 2_000},
            },
            {
                **MESSAGE,
                "max_tokens": 64_000,
                "tools": [CLAUDE_TOOL],
                "thinking": {"type": "enabled", "budget_tokens": 2_000},
            },
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "messages": [user([PICTURE])]},
            {**MESSAGE, "messages": [user([PICTURE])]},
        ),
    ],
)
def test_moves_a_request_that_the_new_model_takes(
    form: FormName, old: str, new: str, before: Any, after: Any
) -> None:
    found = moved(form, before, old, new)

    assert members_of(found) == {"model": new, **after}
    assert isinstance(found, Reduced)
    assert found.told == found.request.recipient.model == new
    card = bundled_book().card(found.request.recipient.endpoint.protocol, new)
    assert card is not None
    assert found.request.recipient.caps == card.caps
    again = use_model(found.request, UseModel(new), book=bundled_book(), size_bytes=1_000)
    assert again is None


def test_moves_a_request_whose_model_stands_in_the_path() -> None:
    found = moved("gemini_content", CONTENT, "gemini-2.5-pro", TO_FLASH)

    assert isinstance(found, Reduced)
    assert found.request.members is CONTENT
    assert found.request.recipient.model == TO_FLASH


def test_names_the_model_as_the_request_does() -> None:
    members = {"model": "models/gemini-2.5-pro", "input": "Why?"}

    found = moved("gemini_interactions", members, "gemini-2.5-pro", TO_FLASH)

    assert members_of(found) == {"model": f"models/{TO_FLASH}", "input": "Why?"}


@pytest.mark.parametrize(
    ("form", "old", "new", "members", "reason"),
    [
        ("openai_chat", "gpt-5-mini", "gpt-5", CHAT, "not_cheaper"),
        ("openai_chat", "gpt-5", "gpt-5.1", CHAT, "not_cheaper"),
        ("openai_chat", "gpt-5-mini", "gpt-4.1-mini", CHAT, "not_cheaper"),
        ("openai_chat", "o3", "o3-mini", CHAT, "not_cheaper"),
        ("openai_chat", "gpt-5", "gpt-no-such", CHAT, "unknown_model"),
        ("openai_chat", "gpt-no-such", TO_MINI, CHAT, "unknown_model"),
        ("openai_chat", "gpt-5", "gpt-oss-120b", CHAT, "unknown_model"),
        ("openai_chat", "gpt-4o", TO_MINI, {**CHAT, "max_tokens": 9_000}, "max_tokens"),
        ("openai_chat", "gpt-4o", TO_MINI, {**CHAT, "temperature": 0}, "temperature"),
        ("openai_chat", "gpt-4o", TO_MINI, {**CHAT, "max_completion_tokens": 300}, "output_cap"),
        ("openai_chat", "gpt-5.4", "gpt-4o-mini", {**CHAT, "verbosity": "low"}, "verbosity"),
        ("openai_chat", "gpt-5", "gpt-4o-mini", {**CHAT, "reasoning_effort": "low"}, "thinking"),
        ("openai_chat", "gpt-4o", "o3-mini", CHAT, "thinking"),
        ("openai_chat", "o1", "o3-mini", {"messages": [user([IMAGE])]}, "pictures"),
        ("openai_chat", "gpt-4o", "gpt-3.5-turbo", CHAT, "unknown_model"),
        ("gemini_interactions", "gemini-2.5-pro", TO_HAIKU, RESPONSE, "other_maker"),
        ("openai_chat", "gpt-5", TO_MINI, {**CHAT, "audio": {}}, "audio"),
        ("openai_chat", "gpt-5", TO_MINI, {**CHAT, "service_tier": "scale"}, "service_tier"),
        (
            "openai_chat",
            "gpt-4.1",
            "gpt-4o-mini",
            {**CAPPED, **SCHEMA},
            "structured_output",
        ),
        (
            "openai_chat",
            "gpt-5",
            TO_MINI,
            {"messages": [user("Hi"), YES, {"role": "tool", "tool_call_id": "c", "content": "1"}]},
            "tool_result",
        ),
        ("openai_responses", "gpt-5", TO_MINI, {**RESPONSE, "conversation": "c"}, "stored"),
        (
            "openai_responses",
            "gpt-5",
            TO_MINI,
            {**RESPONSE, "tools": [{"type": "web_search"}]},
            "web_search",
        ),
        (
            "openai_responses",
            "gpt-5",
            TO_MINI,
            {"input": [{"type": "reasoning", "summary": []}, user("Hi")]},
            "reasoning",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "max_tokens": 9_000, "thinking": {"type": "adaptive"}},
            "thinking",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "output_config": {"effort": "low"}},
            "effort",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "inference_geo": "us"},
            "inference_geo",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "tools": [CLAUDE_SEARCH]},
            "web_search_20250305",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "temperature": 1, "top_p": 0.9},
            "top_p",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "messages": [user("Hi"), {"role": "system", "content": "Be kind"}]},
            "system_turn",
        ),
        (
            "anthropic_messages",
            "claude-opus-4-6",
            TO_HAIKU,
            {**MESSAGE, "max_tokens": 0},
            "output_cap",
        ),
        (
            "gemini_content",
            "gemini-2.5-pro",
            TO_FLASH,
            {**CONTENT, "tools": [{"googleSearch": {}}]},
            "googleSearch",
        ),
        (
            "gemini_content",
            "gemini-3-pro-preview",
            TO_FLASH,
            {**CONTENT, "generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}},
            "thinking",
        ),
        (
            "gemini_content",
            "gemini-2.5-pro",
            "gemini-2.0-flash",
            {**CONTENT, "generationConfig": {"thinkingConfig": {"thinkingBudget": 512}}},
            "thinking",
        ),
        (
            "gemini_content",
            "gemini-2.5-pro",
            TO_FLASH,
            {**CONTENT, "generationConfig": {"responseModalities": ["TEXT"]}},
            "responseModalities",
        ),
        ("gemini_content", "gemini-2.5-pro", TO_FLASH, {**CONTENT, "cachedContent": "c"}, "stored"),
        (
            "gemini_content",
            "gemini-2.5-pro",
            TO_FLASH,
            {"contents": [said({"text": "Hi"}), said({"text": "Yes", "thoughtSignature": "s"})]},
            "thoughtSignature",
        ),
    ],
)
def test_leaves_a_request_that_the_new_model_may_not_take(
    form: FormName, old: str, new: str, members: Any, reason: str
) -> None:
    assert moved(form, members, old, new) == Unsafe(reason)


@pytest.mark.parametrize(
    ("members", "size_bytes", "fits"),
    [
        (CHAT, 123_000, True),
        (CHAT, 125_000, False),
        ({**CHAT, "max_completion_tokens": 16_000}, 109_000, False),
        ({"messages": [user([IMAGE])]}, 70_000, True),
        ({"messages": [user([IMAGE, IMAGE])]}, 70_000, False),
        ({"messages": [user([{"type": "file", "file": {"file_id": "f"}}])]}, 1_000, False),
    ],
)
def test_moves_only_what_surely_fits_the_smaller_window(
    members: Any, size_bytes: int, fits: bool
) -> None:
    found = moved("openai_chat", members, "gpt-4.1", "gpt-4o-mini", size_bytes=size_bytes)

    assert isinstance(found, Reduced) if fits else found == Unsafe("context_window")


def test_trusts_a_window_that_is_no_smaller() -> None:
    found = moved("openai_chat", CHAT, "gpt-4.1", "gpt-4.1-nano", size_bytes=3_000_000)

    assert isinstance(found, Reduced)


@pytest.mark.parametrize(("cap", "after"), [(8_000, 8_000), (20_000, 8_192)])
def test_lowers_a_cap_to_what_the_older_models_of_gemini_take(cap: int, after: int) -> None:
    members = {**CONTENT, "generationConfig": {"maxOutputTokens": cap}}

    found = moved("gemini_content", members, "gemini-2.5-pro", "gemini-2.0-flash")

    assert members_of(found)["generationConfig"] == {"maxOutputTokens": after}


def test_does_not_move_the_call_of_a_tool_to_a_model_that_could_cut_it() -> None:
    """Its longest is 8,192 tokens: less than the file that an agent may write."""
    members = {**CONTENT, "tools": [GEMINI_TOOL], "generationConfig": {"maxOutputTokens": 20_000}}

    found = moved("gemini_content", members, "gemini-2.5-pro", "gemini-2.0-flash")

    assert found == Unsafe("max_output")


def test_names_a_model_as_the_one_before_was_named() -> None:
    members = {**CHAT, "model": "google/gemini-2.5-pro"}
    request = asked("openai_chat", members, "gemini-2.5-pro", upstream="vertex")

    found = use_model(request, UseModel("gemini-2.0-flash"), book=bundled_book(), size_bytes=100)

    assert members_of(found)["model"] == "google/gemini-2.0-flash"


@pytest.mark.parametrize("upstream", ["own-vllm", "azure"])
def test_leaves_upstreams_whose_models_are_not_known(upstream: str) -> None:
    request = asked("openai_chat", CHAT, "gpt-5", upstream=upstream)

    found = use_model(request, UseModel(TO_MINI), book=bundled_book(), size_bytes=100)

    assert found == Unsafe("unknown_upstream")
