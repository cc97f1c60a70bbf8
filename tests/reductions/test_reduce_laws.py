"""What holds of reducing any request: those that providers take, and any other JSON."""

import copy
import json
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.llm.edits import Recipient
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from common.llm.reductions.conversation import asks_for_form, is_fresh
from common.llm.reductions.reduce import Reduction, reduce
from common.llm.reductions.wanted import (
    EFFORTS,
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    UseModel,
    Wanted,
    WithoutServerTools,
)
from scripts.simulated.refusals import Refusal
from tests.fit.requests import FORMS_WITH_CAP, check_accepted, generated, recipient_of
from tests.reductions.asked import CLAUDE_TOOL, FUNCTION, IMAGE, OWN_TOOL, said, user

TARGETS = (
    *("gpt-4o-mini", "gpt-5-mini", "gpt-4.1-nano", "o3-mini", "gpt-6-luna"),
    *("claude-haiku-4-5", "claude-sonnet-4-5", "gemini-2.5-flash-lite", "gemini-2.0-flash"),
)
LASTING: tuple[st.SearchStrategy[Wanted], ...] = (
    st.just(StandardTier()),
    st.just(OneCandidate()),
    st.builds(EffortAtMost, st.sampled_from(EFFORTS)),
    st.builds(OutputCap, st.integers(1, 5_000)),
    st.just(LowVerbosity()),
    st.just(Hint("Answer briefly.")),
    st.just(LowMediaDetail()),
    st.just(WithoutServerTools()),
    st.builds(UseModel, st.sampled_from(TARGETS)),
)
"""All but going down by steps, which does so each time."""

WANTED = st.lists(st.one_of(LASTING), max_size=6, unique_by=type)
ANY_WANTED = st.lists(st.one_of(*LASTING, st.builds(EffortDown, st.integers(-1, 9))), max_size=10)
WORDS = st.sampled_from(
    (
        *("messages", "contents", "input", "role", "user", "assistant", "parts", "content", "type"),
        *("text", "image_url", "input_image", "tools", "tool_choice", "googleSearch", "thinking"),
        *("generationConfig", "generation_config", "thinkingConfig", "max_tokens", "n", "detail"),
        *("functionResponse", "web_search", "include", "toolConfig", "model", "output_config"),
    )
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9_000) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
YES: dict[FormName, Any] = {
    "openai_chat": {"role": "assistant", "content": "Yes?"},
    "openai_responses": {"role": "assistant", "content": "Yes?"},
    "anthropic_messages": {"role": "assistant", "content": "Yes?"},
    "gemini_content": said({"text": "Yes?"}, role="model"),
    "gemini_content_stream": said({"text": "Yes?"}, role="model"),
}
MORE: dict[FormName, tuple[dict[str, Any], ...]] = {
    "openai_chat": (
        {"n": 3},
        {"messages": [user([{"type": "text", "text": "json"}, IMAGE])]},
        {"tools": [FUNCTION]},
    ),
    "openai_responses": (
        {"tools": [{"type": "web_search"}], "tool_choice": "auto"},
        {"tools": [{"type": "web_search"}, OWN_TOOL], "parallel_tool_calls": False},
    ),
    "anthropic_messages": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}, CLAUDE_TOOL]},
        {"system": "Be kind.", "stop_sequences": ["x"]},
    ),
    "gemini_content": (
        {"tools": [{"googleSearch": {}}]},
        {"contents": [said({"text": "Hi"}, {"inlineData": {"mimeType": "image/png"}})]},
    ),
    "gemini_interactions": ({"tools": [{"type": "google_search"}]},),
}


@st.composite
def asked(draw: st.DrawFn) -> tuple[bytes, Recipient]:
    """A request that its provider takes."""
    form = draw(st.sampled_from(FORMS_WITH_CAP))
    made = generated(Random(draw(st.integers(0, 1 << 32))), form)
    request = {**made.request}
    more = draw(st.sampled_from((*MORE.get(form, ()), {})))
    if "tool_choice" not in request and "toolConfig" not in request:
        request.update(copy.deepcopy(more))
    turns = "contents" if form.startswith("gemini_content") else "messages"
    if form in YES and turns in request and draw(st.booleans()):
        request[turns] = [*request[turns], YES[form], request[turns][0]]
    return json.dumps(request).encode(), recipient_of(form, made.model)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[bytes, Recipient]:
    """Any object, some of it as in a request."""
    body, recipient = draw(asked())
    parsed = json.loads(body)
    for name in draw(st.lists(st.one_of(st.sampled_from(sorted(parsed)), WORDS), max_size=4)):
        parsed[name] = draw(JUNK)
    return json.dumps(parsed).encode(), recipient


