"""Several answers become one."""

from typing import Any

import pytest

from common.llm.paths import FormName
from common.llm.reductions.candidates import ask_once
from common.llm.reductions.request import Unsafe
from common.llm.reductions.wanted import OneCandidate
from tests.reductions.asked import asked, members_of


@pytest.mark.parametrize(
    ("form", "before", "after"),
    [
        ("openai_chat", {"n": 3, "seed": 1}, {"n": 1, "seed": 1}),
        (
            "gemini_content",
            {"generationConfig": {"candidateCount": 4, "topK": 2}},
            {"generationConfig": {"candidateCount": 1, "topK": 2}},
        ),
        (
            "gemini_content_stream",
            {"generation_config": {"candidate_count": 2}},
            {"generation_config": {"candidate_count": 1}},
        ),
        (
            "gemini_content",
            {"generation_config": {"candidateCount": 2}},
            {"generation_config": {"candidateCount": 1}},
        ),
    ],
)
def test_asks_for_one_answer(form: FormName, before: Any, after: Any) -> None:
    assert members_of(ask_once(asked(form, before), OneCandidate())) == after


@pytest.mark.parametrize(
    ("form", "members"),
    [
        ("openai_chat", {}),
        ("openai_chat", {"n": None}),
        ("openai_chat", {"n": 1}),
        ("openai_chat", {"n": True}),
        ("openai_chat", {"n": "3"}),
        ("openai_responses", {"n": 3}),
        ("anthropic_messages", {"n": 3}),
        ("gemini_content", {"generationConfig": None}),
        ("gemini_content", {"generationConfig": {"candidateCount": 1}}),
        ("gemini_interactions", {"generation_config": {"candidate_count": 3}}),
    ],
)
def test_leaves_one_answer_as_it_is(form: FormName, members: Any) -> None:
    assert ask_once(asked(form, members), OneCandidate()) is None


def test_leaves_a_member_that_is_spelt_twice() -> None:
    config = {"candidateCount": 3, "candidate_count": 2}

    found = ask_once(asked("gemini_content", {"generationConfig": config}), OneCandidate())

    assert found == Unsafe("duplicate_members")
