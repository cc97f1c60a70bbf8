"""The weights of a structural choice are found again in requests that were drawn with them."""

from math import log

import pytest

from scripts.route_evaluation.judging import fit_on
from scripts.route_evaluation.labelled import read_labelled
from scripts.route_evaluation.logistic import fit
from scripts.route_evaluation.seeded import TRUTH, seeded_lines

NEAR = {
    "size": 0.05,
    "turns": 0.05,
    "tools": 0.04,
    "schema_depth": 0.05,
    "pictures": 0.3,
    "code_share": 0.4,
}
"""Three times what a weight is off by chance in 6,000 requests, and a little more."""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_finds_the_truth_behind_a_seeded_set(seed: int) -> None:
    found = fit_on(read_labelled(seeded_lines(6_000, seed)).requests)

    off = {name: abs(found.weights[name] - weight) for name, weight in TRUTH.weights.items()}
    assert {name: each for name, each in off.items() if each > NEAR[name]} == {}
    assert abs(found.intercept - TRUTH.intercept) < 0.7


def test_gives_each_side_of_one_switch_its_share() -> None:
    """One feature with two values: the likeliest logistic says the shares themselves."""
    rows = [{"tools": 0.0}] * 4_000 + [{"tools": 1.0}] * 4_000
    needed = [True] * 1_000 + [False] * 3_000 + [True] * 3_000 + [False] * 1_000

    found = fit(rows, needed)

    assert found.intercept == pytest.approx(-log(3), abs=1e-2)
    assert found.weights["tools"] == pytest.approx(2 * log(3), abs=1e-2)


def test_has_an_answer_where_a_feature_tells_all_apart() -> None:
    found = fit([{"tools": 0.0}] * 5 + [{"tools": 3.0}] * 5, [False] * 5 + [True] * 5)

    assert 0 < found.weights["tools"] < 3
    assert found.intercept + 1.5 * found.weights["tools"] == pytest.approx(0, abs=1e-4)


def test_gives_no_weight_to_what_is_the_same_everywhere() -> None:
    found = fit([{"tools": 0.0, "pictures": 1.0}, {"tools": 1.0, "pictures": 1.0}], [False, True])

    assert set(found.weights) == {"tools"}


@pytest.mark.parametrize(
    ("rows", "needed", "why"),
    [
        ([{"tools": 0.0}, {"tools": 1.0}], [True, True], "the same label"),
        ([{"tools": 1.0}, {"tools": 1.0}], [True, False], "the same features"),
    ],
)
def test_says_when_there_is_nothing_to_find(
    rows: list[dict[str, float]], needed: list[bool], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        fit(rows, needed)


def test_makes_the_same_set_of_the_same_seed() -> None:
    assert list(seeded_lines(50, 7)) == list(seeded_lines(50, 7))
    assert list(seeded_lines(50, 7)) != list(seeded_lines(50, 8))
