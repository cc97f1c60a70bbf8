"""What counts of calls call for: only what is sure, and until it is over."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.brownout.evidence import Counts, Judgement, Slow, judge, wilson_lower_bound
from common.brownout.modes import Mode
from common.brownout.policy import LatencyThreshold, LevelThresholds, Limits
from common.brownout.policy_file import shipped_policy

POLICY = shipped_policy()
SURE = POLICY.reading.confidence
LIMITS = POLICY.limits_for("provider:openai")


def judged(
    counts: Counts, held: Judgement | None = None, limits: Limits = LIMITS
) -> tuple[Mode, Mode, Mode]:
    """What errors, latency and calls in flight call for."""
    found = judge(counts, limits, POLICY.reading, SURE, held or Judgement())
    return found.errors, found.latency, found.in_flight


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(0, 0, 0.0), (0, 20, 0.0), (4, 20, 0.0686), (9, 83, 0.0518), (20, 20, 0.7870)],
)
def test_bounds_a_share_from_below(hits: int, n: int, expected: float) -> None:
    assert wilson_lower_bound(hits, n, SURE) == pytest.approx(expected, abs=0.0001)


@given(st.integers(1, 500), st.data())
def test_bounds_it_below_what_was_seen_and_closer_the_more_was(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))

    bounds = [wilson_lower_bound(hits * more, n * more, SURE) for more in (1, 2, 10, 100)]

    assert all(less <= more + 1e-12 for less, more in pairwise(bounds))
    assert -1e-12 <= bounds[-1] <= hits / n + 1e-12


@pytest.mark.parametrize(
    ("calls", "failed", "mode"),
    [
        (19, 19, Mode.NORMAL),  # too few calls
        (20, 3, Mode.NORMAL),
        (20, 4, Mode.SOFT),
        (20, 6, Mode.HARD),
        (20, 9, Mode.EMERGENCY),
        (83, 8, Mode.NORMAL),
        (83, 9, Mode.SOFT),
        (10_000, 530, Mode.NORMAL),
        (10_000, 560, Mode.SOFT),
    ],
)
def test_calls_for_the_mode_whose_error_rate_is_surely_exceeded(
    calls: int, failed: int, mode: Mode
) -> None:
    assert judged(Counts(calls, failed)) == (mode, Mode.NORMAL, Mode.NORMAL)


@pytest.mark.parametrize(
    ("held", "failed", "mode"),
    [
        (Mode.NORMAL, 12, Mode.NORMAL),
        (Mode.SOFT, 12, Mode.SOFT),  # surely above 3 %, which is 5 % times recover_at
        (Mode.SOFT, 11, Mode.NORMAL),
        (Mode.HARD, 30, Mode.HARD),
        (Mode.HARD, 19, Mode.SOFT),
        (Mode.SOFT, 30, Mode.HARD),
        (Mode.EMERGENCY, 40, Mode.EMERGENCY),
        (Mode.HARD, 40, Mode.HARD),
    ],
)
def test_lets_errors_go_only_below_the_recovery_limit(held: Mode, failed: int, mode: Mode) -> None:
    assert judged(Counts(200, failed), Judgement(errors=held))[0] == mode


@pytest.mark.parametrize(
    ("above", "mode"),
    [
        ((3, 0, 0), Mode.NORMAL),
        ((4, 0, 0), Mode.SOFT),
        ((20, 4, 0), Mode.HARD),
        ((20, 20, 3), Mode.HARD),
        ((20, 20, 4), Mode.EMERGENCY),
    ],
)
def test_calls_for_the_mode_whose_latency_more_than_5_percent_of_the_calls_exceed(
    above: tuple[int, int, int], mode: Mode
) -> None:
    soft, hard, emergency = (Slow(20, slower, slower) for slower in above)

    assert judged(Counts(20, 0, (soft, hard, emergency))) == (Mode.NORMAL, mode, Mode.NORMAL)


def test_takes_too_few_timed_calls_for_no_latency_whatever_other_calls_there_are() -> None:
    slow = Slow(19, 19, 19)

    assert judged(Counts(1_000, 0, (slow, slow, slow)))[1] == Mode.NORMAL


@pytest.mark.parametrize(
    ("held", "mode"),
    [(Mode.NORMAL, Mode.NORMAL), (Mode.SOFT, Mode.SOFT), (Mode.HARD, Mode.HARD)],
)
def test_lets_latency_go_only_below_the_recovery_limit(held: Mode, mode: Mode) -> None:
    nearly = Slow(100, 0, 100)
    counts = Counts(100, 0, (nearly, nearly, nearly))

    assert judged(counts, Judgement(latency=held))[1] == mode


def test_holds_nothing_by_another_thing() -> None:
    counts = Counts(200, 12)

    assert judged(counts, Judgement(latency=Mode.HARD))[0] == Mode.NORMAL


@pytest.mark.parametrize(
    ("in_flight", "mode"),
    [(50, Mode.NORMAL), (51, Mode.SOFT), (100, Mode.SOFT), (101, Mode.HARD)],
)
def test_counts_calls_in_flight_where_a_limit_names_them(in_flight: int, mode: Mode) -> None:
    limits = replace(
        LIMITS,
        soft=replace(LIMITS.soft, pending_requests=50),
        hard=replace(LIMITS.hard, pending_requests=100),
    )

    assert judged(Counts(in_flight=in_flight), limits=limits)[2] == mode
    assert judged(Counts(in_flight=in_flight))[2] == Mode.NORMAL


def test_calls_for_nothing_that_no_limit_is_set_for() -> None:
    latency = LatencyThreshold(timedelta(seconds=2))
    thresholds = replace(POLICY.thresholds, hard=LevelThresholds(), emergency=LevelThresholds())
    only_soft = replace(thresholds, soft=LevelThresholds(latency_p95=latency, error_rate=None))
    limits = replace(POLICY, thresholds=only_soft).limits_for("provider:openai")
    slow = Slow(20, 20, 20)

    found = judged(Counts(20, 20, (slow, slow, slow)), limits=limits)

    assert found == (Mode.NORMAL, Mode.SOFT, Mode.NORMAL)
