"""Goals are ratios of medians of one run, and one without its reference is not decided."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from scripts.benchmark.goals import (
    Goal,
    goal_document,
    goal_table,
    goals,
    measure_transactions,
    reached,
    transactions,
)
from scripts.benchmark.load import Result
from scripts.benchmark.measures import FULL, QUICK, Figure
from scripts.benchmark.rows import kept_up

OURS = Figure("small, 16 at once", "gateway", "CPU", "ms/call")
THEIRS = replace(OURS, target="LiteLLM")
LEAST = Goal("CPU", OURS, THEIRS, Fraction(1, 30), Fraction(1, 60))
MOST = Goal("calls", OURS, THEIRS, Fraction(5), Fraction(10), at_least=True)


@pytest.mark.parametrize(
    ("goal", "ours", "theirs", "value", "verdict"),
    [
        (LEAST, [0.1], [6.0], 1 / 60, "moonshot"),
        (LEAST, [0.2], [6.0], 1 / 30, "must"),
        (LEAST, [0.25], [6.0], 1 / 24, "missed"),
        (LEAST, [9.0, 0.1, 0.05], [1.0, 6.0, 90.0], 1 / 60, "moonshot"),
        (MOST, [1000], [100], 10, "moonshot"),
        (MOST, [500], [100], 5, "must"),
        (MOST, [499], [100], 4.99, "missed"),
    ],
)
def test_divides_medians_and_holds_them_against_both_bounds(
    goal: Goal, ours: Sequence[float], theirs: Sequence[float], value: float, verdict: str
) -> None:
    [found] = reached([goal], {OURS: ours, THEIRS: theirs})

    assert found.value == pytest.approx(value)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    "runs",
    [
        {},
        {OURS: [1.0]},
        {THEIRS: [1.0]},
    ],
)
def test_does_not_decide_without_a_reference(runs: dict[Figure, list[float]]) -> None:
    [found] = reached([LEAST], runs)

    assert (found.value, found.verdict) == (None, "not measured")
    line = " ".join(list(goal_table([found]))[1].split())
    assert line == "CPU - <= 1/30 <= 1/60 not measured"


@pytest.mark.parametrize(("ours", "theirs"), [(1.0, 0.0), (-1.0, 2.0), (0.0, 2.0)])
def test_does_not_decide_what_no_clock_can_tell(ours: float, theirs: float) -> None:
    [found] = reached([LEAST], {OURS: [ours], THEIRS: [theirs]})

    assert (found.value, found.verdict) == (None, "too small to tell")


def test_lists_the_goals_of_a_quick_run_and_judges_none() -> None:
    [found, other] = reached([LEAST, MOST], {OURS: [0.1], THEIRS: [6.0]}, judged=False)

    assert found.value == pytest.approx(1 / 60)
    assert {found.verdict, other.verdict} == {"not judged: a quick run"}


def test_takes_a_goal_without_a_reference_as_it_is() -> None:
    goal = Goal("transactions", OURS, None, Fraction(6, 1000), Fraction(45, 10_000))

    [found] = reached([goal], {OURS: [0.005]})

    assert (found.value, found.verdict) == (0.005, "must")
    assert goal_document([found]) == [
        {
            "goal": "transactions",
            "value": 0.005,
            "must": 0.006,
            "moonshot": 0.0045,
            "at_least": False,
            "verdict": "must",
        }
    ]


def test_asks_no_less_of_the_better_bound() -> None:
    wrong = [
        goal.name
        for goal in goals()
        if (goal.must > goal.moonshot if goal.at_least else goal.must < goal.moonshot)
    ]

    assert wrong == []


def test_counts_the_transactions_of_busy_instances() -> None:
    found = measure_transactions(QUICK)

    assert 0 < found[transactions(QUICK)] < 1
    assert transactions(FULL) not in found  # a small budget is asked for more often


@pytest.mark.parametrize(("elapsed_s", "kept"), [(1.0, True), (1.04, True), (1.1, False)])
def test_takes_no_latency_of_whoever_falls_behind(elapsed_s: float, *, kept: bool) -> None:
    assert kept_up(100, 100, Result((), [], elapsed_s)) is kept
