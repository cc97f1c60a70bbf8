"""Student's t is that of the tables, and of the density that is integrated here."""

from math import exp, lgamma, log1p, pi, sqrt

import pytest

from common.brownout.student import share_beyond, t_quantile


def density(t: float, degrees: float) -> float:
    front = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(degrees * pi)
    return front * exp(-(degrees + 1) / 2 * log1p(t * t / degrees))


def share_within(t: float, degrees: float, steps: int = 4_000) -> float:
    """The area under the density from -t to t, by Simpson's rule."""
    width = t / steps
    ends = density(0, degrees) + density(t, degrees)
    odd = sum(density(width * n, degrees) for n in range(1, steps, 2))
    even = sum(density(width * n, degrees) for n in range(2, steps, 2))
    return 2 * width / 3 * (ends + 4 * odd + 2 * even)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (29, 2.045), (30, 2.042), (100, 1.984)],
)
def test_is_that_of_the_tables(degrees: int, quantile: float) -> None:
    """Those of https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm."""
    assert round(t_quantile(0.95, degrees), 3) == quantile


@pytest.mark.parametrize("degrees", [1.0, 1.5, 7.3, 29.5, 61.7, 400.0, 1e5])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_encloses_the_share_that_is_asked_for(degrees: float, confidence: float) -> None:
    t = t_quantile(confidence, degrees)

    if t < 30:  # beyond, Simpson's steps are too wide
        assert share_within(t, degrees) == pytest.approx(confidence, abs=1e-9)
    assert 1 - share_beyond(t, degrees) == pytest.approx(confidence, abs=1e-12)


def test_is_almost_the_normal_one_of_many_degrees() -> None:
    assert t_quantile(0.95, 1e7) == pytest.approx(1.959963985 + 2.37e-7, abs=2e-9)


@pytest.mark.parametrize(("confidence", "degrees"), [(0, 5), (1, 5), (0.95, 0.5)])
def test_refuses_what_has_no_quantile(confidence: float, degrees: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(confidence, degrees)
