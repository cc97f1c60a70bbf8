"""It finds hours that stand out of what is usual, and no others."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from common.insights.series import Series
from common.insights.spikes import NEEDED, spike_hours, spikes
from tests.insights.conftest import DAY

USD = 1_000_000_000
HOUR = timedelta(hours=1)
FIRST = DAY - NEEDED * HOUR


def series(usual: Callable[[int], int], *hours: int) -> Series:
    """Eight weeks of what is usual, told by the hour since FIRST, and the hours since DAY."""
    before = tuple(usual(hour) for hour in range(NEEDED))
    return Series("acme", "agent:acme/crawler", FIRST, before + hours)


def found(told: Series) -> list[tuple[int, int]]:
    """Hours since DAY that stand out, and what was to be expected of them."""
    until = DAY + 72 * HOUR
    return [((each.hour - DAY) // HOUR, each.expected) for each in spike_hours(told, DAY, until)]


@pytest.mark.parametrize(
    ("usual", "enough"),
    [
        pytest.param(10 * USD, 15 * USD, id="five dollars over"),
        pytest.param(100 * USD, 130 * USD, id="thirty percent over"),
    ],
)
def test_finds_an_hour_from_its_limit_on(usual: int, enough: int) -> None:
    below, at = (series(lambda _: usual, usual, hour) for hour in (enough - 1, enough))

    assert found(below) == []
    assert found(at) == [(1, usual)]


@pytest.mark.parametrize(("actual", "expected"), [(1_104 * USD, []), (1_105 * USD, [0])])
def test_asks_more_of_a_scope_that_varies_more(actual: int, expected: list[int]) -> None:
    """Weeks of 100 and 200: the middle of four is 150, and the ratios are ln 2/3 and ln 4/3.

    They lie 0.3466 around -0.0589, which is a spread of 0.5139; four of them above are 1,104.6.
    """
    told = series(lambda hour: (100 if hour // 168 % 2 else 200) * USD, actual)

    assert [hour for hour, _ in found(told)] == expected


def test_learns_from_hours_that_cost_alike() -> None:
    """Weekends of 8 and 16 are restless beside 100 on all other days, which never vary.

    The middle of their four is 12, the spread of the ratios ln 2/3 and ln 4/3 is 0.5139. Four above
    the level of the day before, which was as usual, are 7.81 times 12, or 93.7 dollars.
    """

    def usual(hour: int) -> int:
        if hour % 168 < 120:
            return 100 * USD
        return (8 if hour // 168 % 2 else 16) * USD

    week = [100 * USD] * 120
    below, above = (series(usual, *week, last * USD) for last in (93, 94))
    end = DAY + 200 * HOUR

    assert spike_hours(below, DAY, end) == []
    assert [(each.hour - DAY) // HOUR for each in spike_hours(above, DAY, end)] == [120]


def test_compares_with_the_same_hour_of_the_week() -> None:
    def busy(hour: int) -> int:
        return 100 * USD if hour % 168 == 1 else USD

    assert found(series(busy, USD, 100 * USD)) == []
    assert found(series(busy, 100 * USD, USD)) == [(0, USD)]


def test_takes_a_level_that_has_lasted_for_half_a_day_as_the_new_one() -> None:
    told = series(lambda _: 10 * USD, *(20 * USD for _ in range(72)))

    assert [hour for hour, _ in found(told)] == list(range(13))


def test_lets_one_week_of_a_spike_mislead_nobody() -> None:
    told = series(lambda hour: (90 if hour == NEEDED - 168 else 10) * USD, 20 * USD)

    assert found(told) == [(0, 10 * USD)]


@pytest.mark.parametrize(("actual", "expected"), [(11 * USD - 1, []), (11 * USD, [(0, 6 * USD)])])
def test_asks_three_times_the_dearest_hour_of_a_young_scope(
    actual: int, expected: list[tuple[int, int]]
) -> None:
    told = series(lambda hour: 2 * USD if hour >= NEEDED - 72 else 0, actual)

    assert found(told) == expected


def test_says_nothing_of_the_first_day_of_a_scope() -> None:
    assert found(series(lambda hour: USD if hour >= NEEDED - 23 else 0, 500 * USD)) == []
    assert found(series(lambda hour: USD if hour >= NEEDED - 24 else 0, 500 * USD)) == [
        (0, 3 * USD)
    ]


def test_says_nothing_where_less_is_spent() -> None:
    assert found(series(lambda _: 100 * USD, 0, USD)) == []


def test_tells_one_finding_a_day_and_when_it_is_over() -> None:
    hours = [10 * USD] * 22 + [40 * USD, 50 * USD, 60 * USD] + [10 * USD] * 5
    told = series(lambda _: 10 * USD, *hours)

    first, second = spikes(told, DAY, DAY + 27 * HOUR)
    closed = spikes(told, DAY, DAY + 28 * HOUR)

    assert first.window.since == DAY
    assert first.evidence["actual_nanos"] == 90 * USD
    assert first.evidence["expected_nanos"] == 20 * USD
    assert first.stake == 70 * USD
    assert first.rows == {
        "since": "2026-10-26T22:00:00+00:00",
        "until": "2026-10-27T00:00:00+00:00",
        "of": "agent:acme/crawler",
    }
    assert (second.window.since, second.stake) == (DAY + 24 * HOUR, 50 * USD)
    assert [first.over, second.over] == [True, False]
    assert [each.over for each in closed] == [True, True]


def test_judges_only_the_hours_it_is_asked_for() -> None:
    told = series(lambda _: 10 * USD, *([40 * USD] * 3))

    assert [each.hour for each in spike_hours(told, DAY, DAY + 2 * HOUR)] == [DAY, DAY + HOUR]


def test_finds_the_same_whatever_comes_after() -> None:
    hours = [10 * USD] * 5 + [40 * USD] + [10 * USD] * 40
    later = [*hours[:20], *([900 * USD] * 20)]

    assert spike_hours(series(lambda _: 10 * USD, *hours), DAY, DAY + 20 * HOUR) == spike_hours(
        series(lambda _: 10 * USD, *later), DAY, DAY + 20 * HOUR
    )
