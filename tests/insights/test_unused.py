"""It finds keys and budgets that nobody uses."""

from datetime import timedelta

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


def test_finds_budgets_of_which_nothing_was_spent() -> None:
    idle = BudgetUse("idle", "acme", "team:acme/search", DAY - LONG, 0)
    used = BudgetUse("used", "acme", "team:acme/search", DAY - LONG, 1)
    young = BudgetUse("young", "acme", "team:acme/search", None, 0)

    assert [each.scope for each in unused_budgets([idle, used, young], DAY)] == ["budget:idle"]
