"""A cap leaves what a model thinks its room: an answer that thoughts use up is empty."""

import json
from typing import Any

import pytest

from common.llm.edits import Edited, NotSafe
from common.llm.output_cap import lower_cap
from common.llm.paths import FormName
from tests.fit.requests import recipient_of

CLAUDE, THINKER, PLAIN = "claude-sonnet-4-5", "gpt-5", "gpt-4o"
FLASH, OLD_FLASH = "gemini-2.5-flash", "gemini-2.0-flash"


@pytest.mark.parametrize(
    ("form", "model", "more", "least"),
    [
        ("openai_chat", THINKER, {}, 2_048),
        ("openai_chat", "gpt-5-chat-latest", {}, 1),
        ("openai_chat", "somebody/brand-new", {}, 2_048),
        ("openai_chat", "gpt-5.1", {"reasoning_effort": "none"}, 1),
        ("openai_chat", "gpt-5.1", {"reasoning_effort": "low"}, 2_048),
        ("openai_chat", CLAUDE, {}, 1),
        ("openai_chat", CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 3_000}}, 3_001),
        ("openai_chat", "google/gemini-2.5-flash", {}, 2_048),
        ("openai_chat", CLAUDE, {"reasoning": {"max_tokens": 4_000}}, 4_001),
        ("openai_responses", PLAIN, {}, 16),
        ("openai_responses", THINKER, {"reasoning": {"effort": "low"}}, 2_048),
        ("openai_responses", "gpt-5.1", {"reasoning": {"effort": "none"}}, 16),
        ("anthropic_messages", CLAUDE, {}, 1),
        (
            "anthropic_messages",
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 1_024}},
            1_025,
        ),
        (
            "anthropic_messages",
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 5_000}},
            5_001,
        ),
        ("anthropic_messages", CLAUDE, {"thinking": {"type": "adaptive"}}, 1_025),
    ],
)
def test_leaves_thinking_its_room(
    form: FormName, model: str, more: dict[str, Any], least: int
) -> None:
    cap = {"openai_responses": "max_output_tokens"}.get(form, "max_tokens")
    body = json.dumps({cap: 9_000, **more}).encode()
    recipient = recipient_of(form, model)

    assert isinstance(lower_cap(body, recipient, least), Edited)
    assert lower_cap(body, recipient, least - 1) == NotSafe("below_least")


@pytest.mark.parametrize(
    ("model", "thinking", "least"),
    [
        (FLASH, None, 2_048),
        (FLASH, {"thinkingBudget": -1}, 2_048),
        (FLASH, {"thinkingBudget": 1_000}, 2_048),
        (FLASH, {"thinkingBudget": 4_000}, 4_001),
        (FLASH, {"thinking_budget": 0}, 1),
        ("gemini-3-pro", {"thinkingBudget": 0}, 2_048),
        ("gemini-3-pro", {"thinkingLevel": "low"}, 2_048),
        ("gemini-flash-latest", None, 2_048),
        (OLD_FLASH, None, 1),
    ],
)
def test_leaves_gemini_s_thoughts_their_room(
    model: str, thinking: dict[str, Any] | None, least: int
) -> None:
    config = {"maxOutputTokens": 9_000, "thinkingConfig": thinking}
    body = json.dumps({"generationConfig": config}).encode()
    recipient = recipient_of("gemini_content", model)

    assert isinstance(lower_cap(body, recipient, least), Edited)
    assert lower_cap(body, recipient, least - 1) == NotSafe("below_least")


@pytest.mark.parametrize(
    ("model", "level", "least"),
    [(FLASH, None, 2_048), ("gemini-3-pro", "minimal", 2_048), (OLD_FLASH, None, 1)],
)
def test_leaves_the_thoughts_of_an_interaction_their_room(
    model: str, level: str | None, least: int
) -> None:
    config = {"max_output_tokens": 9_000, "thinking_level": level}
    body = json.dumps({"generation_config": config}).encode()
    recipient = recipient_of("gemini_interactions", model)

    assert isinstance(lower_cap(body, recipient, least), Edited)
    assert lower_cap(body, recipient, least - 1) == NotSafe("below_least")
