"""It finds calls that say they can wait, and says what the provider's batches would have cost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.insights.batching import batchable, batched
from common.insights.what_if import LedgerRow
from common.llm.price_book import bundled_book
from tests.insights.conftest import DAY

BOOK = bundled_book()
SINCE = DAY - timedelta(days=7)
UNITS = {"input_tokens": 4_000, "output_tokens": 1_000}
# 4,000 at $2.50 and 1,000 at $10 a million; in batches half of both.
ROW = LedgerRow("acme", "nightly", "openai/gpt-4o", DAY, UNITS, None, 20_000_000, "batch", 50)


def test_prices_a_call_at_the_rate_of_batches() -> None:
    assert batched(ROW, BOOK) == 10_000_000


def test_has_no_price_for_what_is_not_sold_in_batches_or_was_priced_otherwise() -> None:
    assert batched(replace(ROW, nanos=1), BOOK) is None
    assert batched(replace(ROW, card="openai/unheard-of"), BOOK) is None


@pytest.mark.parametrize(("calls", "count"), [(49, 0), (234, 1)])
def test_takes_fifty_calls_at_least(calls: int, count: int) -> None:
    rows = [replace(ROW, group_calls=1_000)] * calls

    assert len(batchable(rows, BOOK, SINCE, DAY)) == count


@pytest.mark.parametrize(("calls", "count"), [(116, 0), (117, 1)])
def test_lets_less_than_five_dollars_a_month_be(calls: int, count: int) -> None:
    # Each saves a cent a week, 4.2857 cents a month.
    rows = [replace(ROW, group_calls=calls)] * calls

    assert len(batchable(rows, BOOK, SINCE, DAY)) == count


def test_counts_only_calls_that_can_wait() -> None:
    waiting = [replace(ROW, group_calls=400)] * 150
    others = [replace(ROW, priority="normal", group_calls=400)] * 50

    [finding] = batchable([*waiting, *others], BOOK, SINCE, DAY)

    assert finding.scope == "agent:acme/nightly model:openai/gpt-4o"
    assert finding.evidence["calls"] == 150
    assert finding.evidence["nanos"] == 3_000_000_000
    assert finding.evidence["batch_nanos"] == 1_500_000_000
    # Half of the group's calls were read.
    assert finding.stake == 3_000_000_000 * 30 // 7


def test_says_nothing_of_calls_that_are_in_a_hurry() -> None:
    assert batchable([replace(ROW, priority="normal")] * 500, BOOK, SINCE, DAY) == []
