"""Counting the calls of one scope on one instance, in steps of 10 s.

A latency is compared with the limits of the three modes and counted, so that what a call costs does
not depend on how many there are. The last six steps are judged together, whatever window the policy
names: that one is for the sums of all instances.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common.brownout.evidence import Counts, Slow
from common.brownout.policy import LatencyOf, LevelLimits, Policy

STEP = timedelta(seconds=10)
STEPS = 6

_CALLS, _FAILED, _FIRST_CHUNKS, _TOTALS, _SLOW = range(5)
_PLACES = _SLOW + 2 * 3
"""Behind four counters two for each mode: slower than its limit, slower than its recovery limit."""


class Ended(NamedTuple):
    """What a call that has ended says of its upstream. None: it does not tell.

    Attributes:
        failed: whether the upstream did.
        first_chunk_s: seconds from sending to the first chunk of a streamed reply.
        total_s: seconds from sending to the end of the reply.
        answered: False where no first chunk came, and `first_chunk_s` is how long one was awaited.
    """

    failed: bool | None
    first_chunk_s: float | None = None
    total_s: float | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class _Bound:
    """The limit of one mode, and where the calls that are slower are counted."""

    place: int
    above_s: float
    above_recovery_s: float


class Counter:
    """The calls of one scope, by the limits that a policy sets for it."""

    __slots__ = (
        "_begins",
        "_chunk_bounds",
        "_ends",
        "_fast_chunk_s",
        "_fast_total_s",
        "_past",
        "_tally",
        "_timed",
        "_total_bounds",
        "limits",
    )

    def __init__(self, policy: Policy, scope: str, now: datetime) -> None:
        self.limits = policy.limits_for(scope)
        levels = (self.limits.soft, self.limits.hard, self.limits.emergency)
        recover_at = policy.reading.latency_p95.recover_at
        self._chunk_bounds = _bounds(levels, "first_chunk", recover_at)
        self._total_bounds = _bounds(levels, "total", recover_at)
        self._fast_chunk_s = _least_s(self._chunk_bounds)
        self._fast_total_s = _least_s(self._total_bounds)
        # A limit of the first chunk is about streamed calls alone: others show none, and of their
        # totals no limit is known without a usual one.
        self._timed = tuple(
            _TOTALS
            if level.latency_p95 is not None and level.latency_p95.of == "total"
            else _FIRST_CHUNKS
            for level in levels
        )
        self._begins, self._ends = now, now + STEP
        self._tally = [0] * _PLACES
        self._past: list[list[int]] = []

    def is_over(self, now: datetime) -> bool:
        """Whether the step is, also because the clock was set back."""
        return not self._begins <= now < self._ends

    def add(self, ended: Ended) -> None:
        """Count a call in the present step."""
        tally = self._tally
        failed, first_chunk_s, total_s, answered = ended
        if failed is not None:
            tally[_CALLS] += 1
            if failed:
                tally[_FAILED] += 1
        if first_chunk_s is not None:
            if first_chunk_s > self._fast_chunk_s:
                tally[_FIRST_CHUNKS] += 1
                _count(tally, self._chunk_bounds, first_chunk_s)
            elif answered:
                # Of one that nobody awaited any longer it is not known that it was fast.
                tally[_FIRST_CHUNKS] += 1
        if total_s is not None and self._total_bounds:
            tally[_TOTALS] += 1
            if total_s > self._fast_total_s:
                _count(tally, self._total_bounds, total_s)

    def close(self, now: datetime, in_flight: int) -> Counts:
        """End the step and begin that of now; the sum of the last six before it."""
        passed = (now - self._begins) // STEP
        if passed < 0:
            self._begins, passed = now, STEPS + 1
        else:
            self._begins += passed * STEP
        self._ends = self._begins + STEP
        unseen = [[0] * _PLACES for _ in range(min(passed - 1, STEPS))]
        steps = [*self._past, self._tally, *unseen][-STEPS:]
        self._past, self._tally = steps[1 - STEPS :], [0] * _PLACES
        sums = [sum(places) for places in zip(*steps, strict=True)]
        soft, hard, emergency = (
            Slow(sums[timed], sums[place], sums[place + 1])
            for timed, place in zip(self._timed, range(_SLOW, _PLACES, 2), strict=True)
        )
        return Counts(sums[_CALLS], sums[_FAILED], (soft, hard, emergency), in_flight)


def _bounds(
    levels: tuple[LevelLimits, ...], of: LatencyOf, recover_at: float
) -> tuple[_Bound, ...]:
    found = []
    for place, level in zip(range(_SLOW, _PLACES, 2), levels, strict=True):
        limit = level.latency_p95
        if limit is not None and limit.of == of:
            above_s = limit.above.total_seconds()
            found.append(_Bound(place, above_s, above_s * recover_at))
    return tuple(found)


def _least_s(bounds: tuple[_Bound, ...]) -> float:
    """What is not slower than this exceeds none of them."""
    return min((bound.above_recovery_s for bound in bounds), default=0.0)


def _count(tally: list[int], bounds: tuple[_Bound, ...], latency_s: float) -> None:
    for bound in bounds:
        if latency_s > bound.above_recovery_s:
            tally[bound.place + 1] += 1
            if latency_s > bound.above_s:
                tally[bound.place] += 1
