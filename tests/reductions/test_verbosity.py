"""A model that can be asked for short answers is asked, where it is not yet."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.paths import FormName
from common.llm.reductions.request import Reduced, Unsafe
from common.llm.reductions.verbosity import lower_verbosity
from common.llm.reductions.wanted import LowVerbosity
from tests.reductions.shortest import CHAT, RESPONSES, SHORTEST, check_taken, request_of

LOW = LowVerbosity()
TAKE_IT = (
    *("gpt-5", "gpt-5-mini", "gpt-5-nano-2025-08-07", "gpt-5-pro", "gpt-5.1-2025-11-13", "gpt-5.2"),
    *("gpt-5.4", "gpt-5.4-mini", "gpt-5.5", "gpt-5.6", "gpt-5.6-sol", "gpt-6-astra", "gpt-6.1-sol"),
)
DO_NOT = (
    *("gpt-4o", "gpt-4.1", "o3", "o4-mini", "gpt-5-chat-latest", "gpt-5.2-chat-latest"),
    *("gpt-5-codex", "gpt-5.1-codex-max", "gpt-5.2-codex", "gpt-5-search-api", "somebody/new"),
)


@pytest.mark.parametrize("model", TAKE_IT)
@pytest.mark.parametrize("asked", [None, "medium", "high"])
def test_asks_for_a_short_answer(model: str, asked: str | None) -> None:
    form_of_text = {"format": {"type": "text"}}
    chat = request_of(CHAT, model, {"verbosity": asked})
    response = request_of(RESPONSES, model, {"text": {**form_of_text, "verbosity": asked}})

    in_chat, in_response = lower_verbosity(chat, LOW), lower_verbosity(response, LOW)

    assert isinstance(in_chat, Reduced)
    assert in_chat.told == "low"
    assert in_chat.request.members == {**chat.members, "verbosity": "low"}
    assert isinstance(in_response, Reduced)
    assert in_response.request.members["text"] == {**form_of_text, "verbosity": "low"}
    check_taken(in_chat.request)
    check_taken(in_response.request)


@pytest.mark.parametrize("model", DO_NOT)
@pytest.mark.parametrize("form", [CHAT, RESPONSES])
def test_leaves_models_alone_that_are_not_known_to_take_it(form: FormName, model: str) -> None:
    high = {"verbosity": "high"} if form == CHAT else {"text": {"verbosity": "high"}}

    assert lower_verbosity(request_of(form, model, {}), LOW) is None
    assert lower_verbosity(request_of(form, model, high), LOW) is None


def test_adds_it_only_where_openai_itself_answers() -> None:
    elsewhere = request_of(CHAT, "openai/gpt-5", {}, upstream="openrouter")
    asked = request_of(CHAT, "openai/gpt-5", {"verbosity": "high"}, upstream="openrouter")

    lowered = lower_verbosity(asked, LOW)

    assert lower_verbosity(elsewhere, LOW) is None
    assert isinstance(lowered, Reduced)
    assert lowered.request.members["verbosity"] == "low"
    assert isinstance(
        lower_verbosity(request_of(CHAT, "gpt-5", {}, upstream="azure"), LOW), Reduced
    )


@pytest.mark.parametrize(
    ("form", "more"),
    [
        (CHAT, {"verbosity": "terse"}),
        (CHAT, {"verbosity": ["high"]}),
        (RESPONSES, {"text": "short"}),
        (RESPONSES, {"text": {"verbosity": 1}}),
    ],
)
def test_leaves_alone_what_cannot_be_read(form: FormName, more: dict[str, Any]) -> None:
    assert lower_verbosity(request_of(form, "gpt-5", more), LOW) == Unsafe("unreadable")


@settings(deadline=None)
@given(
    st.sampled_from(sorted(SHORTEST)),
    st.sampled_from([*TAKE_IT, *DO_NOT, "claude-opus-5", "gemini-3-pro-preview"]),
    st.dictionaries(
        st.sampled_from(["verbosity", "text", "format"]),
        st.none()
        | st.sampled_from(["low", "high"])
        | st.integers()
        | st.dictionaries(st.just("verbosity"), st.none() | st.just("high"))
        | st.lists(st.integers()),
    ),
)
def test_is_done_once_and_changes_nothing_handed_in(
    form: FormName, model: str, more: dict[str, Any]
) -> None:
    request = request_of(form, model, more)
    before = copy.deepcopy(dict(request.members))

    reduced = lower_verbosity(request, LOW)

    assert request.members == before
    if isinstance(reduced, Reduced):
        assert form in (CHAT, RESPONSES)
        assert lower_verbosity(reduced.request, LOW) is None
