"""What a structural choice is worth on requests that it was not fitted on.

Half of the sessions are fitted on and half are judged: requests of one conversation look alike, so
a conversation is never on both sides. The threshold is the cheapest that gives up no more than so
much of the large model's mean score, as the fitted half has it.

**Saved at equal score**: against drawing one of the two models at random, as often the large one as
makes the mean score that of the rule. Where the rule scores above the large model, or below the
small one, the comparison is with that model alone, which is to the rule's disadvantage. Intervals
are percentiles of a bootstrap that draws whole sessions.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from common.core.money import Nanos
from common.routing.complexity import score
from scripts.route_evaluation.labelled import Labelled, Unusable
from scripts.route_evaluation.logistic import Fitted, fit

CONFIDENCE = 0.95
DRAWS = 1_000
_TENTHS = 10
_THRESHOLD_DIGITS = 4
_LEAST, _MOST = 0.0001, 0.9999


@dataclass(frozen=True, slots=True)
class Sums:
    """Scores and costs over requests: of the rule, of each model alone, and the oracle's cost."""

    requests: int
    sent_to_large: int
    score_rule: float
    score_small: float
    score_large: float
    nanos_rule: Nanos
    nanos_small: Nanos
    nanos_large: Nanos
    nanos_oracle: Nanos

    @property
    def saved(self) -> float:
        """Share of the cost saved against the large model alone."""
        return _saved(self.nanos_rule, self.nanos_large)

    @property
    def given_up(self) -> float:
        """Mean score below that of the large model alone."""
        return (self.score_large - self.score_rule) / self.requests

    @property
    def above_random(self) -> float:
        """Mean score above that of drawing the large model as often as the rule takes it."""
        share = self.sent_to_large / self.requests
        drawn = self.score_small + share * (self.score_large - self.score_small)
        return (self.score_rule - drawn) / self.requests

    @property
    def above_oracle(self) -> float:
        """Cost above the oracle's, as a share of that; the oracle scores as the best does."""
        return -_saved(self.nanos_rule, self.nanos_oracle)

    @property
    def saved_at_equal_score(self) -> float:
        """Share of the cost saved against a random draw with the same mean score."""
        apart = self.score_large - self.score_small
        reached = (self.score_rule - self.score_small) / apart if apart > 0 else 0.0
        share = min(1.0, max(0.0, reached))
        drawn = self.nanos_small + share * (self.nanos_large - self.nanos_small)
        return _saved(self.nanos_rule, drawn)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and where it lies with `CONFIDENCE`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Way:
    """A way to choose: how often the large model, mean score, cost of all requests."""

    name: str
    share_large: float
    mean_score: float
    nanos: Nanos
    """Of a random draw the expected cost, without what is left of a nano-dollar."""


@dataclass(frozen=True, slots=True)
class Tenth:
    """Requests to which the rule gives a probability within one tenth: expected and found."""

    requests: int
    expected: float
    found: float


@dataclass(frozen=True, slots=True)
class Judged:
    """Figures of the half that was not fitted on.

    `too_weak` are requests sent to the small model that needed the large one, `too_dear` the other
    way round. `brier` is the mean square of what the probabilities are off, `brier_of_rate` that of
    giving every request the share that the fitted half needed.
    """

    requests: int
    sessions: int
    ways: tuple[Way, ...]
    saved: Estimate
    saved_at_equal_score: Estimate
    given_up: Estimate
    above_random: Estimate
    above_oracle: Estimate
    too_weak: float
    too_dear: float
    brier: float
    brier_of_rate: float
    tenths: tuple[Tenth | None, ...]


