"""A model thinks less, in words that it takes, and never more than it was asked to."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.effort import lower_effort
from common.llm.reductions.request import Reduced, Unsafe
from common.llm.reductions.wanted import EffortAtMost, EffortDown
from tests.reductions.shortest import (
    CHAT,
    CLAUDE,
    GEMINI,
    INTERACTIONS,
    RESPONSES,
    STREAM,
    budget,
    request_of,
    thinking,
)

NONE, LOW, MEDIUM = EffortAtMost("none"), EffortAtMost("low"), EffortAtMost("medium")
DOWN = EffortDown(1)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
OWN_TOOL = {"type": "web_search"}


def reasoning(effort: str) -> dict[str, Any]:
    return {"reasoning": {"effort": effort, "summary": "auto"}}


@pytest.mark.parametrize(
    ("model", "asked", "wanted", "written"),
    [
        ("o3", "high", LOW, "low"),
        ("o3", "high", NONE, "low"),
        ("o3", None, DOWN, "low"),
        ("o4-mini-2025-04-16", None, NONE, "low"),
        ("gpt-5", "high", LOW, "low"),
        ("gpt-5", None, NONE, "minimal"),
        ("gpt-5-mini-2025-08-07", "medium", EffortDown(9), "minimal"),
        ("openai/gpt-5", None, LOW, "low"),
        ("gpt-5.1", "high", NONE, "none"),
        ("gpt-5.1-2025-11-13", "medium", EffortAtMost("minimal"), "none"),
        ("gpt-5.1-codex-mini", "high", LOW, "medium"),
        ("gpt-5.2", "xhigh", DOWN, "high"),
        ("gpt-5.2-pro", "xhigh", NONE, "medium"),
        ("gpt-5.3-codex", "xhigh", NONE, "low"),
        ("gpt-5.5", None, NONE, "none"),
        ("gpt-5.6-sol", None, LOW, "low"),
        ("gpt-6-luna", "xhigh", EffortDown(2), "medium"),
        ("gpt-6.1-sol", None, NONE, "low"),
        ("gpt-6-astra", "high", NONE, "low"),
    ],
)
def test_writes_a_word_that_the_model_of_openai_takes(
    model: str, asked: str | None, wanted: Any, written: str
) -> None:
    chat = request_of(CHAT, model, {} if asked is None else {"reasoning_effort": asked})
    response = request_of(RESPONSES, model, {} if asked is None else reasoning(asked))

    in_chat, in_response = lower_effort(chat, wanted), lower_effort(response, wanted)

    assert isinstance(in_chat, Reduced)
    assert in_chat.told == written
    assert in_chat.request.members == {**chat.members, "reasoning_effort": written}
    assert isinstance(in_response, Reduced)
    kept = {} if asked is None else {"summary": "auto"}
    assert in_response.request.members["reasoning"] == {**kept, "effort": written}


@pytest.mark.parametrize(
    ("form", "model", "more", "wanted"),
    [
        (CHAT, "o3", {"reasoning_effort": "low"}, NONE),
        (CHAT, "gpt-5", {"reasoning_effort": "minimal"}, NONE),
        (CHAT, "gpt-5", {"reasoning_effort": "low"}, MEDIUM),
        (CHAT, "gpt-5", {}, MEDIUM),
        (CHAT, "gpt-5", {}, EffortDown(0)),
        (CHAT, "gpt-5.1", {}, NONE),
        (CHAT, "gpt-5.4", {}, LOW),
        (CHAT, "gpt-5-pro", {}, NONE),
        (CHAT, "gpt-5-pro", {"reasoning_effort": "high"}, NONE),
        (CHAT, "gpt-5.2-codex", {}, LOW),
        (CHAT, "gpt-5-chat-latest", {}, NONE),
        (CHAT, "gpt-5.3-chat", {"reasoning_effort": "medium"}, NONE),
        (CHAT, "gpt-4o", {}, NONE),
        (CHAT, "gpt-4.1-mini", {}, NONE),
        (CHAT, "o1-mini", {}, NONE),
        (CHAT, "ft:gpt-5:mine::1", {"reasoning_effort": "high"}, NONE),
        (CHAT, "somebody/brand-new", {"reasoning_effort": "high"}, NONE),
        (CHAT, "gpt-5" + "-001" * 40, {"reasoning_effort": "high"}, NONE),
        (RESPONSES, "gpt-4o", {}, NONE),
        (RESPONSES, "gpt-5.1", {"reasoning": None}, NONE),
        (CLAUDE, "claude-haiku-4-5", {}, NONE),
        (CLAUDE, "claude-sonnet-4-5", {"thinking": {"type": "disabled"}}, NONE),
        (CLAUDE, "claude-sonnet-4-5", budget(1_024), NONE),
        (CLAUDE, "claude-sonnet-4-5", budget(60_000), EffortAtMost("max")),
        (CLAUDE, "claude-unheard-of", {"thinking": {"type": "adaptive"}}, NONE),
        (CLAUDE, "claude-opus-4-5", {"output_config": {"effort": "low"}}, NONE),
        (CLAUDE, "claude-opus-5-5", {}, MEDIUM),
        (GEMINI, "gemini-2.0-flash", {}, NONE),
        (GEMINI, "gemini-2.5-flash-lite", {}, NONE),
        (GEMINI, "gemini-2.5-flash", thinking(thinkingBudget=0), NONE),
        (GEMINI, "gemini-2.5-flash", thinking(thinkingBudget=-1), MEDIUM),
        (GEMINI, "gemini-2.5-pro", thinking(thinkingBudget=128), NONE),
        (GEMINI, "gemini-2.5-flash-preview-tts", {}, NONE),
        (GEMINI, "gemini-3-pro-image", {}, NONE),
        (GEMINI, "gemini-3-pro-preview", thinking(thinkingLevel="LOW"), NONE),
        (GEMINI, "gemini-3.1-flash-lite", {}, NONE),
        (INTERACTIONS, "gemini-2.5-flash", {}, NONE),
        (INTERACTIONS, "gemini-3-flash-preview", {"agent": "deep-research"}, NONE),
        (CHAT, "o1-preview", {}, LOW),
        (CHAT, "gpt-oss-120b", {}, LOW),
    ],
)
def test_leaves_alone_what_is_low_already_or_not_known(
    form: FormName, model: str, more: dict[str, Any], wanted: Any
) -> None:
    assert lower_effort(request_of(form, model, more), wanted) is None


def test_adds_an_effort_only_where_openai_itself_answers() -> None:
    elsewhere = request_of(CHAT, "openai/gpt-5", {}, upstream="openrouter")
    high = {"reasoning_effort": "high"}
    asked = request_of(CHAT, "openai/gpt-5:batch", high, upstream="openrouter")
    azure = request_of(CHAT, "gpt-5", {}, upstream="azure")

    lowered, added = lower_effort(asked, LOW), lower_effort(azure, LOW)

    assert lower_effort(elsewhere, LOW) is None
    assert isinstance(lowered, Reduced)
    assert lowered.request.members["reasoning_effort"] == "low"
    assert isinstance(added, Reduced)
    assert added.request.members["reasoning_effort"] == "low"


@pytest.mark.parametrize("form", [CHAT, RESPONSES])
def test_thinks_more_than_minimally_beside_tools(form: FormName) -> None:
    tool = TOOL if form == CHAT else OWN_TOOL
    reduced = lower_effort(request_of(form, "gpt-5", {"tools": [tool]}), NONE)

    assert isinstance(reduced, Reduced)
    assert reduced.told == "low"


def test_adds_no_effort_that_chat_completions_refuse_beside_functions() -> None:
    with_functions = request_of(CHAT, "gpt-5.5", {"tools": [TOOL]})
    early = request_of(CHAT, "gpt-5", {"tools": [TOOL]})

    stopped = lower_effort(with_functions, NONE)

    assert lower_effort(with_functions, LOW) == Unsafe("tools")
    assert isinstance(stopped, Reduced)
    assert stopped.told == "none"
    assert isinstance(lower_effort(early, LOW), Reduced)


@pytest.mark.parametrize(
    ("model", "more", "wanted", "changed", "told"),
    [
        ("claude-opus-4-5", {}, LOW, {"output_config": {"effort": "low"}}, "low"),
        ("claude-opus-4-5@20251101", {}, LOW, {"output_config": {"effort": "low"}}, "low"),
        ("claude-opus-4-5-20251101", {}, DOWN, {"output_config": {"effort": "medium"}}, "medium"),
        ("claude-opus-5-5", {}, NONE, {"output_config": {"effort": "low"}}, "low"),
        (
            "claude-sonnet-5",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            DOWN,
            {"output_config": {"effort": "xhigh"}},
            "xhigh",
        ),
        (
            "claude-opus-4-6",
            {"output_config": {"effort": "max", "format": None}},
            DOWN,
            {"output_config": {"effort": "high", "format": None}},
            "high",
        ),
        (
            "claude-opus-4-6",
            budget(32_000),
            LOW,
            {"output_config": {"effort": "low"}, **budget(1_024)},
            "low",
        ),
        ("claude-sonnet-4-5", budget(32_000), NONE, budget(1_024), "1024"),
        ("claude-sonnet-4-5", budget(32_000), MEDIUM, budget(4_096), "4096"),
        ("claude-sonnet-4-5", budget(32_000), DOWN, budget(16_384), "16384"),
        ("claude-sonnet-4-5", budget(10_000), DOWN, budget(4_096), "4096"),
        ("claude-haiku-4-5", budget(4_096), EffortDown(5), budget(1_024), "1024"),
    ],
)
def test_lowers_what_claude_spends(
    model: str, more: dict[str, Any], wanted: Any, changed: dict[str, Any], told: str
) -> None:
    request = request_of(CLAUDE, model, more)

    reduced = lower_effort(request, wanted)

    assert isinstance(reduced, Reduced)
    assert reduced.told == told
    assert reduced.request.members == {**request.members, **changed}


@pytest.mark.parametrize(
    ("model", "given", "wanted", "told"),
    [
        ("gemini-2.5-pro", None, NONE, 128),
        ("gemini-2.5-pro", 30_000, EffortAtMost("minimal"), 512),
        ("gemini-2.5-pro", 30_000, DOWN, 24_576),
        ("gemini-2.5-flash", None, NONE, 0),
        ("gemini-2.5-flash", -1, LOW, 1_024),
        ("gemini-2.5-flash", -1, DOWN, 1_024),
        ("gemini-2.5-flash-preview-09-2025", 9_000, MEDIUM, 8_192),
        ("gemini-2.5-flash-lite", -1, NONE, 0),
        ("gemini-2.5-flash-lite", 8_192, EffortDown(2), 512),
        ("models/gemini-2.5-flash-001", 700, DOWN, 512),
    ],
)
@pytest.mark.parametrize("form", [GEMINI, STREAM])
def test_gives_earlier_models_of_gemini_a_smaller_budget(
    form: FormName, model: str, given: int | None, wanted: Any, told: int
) -> None:
    more = {} if given is None else thinking(thinkingBudget=given)

    reduced = lower_effort(request_of(form, model, more), wanted)

    assert isinstance(reduced, Reduced)
    assert reduced.told == str(told)
    assert reduced.request.members["generationConfig"] == {
        "thinkingConfig": {"thinkingBudget": told}
    }


def test_leaves_some_of_the_thoughts_that_are_to_be_shown() -> None:
    shown = thinking(thinkingBudget=8_192, includeThoughts=True)

    reduced = lower_effort(request_of(GEMINI, "gemini-2.5-flash", shown), NONE)

    assert isinstance(reduced, Reduced)
    assert reduced.told == "512"


@pytest.mark.parametrize(
    ("model", "level", "wanted", "written"),
    [
        ("gemini-3-pro-preview", None, MEDIUM, "LOW"),
        ("gemini-3-pro-preview", "high", DOWN, "low"),
        ("gemini-3.1-pro-preview", "HIGH", MEDIUM, "MEDIUM"),
        ("gemini-3-flash-preview", None, NONE, "MINIMAL"),
        ("gemini-3-flash-preview", "high", EffortDown(2), "low"),
        ("gemini-3.8-flash", None, NONE, "LOW"),
    ],
)
def test_gives_later_models_of_gemini_a_lower_level(
    model: str, level: str | None, wanted: Any, written: str
) -> None:
    asked = {} if level is None else {"thinkingLevel": level}

    reduced = lower_effort(request_of(GEMINI, model, thinking(**asked)), wanted)

    assert isinstance(reduced, Reduced)
    assert reduced.told == written.lower()
    assert reduced.request.members["generationConfig"] == {
        "thinkingConfig": {"thinkingLevel": written}
    }


def test_spells_a_member_like_what_is_around_it() -> None:
    given = {"generation_config": {"top_p": 0.5, "thinking_config": {"thinking_budget": 9_000}}}
    bare: dict[str, Any] = {"generation_config": {}}

    kept = lower_effort(request_of(GEMINI, "gemini-2.5-flash", given), LOW)
    added = lower_effort(request_of(GEMINI, "gemini-3.8-flash", bare), LOW)

    assert isinstance(kept, Reduced)
    assert kept.request.members["generation_config"] == {
        "top_p": 0.5,
        "thinking_config": {"thinking_budget": 1_024},
    }
    assert isinstance(added, Reduced)
    assert added.request.members["generation_config"] == {
        "thinking_config": {"thinking_level": "LOW"}
    }


def test_lowers_the_level_of_an_interaction() -> None:
    given = {"generation_config": {"thinking_level": "high", "seed": 1}}

    lowered = lower_effort(request_of(INTERACTIONS, "gemini-3-flash-preview", given), LOW)
    added = lower_effort(request_of(INTERACTIONS, "gemini-3.8-flash", {}), NONE)

    assert isinstance(lowered, Reduced)
    assert lowered.request.members["generation_config"] == {"thinking_level": "low", "seed": 1}
    assert isinstance(added, Reduced)
    assert added.request.members["generation_config"] == {"thinking_level": "low"}


@pytest.mark.parametrize(
    ("form", "model", "more", "reason"),
    [
        (CHAT, "gpt-5", {"reasoning_effort": "hard"}, "thinking"),
        (CHAT, "gpt-5", {"reasoning_effort": ["high"]}, "thinking"),
        (RESPONSES, "gpt-5", {"reasoning": "high"}, "thinking"),
        (RESPONSES, "gpt-5.6-sol", {"reasoning": {"mode": "pro"}}, "mode"),
        (CLAUDE, "claude-opus-5", {"output_config": "low"}, "thinking"),
        (CLAUDE, "claude-opus-5", {"max_tokens": 0}, "cache_warming"),
        (CLAUDE, "claude-sonnet-4-5", budget(True), "thinking"),
        (GEMINI, "gemini-2.5-pro", thinking(thinkingBudget="9"), "thinking"),
        (GEMINI, "gemini-2.5-pro", thinking(thinkingBudget=-2), "thinking"),
        (GEMINI, "gemini-2.5-pro", thinking(thinkingLevel="HIGH"), "thinking"),
        (GEMINI, "gemini-3-pro-preview", thinking(thinkingBudget=9_000), "thinking"),
        (
            GEMINI,
            "gemini-3-pro-preview",
            thinking(thinkingLevel="HIGH", thinkingBudget=1),
            "thinking",
        ),
        (GEMINI, "gemini-3-pro-preview", thinking(thinkingLevel=3), "thinking"),
        (GEMINI, "gemini-2.5-pro", {"generationConfig": []}, "unreadable"),
        (
            GEMINI,
            "gemini-2.5-pro",
            {"generationConfig": {"thinkingConfig": {}, "thinking_config": {}}},
            "duplicate_members",
        ),
        (INTERACTIONS, "gemini-3.8-flash", {"generation_config": 1}, "thinking"),
    ],
)
def test_says_why_it_lowers_nothing(
    form: FormName, model: str, more: dict[str, Any], reason: str
) -> None:
    assert lower_effort(request_of(form, model, more), NONE) == Unsafe(reason)


@pytest.mark.parametrize(
    ("form", "model", "more"),
    [
        (
            CHAT,
            "gpt-5",
            {"messages": [{"role": "tool", "tool_call_id": "1", "content": "4"}]},
        ),
        (
            RESPONSES,
            "gpt-5",
            {"input": [{"type": "function_call_output", "call_id": "1", "output": "4"}]},
        ),
        (
            CLAUDE,
            "claude-opus-5",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]},
                    {"role": "system", "content": "Mind the units."},
                ]
            },
        ),
        (
            CLAUDE,
            "claude-sonnet-4-5",
            {
                **budget(9_000),
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]}
                ],
            },
        ),
        (
            GEMINI,
            "gemini-2.5-flash",
            {"contents": [{"parts": [{"functionResponse": {"name": "look", "response": {}}}]}]},
        ),
        (
            INTERACTIONS,
            "gemini-3.8-flash",
            {"input": [{"type": "function_result", "call_id": "1", "result": "4"}]},
        ),
    ],
)
def test_lets_a_model_think_on_while_a_tool_answers(
    form: FormName, model: str, more: dict[str, Any]
) -> None:
    assert lower_effort(request_of(form, model, more), NONE) == Unsafe("tool_result")
