"""Bins of latencies: which one a latency is in, and where in it a limit lies.

There are 32, each 1.3 times as wide as the one before it, from 20 ms to 88 s. The first takes what
is faster too, the last what is slower. Sums of bins over calls, minutes and scopes are bins again,
so any limit and percentile can be asked afterwards. A percentile is the middle of its bin, within
14 % of the true one; a limit divides the calls of its bin as if they were spread evenly over the
logarithm of their latency.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt

RATIO = 1.3
FIRST_S = 0.02
BINS = 32

STARTS: tuple[float, ...] = tuple(FIRST_S * RATIO**number for number in range(BINS))
"""Seconds at which each bin begins."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a latency lies: in this bin, of whose calls the share `beyond` is slower."""

    bin: int
    beyond: float


def bin_of(latency_s: float) -> int:
    return max(0, bisect_right(STARTS, latency_s) - 1)


def cut_at(latency_s: float) -> Cut:
    """Where a limit lies. Beyond the last bin nothing is known to be slower."""
    number = bin_of(latency_s)
    into = log(max(latency_s, FIRST_S) / STARTS[number], RATIO)
    return Cut(number, max(0.0, 1.0 - into) if number < BINS - 1 else 0.0)


def slower(bins: Mapping[int, int], cut: Cut) -> int:
    """How many of the calls are slower, rounded down."""
    above = sum(count for number, count in bins.items() if number > cut.bin)
    return above + int(bins.get(cut.bin, 0) * cut.beyond)


def percentile_s(bins: Mapping[int, int], share: float) -> float | None:
    """The latency in seconds that this share of the calls does not exceed; None without calls."""
    left = sum(bins.values()) * share
    found: float | None = None
    for number, count in sorted(bins.items()):
        if left <= 0:
            break
        found = STARTS[number] * sqrt(RATIO)
        left -= count
    return found