def halves(requests: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Those to fit on and those to judge by; a session's name says to which it belongs.

    Raises:
        Unusable: one of them is empty.
    """
    parts: tuple[list[Labelled], list[Labelled]] = ([], [])
    for each in requests:
        parts[hashlib.sha256(each.session.encode()).digest()[0] % 2].append(each)
    if not all(parts):
        raise Unusable("too few sessions: there is nothing left to judge by")
    return parts


def fit_on(requests: Sequence[Labelled]) -> Fitted:
    """The weights by these requests.

    Raises:
        Unusable: they tell nothing apart.
    """
    try:
        return fit([each.features for each in requests], [each.needs_large for each in requests])
    except ValueError as error:
        raise Unusable(f"of the half to fit on: {error}") from None


def likelihoods(fitted: Fitted, requests: Sequence[Labelled]) -> list[float]:
    """How likely each request needs the large model, as the proxy computes it."""
    return [score(fitted.intercept, fitted.weights, each.features) for each in requests]


def choose_threshold(fitted: Fitted, requests: Sequence[Labelled], give_up: float) -> float:
    """The cheapest threshold whose mean score is at most `give_up` below the large model's."""
    found = likelihoods(fitted, requests)
    ranked = sorted(zip(found, requests, strict=True), key=lambda each: -each[0])
    # Sums are of floats: what is enough up to their last digits is enough.
    least = sum(each.large.score for each in requests) - give_up * len(requests) - 1e-9
    scored = sum(each.small.score for each in requests)
    nanos = sum(each.small.nanos for each in requests)
    best: tuple[Nanos, float] | None = None
    for number, (likely, request) in enumerate(ranked):
        above = ranked[number - 1][0] if number else 1.0
        is_cut = above != likely or not number
        if is_cut and scored >= least and (best is None or nanos < best[0]):
            best = (nanos, (above + likely) / 2)
        scored += request.large.score - request.small.score
        nanos += request.large.nanos - request.small.nanos
    if best is None or (scored >= least and nanos < best[0]):
        best = (nanos, ranked[-1][0] / 2)
    return min(_MOST, max(_LEAST, round(best[1], _THRESHOLD_DIGITS)))


def judge(
    fitted: Fitted,
    threshold: float,
    fitted_on: Sequence[Labelled],
    requests: Sequence[Labelled],
    seed: int,
) -> Judged:
    """Judge a rule by requests that it was not fitted on."""
    found = likelihoods(fitted, requests)
    large = [each >= threshold for each in found]
    count = len(requests)
    by_session: dict[str, list[int]] = {}
    for number, each in enumerate(requests):
        by_session.setdefault(each.session, []).append(number)
    sums = [_sums([requests[n] for n in of], [large[n] for n in of]) for of in by_session.values()]
    total = _added(sums)
    drawn = _redrawn(sums, seed)
    needed = [each.needs_large for each in requests]
    rate = sum(each.needs_large for each in fitted_on) / len(fitted_on)
    return Judged(
        requests=count,
        sessions=len(by_session),
        ways=_ways(requests, large, total),
        saved=_estimate(total, drawn, lambda each: each.saved),
        saved_at_equal_score=_estimate(total, drawn, lambda each: each.saved_at_equal_score),
        given_up=_estimate(total, drawn, lambda each: each.given_up),
        above_random=_estimate(total, drawn, lambda each: each.above_random),
        above_oracle=_estimate(total, drawn, lambda each: each.above_oracle),
        too_weak=sum(n and not to for n, to in zip(needed, large, strict=True)) / count,
        too_dear=sum(to and not n for n, to in zip(needed, large, strict=True)) / count,
        brier=_brier(found, needed),
        brier_of_rate=_brier([rate] * count, needed),
        tenths=_by_tenths(found, needed),
    )


def _sums(requests: Sequence[Labelled], large: Sequence[bool]) -> Sums:
    taken = [each.large if to else each.small for each, to in zip(requests, large, strict=True)]
    return Sums(
        len(requests),
        sum(large),
        sum(each.score for each in taken),
        sum(each.small.score for each in requests),
        sum(each.large.score for each in requests),
        sum(each.nanos for each in taken),
        sum(each.small.nanos for each in requests),
        sum(each.large.nanos for each in requests),
        sum((each.large if each.needs_large else each.small).nanos for each in requests),
    )


def _added(sums: Sequence[Sums]) -> Sums:
    return Sums(
        sum(each.requests for each in sums),
        sum(each.sent_to_large for each in sums),
        sum(each.score_rule for each in sums),
        sum(each.score_small for each in sums),
        sum(each.score_large for each in sums),
        sum(each.nanos_rule for each in sums),
        sum(each.nanos_small for each in sums),
        sum(each.nanos_large for each in sums),
        sum(each.nanos_oracle for each in sums),
    )


def _redrawn(sums: Sequence[Sums], seed: int) -> list[Sums]:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    return [_added(chance.choices(sums, k=len(sums))) for _ in range(DRAWS)]


def _estimate(total: Sums, drawn: Sequence[Sums], figure: Callable[[Sums], float]) -> Estimate:
    values = sorted(map(figure, drawn))
    beyond = round((1 - CONFIDENCE) / 2 * len(values))
    return Estimate(figure(total), values[beyond], values[-1 - beyond])


def _ways(requests: Sequence[Labelled], large: Sequence[bool], total: Sums) -> tuple[Way, ...]:
    count, share = total.requests, sum(large) / total.requests
    needed = [each.needs_large for each in requests]
    oracle = _sums(requests, needed)

    scored = total.score_small + share * (total.score_large - total.score_small)
    dearer = total.nanos_large - total.nanos_small
    drawn = total.nanos_small + total.sent_to_large * dearer // count
    return (
        Way("rule", share, total.score_rule / count, total.nanos_rule),
        Way("always large", 1.0, total.score_large / count, total.nanos_large),
        Way("always small", 0.0, total.score_small / count, total.nanos_small),
        Way("random", share, scored / count, drawn),
        Way("oracle", sum(needed) / count, oracle.score_rule / count, oracle.nanos_rule),
    )


def _brier(found: Sequence[float], needed: Sequence[bool]) -> float:
    return sum((p - n) ** 2 for p, n in zip(found, needed, strict=True)) / len(found)


def _by_tenths(found: Sequence[float], needed: Sequence[bool]) -> tuple[Tenth | None, ...]:
    tenths: list[list[tuple[float, bool]]] = [[] for _ in range(_TENTHS)]
    for likely, need in zip(found, needed, strict=True):
        tenths[min(_TENTHS - 1, int(likely * _TENTHS))].append((likely, need))
    return tuple(
        Tenth(
            len(each),
            sum(likely for likely, _ in each) / len(each),
            sum(need for _, need in each) / len(each),
        )
        if each
        else None
        for each in tenths
    )


def _saved(nanos: Nanos, before: float) -> float:
    return 1 - nanos / before if before else 0.0
