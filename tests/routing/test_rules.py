"""A table of rules: what may stand in one, and what its author is told."""

from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.routing.rules import MOST_RULES, read_table

FIXED = {"fixed": "gpt-5-mini"}
STEPS = [{"model": "gpt-5", "until": 80}, {"model": "gpt-5-mini", "until": 100}]
STRUCTURAL = {
    "small": "gpt-5-mini",
    "large": "gpt-5",
    "intercept": -8.0,
    "weights": {"size": 0.5, "tools": 1.0},
}


def a_rule(name: str = "one", **members: Any) -> dict[str, Any]:
    return {"name": name, "use": FIXED, **members}


def told(*rules: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as raised:
        read_table({"rules": list(rules)})
    return raised.value.detail


@pytest.mark.parametrize(
    "rule",
    [
        a_rule(),
        a_rule(fallbacks=["anthropic/claude-haiku-4-5"]),
        a_rule(match={"team": "search", "tags": {"env": "dev*"}, "has": ["tools"]}),
        a_rule(use={"cheapest": ["gpt-5", "gemini/gemini-2.5-flash"]}),
        a_rule(use={"weighted": {"gpt-5": 3, "gpt-5-mini": 1}}),
        a_rule(use={"ladder": STEPS}),
        a_rule(use={"structural": STRUCTURAL}, shadow=True),
        a_rule(use={"structural": STRUCTURAL}, report="saves 31 % at equal score"),
    ],
)
def test_is_written_as_it_is_read(rule: dict[str, Any]) -> None:
    table = read_table({"rules": [rule]})

    assert read_table(table.to_data()) == table
    assert set(table.to_data()["rules"][0]) == set(rule)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (a_rule("Has Spaces"), "rules[0].name:"),
        (a_rule(use={}), "rules[0].use: choose in exactly one of these ways"),
        (a_rule(use={**FIXED, "ladder": STEPS}), "exactly one"),
        (a_rule(use={"cheapest": ["gpt-5"]}), "rules[0].use.cheapest:"),
        (a_rule(use={"weighted": {"gpt-5": 0, "o3": 1}}), "greater than or equal to 1"),
        (a_rule(use={"ladder": STEPS[::-1]}), "each step must serve until more"),
        (a_rule(use={"fixed": "a b"}), "rules[0].use.fixed:"),
        (a_rule(use={"structural": STRUCTURAL}), "stays in shadow until it has a report"),
        (
            a_rule(use={"structural": {**STRUCTURAL, "weights": {"hardness": 1.0}}}, shadow=True),
            "hardness is no feature: take code_share,",
        ),
        (a_rule(match={"has": ["tools"], "lacks": ["tools"]}), "both has and lacks tools"),
        (a_rule(match={"input_tokens_from": 9, "input_tokens_to": 9}), "must be above"),
        (a_rule(match={"colour": "red"}), "rules[0].match.colour: Extra inputs"),
        (a_rule(match={"budget_used_from": 101}), "rules[0].match.budget_used_from:"),
        (a_rule(match={"input_tokens_to": 10**30}), "rules[0].match.input_tokens_to:"),
        (a_rule(match={"input_tokens_to": 0}), "must be above"),
        (a_rule(use={"fixed": "auto"}), "rules[0].use.fixed: 'auto' is what calls name"),
        (a_rule(fallbacks=["auto"]), "rules[0].fallbacks[0]:"),
        (a_rule(use={"weighted": {"auto": 1, "o3": 1}}), "'auto' is what calls name"),
    ],
)
def test_says_what_is_wrong_and_where(rule: dict[str, Any], expected: str) -> None:
    assert expected in told(rule)


def test_names_everything_that_is_wrong_at_once() -> None:
    said = told(a_rule("A"), a_rule(use={}), a_rule(match={"colour": "red"}))

    assert all(f"rules[{number}]" in said for number in range(3))
    assert "; and 2 more" in told(*(a_rule("A") for _ in range(12)))


def test_takes_no_two_rules_of_one_name_and_not_too_many() -> None:
    assert "two rules are named one" in told(a_rule(), a_rule())
    assert "100" in told(*(a_rule(f"r{number}") for number in range(MOST_RULES + 1)))


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN", float("nan"), float("inf")])
@pytest.mark.parametrize("member", ["intercept", "weights", "threshold"])
def test_takes_no_number_that_is_none(member: str, number: object) -> None:
    wrong = {"size": number} if member == "weights" else number
    place = "weights.size" if member == "weights" else member

    said = told(a_rule(use={"structural": {**STRUCTURAL, member: wrong}}, shadow=True))

    assert f"rules[0].use.structural.{place}: Input should be a finite number" in said
