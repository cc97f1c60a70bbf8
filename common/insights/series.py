"""Sums by hour without gaps, and what is typical of numbers that have outliers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from common.core.money import Nanos

HOUR = timedelta(hours=1)
A_WEEK = 168
"""Hours."""
A_DAY = 24
NORMAL_SPREAD = 1.4826
"""Times the median distance from the median, this is the standard deviation of normal values."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a scope spent, hour by hour from `first` on, in nano-USD; 0 where it spent nothing.

    The scope's life begins with the first hour that is not 0.
    """

    org: str
    scope: str
    first: datetime
    nanos: Sequence[Nanos]

    def index(self, hour: datetime) -> int:
        return (hour - self.first) // HOUR

    def hour(self, index: int) -> datetime:
        return self.first + index * HOUR

    @property
    def born(self) -> int:
        """The index of the first hour of its life; the length where it has none."""
        return next((i for i, each in enumerate(self.nanos) if each), len(self.nanos))


def gathered(
    org: str, scope: str, first: datetime, until: datetime, sums: Iterable[tuple[datetime, Nanos]]
) -> Series:
    """The series from `first` up to, not including, `until`; hours that nobody names are 0."""
    values = [0] * ((until - first) // HOUR)
    for hour, nanos in sums:
        index = (hour - first) // HOUR
        if 0 <= index < len(values):
            values[index] += nanos
    return Series(org, scope, first, tuple(values))


def usual(values: Sequence[float], least_spread: float) -> tuple[float, float]:
    """The middle of the values, and how far they lie from it, as a standard deviation would say.

    Few outliers, however far away, change neither. The spread is never below `least_spread`.
    """
    middle = median(values)
    distance = median([abs(value - middle) for value in values])
    return middle, max(least_spread, NORMAL_SPREAD * distance)
