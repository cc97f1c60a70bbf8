"""The hint stands behind the last question, once, and nowhere that it could spoil an answer."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.hints import add_hint
from common.llm.reductions.request import Reduced, Unsafe
from common.llm.reductions.wanted import Hint
from scripts.simulated.anthropic_requests import parse as parse_message
from scripts.simulated.prompt_cache import PrefixCache, marked
from tests.reductions.asked import CLAUDE_TOOL, FUNCTION, IMAGE, asked, members_of, said, user

HINT = Hint("Answer briefly.")
ADDED = "\n\nAnswer briefly."
YES = {"role": "assistant", "content": "Yes?"}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def shown(value: str) -> dict[str, Any]:
    return {"type": "input_text", "text": value}


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        (
            "openai_chat",
            {"messages": [user("Hi"), YES, user("Why?")]},
            {"messages": [user("Hi"), YES, user("Why?" + ADDED)]},
        ),
        (
            "openai_chat",
            {"messages": [user([IMAGE, text("Why?")])]},
            {"messages": [user([IMAGE, text("Why?" + ADDED)])]},
        ),
        (
            "openai_chat",
            {"messages": [user([text("Why?"), IMAGE])]},
            {"messages": [user([text("Why?"), IMAGE, text(HINT.text)])]},
        ),
        ("openai_chat", {"messages": [user("")]}, {"messages": [user(HINT.text)]}),
        ("openai_responses", {"input": "Why?"}, {"input": "Why?" + ADDED}),
        (
            "openai_responses",
            {"input": [{"type": "message", **user([shown("Why?")])}]},
            {"input": [{"type": "message", **user([shown("Why?" + ADDED)])}]},
        ),
        (
            "openai_responses",
            {"input": [user("Why?")], "previous_response_id": "r"},
            {"input": [user("Why?" + ADDED)], "previous_response_id": "r"},
        ),
        ("anthropic_messages", {"messages": [user("W?")]}, {"messages": [user("W?" + ADDED)]}),
        (
            "anthropic_messages",
            {"messages": [user([text("W?", cache_control={"type": "ephemeral"})])]},
            {
                "messages": [
                    user([text("W?", cache_control={"type": "ephemeral"}), text(HINT.text)])
                ]
            },
        ),
        (
            "gemini_content",
            {"contents": [said({"text": "Why?"})]},
            {"contents": [said({"text": "Why?" + ADDED})]},
        ),
        (
            "gemini_content_stream",
            {"contents": [{"parts": [{"text": "Why?"}, {"inline_data": {}}]}]},
            {"contents": [{"parts": [{"text": "Why?"}, {"inline_data": {}}, {"text": HINT.text}]}]},
        ),
        ("gemini_interactions", {"input": "Why?"}, {"input": "Why?" + ADDED}),
        (
            "gemini_interactions",
            {"input": [text("Why?")]},
            {"input": [text("Why?" + ADDED)]},
        ),
        (
            "gemini_interactions",
            {"input": [{"type": "user_input", "content": [text("Why?")]}]},
            {"input": [{"type": "user_input", "content": [text("Why?" + ADDED)]}]},
        ),
    ],
)
def test_stands_behind_the_last_question(form: FormName, before: Any, after: Any) -> None:
    found = add_hint(asked(form, before), HINT)

    assert members_of(found) == after
    assert isinstance(found, Reduced)
    assert add_hint(found.request, HINT) is None


@pytest.mark.parametrize(
    ("form", "members", "reason"),
    [
        (
            "openai_chat",
            {"messages": [user("Hi")], "response_format": {"type": "json_object"}},
            "structured_output",
        ),
        (
            "openai_chat",
            {"messages": [user("Hi")], "tools": [FUNCTION], "tool_choice": "required"},
            "forced_tool",
        ),
        (
            "openai_chat",
            {"messages": [user("Hi"), YES, {"role": "tool", "tool_call_id": "c", "content": "1"}]},
            "tool_result",
        ),
        ("openai_chat", {"messages": [user("Hi"), YES]}, "not_a_question"),
        ("openai_chat", {"messages": []}, "not_a_question"),
        ("openai_chat", {"messages": [user(None)]}, "unreadable"),
        ("openai_chat", {"messages": [user([])]}, "unreadable"),
        (
            "openai_responses",
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]},
            "tool_result",
        ),
        (
            "openai_responses",
            {"input": "Hi", "text": {"format": {"type": "json_object"}}},
            "structured_output",
        ),
        ("openai_responses", {"prompt": {"id": "pmpt_1"}}, "not_a_question"),
        (
            "anthropic_messages",
            {"messages": [user([{"type": "tool_result", "tool_use_id": "t"}, text("So?")])]},
            "tool_result",
        ),
        (
            "anthropic_messages",
            {"messages": [user("Hi")], "tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
            "forced_tool",
        ),
        (
            "anthropic_messages",
            {"messages": [user("Hi")], "cache_control": {"type": "ephemeral"}},
            "cache_control",
        ),
        (
            "gemini_content",
            {"contents": [said({"functionResponse": {"name": "look", "response": {}}})]},
            "tool_result",
        ),
        (
            "gemini_content",
            {
                "contents": [said({"text": "Hi"})],
                "generationConfig": {"responseMimeType": "application/json"},
            },
            "structured_output",
        ),
        (
            "gemini_interactions",
            {"input": [{"type": "function_result", "call_id": "c", "result": "1"}]},
            "tool_result",
        ),
    ],
)
def test_is_not_added_where_it_could_spoil_the_answer(
    form: FormName, members: Any, reason: str
) -> None:
    assert add_hint(asked(form, members), HINT) == Unsafe(reason)


def test_of_no_words_adds_nothing() -> None:
    assert add_hint(asked("openai_chat", {"messages": [user("Hi")]}), Hint(" ")) is None


def test_leaves_a_marked_prefix_readable_for_this_turn_and_the_next() -> None:
    """What is cached while the hint is there is found again when the next turn comes without it."""
    mark = {"cache_control": {"type": "ephemeral"}}
    first = [user([text("Long. " * 2_000, **mark)])]
    next_turn = [
        user([text("Long. " * 2_000, **mark)]),
        YES,
        user([text("And then?", **mark)]),
    ]

    def read(cache: PrefixCache, messages: Any) -> int:
        body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages}
        return marked(cache, "claude-sonnet-4-5", parse_message(body).blocks).read

    hinted = members_of(add_hint(asked("anthropic_messages", {"messages": first}), HINT))
    plain_cache, hinted_cache = PrefixCache(), PrefixCache()
    plain = (read(plain_cache, first), read(plain_cache, next_turn))
    with_hint = (read(hinted_cache, hinted["messages"]), read(hinted_cache, next_turn))

    assert with_hint == plain
    assert plain[1] > 1_000
