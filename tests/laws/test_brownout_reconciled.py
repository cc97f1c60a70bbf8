"""Asked once a minute, a source whose posts are lost, doubled and late still ends its brownouts."""

import os
from statistics import fmean, median

import pytest

from tests.laws.reconciled_history import (
    History,
    Reconcile,
    dated_back,
    without_ends,
    without_raises,
)

HISTORIES = 10_000 if "LAW_CALLS" in os.environ else 120
HISTORIES_UNTIL_FOUND = 25
MEDIAN_MIN, MOST_MIN, UNPROTECTED_MIN = 12.0, 20.0, 1.5
LEASES_ALONE_MIN = 50.0


@pytest.mark.slow
def test_is_back_to_normal_twenty_minutes_after_the_last_cause() -> None:
    histories = [History(seed).run() for seed in range(HISTORIES)]

    back = [history.minutes_back for history in histories]
    unprotected = fmean(history.unprotected_s / 60 for history in histories)
    slowest = max(histories, key=lambda history: history.minutes_back)
    assert slowest.minutes_back <= MOST_MIN, f"history {slowest.seed}"
    assert median(back) <= MEDIAN_MIN
    assert unprotected <= UNPROTECTED_MIN


@pytest.mark.slow
@pytest.mark.parametrize("fault", [None, without_ends, dated_back])
def test_sees_a_fault_that_keeps_a_brownout_up(fault: Reconcile | None) -> None:
    back = [History(seed, fault).run().minutes_back for seed in range(HISTORIES_UNTIL_FOUND)]

    assert MOST_MIN < max(back) <= LEASES_ALONE_MIN


@pytest.mark.slow
def test_sees_a_fault_that_leaves_calls_unprotected() -> None:
    histories = [History(seed, without_raises).run() for seed in range(HISTORIES_UNTIL_FOUND)]

    assert fmean(history.unprotected_s / 60 for history in histories) > 2 * UNPROTECTED_MIN
