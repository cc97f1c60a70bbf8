"""What a brownout saved, as an interval.

What the calls would have cost as they were asked is not known of the calls that less was asked for;
it is known of the holdout, which was drawn by chance and left as it is. So of every stratum (calls
of one team for one model) the outputs of the degraded calls are taken to have cost what the holdout
had to pay on average, and the difference of the inputs is added, whose list price is known for both
models:

    saved = input difference + n_d x mean output(holdout) - actual output(degraded)

Its variance is ``n_d^2 s^2 (1/n_h + 1/n_d)``, where s^2 is that of the holdout: the mean may be
off, and the n_d calls may be other than the mean. Strata are summed, and the interval is Student's
t with the degrees of freedom of Welch and Satterthwaite.

Strata with few calls in the holdout are pooled, calls that are refused first apart from others, as
fewer of those are let in than are held out. An emergency has no holdout: there an estimate stands,
from the hour before, without an interval. Nothing here is a promise where amounts have a very heavy
tail: few calls then decide the mean, and may be missing in the holdout.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal, TypeAlias

from common.brownout.student import t_quantile
from common.core.money import Nanos

CONFIDENCE = 0.95
LEAST = 30
"""Calls in the holdout, or in the hour before, below which no mean is told of a stratum."""

_MICROS = Fraction(1, 1000)
"""Micro-USD in one nano-USD."""

Method: TypeAlias = Literal["holdout", "estimate"]


@dataclass(frozen=True, slots=True)
class ArmSum:
    """Calls of one arm. `squares` are of what each output cost, in micro-USD."""

    calls: int = 0
    output_nanos: Nanos = 0
    squares: int = 0
    input_nanos: Nanos = 0
    asked_nanos: Nanos = 0

    def __add__(self, other: "ArmSum") -> "ArmSum":
        return ArmSum(
            self.calls + other.calls,
            self.output_nanos + other.output_nanos,
            self.squares + other.squares,
            self.input_nanos + other.input_nanos,
            self.asked_nanos + other.asked_nanos,
        )


@dataclass(frozen=True, slots=True)
class StratumSum:
    """Calls of one team for one model; `batch`: of those that are refused first."""

    batch: bool
    degraded: ArmSum
    holdout: ArmSum

    def __add__(self, other: "StratumSum") -> "StratumSum":
        batch = self.batch and other.batch
        return StratumSum(batch, self.degraded + other.degraded, self.holdout + other.holdout)


@dataclass(frozen=True, slots=True)
class UnmatchedSum:
    """Calls of an emergency, and what those of the same team for the same model cost before it."""

    calls: int
    nanos: Nanos
    before_calls: int
    before_nanos: Nanos


@dataclass(frozen=True, slots=True)
class EpisodeSums:
    """All that was added up of an episode.

    `refused` calls were not sent; `left_out` ones failed, or have no known cost. Of the holdout's
    input tokens `cached_tokens` were read from caches: what other calls would have read there with
    the model they asked for is not known, so where it is much, the saving is told too high.
    `skipped_cache` calls kept something because their cache was worth more.
    """

    strata: Sequence[StratumSum] = ()
    unmatched: Sequence[UnmatchedSum] = ()
    refused: int = 0
    left_out: int = 0
    simulated: int = 0
    skipped_cache: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Saving:
    """What `calls` calls cost less than they would have; negative: they cost more.

    `nanos` None: not enough data, as the note says. `low` to `high` is the 95 % interval; None:
    there is none.
    """

    method: Method
    nanos: Nanos | None
    low: Nanos | None
    high: Nanos | None
    calls: int
    holdout_calls: int
    note: str


def saved(sums: EpisodeSums) -> Saving:
    """What was saved while there was a holdout to compare with."""
    calls = sum(each.degraded.calls for each in sums.strata)
    held = sum(each.holdout.calls for each in sums.strata)
    if not calls:
        return Saving("holdout", None, None, None, 0, held, "not enough data: no call was degraded")
    if held < LEAST:
        note = f"not enough data: {held} calls in the holdout, {LEAST} are needed"
        return Saving("holdout", None, None, None, calls, held, note)
    groups = _groups(sums.strata)
    found = sum((_difference(each) for each in groups), Fraction())
    spreads = [(_variance(each), each.holdout.calls - 1) for each in groups]
    margin = _margin(spreads)
    pooled = sum(each not in groups for each in sums.strata)
    note = f"{len(sums.strata)} strata, {pooled} of them pooled" if pooled else ""
    middle = round(found)
    return Saving("holdout", middle, middle - margin, middle + margin, calls, held, note)


def estimated(sums: EpisodeSums) -> Saving | None:
    """What was saved in emergencies, by what such calls cost before; None without such calls."""
    calls = sum(each.calls for each in sums.unmatched)
    if not calls:
        return None
    known = [each for each in sums.unmatched if each.before_calls >= LEAST]
    told = sum(each.calls for each in known)
    if not told:
        note = f"not enough data: fewer than {LEAST} such calls in the hour before"
        return Saving("estimate", None, None, None, 0, 0, note)
    expected = (Fraction(each.before_nanos * each.calls, each.before_calls) for each in known)
    found = sum(expected, Fraction()) - sum(each.nanos for each in known)
    note = f"an estimate by the hour before, for {told} of {calls} calls"
    return Saving("estimate", round(found), None, None, told, 0, note)


def _groups(strata: Iterable[StratumSum]) -> list[StratumSum]:
    """Strata, and pools of small ones, that have enough calls in the holdout each."""
    groups: list[StratumSum] = []
    rest: list[StratumSum] = []
    for batch in (False, True):
        alike = [each for each in strata if each.batch == batch]
        groups += [each for each in alike if each.holdout.calls >= LEAST]
        pool = [each for each in alike if each.holdout.calls < LEAST]
        if sum(each.holdout.calls for each in pool) >= LEAST:
            groups.append(_pooled(pool))
        else:
            rest += pool
    # What is left joins the smallest groups, until together they are enough.
    groups.sort(key=lambda each: each.holdout.calls, reverse=True)
    while rest and sum(each.holdout.calls for each in rest) < LEAST:
        rest.append(groups.pop())
    return [*groups, _pooled(rest)] if rest else groups


def _pooled(strata: Sequence[StratumSum]) -> StratumSum:
    first, *others = strata
    return sum(others, first)


def _difference(group: StratumSum) -> Fraction:
    """What the group's calls cost less than they would have, in nano-USD."""
    done, held = group.degraded, group.holdout
    expected = Fraction(held.output_nanos * done.calls, held.calls)
    return done.asked_nanos - done.input_nanos + expected - done.output_nanos


def _variance(group: StratumSum) -> Fraction:
    """Of that difference, in squares of nano-USD."""
    done, held = group.degraded.calls, group.holdout
    total = held.output_nanos * _MICROS
    spread = (held.squares - total * total / held.calls) / (held.calls - 1)
    # Squares are whole numbers of micro-USD, so that of equal outputs the sum may be a little off.
    squared = max(spread, Fraction()) / (_MICROS * _MICROS)
    return squared * done * done * (Fraction(1, held.calls) + Fraction(1, max(done, 1)))


def _margin(spreads: Sequence[tuple[Fraction, int]]) -> Nanos:
    """Half the interval around a sum of such variances and degrees of freedom."""
    variance = sum((each for each, _ in spreads), Fraction())
    if not variance:
        return 0
    parts = sum((each * each / degrees for each, degrees in spreads), Fraction())
    t = t_quantile(CONFIDENCE, float(variance * variance / parts))
    return round(Fraction(t) * isqrt(round(variance)))
