"""It finds budgets that will not last, from an overrun of a tenth on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.insights.burns import Pace, Watched, burn, projected_rest, rest_span
from common.insights.findings import Window
from tests.insights.conftest import DAY

USD = 1_000_000_000
PERIOD = Window(DAY, DAY + timedelta(days=28))
NOW = DAY + timedelta(days=7)
BUDGET = Watched("b", "acme", "team:acme/search", PERIOD, 1_000 * USD)
EVEN = Pace(
    spent=275 * USD,
    week=275 * USD,
    like_rest=0,
    day=40 * USD,
    day_before=40 * USD,
    three=120 * USD,
    three_before=120 * USD,
)
"""A week of 275 dollars, then three more of them: 1,100 in all."""


@pytest.mark.parametrize(("limit", "is_found"), [(1_000 * USD, True), (1_000 * USD + 1, False)])
def test_finds_a_budget_that_will_be_overrun_by_a_tenth(limit: int, is_found: bool) -> None:
    finding = burn(replace(BUDGET, limit=limit), EVEN, NOW)

    assert (finding is not None) is is_found


def test_says_by_how_much_and_when() -> None:
    finding = burn(BUDGET, EVEN, NOW)

    assert finding is not None
    assert finding.scope == "budget:b"
    assert finding.window == PERIOD
    assert finding.evidence["projected_nanos"] == 1_100 * USD
    # 725 dollars are left of 825 to come in 21 days: 18 days and 10.9 hours.
    assert finding.evidence["spent_at"] == "2026-11-20T10:00:00+00:00"
    # 100 dollars in 28 days.
    assert finding.stake == 107_142_857_142


@pytest.mark.parametrize(("limit", "is_found"), [(20 * USD, True), (20 * USD + 1, False)])
def test_lets_less_than_five_dollars_be(limit: int, is_found: bool) -> None:
    small = replace(EVEN, spent=10 * USD, week=5 * USD)

    assert (burn(replace(BUDGET, limit=limit), small, NOW) is not None) is is_found


def test_carries_growth_on_that_both_a_day_and_three_show() -> None:
    grown = replace(EVEN, day=60 * USD, three=150 * USD)

    # Three days grew by a quarter, the last day by a half: the smaller counts.
    assert projected_rest(PERIOD, grown, NOW) == 825 * USD * 5 // 4


def test_does_not_carry_a_spike_of_one_day_on() -> None:
    spiked = replace(EVEN, day=400 * USD)

    assert projected_rest(PERIOD, spiked, NOW) == 825 * USD


def test_carries_growth_on_at_most_threefold() -> None:
    grown = replace(EVEN, day=4_000 * USD, three=12_000 * USD)

    assert projected_rest(PERIOD, grown, NOW) == 3 * 825 * USD


def test_goes_by_the_last_day_where_there_is_no_week_before() -> None:
    young = replace(EVEN, day_before=0, three_before=0)

    assert projected_rest(PERIOD, young, NOW) == 21 * 40 * USD


def test_takes_the_hours_of_the_last_week_for_what_is_left_beyond_whole_weeks() -> None:
    now = NOW + timedelta(days=5)

    assert rest_span(PERIOD, now) == (now - timedelta(days=7), now - timedelta(days=5))
    assert projected_rest(PERIOD, replace(EVEN, like_rest=9), now) == 2 * 275 * USD + 9


@pytest.mark.parametrize("spent", [1_000 * USD, 1_000 * USD + 1])
def test_leaves_what_is_spent_already_to_thresholds(spent: int) -> None:
    assert burn(BUDGET, replace(EVEN, spent=spent), NOW) is None
    assert burn(BUDGET, replace(EVEN, spent=999 * USD), NOW) is not None


def test_leaves_periods_of_hours_to_thresholds() -> None:
    hour = Window(NOW, NOW + timedelta(hours=1))

    assert burn(replace(BUDGET, period=hour), EVEN, NOW) is None


def test_says_nothing_outside_the_period() -> None:
    assert burn(BUDGET, EVEN, PERIOD.until) is None
    assert burn(BUDGET, EVEN, PERIOD.since - timedelta(seconds=1)) is None
