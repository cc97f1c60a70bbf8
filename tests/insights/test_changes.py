"""It finds when a model fails more or answers later than it usually does."""

from datetime import timedelta
from math import log

import pytest

from common.insights.changes import HourFigures, Served, changes
from common.insights.findings import Finding
from tests.insights.conftest import DAY

HOUR = timedelta(hours=1)
Told = tuple[int, int, float]
"""Calls, failed ones, and the typical seconds of the others."""


def found(*hours: Told, usual: Told = (1_000, 10, 2.0), days: int = 7) -> list[Finding]:
    """Findings for hours since DAY, after days of what is usual."""
    told = [(DAY - each * HOUR, usual) for each in range(24 * days, 0, -1)]
    told += [(DAY + number * HOUR, each) for number, each in enumerate(hours)]
    figures = [
        HourFigures(
            time, calls, failed, 7 * failed, calls - failed, (calls - failed) * log(seconds)
        )
        for time, (calls, failed, seconds) in told
    ]
    served = Served("acme", "gpt-x", "api.openai.com", figures)
    return changes(served, DAY, DAY + len(hours) * HOUR)


@pytest.mark.parametrize(("failed", "kinds"), [(59, []), (60, ["error_rate"])])
def test_finds_five_percent_more_failures(failed: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(*[(1_000, failed, 2.0)] * 2)] == kinds


@pytest.mark.parametrize(("failed", "kinds"), [(149, []), (150, ["error_rate"])])
def test_finds_three_times_the_failures_of_a_model_that_often_fails(
    failed: int, kinds: list[str]
) -> None:
    hours = found(*[(1_000, failed, 2.0)] * 2, usual=(1_000, 50, 2.0))

    assert [each.kind for each in hours] == kinds


@pytest.mark.parametrize(("failed", "kinds"), [(9, []), (10, ["error_rate"])])
def test_takes_ten_failures_at_least(failed: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(*[(40, failed, 2.0)] * 2)] == kinds


@pytest.mark.parametrize(("calls", "kinds"), [(29, []), (30, ["error_rate"])])
def test_takes_thirty_calls_at_least(calls: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(*[(calls, 20, 2.0)] * 2)] == kinds


def test_allows_for_what_chance_does_to_few_calls() -> None:
    # 4 % of 100 calls is usual: four times the standard deviation of 2 % are 8 % more, 12 % in all.
    assert found(*[(100, 12, 2.0)] * 2, usual=(100, 4, 2.0)) == []
    assert [e.kind for e in found(*[(100, 13, 2.0)] * 2, usual=(100, 4, 2.0))] == ["error_rate"]


@pytest.mark.parametrize(("seconds", "kinds"), [(2.59, []), (2.61, ["latency"])])
def test_finds_answers_that_take_a_third_longer(seconds: float, kinds: list[str]) -> None:
    assert [each.kind for each in found(*[(1_000, 10, seconds)] * 2)] == kinds


def test_lets_one_hour_be() -> None:
    assert found((1_000, 500, 9.0), (1_000, 10, 2.0), (1_000, 500, 9.0)) == []


def test_says_nothing_where_it_became_better() -> None:
    assert found(*[(1_000, 0, 0.5)] * 3, usual=(1_000, 300, 9.0)) == []


def test_needs_fourteen_hours_to_compare_with() -> None:
    assert found(*[(1_000, 500, 9.0)] * 2, days=0) == []
    quiet = [(5, 0, 2.0)] * 11 + [(1_000, 10, 2.0)] * 13
    assert found(*quiet, *[(1_000, 500, 9.0)] * 2, days=0) == []
    assert {each.kind for each in found((1_000, 10, 2.0), *quiet, *[(1_000, 500, 9.0)] * 2, days=0)}


def test_tells_what_it_saw() -> None:
    failing, slow = found((1_000, 10, 2.0), *[(1_000, 200, 5.0)] * 3)

    assert failing.scope == slow.scope == "model:acme/gpt-x@api.openai.com"
    assert failing.evidence["rate_ppm"] == 200_000
    assert failing.evidence["usual_ppm"] == 10_000
    # The second and the third bad hour count, 400 failed calls at 7 nanos, 360 times a month.
    assert (failing.evidence["hours"], failing.stake) == (2, 400 * 7 * 360)
    assert failing.rows["since"] == "2026-10-26T02:00:00+00:00"
    assert failing.rows["until"] == "2026-10-26T04:00:00+00:00"
    assert slow.evidence["typical_ms"] == 5_000
    assert slow.evidence["usual_ms"] == 2_000
