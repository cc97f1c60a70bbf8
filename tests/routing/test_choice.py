"""Which models a call is sent to, rule by rule."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import pytest

from common.gateway.brownouts import even_draw
from common.routing.choice import Asking, Choice, choose
from common.routing.rules import read_table

DRAW = even_draw(b"installation")
COSTS = {"gpt-5": 300, "gpt-5-mini": 60, "gemini/gemini-2.5-flash": 60, "llama3": None}


def not_asked(*_: Any) -> NoReturn:
    raise AssertionError("a rule that does not name it must not find it out")


ASKING = Asking(
    team="search",
    agent="crawler",
    project=None,
    tags={"env": "dev"},
    model="gpt-5",
    endpoint="chat.completions",
    stream=False,
    input_tokens=1_000,
    has_session=False,
    read_session=lambda: "s1",
    is_bound=lambda: False,
    read_features=not_asked,
    read_form=not_asked,
    read_budget_used=not_asked,
    expected_cost=not_asked,
)
MatchTo = Callable[..., Asking]


def chosen(asking: Asking, *rules: dict[str, Any]) -> Choice | None:
    named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
    return choose(read_table({"rules": named}), asking, DRAW)


def models(choice: Choice | None) -> tuple[str, ...]:
    assert choice is not None
    return choice.models


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"team": "sea*"}, True),
        ({"team": "support"}, False),
        ({"agent": "crawler"}, True),
        ({"agent": "x"}, False),
        ({"project": "*"}, False),
        ({"model": "gpt-5*"}, True),
        ({"model": "o*"}, False),
        ({"endpoint": "chat.*"}, True),
        ({"endpoint": "responses"}, False),
        ({"stream": False}, True),
        ({"stream": True}, False),
        ({"tags": {"env": "d*"}}, True),
        ({"tags": {"env": "prod"}}, False),
        ({"tags": {"region": "*"}}, False),
        ({"input_tokens_from": 1_000}, True),
        ({"input_tokens_from": 1_001}, False),
        ({"input_tokens_to": 1_001}, True),
        ({"input_tokens_to": 1_000}, False),
        ({"has": ["tools"]}, True),
        ({"has": ["tools", "pictures"]}, False),
        ({"lacks": ["pictures"]}, True),
        ({"lacks": ["tools"]}, False),
        ({"budget_used_from": 80}, True),
        ({"budget_used_from": 81}, False),
    ],
)
def test_matches_only_where_all_that_a_rule_names_holds(
    match: dict[str, Any], *, matches: bool
) -> None:
    asking = replace(
        ASKING, read_features=lambda: frozenset({"tools"}), read_budget_used=lambda: 0.8
    )

    found = chosen(asking, {"match": match, "use": {"fixed": "o3"}})

    assert (found is not None) is matches


def test_obeys_the_first_rule_that_matches() -> None:
    found = chosen(
        ASKING,
        {"match": {"team": "support"}, "use": {"fixed": "a"}},
        {"use": {"fixed": "b"}, "fallbacks": ["c", "b", "d"]},
        {"use": {"fixed": "e"}},
    )

    assert found == Choice("r1", ("b", "c", "d"), "fixed")


def test_takes_the_cheapest_first_and_what_has_no_price_last() -> None:
    asking = replace(ASKING, expected_cost=COSTS.__getitem__)

    found = chosen(asking, {"use": {"cheapest": list(COSTS)}, "fallbacks": ["gpt-5", "o3"]})

    assert models(found) == ("gpt-5-mini", "gemini/gemini-2.5-flash", "gpt-5", "llama3", "o3")


def test_draws_by_weight_and_keeps_a_session_where_it_is() -> None:
    def drawn(weights: dict[str, int]) -> list[str]:
        rule = {"use": {"weighted": weights}}
        sessions = [replace(ASKING, read_session=partial(str, number)) for number in range(2_000)]
        return [models(chosen(each, rule))[0] for each in sessions]

    before = drawn({"a": 3, "b": 1})
    after = drawn({"a": 3, "b": 1, "c": 1})

    assert before == drawn({"b": 1, "a": 3})
    assert 1_400 < Counter(before)["a"] < 1_600
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"c"}


@pytest.mark.parametrize(
    ("used", "those"),
    [(0.0, "abc"), (0.79, "abc"), (0.8, "bc"), (0.95, "c"), (0.99, "c"), (1.0, "c"), (1.2, "c")],
)
def test_steps_down_a_ladder_as_a_budget_is_used_up(used: float, those: str) -> None:
    """The steps below come next, where the budget has no room for the first."""
    steps = [{"model": "a", "until": 80}, {"model": "b", "until": 95}, {"model": "c", "until": 98}]

    found = chosen(replace(ASKING, read_budget_used=lambda: used), {"use": {"ladder": steps}})

    assert models(found) == tuple(those)


@pytest.mark.parametrize(
    ("tools", "model", "why"),
    [(1.0, "small", "complexity 0.27"), (2.0, "large", "complexity 0.50")],
)
def test_takes_the_large_model_from_the_threshold_on(tools: float, model: str, why: str) -> None:
    use = {"small": "small", "large": "large", "intercept": -2.0, "weights": {"tools": 1.0}}
    asking = replace(ASKING, read_form=lambda: {"tools": tools})

    found = chosen(asking, {"use": {"structural": use}, "shadow": True})

    assert found == Choice("r0", (model,), why, shadow=True)


def test_finds_out_nothing_that_no_rule_names() -> None:
    assert models(chosen(ASKING, {"match": {"team": "search"}, "use": {"fixed": "a"}})) == ("a",)


MANY_WAYS: tuple[dict[str, Any], ...] = (
    {"cheapest": ["o3", "o4-mini"]},
    {"weighted": {"o3": 1, "o4-mini": 1}},
    {"ladder": [{"model": "o3", "until": 50}, {"model": "o4-mini", "until": 100}]},
    {
        "structural": {
            "small": "o3",
            "large": "o4-mini",
            "intercept": 0.0,
            "weights": {"size": 1.0},
        }
    },
)
BOUND = replace(
    ASKING,
    is_bound=lambda: True,
    read_budget_used=lambda: 0.0,
    read_form=lambda: {"size": 1.0},
    expected_cost=lambda _: None,
)


@pytest.mark.parametrize("use", MANY_WAYS)
def test_goes_on_with_the_model_that_keeps_what_the_call_names(use: dict[str, Any]) -> None:
    rule = {"use": use, "fallbacks": ["gpt-5-nano"], "report": "tried"}

    choice = chosen(BOUND, rule)

    assert choice == Choice("r0", ("gpt-5",), "goes on")
    assert models(chosen(replace(BOUND, model="auto"), rule))[0] in ("o3", "o4-mini")


def test_moves_what_is_kept_where_all_of_a_conversation_goes_to_one_model() -> None:
    drawn = {"use": {"weighted": {"o3": 1, "o4-mini": 1}}}
    in_session = replace(BOUND, has_session=True)

    assert models(chosen(BOUND, {"use": {"fixed": "o3"}})) == ("o3",)
    assert models(chosen(in_session, drawn)) == models(chosen(ASKING, drawn))
