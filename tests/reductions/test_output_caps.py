"""The cap leaves so many tokens to be read, whatever is thought beside them."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.output_caps import cap_output
from common.llm.reductions.request import Reduced, Unsafe
from common.llm.reductions.wanted import OutputCap
from tests.reductions.asked import (
    CLAUDE_TOOL,
    FUNCTION,
    GEMINI_TOOL,
    OWN_TOOL,
    asked,
    members_of,
)

BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 9_000}
ADAPTIVE = {"thinking": {"type": "adaptive"}, "max_tokens": 9_000}
SCHEMA = {"response_format": {"type": "json_schema"}, "max_tokens": 900}


def config(tokens: int, **more: Any) -> dict[str, Any]:
    return {"generationConfig": {"maxOutputTokens": tokens, **more}}


def budget(tokens: int) -> dict[str, Any]:
    return {"thinkingConfig": {"thinkingBudget": tokens}}


@pytest.mark.parametrize(
    ("form", "model", "before", "visible", "after"),
    [
        ("openai_chat", "gpt-4o", {"max_tokens": 900}, 512, {"max_tokens": 512}),
        ("openai_chat", "gpt-4o", {}, 512, {"max_completion_tokens": 512}),
        ("openai_chat", "gpt-5", {}, 512, {"max_completion_tokens": 2048}),
        ("openai_chat", "gpt-5", {}, 1024, {"max_completion_tokens": 4096}),
        ("openai_responses", "gpt-4.1", {}, 4, {"max_output_tokens": 16}),
        ("openai_responses", "o3", {}, 600, {"max_output_tokens": 2400}),
        (
            "openai_responses",
            "gpt-5.1",
            {"reasoning": {"effort": "none"}},
            600,
            {"reasoning": {"effort": "none"}, "max_output_tokens": 600},
        ),
        ("openai_completions", "davinci-002", {"max_tokens": 90}, 50, {"max_tokens": 50}),
        ("anthropic_messages", "claude-haiku-4-5", {"max_tokens": 900}, 512, {"max_tokens": 512}),
        ("anthropic_messages", "claude-haiku-4-5", BUDGET, 512, {**BUDGET, "max_tokens": 2_512}),
        ("anthropic_messages", "claude-opus-4-6", ADAPTIVE, 512, {**ADAPTIVE, "max_tokens": 2048}),
        ("anthropic_messages", "claude-opus-4-6", ADAPTIVE, 999, {**ADAPTIVE, "max_tokens": 3996}),
        ("gemini_content", "gemini-2.0-flash", config(900), 512, config(512)),
        ("gemini_content", "gemini-2.0-flash", {}, 512, config(512)),
        ("gemini_content", "gemini-2.5-flash", {}, 512, config(2048)),
        ("gemini_content", "gemini-2.5-flash", {}, 1024, config(4096)),
        (
            "gemini_content",
            "gemini-2.5-flash",
            config(9_000, **budget(0)),
            512,
            config(512, **budget(0)),
        ),
        (
            "gemini_content",
            "gemini-2.5-pro",
            config(9_000, **budget(4_000)),
            512,
            config(4_512, **budget(4_000)),
        ),
        (
            "gemini_interactions",
            "gemini-2.5-flash",
            {"generation_config": {"seed": 1}},
            512,
            {"generation_config": {"seed": 1, "max_output_tokens": 2048}},
        ),
    ],
)
def test_caps_what_can_be_read(
    form: FormName, model: str, before: Any, visible: int, after: Any
) -> None:
    request = asked(form, before, model) if form != "openai_completions" else _completion(before)

    found = cap_output(request, OutputCap(visible), 100)

    assert isinstance(found, Reduced), found
    assert found.request.members == after
    assert cap_output(found.request, OutputCap(visible), 100) is None
    tokens = {**after, **after.get("generationConfig", {}), **after.get("generation_config", {})}
    assert int(found.told) in tokens.values()


def _completion(members: Any) -> Any:
    return asked("openai_completions", members, "davinci-002")


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {"max_tokens": 512}),
        ("openai_chat", {"max_tokens": 100}),
        ("anthropic_messages", {"max_tokens": 0}),
        ("anthropic_messages", {**BUDGET, "max_tokens": 2_400}),
        ("gemini_content", config(2048)),
        ("gemini_content", config(1000)),
    ],
)
def test_leaves_a_cap_that_is_as_low(form: FormName, members: Any) -> None:
    assert cap_output(asked(form, members), OutputCap(512), 100) is None


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (SCHEMA, "structured_output"),
        ({"max_tokens": 900, "tools": [FUNCTION], "tool_choice": "required"}, "forced_tool"),
        ({"max_tokens": 900, "modalities": ["text", "audio"]}, "media_output"),
        ({"max_tokens": "many"}, "cap_unreadable"),
    ],
)
def test_leaves_what_would_be_spoilt_by_a_cut(members: Any, reason: str) -> None:
    assert cap_output(asked("openai_chat", members), OutputCap(512), 100) == Unsafe(reason)


@pytest.mark.parametrize(
    ("model", "cap"),
    [
        ("claude-sonnet-4-5", 512),
        ("claude-opus-4-8", 512),
        ("claude-opus-5", 2_048),
        ("claude-opus-5-5", 2_048),
        ("claude-sonnet-5", 2_048),
        ("claude-haiku-5-5", 2_048),
        ("claude-fable-5-1", 2_048),
    ],
)
def test_leaves_room_for_what_newer_models_of_claude_s_think_unasked(model: str, cap: int) -> None:
    request = asked("anthropic_messages", {"max_tokens": 9_000}, model)

    assert members_of(cap_output(request, OutputCap(512), 100)) == {"max_tokens": cap}


def test_adds_no_cap_where_the_model_may_not_take_it() -> None:
    request = asked("openai_chat", {}, "llama", upstream="own-vllm")

    assert cap_output(request, OutputCap(512), 100) == Unsafe("cap_absent")


def test_adds_no_cap_that_the_window_has_no_room_for() -> None:
    assert cap_output(asked("openai_chat", {}), OutputCap(512), 127_900) == Unsafe("cap_absent")


CALLED: tuple[tuple[FormName, Any], ...] = (
    ("openai_chat", {"tools": [FUNCTION]}),
    ("openai_chat", {"tools": [FUNCTION], "tool_choice": "auto", "max_tokens": 9_000}),
    ("openai_chat", {"functions": [{"name": "look"}]}),
    ("openai_responses", {"tools": [OWN_TOOL]}),
    ("openai_responses", {"prompt": {"id": "pmpt_1"}}),
    ("anthropic_messages", {"tools": [CLAUDE_TOOL], "max_tokens": 9_000}),
    (
        "anthropic_messages",
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto"}, "max_tokens": 9_000},
    ),
    ("gemini_content", {"tools": [GEMINI_TOOL]}),
    ("gemini_content", {"tools": [GEMINI_TOOL], "toolConfig": {"functionCallingConfig": {}}}),
    ("gemini_content_stream", {"cachedContent": "cachedContents/1"}),
    ("gemini_interactions", {"tools": [{"type": "function", "name": "look"}]}),
    (
        "gemini_interactions",
        {"tools": [OWN_TOOL], "generation_config": {"tool_choice": "auto"}},
    ),
)
NONE = {"functionCallingConfig": {"mode": "NONE"}}
UNCALLED: tuple[tuple[FormName, Any], ...] = (
    ("openai_chat", {"tools": []}),
    ("openai_chat", {"tools": [FUNCTION], "tool_choice": "none"}),
    ("openai_chat", {"functions": [{"name": "look"}], "function_call": "none"}),
    ("openai_responses", {"tools": [OWN_TOOL], "tool_choice": "none"}),
    (
        "anthropic_messages",
        {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "none"}, "max_tokens": 9_000},
    ),
    ("gemini_content", {"tools": [GEMINI_TOOL], "toolConfig": NONE}),
    (
        "gemini_content",
        {"tools": [GEMINI_TOOL], "tool_config": {"function_calling_config": {"mode": "none"}}},
    ),
    (
        "gemini_interactions",
        {
            "tools": [OWN_TOOL],
            "generation_config": {"tool_choice": {"allowed_tools": {"mode": "none"}}},
        },
    ),
)


@pytest.mark.parametrize(("form", "members"), CALLED)
def test_never_cuts_an_answer_that_may_be_the_call_of_a_tool(form: FormName, members: Any) -> None:
    assert cap_output(asked(form, members), OutputCap(512), 100) == Unsafe("offers_tools")


@pytest.mark.parametrize(("form", "members"), UNCALLED)
def test_caps_an_answer_that_is_no_call_of_its_tools(form: FormName, members: Any) -> None:
    assert isinstance(cap_output(asked(form, members), OutputCap(512), 100), Reduced)
