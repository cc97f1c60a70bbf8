"""It finds unit costs that creep up over weeks, and not those that swing."""

from datetime import timedelta

import pytest

from common.insights.drifts import Daily, DayFigures, drifts
from common.insights.findings import Finding
from tests.insights.conftest import DAY

USD = 1_000_000_000


def found(*weeks: int, ok: int = 30, tokens: int = 0, sessions: int = 0) -> list[Finding]:
    """Findings after weeks in which each day cost so many dollars, the last week last."""
    days = [
        DayFigures(
            DAY - timedelta(days=7 * (len(weeks) - number) - day),
            calls=ok, ok=ok, nanos=usd * USD, sessions=sessions,
            session_tokens=tokens * usd, session_nanos=usd * USD if sessions else 0,
        )
        for number, usd in enumerate(weeks)
        for day in range(7)
    ]  # fmt: skip
    return drifts(Daily("acme", "agent:acme/crawler", days), DAY)


@pytest.mark.parametrize(("last", "kinds"), [(119, []), (120, ["unit_cost"])])
def test_finds_a_rise_of_a_fifth(last: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(100, 100, 100, 100, last)] == kinds


@pytest.mark.parametrize(("ok", "kinds"), [(28, []), (29, ["unit_cost"])])
def test_takes_two_hundred_calls_a_week_at_least(ok: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(100, 100, 100, 100, 150, ok=ok)] == kinds


def test_needs_two_weeks_to_compare_with() -> None:
    assert found(100, 150) == []
    assert len(found(100, 100, 150)) == 1


def test_lets_costs_be_that_swing_as_much() -> None:
    # The middle is 120 and the weeks before lie 80 apart: twice a rise of 40 is no more.
    assert found(60, 120, 120, 140, 160) == []
    assert len(found(60, 120, 120, 140, 161)) == 1


def test_lets_costs_be_that_were_as_high_before() -> None:
    assert found(100, 100, 100, 150, 150) == []
    assert len(found(100, 100, 100, 150, 151)) == 1


def test_finds_a_creep_that_began_in_the_weeks_before() -> None:
    [finding] = found(100, 100, 110, 130, 150)

    assert finding.evidence["weeks_before"] == 3_500_000_000
    assert finding.evidence["last_week"] == 5_000_000_000
    assert finding.evidence["rise_percent"] == 43
    # 1,050 dollars of the week, of which 30 percent are above the middle of 105.
    assert finding.evidence["excess_nanos"] == 315 * USD
    assert finding.stake == 315 * USD * 30 // 7


def test_lets_more_work_at_the_same_cost_be() -> None:
    days = [
        DayFigures(DAY - timedelta(days=back), 100 * (1 + (back <= 7)), 100 * (1 + (back <= 7)),
                   100 * USD * (1 + (back <= 7)), 0, 0, 0)
        for back in range(1, 36)
    ]  # fmt: skip

    assert drifts(Daily("acme", "agent:acme/crawler", days), DAY) == []


@pytest.mark.parametrize(("cents", "count"), [(171, 0), (172, 1)])
def test_lets_less_than_five_dollars_a_week_be(cents: int, count: int) -> None:
    """A dollar a day is usual: 71 cents more are 4.97 a week, 72 are 5.04."""
    days = [
        DayFigures(DAY - timedelta(days=back), 30, 30, (cents if back <= 7 else 100) * USD // 100,
                   0, 0, 0)
        for back in range(1, 36)
    ]  # fmt: skip

    assert len(drifts(Daily("acme", "agent:acme/crawler", days), DAY)) == count


def test_finds_conversations_that_take_more_tokens() -> None:
    findings = found(100, 100, 100, 100, 150, ok=0, tokens=60, sessions=30)

    assert [each.kind for each in findings] == ["session_tokens"]
    assert findings[0].evidence["last_week"] == 300
    assert findings[0].evidence["weeks_before"] == 200
