"""What was saved, with its interval, from sums alone."""

from collections.abc import Sequence
from statistics import variance

import pytest

from common.brownout.savings import (
    ArmSum,
    EpisodeSums,
    StratumSum,
    UnmatchedSum,
    estimated,
    saved,
)

MICRO = 1_000
T29 = 2.0452296421327
"""Student's t of 95 % and 29 degrees of freedom."""


def an_arm(outputs: Sequence[int], inputs: int = 0, asked: int = 0) -> ArmSum:
    """Calls whose outputs cost so many micro-USD; inputs are in nano-USD."""
    nanos = MICRO * sum(outputs)
    return ArmSum(len(outputs), nanos, sum(each * each for each in outputs), inputs, asked)


def a_stratum(
    held: Sequence[int],
    done: Sequence[int],
    *,
    batch: bool = False,
    inputs: int = 0,
    asked: int = 0,
) -> StratumSum:
    return StratumSum(batch, an_arm(done, inputs, asked), an_arm(held))


THIRTY = [100, 200, 300] * 10


def test_is_the_holdout_s_mean_for_each_call_less_what_they_cost() -> None:
    sums = EpisodeSums([a_stratum(THIRTY, [50] * 400)])

    saving = saved(sums)

    assert saving.nanos == 400 * 150 * MICRO
    assert (saving.method, saving.calls, saving.holdout_calls) == ("holdout", 400, 30)
    assert saving.note == ""


def test_adds_the_difference_of_the_inputs_exactly() -> None:
    stratum = a_stratum(THIRTY, [200] * 100, inputs=7_000_001, asked=70_000_003)

    assert saved(EpisodeSums([stratum])).nanos == 63_000_002


def test_is_as_uncertain_as_the_mean_and_the_calls_are() -> None:
    """Half the interval is t times n_d s (1/n_h + 1/n_d)^(1/2)."""
    saving = saved(EpisodeSums([a_stratum(THIRTY, [50] * 400)]))

    spread = variance(THIRTY) ** 0.5 * MICRO
    margin = T29 * 400 * spread * (1 / 30 + 1 / 400) ** 0.5
    assert saving.nanos is not None
    assert saving.low is not None
    assert saving.high is not None
    assert saving.high - saving.nanos == pytest.approx(margin, rel=1e-6)
    assert saving.nanos - saving.low == saving.high - saving.nanos


def test_adds_strata_with_the_degrees_of_freedom_of_both() -> None:
    """Two equal ones have 58 degrees, and their variances add up."""
    one = a_stratum(THIRTY, [50] * 400)

    single, both = saved(EpisodeSums([one])), saved(EpisodeSums([one, one]))

    assert single.nanos is not None
    assert single.high is not None
    assert both.high is not None
    assert both.nanos == 2 * single.nanos
    t58 = 2.0017174841452
    expected = (single.high - single.nanos) / T29 * t58 * 2**0.5
    assert both.high - both.nanos == pytest.approx(expected, rel=1e-6)


def test_tells_a_loss_as_a_negative_saving() -> None:
    saving = saved(EpisodeSums([a_stratum([100] * 30, [101] * 50)]))

    assert (saving.nanos, saving.low, saving.high) == (-50 * MICRO, -50 * MICRO, -50 * MICRO)


@pytest.mark.parametrize("held", [0, 1, 29])
def test_says_that_there_is_not_enough_data(held: int) -> None:
    saving = saved(EpisodeSums([a_stratum([100] * held, [50] * 900)]))

    assert (saving.nanos, saving.low, saving.high) == (None, None, None)
    assert saving.note == f"not enough data: {held} calls in the holdout, 30 are needed"


def test_says_that_nothing_was_degraded() -> None:
    assert saved(EpisodeSums()).note == "not enough data: no call was degraded"
    assert saved(EpisodeSums([a_stratum(THIRTY, [])])).nanos is None


def test_pools_strata_with_few_calls_in_the_holdout() -> None:
    """Their calls are then all taken to have cost the mean of the pool."""
    small = [a_stratum([100] * 15, [10] * 100), a_stratum([300] * 15, [10] * 100)]
    large = a_stratum([1_000] * 30, [10] * 10)

    saving = saved(EpisodeSums([*small, large]))

    assert saving.nanos == (200 * 190 + 10 * 990) * MICRO
    assert saving.note == "3 strata, 2 of them pooled"


def test_pools_calls_that_are_refused_first_apart() -> None:
    """Half of the batch calls are refused but none held out, so their parts of a pool differ."""
    batch = a_stratum([900] * 30, [450] * 10, batch=True)
    parts = [a_stratum([100] * 15, [50] * 100), a_stratum([100] * 15, [50] * 100)]

    assert saved(EpisodeSums([batch, *parts])).nanos == (10 * 450 + 200 * 50) * MICRO


def test_joins_what_is_left_to_the_smallest_group() -> None:
    few = a_stratum([700] * 10, [0] * 10)
    groups = [a_stratum([100] * 40, [0] * 10), a_stratum([500] * 90, [0] * 10)]

    saving = saved(EpisodeSums([few, *groups]))

    pool = (700 * 10 + 100 * 40) // 50
    assert saving.nanos == (20 * pool + 10 * 500) * MICRO
    assert saving.note == "3 strata, 2 of them pooled"


def test_counts_calls_of_a_stratum_without_a_holdout_in_a_pool() -> None:
    sums = EpisodeSums([a_stratum([], [50] * 10), a_stratum([150] * 30, [50] * 10)])

    assert saved(sums).nanos == 20 * 100 * MICRO


def test_takes_equal_outputs_for_certain_although_squares_are_rounded() -> None:
    arm = ArmSum(30, 30 * 1_600, 30 * 2)
    saving = saved(EpisodeSums([StratumSum(batch=False, degraded=ArmSum(10), holdout=arm)]))

    assert saving.low == saving.high == saving.nanos == 16_000


class TestEmergencies:
    def test_are_estimated_by_the_hour_before_without_an_interval(self) -> None:
        sums = EpisodeSums(unmatched=[UnmatchedSum(10, 1_000, 40, 8_000)])

        saving = estimated(sums)

        assert saving is not None
        assert (saving.method, saving.nanos) == ("estimate", 1_000)
        assert (saving.low, saving.high, saving.holdout_calls) == (None, None, 0)
        assert saving.note == "an estimate by the hour before, for 10 of 10 calls"

    def test_leave_out_calls_of_which_too_little_is_known(self) -> None:
        known, unknown = UnmatchedSum(10, 3_000, 30, 6_000), UnmatchedSum(90, 5, 29, 99_999)

        saving = estimated(EpisodeSums(unmatched=[known, unknown]))

        assert saving is not None
        assert (saving.nanos, saving.calls) == (-1_000, 10)
        assert saving.note == "an estimate by the hour before, for 10 of 100 calls"

    def test_say_that_nothing_is_known(self) -> None:
        saving = estimated(EpisodeSums(unmatched=[UnmatchedSum(10, 1_000, 0, 0)]))

        assert saving is not None
        assert saving.nanos is None
        assert saving.note.startswith("not enough data")

    def test_are_not_told_of_where_there_were_none(self) -> None:
        assert estimated(EpisodeSums()) is None
