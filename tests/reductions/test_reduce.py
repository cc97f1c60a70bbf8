"""What is wanted of a request is done in the order that is safe, and told."""

import json
from typing import Any

import pytest

from common.llm.facts import EDIT_LIMIT_BYTES
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from common.llm.reductions.reduce import Outcome, Reduction, reduce
from common.llm.reductions.wanted import (
    EffortAtMost,
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
from tests.fit.requests import COMPACT, recipient_of
from tests.reductions.asked import FUNCTION, IMAGE, said, user

YES = {"role": "assistant", "content": "Yes?"}
HINT = Hint("Answer briefly.")
ALL: tuple[Wanted, ...] = (
    OutputCap(512),
    HINT,
    LowVerbosity(),
    WithoutServerTools(),
    LowMediaDetail(),
    EffortAtMost("low"),
    OneCandidate(),
    UseModel("gpt-5-mini"),
    StandardTier(),
)
NAMES = (
    "tier",
    "server_tools",
    "model",
    "candidates",
    "effort",
    "media_detail",
    "verbosity",
    "hint",
    "output_cap",
)


def reduced(
    form: FormName,
    model: str,
    body: Any,
    *wanted: Wanted,
    may_miss_cache: bool = False,
) -> Reduction:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    recipient = recipient_of(form, model)
    return reduce(written, recipient, wanted, bundled_book(), may_miss_cache=may_miss_cache)


def test_does_all_that_is_wanted_in_its_own_order() -> None:
    body = {
        "model": "gpt-5",
        "service_tier": "priority",
        "n": 2,
        "messages": [user([IMAGE, {"type": "text", "text": "What is it?"}])],
    }

    without_tier = [each for each in ALL if not isinstance(each, StandardTier)]
    found = reduced("openai_chat", "gpt-5", body, StandardTier(), *without_tier)

    assert found.model == "gpt-5-mini"
    assert [(each.name, each.told, each.state) for each in found.outcomes] == [
        ("tier", found.outcomes[0].told, "applied"),
        ("model", "gpt-5-mini", "applied"),
        ("candidates", "1", "applied"),
        ("effort", "low", "applied"),
        ("media_detail", "low", "applied"),
        ("verbosity", "low", "applied"),
        ("hint", "added", "applied"),
        ("output_cap", "2048", "applied"),
    ]
    low = {**IMAGE, "image_url": {**IMAGE["image_url"], "detail": "low"}}
    written = json.loads(found.body)
    written.pop("service_tier", None)
    assert written == {
        "model": "gpt-5-mini",
        "n": 1,
        "messages": [user([low, {"type": "text", "text": "What is it?\n\nAnswer briefly."}])],
        "reasoning_effort": "low",
        "verbosity": "low",
        "max_completion_tokens": 2048,
    }


@pytest.mark.parametrize("shift", range(len(ALL)))
def test_does_the_same_in_whichever_order_it_is_wanted(shift: int) -> None:
    body = {"model": "gpt-5", "n": 2, "messages": [user("Why?")]}

    found = reduced("openai_chat", "gpt-5", body, *ALL[shift:], *ALL[:shift])

    assert found == reduced("openai_chat", "gpt-5", body, *ALL)


def test_gives_back_the_very_same_bytes_where_nothing_is_to_be_lowered() -> None:
    body = b'{ "model":"gpt-4o", "max_tokens":9, "messages":[{"role":"user","content":"Hi"}] }'

    found = reduced(
        "openai_chat", "gpt-4o", body, OneCandidate(), OutputCap(512), WithoutServerTools()
    )

    assert found.body is body
    assert found.outcomes == ()


def test_gives_back_the_very_same_bytes_where_nothing_is_wanted() -> None:
    found = reduced("openai_chat", "gpt-4o", b"[]")

    assert found == Reduction(b"[]", None, ())


def test_gives_back_the_very_same_bytes_where_the_path_names_the_model() -> None:
    body = json.dumps({"contents": [said({"text": "Hi"})]}).encode()

    found = reduced("gemini_content", "gemini-2.5-pro", body, UseModel("gemini-2.5-flash"))

    assert found.body is body
    assert found.model == "gemini-2.5-flash"
    assert found.outcomes == (Outcome("model", "gemini-2.5-flash", "applied", ""),)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "unreadable"),
        (b"{", "unreadable"),
        (b'{"n": 2, "seed": 18446744073709551616}', "unreadable"),
        (b'{"n": 2, "n": 3}', "duplicate_members"),
        (b'{"a": "' + b"x" * EDIT_LIMIT_BYTES + b'"}', "too_large"),
        (b'{"n": 2, "a": ' + b"[" * 300 + b"]" * 300 + b"}", "unreadable"),
    ],
)
def test_leaves_a_body_that_cannot_be_edited_and_says_so_of_each(body: bytes, reason: str) -> None:
    found = reduced("openai_chat", "gpt-4o", body, *ALL)

    assert found.body is body
    assert found.model is None
    assert found.outcomes == tuple(Outcome(name, "", "skipped_unsafe", reason) for name in NAMES)


