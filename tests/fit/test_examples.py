"""Fits worked out by hand, and what a refused caller is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.budgets.accounts import Period, TopUp
from common.budgets.calendar import FOREVER
from common.budgets.fit import Fitted, NoFit, WouldFit, fit
from common.budgets.refusal_text import Short, no_room_text
from common.core.money import Nanos
from common.llm.bounds import Bound, Unbounded
from common.llm.facts import CallFacts
from tests.fit.requests import asked_of, bound_of

SAID = [{"role": "user", "content": "Hi"}]


def fitted(form: Any, model: str, request: dict[str, Any], room: Nanos) -> Fitted | NoFit:
    asked = asked_of(form, model, json.dumps(request).encode())
    return fit(asked, room, bound_of(asked.recipient.endpoint.protocol))


def test_spends_the_room_on_output() -> None:
    request = {"model": "claude-sonnet-4-5", "messages": SAID, "max_tokens": 64_000}
    # $3 and $15; a cap of four digits is one byte less
    given = (len(json.dumps(request)) - 1 + 64) * 3_000

    found = fitted("anthropic_messages", "claude-sonnet-4-5", request, given + 1_234 * 15_000 + 99)

    assert isinstance(found, Fitted)
    assert found.text == "max_tokens=1234"
    assert json.loads(found.body) == {**request, "max_tokens": 1_234}
    assert found.bound.nanos == given + 1_234 * 15_000


def test_pins_the_tier_first_and_leaves_the_cap_where_that_is_enough() -> None:
    request = {"model": "gpt-5", "messages": SAID, "max_completion_tokens": 10_000}

    # $10 a million, at the priority tier $20
    found = fitted("openai_chat", "gpt-5", request, 101_000_000)

    assert isinstance(found, Fitted)
    assert found.text == "service_tier=default"
    assert json.loads(found.body) == {**request, "service_tier": "default"}


def test_lowers_the_cap_where_the_tier_is_not_enough() -> None:
    request = {"model": "gpt-5", "messages": SAID, "max_completion_tokens": 10_000}

    found = fitted("openai_chat", "gpt-5", request, 50_000_000)

    assert isinstance(found, Fitted)
    assert found.done[0] == "service_tier=default"
    assert found.text.startswith("service_tier=default; max_completion_tokens=49")


def test_pins_no_tier_that_changes_nothing() -> None:
    request = {"model": "gpt-4", "messages": SAID, "max_tokens": 4_000}

    found = fitted("openai_chat", "gpt-4", request, 100_000_000)

    assert isinstance(found, Fitted)
    assert len(found.done) == 1
    assert found.text.startswith("max_tokens=1")


@pytest.mark.parametrize(
    ("thinking", "least"),
    [
        (None, 256),
        ({"type": "adaptive"}, 1_025),
        ({"type": "enabled", "budget_tokens": 2_000}, 2_256),
    ],
)
def test_leaves_a_smallest_answer(thinking: dict[str, Any] | None, least: int) -> None:
    request: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "messages": SAID,
        "max_tokens": 32_000,
        **({} if thinking is None else {"thinking": thinking}),
    }
    longer = len(json.dumps(request)) - len("32000") + len(str(least))
    needed = (longer + 64) * 3_000 + least * 15_000

    enough = fitted("anthropic_messages", "claude-sonnet-4-5", request, needed)
    short = fitted("anthropic_messages", "claude-sonnet-4-5", request, needed - 1)

    assert isinstance(enough, Fitted)
    assert enough.text == f"max_tokens={least}"
    assert isinstance(short, NoFit)
    assert short.reason is None
    assert short.would_fit.output_tokens is not None
    assert least - 20 <= short.would_fit.output_tokens < least


def test_counts_each_reply_and_each_use_of_a_tool() -> None:
    request = {"model": "gpt-4o-mini", "messages": SAID, "n": 4, "service_tier": "default"}

    # $0.15 and $0.60: four replies
    found = fitted("openai_chat", "gpt-4o-mini", request, 4 * 1_000 * 600 + 300 * 150)

    assert isinstance(found, Fitted)
    cap = json.loads(found.body)["max_completion_tokens"]
    assert 1_000 <= cap <= 1_000 + 300 * 150 // (4 * 600)


def test_believes_only_the_bound_of_what_it_sends() -> None:
    request = {"model": "claude-sonnet-4-5", "messages": SAID, "max_tokens": 64_000}
    asked = asked_of("anthropic_messages", "claude-sonnet-4-5", json.dumps(request).encode())
    known, room = set[int | None](), asked.bound.nanos // 2

    def dearer_when_asked_again(facts: CallFacts) -> Bound | Unbounded:
        repeated = facts.output_cap in known
        known.add(facts.output_cap)
        return asked.bound if repeated else bound_of("anthropic")(facts)

    found = fit(asked, room, dearer_when_asked_again)

    assert isinstance(found, NoFit)


def test_makes_no_room_where_the_input_alone_is_too_much() -> None:
    request = {"model": "claude-sonnet-4-5", "messages": SAID, "max_tokens": 1_000}

    found = fitted("anthropic_messages", "claude-sonnet-4-5", request, 1_000)

    assert found == NoFit(None, WouldFit(nothing=True))


def test_says_what_would_fit_where_an_edit_is_not_safe() -> None:
    request = {
        "model": "gpt-4o-mini",
        "messages": SAID,
        "response_format": {"type": "json_object"},
        "service_tier": "default",
    }

    found = fitted("openai_chat", "gpt-4o-mini", request, 1_000 * 600)

    assert isinstance(found, NoFit)
    assert found.reason == "structured_output"
    assert found.would_fit.output_tokens is not None
    assert 900 < found.would_fit.output_tokens < 1_000


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERIOD = Period(
    id="search-day:2026-11-20",
    limit=20_000_000_000,
    ends_at=datetime(2026, 11, 20, 23, tzinfo=UTC),
    top_ups=(TopUp(500_000_000),),
    settled=19_876_543_210,
    leased=500_000_000,
    budget="search-day",
)

UNTIL = "if nothing else is spent until then."
UNASKED = "The gateway did not do that itself: an answer of a given form is not cut short unasked."


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (
            NoFit(None, WouldFit(usual_tier=True, output_tokens=1_234)),
            f'It would fit with service_tier "default" and an output cap of 1,234 tokens, {UNTIL}',
        ),
        (
            NoFit("structured_output", WouldFit(output_tokens=1)),
            f"It would fit with an output cap of 1 token, {UNTIL} {UNASKED}",
        ),
        (
            NoFit("structured_output", WouldFit(nothing=True)),
            "No answer to this input would fit: send less input, or ask a cheaper model.",
        ),
        (WouldFit(), "It would fit now: send it again."),
    ],
)
def test_tells_how_much_until_when_and_who_can_help(found: NoFit | WouldFit, advice: str) -> None:
    told = no_room_text(Short("search-day", PERIOD, 421_500_000), found, NOW)

    assert told == (
        "Budget search-day has no room for this call, which may cost $0.4215: of its limit of"
        " $20.5, $19.87654321 is spent and $0.5 held for other calls, which leaves $0.12345679."
        f" It resets at 2026-11-20T23:00:00Z. {advice}"
        " Whoever manages budget search-day can raise its limit or top it up."
    )


def test_counts_as_held_for_others_what_a_call_holds() -> None:
    told = no_room_text(Short("b", PERIOD, 1, free=400_000_000), WouldFit(nothing=True), NOW)

    assert "$19.87654321 is spent and $0.1 held for other calls, which leaves $0.52345679." in told


def test_tells_of_a_limit_that_was_lowered_below_what_is_spent() -> None:
    period = Period(id="all:total", limit=100_000_000_000, ends_at=FOREVER, settled=200_000_000_000)

    told = no_room_text(Short("all", period, 1), WouldFit(nothing=True), NOW)

    assert "may cost $0.000000001: of its limit of $100, $200 is spent, which leaves $0." in told
    assert "which leaves $0. It does not reset." in told
