"""What a rule is worth on requests it was not fitted on, computed by hand."""

from math import exp
from typing import Any

import pytest

from scripts.route_evaluation.judging import (
    Judged,
    Sums,
    choose_threshold,
    halves,
    judge,
)
from scripts.route_evaluation.labelled import Labelled, Outcome, Unusable
from scripts.route_evaluation.logistic import Fitted

BY_SIZE = Fitted(0.0, {"size": 1.0})
SURE = 1 / (1 + exp(-2.0))


def request(size: float, small: float, *, large: float = 0.9, session: str = "s") -> Labelled:
    return Labelled(session, {"size": size}, Outcome(small, 10), Outcome(large, 100))


FOUR = (
    request(-2, 0.9, session="a"),
    request(2, 0.3, session="b"),
    request(-2, 0.6, session="c"),
    request(2, 0.9, session="d"),
)
"""One is rightly sent to each model; the third is too weak, the fourth too dear."""


def judged(*requests: Labelled, seed: int = 1) -> Judged:
    return judge(BY_SIZE, 0.5, requests, requests, seed)


def test_compares_with_a_random_draw_of_the_same_mean_score() -> None:
    """It scores 3.3 between 2.7 and 3.6, which two thirds of large answers reach too, for 280."""
    found = judged(*FOUR)

    assert found.saved_at_equal_score.value == pytest.approx(1 - 220 / 280)
    assert found.saved.value == pytest.approx(1 - 220 / 400)
    assert found.given_up.value == pytest.approx((3.6 - 3.3) / 4)
    assert found.above_random.value == pytest.approx((3.3 - 3.15) / 4)
    assert found.above_oracle.value == pytest.approx(0)


def test_stands_beside_every_other_way_to_choose() -> None:
    ways = {way.name: (way.share_large, way.mean_score, way.nanos) for way in judged(*FOUR).ways}

    expected: dict[str, Any] = {
        "rule": (0.5, 3.3 / 4, 220),
        "always large": (1.0, 3.6 / 4, 400),
        "always small": (0.0, 2.7 / 4, 40),
        "random": (0.5, 3.15 / 4, 220),
        "oracle": (0.5, 3.6 / 4, 220),
    }
    assert ways == {name: pytest.approx(figures) for name, figures in expected.items()}


def test_counts_what_was_sent_the_wrong_way() -> None:
    found = judged(*FOUR, request(-2, 0.5, session="e"))

    assert (found.too_weak, found.too_dear) == (0.4, 0.2)


def test_holds_its_probabilities_against_what_was_needed() -> None:
    found = judged(*FOUR)

    assert found.brier == pytest.approx((2 * (1 - SURE) ** 2 + 2 * SURE**2) / 4)
    assert found.brier_of_rate == pytest.approx(0.25)
    low, high = found.tenths[1], found.tenths[8]
    assert low is not None
    assert high is not None
    assert (low.requests, low.expected, low.found) == pytest.approx((2, 1 - SURE, 0.5))
    assert (high.requests, high.expected, high.found) == pytest.approx((2, SURE, 0.5))
    assert sum(each is None for each in found.tenths) == 8


@pytest.mark.parametrize(
    ("rule", "small", "large", "before"),
    [
        (5.0, 1.0, 4.0, 400),  # better than the large model: that one alone
        (0.5, 1.0, 4.0, 40),  # worse than the small one
        (3.0, 4.0, 4.0, 40),  # the large model is not worth its cost
    ],
)
def test_compares_with_one_model_where_no_draw_scores_the_same(
    rule: float, small: float, large: float, before: int
) -> None:
    found = Sums(4, 2, rule, small, large, 220, 40, 400, 220)

    assert found.saved_at_equal_score == pytest.approx(1 - 220 / before)


def test_draws_whole_sessions_for_its_intervals() -> None:
    """Requests differ, sessions do not: then no draw of sessions is off."""
    alike = [
        request(size, small, session=f"s{number}")
        for number in range(20)
        for size, small in ((-2, 0.9), (2, 0.3), (-2, 0.6), (2, 0.9))
    ]
    apart = [request(2, 0.3, session="a"), request(-2, 0.9, session="b")]

    same, other = judged(*alike).saved, judged(*apart).saved

    assert (same.low, same.high) == pytest.approx((same.value, same.value))
    assert (other.low, other.high) == pytest.approx((0, 0.9))


def test_draws_the_same_with_the_same_seed() -> None:
    assert judged(*FOUR, seed=5) == judged(*FOUR, seed=5)


@pytest.mark.parametrize(
    ("give_up", "sent"),
    [(0.0, [1, 2, 3]), (0.01, [2, 3]), (0.2, [3]), (1.0, [])],
)
def test_takes_the_cheapest_threshold_that_gives_up_no_more(
    give_up: float, sent: list[int]
) -> None:
    requests = (request(0, 0.9), request(1, 0.88), request(2, 0.3), request(3, 0.2))

    threshold = choose_threshold(BY_SIZE, requests, give_up)

    likely = [1 / (1 + exp(-size)) for size in range(4)]
    assert [number for number, each in enumerate(likely) if each >= threshold] == sent


def test_has_no_session_on_both_sides() -> None:
    requests = [request(0, 0.9, session=f"s{number % 40}") for number in range(200)]

    to_fit, to_judge = halves(requests)

    assert {each.session for each in to_fit} & {each.session for each in to_judge} == set()
    assert len(to_fit) + len(to_judge) == 200
    assert min(len(to_fit), len(to_judge)) >= 50


def test_refuses_to_judge_by_nothing() -> None:
    with pytest.raises(Unusable, match="too few sessions"):
        halves([request(0, 0.9)])
