"""Bins of latencies answer for any limit and percentile, within a bin."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core.latency_bins import BINS, RATIO, STARTS, bin_of, cut_at, percentile_s, slower

LATENCIES = st.floats(0.0, 1_000.0)


@given(latency_s=LATENCIES)
def test_puts_every_latency_into_the_bin_that_holds_it(latency_s: float) -> None:
    number = bin_of(latency_s)

    assert 0 <= number < BINS
    assert latency_s >= STARTS[number] or number == 0
    assert latency_s < STARTS[number] * RATIO * 1.000_001 or number == BINS - 1


def test_begins_at_20_ms_and_ends_at_88_s() -> None:
    assert (bin_of(0.001), bin_of(0.0199), bin_of(0.021), bin_of(0.0261)) == (0, 0, 0, 1)
    assert (bin_of(68.0), bin_of(68.2), bin_of(3_600.0)) == (BINS - 2, BINS - 1, BINS - 1)


@given(
    latencies=st.lists(st.floats(0.02, 60.0), min_size=1, max_size=200),
    share=st.floats(0.01, 1.0),
)
def test_tells_a_percentile_within_14_percent(latencies: list[float], share: float) -> None:
    told = percentile_s(Counter(map(bin_of, latencies)), share)
    exact = sorted(latencies)[ceil(len(latencies) * share) - 1]

    assert told is not None
    assert exact / 1.1402 <= told <= exact * 1.1402


@given(latencies=st.lists(LATENCIES, max_size=200), limit_s=st.floats(0.02, 60.0))
def test_counts_no_call_of_another_bin_wrongly(latencies: list[float], limit_s: float) -> None:
    cut = cut_at(limit_s)
    told = slower(Counter(map(bin_of, latencies)), cut)
    elsewhere = [each for each in latencies if bin_of(each) != cut.bin]
    same = len(latencies) - len(elsewhere)

    surely = sum(each > limit_s for each in elsewhere)
    assert surely <= told <= surely + same


@pytest.mark.parametrize(("limit_s", "slow"), [(0.7875, 199), (1.0, 108), (1.2, 39), (1.4, 0)])
def test_divides_the_bin_of_a_limit_by_the_logarithm(limit_s: float, slow: int) -> None:
    """Bin 14 is from 0.787 to 1.024 s, bin 15 up to 1.331 s."""
    assert slower({14: 100, 15: 100}, cut_at(limit_s)) == slow


def test_knows_nothing_slower_than_a_limit_beyond_its_end() -> None:
    assert slower({BINS - 1: 100}, cut_at(120.0)) == 0
    assert slower({BINS - 1: 100}, cut_at(60.0)) == 100


def test_has_no_percentile_without_calls() -> None:
    assert percentile_s({}, 0.95) is None