@pytest.mark.parametrize("may_miss_cache", [False, True])
def test_leaves_what_a_cache_knows_of_a_conversation_that_has_begun(may_miss_cache: bool) -> None:
    body = {
        "model": "gpt-5",
        "n": 2,
        "messages": [user([IMAGE]), YES, user("Why?")],
        "reasoning_effort": "high",
    }
    wanted = (UseModel("gpt-5-mini"), EffortAtMost("low"), LowMediaDetail(), OneCandidate())

    found = reduced("openai_chat", "gpt-5", body, *wanted, may_miss_cache=may_miss_cache)

    state = "applied" if may_miss_cache else "skipped_cache"
    assert {each.name: each.state for each in found.outcomes} == {
        "model": state,
        "candidates": "applied",
        "effort": state,
        "media_detail": state,
    }
    if not may_miss_cache:
        assert json.loads(found.body) == {**body, "n": 1}


@pytest.mark.parametrize(
    ("turns", "may_miss_cache", "state"),
    [
        ([user("Hi"), YES, user("Why?")], False, "skipped_cache"),
        ([user("Hi"), YES, user("Why?")], True, "applied"),
        ([user("Hi")], False, "applied"),
    ],
)
def test_leaves_the_speed_at_which_a_cache_was_written(
    turns: Any, may_miss_cache: bool, state: str
) -> None:
    body = {"model": "claude-opus-5", "messages": turns, "max_tokens": 900, "speed": "fast"}

    found = reduced(
        "anthropic_messages",
        "claude-opus-5",
        body,
        StandardTier(),
        may_miss_cache=may_miss_cache,
    )

    assert [each.state for each in found.outcomes] == [state]
    assert ("speed" in json.loads(found.body)) == (state == "skipped_cache")


def test_drops_what_another_model_does_not_have_before_it_is_moved_there() -> None:
    body = {"model": "gpt-5", "input": "Why?", "tools": [{"type": "web_search"}]}
    wanted = (UseModel("gpt-5-mini"), WithoutServerTools())

    found = reduced("openai_responses", "gpt-5", body, *wanted)

    assert found.model == "gpt-5-mini"
    assert [(each.name, each.state) for each in found.outcomes] == [
        ("server_tools", "applied"),
        ("model", "applied"),
    ]


def test_moves_what_is_left_of_a_request_where_it_could_not_be_moved_as_it_came() -> None:
    """A cap of 300 is too low for a model that thinks, until it does not."""
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Why?"}]}],
        "generationConfig": {"maxOutputTokens": 300},
    }
    wanted = (UseModel("gemini-2.5-flash-lite"), EffortAtMost("none"), Hint("Be brief."))

    found = reduced("gemini_content", "gemini-2.5-flash", body, *wanted)

    assert found.model == "gemini-2.5-flash-lite"
    assert [(each.name, each.state) for each in found.outcomes] == [
        ("model", "applied"),
        ("effort", "applied"),
        ("hint", "applied"),
    ]
    written = json.loads(found.body)
    assert written["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}
    assert written["contents"][0]["parts"] == [{"text": "Why?\n\nBe brief."}]


def test_tells_why_something_is_not_safe_and_does_the_rest() -> None:
    body = {
        "model": "gpt-4o",
        "max_tokens": 900,
        "n": 2,
        "messages": [user("Hi")],
        "tools": [FUNCTION],
        "tool_choice": "required",
    }

    found = reduced("openai_chat", "gpt-4o", body, HINT, OutputCap(512), OneCandidate())

    assert found.outcomes == (
        Outcome("candidates", "1", "applied", ""),
        Outcome("hint", "", "skipped_unsafe", "forced_tool"),
        Outcome("output_cap", "", "skipped_unsafe", "forced_tool"),
    )
    assert json.loads(found.body) == {**body, "n": 1}


def test_caps_for_the_model_that_it_was_moved_to() -> None:
    body = {"model": "gpt-4.1", "messages": [user("Hi")], "max_completion_tokens": 30_000}

    found = reduced("openai_chat", "gpt-4.1", body, UseModel("gpt-4o-mini"), OutputCap(20_000))

    assert json.loads(found.body)["max_completion_tokens"] == 16_384
    assert [each.name for each in found.outcomes] == ["model"]


@pytest.mark.parametrize("seed", [18446744073709551615, -9223372036854775808])
def test_writes_numbers_of_64_bits_and_digits_in_texts_as_they_were(seed: int) -> None:
    body = {"n": 2, "seed": seed, "user": "123456789012345678901234567890"}

    found = reduced("openai_chat", "gpt-4o", body, OneCandidate())

    assert json.loads(found.body) == {**body, "n": 1}


def test_leaves_forms_that_have_none_of_it() -> None:
    body = b'{"model":"gpt-5","input":"Hi"}'
    recipient = recipient_of("openai_responses", "gpt-5")
    compacting = type(recipient)(COMPACT, "openai", "gpt-5", recipient.caps)

    found = reduce(body, compacting, ALL, bundled_book(), may_miss_cache=True)

    assert found == Reduction(body, None, ())
    assert found.body is body
