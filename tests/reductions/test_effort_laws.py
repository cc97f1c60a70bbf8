"""What holds of lowering the effort, whatever is asked of whichever model."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from common.llm.paths import FormName
from common.llm.reductions.effort import lower_effort
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import EFFORTS, Effort, EffortAtMost, EffortDown
from tests.reductions.shortest import (
    CHAT,
    CLAUDE,
    GEMINI,
    INTERACTIONS,
    RESPONSES,
    SHORTEST,
    STREAM,
    budget,
    check_taken,
    request_of,
    thinking,
)

MODELS: dict[FormName, tuple[str, ...]] = {
    CHAT: ("o3", "gpt-5", "gpt-5-pro", "gpt-5.1", "gpt-5.4", "gpt-5.5", "gpt-6-sol", "gpt-4o"),
    RESPONSES: ("o4-mini", "gpt-5-mini", "gpt-5.1", "gpt-5.2-pro", "gpt-5.5", "gpt-6.1-sol"),
    CLAUDE: ("claude-opus-4-5", "claude-opus-5-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    GEMINI: ("gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3-pro-preview"),
    STREAM: ("gemini-2.5-flash", "gemini-3.8-flash", "gemini-2.0-flash"),
    INTERACTIONS: ("gemini-3-flash-preview", "gemini-3.1-pro-preview", "gemini-2.5-flash"),
}
FORMS = st.sampled_from(sorted(SHORTEST))
WORDS: st.SearchStrategy[Effort] = st.sampled_from(EFFORTS)
AT_MOST = st.builds(EffortAtMost, WORDS)
STEPS = st.builds(EffortDown, st.integers(-1, 8))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["effort", "type", "budget_tokens", "thinkingConfig", "role", "parts"]),
            inner,
        )
    ),
    max_leaves=8,
)


@st.composite
def asked(draw: st.DrawFn) -> Request:
    """Requests that their providers take."""
    form = draw(FORMS)
    model = draw(st.sampled_from(MODELS[form]))
    return request_of(form, model, draw(_members(form, model)))


def _members(form: FormName, model: str) -> st.SearchStrategy[dict[str, Any]]:
    words = st.sampled_from(["low", "medium", "high"])
    if model in ("gpt-4o", "gpt-5-pro", "gpt-5.2-pro", "gemini-3-pro-preview"):
        words = st.just("high")
    if form == CHAT:
        own = st.builds(lambda word: {"reasoning_effort": word}, words)
        return st.just({}) if model == "gpt-4o" else own | st.just({})
    if form == RESPONSES:
        return st.builds(lambda word: {"reasoning": {"effort": word}}, words) | st.just({})
    if form == CLAUDE:
        tokens = st.builds(budget, st.integers(1_024, 59_999))
        effort = st.builds(lambda word: {"output_config": {"effort": word}}, words)
        if model == "claude-opus-4-5":
            return (
                st.just({})
                | tokens
                | effort
                | st.builds(lambda *both: both[0] | both[1], tokens, effort)
            )
        return st.just({}) | (effort if "opus" in model else tokens)
    return _of_gemini(form, model, words)


def _of_gemini(
    form: FormName, model: str, words: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, Any]]:
    if form == INTERACTIONS:
        level = st.builds(lambda word: {"generation_config": {"thinking_level": word}}, words)
        return st.just({}) | level
    if model == "gemini-2.0-flash":
        return st.just({})
    if "2.5" in model:
        tokens = st.builds(lambda each: thinking(thinkingBudget=each), st.integers(512, 24_576))
        return st.just({}) | tokens | st.just(thinking(thinkingBudget=-1))
    return st.just({}) | st.builds(lambda word: thinking(thinkingLevel=word), words)


@settings(deadline=None)
@given(asked(), AT_MOST | STEPS)
def test_the_provider_takes_what_is_lowered(request: Request, wanted: Any) -> None:
    check_taken(request)
    before = copy.deepcopy(dict(request.members))

    reduced = lower_effort(request, wanted)

    assert request.members == before
    if isinstance(reduced, Reduced):
        assert reduced.request.members != before
        check_taken(reduced.request)


@settings(deadline=None)
@given(asked(), AT_MOST)
def test_a_second_time_there_is_nothing_to_lower(request: Request, wanted: EffortAtMost) -> None:
    reduced = lower_effort(request, wanted)

    if isinstance(reduced, Reduced):
        assert lower_effort(reduced.request, wanted) is None


@settings(deadline=None)
@given(asked(), st.integers(1, 8))
def test_going_down_step_by_step_ends(request: Request, steps: int) -> None:
    for _ in EFFORTS:
        reduced = lower_effort(request, EffortDown(steps))
        if not isinstance(reduced, Reduced):
            break
        request = reduced.request

    assert lower_effort(request, EffortDown(steps)) is None
    assert lower_effort(request, EffortAtMost("none")) is None


NAMES = st.sampled_from(
    [
        *("reasoning_effort", "reasoning", "output_config", "thinking", "max_tokens", "tools"),
        *("generationConfig", "generation_config", "messages", "contents", "input", "agent"),
    ]
)


@settings(deadline=None)
@given(
    FORMS.flatmap(lambda form: st.tuples(st.just(form), st.sampled_from(MODELS[form]))),
    st.dictionaries(NAMES, JUNK),
    AT_MOST | STEPS,
)
def test_whatever_a_request_says_it_is_answered(
    sent: tuple[FormName, str], junk: dict[str, Any], wanted: Any
) -> None:
    form, model = sent
    request = request_of(form, model, junk)
    before = copy.deepcopy(dict(request.members))

    reduced = lower_effort(request, wanted)

    assert reduced is None or isinstance(reduced, Reduced | Unsafe)
    assert request.members == before
