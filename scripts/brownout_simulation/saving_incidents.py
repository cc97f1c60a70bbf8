"""Made-up brownouts of which the truth is known, to see how often a saving's interval holds it.

Every call has a length that its answer would have had. The holdout answers at that length; of the
others shorter answers are asked for, and some are sent to a model a tenth as dear. What they would
have cost is therefore known here, and what they did cost as well.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, fsum, log, sqrt

from common.brownout.savings import ArmSum, EpisodeSums, StratumSum, saved
from common.core.money import Nanos
from scripts.brownout_simulation.traces import Trace

CALLS = 2_400
HELD = 0.05
LEAST_HELD = 100

SHORTER = 65
"""Per cent of the length that is asked for."""
MOST_ANSWERED = 1_024
TO_CHEAPER = 0.5
INPUT_RATE, OUTPUT_RATE = 3_000, 15_000
"""Nano-USD for a token, of the model that is asked for."""
CHEAPER = 10
"""So many times less costs the other model."""

SHARES = (0.40, 0.24, 0.16, 0.10, 0.06, 0.04)
LONGER = (1.0, 1.4, 0.7, 2.0, 0.5, 1.0)
"""Strata: their parts of the calls, and how their lengths differ."""

MADE = 200_000
TAIL = 0.02
TAIL_SHAPE = 1.3

Lengths = Sequence[float]


@dataclass(frozen=True, slots=True)
class Found:
    """Of some incidents: how often the interval held the truth, and its half width.

    Half widths are parts of the truth, means over the incidents; `of_totals` is that of the same
    method without the list price of inputs.
    """

    incidents: int
    held: int
    half_width: float
    of_totals: float

    @property
    def coverage(self) -> float:
        return self.held / self.incidents


@dataclass(frozen=True, slots=True)
class Incident:
    """What was added up, the same with inputs summed like outputs, and what was truly saved."""

    sums: EpisodeSums
    totals: EpisodeSums
    truth: Nanos


def body(trace: Trace, seed: int) -> Lengths:
    """Lengths of a log-normal distribution with the mean and spread of the trace's logarithms."""
    logs = [log(each.answer) for each in trace.calls]
    mean = fsum(logs) / len(logs)
    spread = sqrt(fsum((each - mean) ** 2 for each in logs) / len(logs))
    draw = random.Random(f"{seed} body")  # noqa: S311 - repeatable on purpose
    return [exp(draw.gauss(mean, spread)) for _ in range(MADE)]


def heavy(trace: Trace, seed: int) -> Lengths:
    """The same, but a few are of a Pareto distribution so heavy that it has no variance."""
    draw = random.Random(f"{seed} tail")  # noqa: S311 - repeatable on purpose
    lengths = body(trace, seed)
    begin = sorted(lengths)[-int(len(lengths) * TAIL)]
    return [
        begin * draw.paretovariate(TAIL_SHAPE) if draw.random() < TAIL else each for each in lengths
    ]


def recorded(trace: Trace, _seed: int) -> Lengths:
    """The lengths of the trace itself."""
    return [float(each.answer) for each in trace.calls]


KINDS: dict[str, Callable[[Trace, int], Lengths]] = {
    "log-normal": body,
    "heavy-tailed": heavy,
    "of the trace": recorded,
}


def cover(lengths: Lengths, contexts: Sequence[int], incidents: int, seed: int) -> Found:
    """Run so many incidents with lengths and questions drawn from these."""
    held, widths, totals = 0, 0.0, 0.0
    for number in range(incidents):
        draw = random.Random(f"{seed} {number}")  # noqa: S311 - repeatable on purpose
        made = incident(lengths, contexts, draw)
        low, high = _interval(made.sums)
        held += low <= made.truth <= high
        widths += (high - low) / 2 / abs(made.truth)
        low, high = _interval(made.totals)
        totals += (high - low) / 2 / abs(made.truth)
    return Found(incidents, held, widths / incidents, totals / incidents)


def incident(lengths: Lengths, contexts: Sequence[int], draw: random.Random) -> Incident:
    """One incident with at least LEAST_HELD calls in its holdout."""
    while True:
        made = [
            _stratum(lengths, contexts, round(CALLS * share), longer, draw)
            for share, longer in zip(SHARES, LONGER, strict=True)
        ]
        strata = [stratum for stratum, _, _ in made]
        if sum(each.holdout.calls for each in strata) >= LEAST_HELD:
            totals = [total for _, total, _ in made]
            truth = sum(truth for _, _, truth in made)
            return Incident(EpisodeSums(strata), EpisodeSums(totals), truth)


def _interval(sums: EpisodeSums) -> tuple[Nanos, Nanos]:
    saving = saved(sums)
    if saving.low is None or saving.high is None:
        raise ValueError(f"an incident has no interval: {saving.note}")
    return saving.low, saving.high


def _stratum(
    lengths: Lengths, contexts: Sequence[int], calls: int, longer: float, draw: random.Random
) -> tuple[StratumSum, StratumSum, Nanos]:
    """The sums of one stratum, those with inputs summed like outputs, and what it truly saved."""
    held = sum(draw.random() < HELD for _ in range(calls))
    answers = [OUTPUT_RATE * (round(n * longer) or 1) for n in draw.choices(lengths, k=calls)]
    questions = [INPUT_RATE * n for n in draw.choices(contexts, k=calls)]
    parts = [CHEAPER if draw.random() < TO_CHEAPER else 1 for _ in answers[held:]]
    most = OUTPUT_RATE * MOST_ANSWERED
    told = [
        min(most, n * SHORTER // 100) // part for n, part in zip(answers[held:], parts, strict=True)
    ]
    inputs = [n // part for n, part in zip(questions[held:], parts, strict=True)]
    asked = sum(questions[held:])
    stratum = StratumSum(
        batch=False,
        degraded=_arm(told, sum(inputs), asked),
        holdout=_arm(answers[:held], sum(questions[:held]), sum(questions[:held])),
    )
    total = StratumSum(
        batch=False,
        degraded=_arm([sum(pair) for pair in zip(told, inputs, strict=True)]),
        holdout=_arm([sum(pair) for pair in zip(answers[:held], questions, strict=False)]),
    )
    return stratum, total, sum(answers[held:]) + asked - sum(told) - sum(inputs)


def _arm(outputs: Sequence[Nanos], inputs: Nanos = 0, asked: Nanos = 0) -> ArmSum:
    squares = sum(each * each for each in outputs) // 10**6
    return ArmSum(len(outputs), sum(outputs), squares, inputs, asked)
