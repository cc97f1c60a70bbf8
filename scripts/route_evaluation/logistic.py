"""Fitting the logistic of `common/routing/complexity.py`: how likely the large model is needed.

Newton's method on the penalised likelihood. Features are brought to mean 0 and spread 1 first, and
each weight is drawn towards 0 as if it came from a standard normal distribution: then there is one
best answer even where a feature tells the two kinds apart without an error. A feature that is the
same in all requests has no weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log1p, sqrt

PENALTY = 1.0
_MOST_STEPS = 100
_MOST_HALVINGS = 40
_NEAR = 1e-9
_DIGITS = 6
"""Significant digits of a weight in a rule: far below what a few thousand requests can tell."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The weights of a rule, rounded as they stand in it."""

    intercept: float
    weights: Mapping[str, float]


def fit(rows: Sequence[Mapping[str, float]], needed: Sequence[bool]) -> Fitted:
    """The weights under which these labels are likely.

    Args:
        rows: the features of each request, all with the same names.
        needed: the label of each.

    Raises:
        ValueError: all labels are the same, or no feature differs.
    """
    if len(set(needed)) != 2:
        raise ValueError("all requests have the same label: there is nothing to tell apart")
    scales = {name: _scale([row[name] for row in rows]) for name in sorted(rows[0])}
    used = {name: scale for name, scale in scales.items() if scale[1] > 0}
    if not used:
        raise ValueError("all requests have the same features: nothing tells them apart")
    table = [
        [1.0, *((row[name] - mean) / spread for name, (mean, spread) in used.items())]
        for row in rows
    ]
    intercept, *scaled = _maximised(table, [1.0 if each else 0.0 for each in needed])
    weights = {
        name: weight / spread
        for weight, (name, (_, spread)) in zip(scaled, used.items(), strict=True)
    }
    intercept -= fsum(weights[name] * mean for name, (mean, _) in used.items())
    return Fitted(_rounded(intercept), {name: _rounded(each) for name, each in weights.items()})


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Mean and spread."""
    mean = fsum(values) / len(values)
    return mean, sqrt(fsum((each - mean) ** 2 for each in values) / len(values))


def _maximised(table: Sequence[Sequence[float]], labels: Sequence[float]) -> list[float]:
    """The coefficients that are likeliest, where all but the first are drawn towards 0."""
    size = len(table[0])
    found = [0.0] * size
    lost = _loss(table, labels, found)
    for _ in range(_MOST_STEPS):
        step = _newton_step(table, labels, found)
        # Far from the best answer a whole step may lead away from it.
        for _ in range(_MOST_HALVINGS):
            tried = [each + change for each, change in zip(found, step, strict=True)]
            if (loss := _loss(table, labels, tried)) <= lost:
                found, lost = tried, loss
                break
            step = [change / 2 for change in step]
        if max(map(abs, step)) < _NEAR:
            break
    return found


def _loss(
    table: Sequence[Sequence[float]], labels: Sequence[float], coefficients: Sequence[float]
) -> float:
    unlikely = fsum(
        _softplus(total) - label * total
        for total, label in zip((_dot(row, coefficients) for row in table), labels, strict=True)
    )
    return unlikely + PENALTY / 2 * fsum(each * each for each in coefficients[1:])


def _newton_step(
    table: Sequence[Sequence[float]], labels: Sequence[float], coefficients: Sequence[float]
) -> list[float]:
    size = len(coefficients)
    slope = [0.0, *(-PENALTY * each for each in coefficients[1:])]
    curve = [
        [PENALTY if row == column and row else 0.0 for column in range(size)] for row in range(size)
    ]
    for row, label in zip(table, labels, strict=True):
        likely = 1.0 / (1.0 + exp(-max(-700.0, min(700.0, _dot(row, coefficients)))))
        weight = likely * (1.0 - likely)
        for i, value in enumerate(row):
            slope[i] += (label - likely) * value
            for j in range(i + 1):
                curve[i][j] += weight * value * row[j]
    for i in range(size):
        for j in range(i + 1, size):
            curve[i][j] = curve[j][i]
    # Where every request is certain, nothing but the penalty bends the likelihood.
    curve[0][0] += _NEAR
    return _solved(curve, slope)


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss: the x of ``matrix x = right``, with the largest pivot of each column."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda j: abs(rows[j][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [
                below - factor * above for below, above in zip(rows[j], rows[i], strict=True)
            ]
    found = [0.0] * size
    for i in reversed(range(size)):
        known = fsum(rows[i][j] * found[j] for j in range(i + 1, size))
        found[i] = (rows[i][size] - known) / rows[i][i]
    return found


def _dot(row: Sequence[float], coefficients: Sequence[float]) -> float:
    return sum(map(float.__mul__, row, coefficients))


def _softplus(value: float) -> float:
    return max(value, 0.0) + log1p(exp(-abs(value)))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
