"""Student's t: how far a mean may be off, by as many spreads as a confidence asks for.

The share of the distribution beyond ``t`` on both sides is the regularised incomplete beta function
``I_x(degrees / 2, 1 / 2)`` at ``x = degrees / (degrees + t * t)`` (Abramowitz and Stegun, Handbook
of Mathematical Functions, 26.7.1). That function is a continued fraction (ibid. 26.5.8), summed
here by Lentz's method, and the quantile is where bisection finds the share: slow, some 60 sums, and
right to nine digits for up to ten million degrees of freedom.
"""

from math import exp, lgamma, log, log1p

_ENOUGH = 1e-13
_MOST_TERMS = 10_000
_TINY = 1e-300
_HALVINGS = 100


def t_quantile(confidence: float, degrees: float) -> float:
    """The t that a value stays within, on both sides, with this probability.

    Args:
        confidence: above 0 and below 1.
        degrees: of freedom, at least 1; need not be a whole number.
    """
    if not 0 < confidence < 1 or degrees < 1:
        raise ValueError(f"no quantile for confidence {confidence}, {degrees} degrees of freedom")
    low, high = 0.0, 2.0
    while share_beyond(high, degrees) > 1 - confidence:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if share_beyond(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
        if high - low <= _ENOUGH * high:
            break
    return (low + high) / 2


def share_beyond(t: float, degrees: float) -> float:
    """The probability of a value above `t` or below `-t`."""
    square = t * t
    return _incomplete_beta(degrees / 2, 0.5, degrees, square) if square else 1.0


def _incomplete_beta(a: float, b: float, part: float, rest: float) -> float:
    """I_x(a, b) at x = part / (part + rest), which keeps its digits where x is almost 1."""
    x, y = part / (part + rest), rest / (part + rest)
    ln_x = -log1p(rest / part)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * ln_x + b * log(y))
    # The fraction converges fast on this side of the mean, and the two sides add up to 1.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, y) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, from its first term on."""
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            return value
    raise ArithmeticError(f"the fraction for {a}, {b}, {x} does not settle")


def _apart(value: float) -> float:
    """The value, kept off zero."""
    return value if abs(value) > _TINY else _TINY
