"""What counts of calls say: whether errors, latencies or waiting calls are too many, and how far.

A share of calls is too high only where that is sure: where the lower bound of Wilson's interval is
above the limit, so that few calls prove little. The 95th percentile of a latency is above a limit
where more than 5 % of the calls are slower than the limit, so counting them is enough.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

from common.brownout.modes import Mode
from common.brownout.policy import LevelLimits, Limits, Reading

BEYOND_P95 = 0.05


@dataclass(frozen=True, slots=True)
class Slow:
    """Of the calls that one latency limit is about, how many were slower.

    `above` were slower than the limit, `above_recovery` than what they must fall below before it
    is over.
    """

    timed: int = 0
    above: int = 0
    above_recovery: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """The calls of one scope in a span of time. Sums over several spans are judged alike.

    `calls` tell whether the upstream works, `failed` are those of them that say it does not. `slow`
    belongs to the limits of soft, hard and emergency. `in_flight` are calls that wait right now.
    """

    calls: int = 0
    failed: int = 0
    slow: tuple[Slow, Slow, Slow] = (Slow(), Slow(), Slow())
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The mode that each thing calls for."""

    errors: Mode = Mode.NORMAL
    latency: Mode = Mode.NORMAL
    in_flight: Mode = Mode.NORMAL


NOTHING_HELD = Judgement()


def wilson_lower_bound(hits: int, n: int, confidence: float) -> float:
    """The share that stands behind `hits` of `n` at least, at this one-sided confidence."""
    if n == 0:
        return 0.0
    z = _deviations(confidence)
    share = hits / n
    spread = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (share + z * z / (2 * n) - spread) / (1 + z * z / n)


def judge(
    counts: Counts,
    limits: Limits,
    reading: Reading,
    confidence: float,
    held: Judgement = NOTHING_HELD,
) -> Judgement:
    """The modes that the counts call for.

    Args:
        counts: of one scope.
        limits: of that scope.
        reading: of the policy.
        confidence: how sure a judgement must be.
        held: what earlier judgements hold. It goes on until the counts are below `recover_at` of
            the limit that it began at.
    """
    return Judgement(
        errors=_errors(counts, limits, reading, confidence, held.errors),
        latency=_latency(counts, limits, reading, confidence, held.latency),
        in_flight=_in_flight(counts, limits),
    )


def _errors(
    counts: Counts, limits: Limits, reading: Reading, confidence: float, held: Mode
) -> Mode:
    if counts.calls < reading.error_rate.min_calls:
        return Mode.NORMAL
    surely = wilson_lower_bound(counts.failed, counts.calls, confidence)
    for mode, level in _from_the_highest(limits):
        if level.error_rate is not None:
            part = reading.error_rate.recover_at if mode <= held else 1.0
            if surely > level.error_rate * part:
                return mode
    return Mode.NORMAL


def _latency(
    counts: Counts, limits: Limits, reading: Reading, confidence: float, held: Mode
) -> Mode:
    for mode, level in _from_the_highest(limits):
        slow = counts.slow[mode - Mode.SOFT]
        if level.latency_p95 is None or slow.timed < reading.latency_p95.min_calls:
            continue
        slower = slow.above_recovery if mode <= held else slow.above
        if wilson_lower_bound(slower, slow.timed, confidence) > BEYOND_P95:
            return mode
    return Mode.NORMAL


def _in_flight(counts: Counts, limits: Limits) -> Mode:
    for mode, level in _from_the_highest(limits):
        if level.pending_requests is not None and counts.in_flight > level.pending_requests:
            return mode
    return Mode.NORMAL


def _from_the_highest(limits: Limits) -> Iterator[tuple[Mode, LevelLimits]]:
    yield Mode.EMERGENCY, limits.emergency
    yield Mode.HARD, limits.hard
    yield Mode.SOFT, limits.soft


@lru_cache(maxsize=16)
def _deviations(confidence: float) -> float:
    """How many standard deviations a confidence is. Looked up: working it out takes longer."""
    return NormalDist().inv_cdf(confidence)
