"""It finds keys and budgets that nobody uses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.insights.unused import BudgetUse, KeyUse, unused_budgets, unused_keys
from tests.insights.conftest import DAY

LONG = timedelta(days=90)
IDLE = timedelta(days=30)
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(("idle", "count"), [(IDLE - MOMENT, 0), (IDLE, 1)])
def test_finds_keys_that_were_not_used_for_thirty_days(idle: timedelta, count: int) -> None:
    used = KeyUse("line", "ci", "acme", DAY - LONG, DAY - idle)
    never = KeyUse("line", "ci", "acme", DAY - idle, None)

    assert len(unused_keys([used], DAY)) == count
    assert len(unused_keys([never], DAY)) == count


def test_says_which_key() -> None:
    [finding] = unused_keys([KeyUse("line", "ci", "acme", DAY - LONG, None)], DAY)

    assert finding.scope == "key:line"
    assert finding.told.startswith("Key ci is never used")
    assert finding.stake == 0


IDLE_BUDGET = BudgetUse("idle", "acme", "team:acme/search", DAY - LONG, 0, DAY - LONG, None)


@pytest.mark.parametrize(
    ("differing", "is_found"),
    [
        ({}, True),
        ({"spent": 1}, False),
        ({"began_at": DAY - LONG + MOMENT}, False),
        ({"began_at": None}, False),
        ({"refused_at": DAY - LONG - MOMENT}, True),
        ({"refused_at": DAY - LONG}, False),
    ],
)
def test_finds_budgets_that_neither_paid_nor_refused_a_call(
    differing: dict[str, Any], *, is_found: bool
) -> None:
    found = unused_budgets([replace(IDLE_BUDGET, **differing)], DAY)

    assert [each.scope for each in found] == (["budget:idle"] if is_found else [])
