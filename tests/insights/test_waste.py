"""It finds money that bought nothing, from a share of the spend on that is worth telling."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.insights.findings import Finding, Window
from common.insights.waste import Spent, waste
from tests.insights.conftest import DAY

USD = 1_000_000_000
USUAL = Spent(
    org="acme", agent="crawler", model="gpt-x", calls=1_000, nanos=100 * USD, failed=0,
    failed_nanos=0, cut=0, cut_nanos=0, abandoned=0, abandoned_nanos=0, unpriced=0, held=0,
    over_held=0, over_held_nanos=0,
)  # fmt: skip


def found(**parts: Any) -> list[Finding]:
    return waste([replace(USUAL, **parts)], DAY)


@pytest.mark.parametrize(
    ("kind", "part", "enough"),
    [("failed", "failed_nanos", 2), ("cut", "cut_nanos", 5), ("abandoned", "abandoned_nanos", 5)],
)
def test_finds_a_share_from_its_limit_on(kind: str, part: str, enough: int) -> None:
    [finding] = found(**{part: enough * USD})

    assert found(**{part: enough * USD - 1}) == []
    assert finding.kind == kind
    assert finding.stake == enough * USD * 30 // 7
    assert finding.window == Window.month_of(DAY - timedelta(days=1))
    assert finding.rows["agent"] == "crawler"
    assert finding.rows.get("failed") == ("true" if kind == "failed" else None)


@pytest.mark.parametrize(("nanos", "count"), [(1_166_666_666, 0), (1_166_666_667, 1)])
def test_lets_less_than_five_dollars_a_month_be(nanos: int, count: int) -> None:
    assert len(found(nanos=10 * USD, failed_nanos=nanos)) == count


@pytest.mark.parametrize(
    ("unpriced", "calls", "kinds"),
    [(19, 100, []), (20, 2_001, []), (20, 2_000, ["unpriced"]), (20, 100, ["unpriced"])],
)
def test_finds_calls_without_a_price(unpriced: int, calls: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(unpriced=unpriced, calls=calls)] == kinds


@pytest.mark.parametrize(
    ("over", "held", "kinds"),
    [(99, 99, []), (100, 201, []), (100, 200, ["over_held"])],
)
def test_finds_holds_that_are_far_too_large(over: int, held: int, kinds: list[str]) -> None:
    assert [each.kind for each in found(over_held=over, held=held)] == kinds


def test_says_nothing_where_nothing_is_wasted() -> None:
    assert found() == []
    assert found(nanos=0, calls=0) == []
