"""Whether a conversation has begun, and who spoke last, in each API."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.conversation import asks_for_form, ends_with_tool_result, is_fresh
from tests.reductions.asked import said, user

YES = {"role": "assistant", "content": "Yes?"}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "1"}
CLAUDE_RESULT = user([{"type": "tool_result", "tool_use_id": "t", "content": "1"}])
GEMINI_RESULT = said({"functionResponse": {"name": "look", "response": {}}})
GEMINI_YES = said({"text": "Yes?"}, role="model")
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "1"}


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {"messages": [{"role": "developer", "content": "Be kind"}, user("Hi")]}),
        ("openai_responses", {"input": "Hi", "previous_response_id": None}),
        ("openai_responses", {"input": [{"role": "system", "content": "Be kind"}, user("Hi")]}),
        ("anthropic_messages", {"messages": [user("Hi")], "system": "Be kind"}),
        ("gemini_content", {"contents": [said({"text": "Hi"}), {"parts": [{"text": "Ho"}]}]}),
        ("gemini_interactions", {"input": "Hi"}),
        ("gemini_interactions", {"input": [{"type": "user_input", "content": []}]}),
    ],
)
def test_is_fresh_before_the_model_has_spoken(form: FormName, members: Any) -> None:
    assert is_fresh(form, members)


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {"messages": [user("Hi"), YES, user("Why?")]}),
        ("openai_chat", {"messages": [user("Hi"), RESULT]}),
        ("openai_chat", {"messages": [user("Hi"), "Why?"]}),
        ("openai_chat", {"messages": []}),
        ("openai_chat", {}),
        ("openai_responses", {"input": [user("Hi"), YES]}),
        ("openai_responses", {"input": [{"type": "item_reference", "id": "m"}, user("Hi")]}),
        ("openai_responses", {"input": "Hi", "previous_response_id": "r"}),
        ("openai_responses", {"input": "Hi", "conversation": {"id": "c"}}),
        ("openai_responses", {"input": "Hi", "prompt": {"id": "p"}}),
        ("anthropic_messages", {"messages": [user("Hi"), YES, user("Why?")]}),
        ("anthropic_messages", {"messages": [CLAUDE_RESULT]}),
        ("gemini_content", {"contents": [said({"text": "Hi"}), GEMINI_YES]}),
        ("gemini_content", {"contents": [said({"text": "Hi"})], "cachedContent": "c"}),
        ("gemini_content_stream", {"contents": [said({"text": "Hi"})], "cached_content": "c"}),
        ("gemini_interactions", {"input": "Hi", "previous_interaction_id": "i"}),
        ("gemini_interactions", {"input": [{"type": "model_output", "content": []}]}),
        ("openai_completions", {"prompt": "Hi"}),
    ],
)
def test_is_not_fresh_where_a_cache_may_know_some_of_it(form: FormName, members: Any) -> None:
    assert not is_fresh(form, members)


@pytest.mark.parametrize(
    ("form", "members", "expected"),
    [
        ("openai_chat", {"messages": [user("Hi"), YES, RESULT]}, True),
        ("openai_chat", {"messages": [RESULT, user("Why?")]}, False),
        ("openai_chat", {"messages": [RESULT, {"role": "system", "content": "Go on."}]}, True),
        ("openai_responses", {"input": [user("Hi"), OUTPUT]}, True),
        ("openai_responses", {"input": [OUTPUT, user("Why?")]}, False),
        ("anthropic_messages", {"messages": [user("Hi"), YES, CLAUDE_RESULT]}, True),
        ("anthropic_messages", {"messages": [CLAUDE_RESULT, YES, user("Why?")]}, False),
        ("gemini_content", {"contents": [GEMINI_YES, GEMINI_RESULT]}, True),
        ("gemini_content", {"contents": [{"role": "function", "parts": []}]}, True),
        ("gemini_content", {"contents": [GEMINI_RESULT, GEMINI_YES]}, False),
        ("gemini_interactions", {"input": [{"type": "function_result"}]}, True),
        ("gemini_interactions", {"input": "Hi"}, False),
    ],
)
def test_sees_a_tool_result_at_the_end(form: FormName, members: Any, expected: bool) -> None:
    assert ends_with_tool_result(form, members) is expected


@pytest.mark.parametrize(
    ("form", "members", "expected"),
    [
        ("openai_chat", {}, None),
        ("openai_chat", {"response_format": {"type": "json_schema"}}, "structured_output"),
        ("anthropic_messages", {"tool_choice": {"type": "any"}}, "forced_tool"),
        ("gemini_content", {"generationConfig": {"responseSchema": {}}}, "structured_output"),
        ("gemini_content", {"generationConfig": 1}, "unreadable"),
    ],
)
def test_knows_what_form_an_answer_is_to_have(form: FormName, members: Any, expected: Any) -> None:
    assert asks_for_form(form, members, "gpt-4o") == expected
