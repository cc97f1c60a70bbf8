"""It tells what prompts begin with apart, in each form, by a digest."""

import json
from typing import Any

import pytest

from common.llm.forms import FORMS
from common.llm.paths import FormName
from common.llm.prompt_prefixes import Prefix, read_prefix

TOOLS = [{"type": "function", "function": {"name": "look"}}]
ASKED = {"role": "user", "content": "Hi"}
SAID = {"role": "system", "content": "Be brief."}


def of_form(form: FormName, **members: Any) -> Prefix | None:
    return FORMS[form].read_facts(json.dumps({"model": "m", **members}).encode()).prefix


@pytest.mark.parametrize(
    ("form", "begins", "turns"),
    [
        ("openai_chat", {"tools": TOOLS}, "messages"),
        ("anthropic_messages", {"system": "Be brief.", "tools": TOOLS}, "messages"),
        ("openai_responses", {"instructions": "Be brief."}, "input"),
        ("gemini_content", {"systemInstruction": {"parts": [{"text": "B"}]}}, "contents"),
        ("gemini_interactions", {"system_instruction": "Be brief."}, "input"),
    ],
)
def test_keeps_it_from_turn_to_turn(form: FormName, begins: dict[str, Any], turns: str) -> None:
    first = of_form(form, **begins, **{turns: [ASKED]})
    second = of_form(form, **begins, **{turns: [ASKED, ASKED]})
    other = of_form(form, **{name: [value, 1] for name, value in begins.items()}, **{turns: []})

    assert first is not None
    assert first == second != other


@pytest.mark.parametrize("role", ["system", "developer"])
def test_takes_turns_of_instructions_up_to_the_first_other(role: str) -> None:
    leading = {"role": role, "content": "Be brief."}

    found = read_prefix({"messages": [leading, ASKED]})

    assert found == read_prefix({"messages": [leading, ASKED, leading]}) is not None
    assert found != read_prefix({"messages": [leading, leading, ASKED]})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"messages": [ASKED]},
        {"messages": [ASKED, SAID]},
        {"messages": "none"},
        {"input": [7]},
        {"tools": [], "system": ""},
    ],
)
def test_knows_none_without_instructions_and_tools(asked: dict[str, Any]) -> None:
    assert read_prefix(asked) is None


def test_tells_how_long_it_is() -> None:
    short, long = read_prefix({"system": "a"}), read_prefix({"system": "a" * 1_001})

    assert short is not None
    assert long is not None
    assert long.size_bytes - short.size_bytes == 1_000


def test_takes_what_is_nested_too_deep_for_none() -> None:
    nested: Any = "x"
    for _ in range(600):
        nested = [nested]

    assert read_prefix({"tools": nested}) is None