def done(
    body: bytes, recipient: Recipient, wanted: list[Wanted], *, may_miss_cache: bool
) -> tuple[Reduction, Recipient]:
    """A reduction, and who gets its body."""
    found = reduce(body, recipient, wanted, bundled_book(), may_miss_cache=may_miss_cache)
    if found.model is None:
        return found, recipient
    form = recipient.endpoint.form
    assert form is not None
    return found, recipient_of(form, found.model)


def cap_of(parsed: Any) -> int | None:
    """The output cap of a request."""
    config = parsed.get("generationConfig") or parsed.get("generation_config") or {}
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    caps = [each[name] for each in (parsed, config) for name in names if each.get(name) is not None]
    return caps[0] if caps else None


def is_taken(form: FormName, recipient: Recipient, body: bytes) -> bool:
    """Whether the provider takes the request as the client wrote it."""
    try:
        check_accepted(form, recipient.model or "", body)
    except Refusal:
        return False
    return True


@settings(deadline=None)
@given(spoilt(), ANY_WANTED, st.booleans())
def test_never_raises_and_never_writes_what_it_cannot_read(
    made: tuple[bytes, Recipient], wanted: list[Wanted], may_miss_cache: bool
) -> None:
    body, recipient = made

    found, _ = done(body, recipient, wanted, may_miss_cache=may_miss_cache)

    assert isinstance(json.loads(found.body), dict)
    applied = [each for each in found.outcomes if each.state == "applied"]
    assert all(each.told for each in applied)
    assert all(each.reason for each in found.outcomes if each not in applied)
    assert bool(applied) == (found.body is not body or found.model is not None)


@settings(deadline=None)
@given(st.one_of(asked(), spoilt()), WANTED, st.booleans())
def test_changes_nothing_the_second_time(
    made: tuple[bytes, Recipient], wanted: list[Wanted], may_miss_cache: bool
) -> None:
    first, recipient = done(*made, wanted, may_miss_cache=may_miss_cache)

    second, _ = done(first.body, recipient, wanted, may_miss_cache=may_miss_cache)

    assert second.body is first.body, (second.body, first.body)
    assert second.model is None


@settings(deadline=None, max_examples=200)
@given(asked(), ANY_WANTED, st.booleans())
def test_writes_what_the_provider_takes(
    made: tuple[bytes, Recipient], wanted: list[Wanted], may_miss_cache: bool
) -> None:
    body, recipient = made
    form = recipient.endpoint.form
    assert form is not None
    assume(is_taken(form, recipient, body))

    found, after = done(body, recipient, wanted, may_miss_cache=may_miss_cache)

    check_accepted(form, after.model or "", found.body)


@settings(deadline=None)
@given(asked(), ANY_WANTED, st.booleans())
def test_never_allows_a_longer_answer_and_cuts_none_that_is_structured(
    made: tuple[bytes, Recipient], wanted: list[Wanted], may_miss_cache: bool
) -> None:
    body, recipient = made
    form = recipient.endpoint.form
    assert form is not None
    before = cap_of(json.loads(body))

    found, _ = done(body, recipient, wanted, may_miss_cache=may_miss_cache)

    after = cap_of(json.loads(found.body))
    assert before is None or (after is not None and after <= before)
    if asks_for_form(form, json.loads(body), recipient.model) is not None:
        assert after == before
        assert "Answer briefly." not in found.body.decode()


@settings(deadline=None)
@given(asked(), ANY_WANTED)
def test_leaves_a_conversation_that_has_begun_to_its_cache(
    made: tuple[bytes, Recipient], wanted: list[Wanted]
) -> None:
    body, recipient = made
    form = recipient.endpoint.form
    assert form is not None

    found, _ = done(body, recipient, wanted, may_miss_cache=False)

    if not is_fresh(form, json.loads(body)):
        lost = {"model", "effort", "media_detail", "server_tools"}
        assert not lost & {each.name for each in found.outcomes if each.state == "applied"}
        assert found.model is None


@settings(deadline=None)
@given(asked(), ANY_WANTED, st.booleans())
def test_tells_the_same_of_the_same_request_elsewhere(
    made: tuple[bytes, Recipient], wanted: list[Wanted], may_miss_cache: bool
) -> None:
    """A name in another case, or with more white space around, is the same request."""
    body, recipient = made
    spaced = json.dumps(json.loads(body), indent=1).encode()
    named = replace(recipient, model=(recipient.model or "").lower())

    plain, _ = done(body, recipient, wanted, may_miss_cache=may_miss_cache)
    found, _ = done(spaced, named, wanted, may_miss_cache=may_miss_cache)

    assert found.outcomes == plain.outcomes
    assert json.loads(found.body) == json.loads(plain.body)
