"""A slice of a window in memory: what it admits, what it takes, and its debts."""

import pytest

from common.budgets.rate_limits import CallLimits, Slice, Take, Taken, plan_take


def a_slice(
    rpm: int | None = None, tpm: int | None = None, *, requests: int = 0, tokens: int = 0
) -> Slice:
    return Slice(CallLimits(rpm, tpm), requests, tokens)


def test_admits_while_it_has_room() -> None:
    own = a_slice(rpm=10, requests=2)

    assert [own.admit(0) for _ in range(3)] == ["admitted", "admitted", "short"]


def test_admits_without_a_limit() -> None:
    assert a_slice().admit(10**9) == "admitted"


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        (a_slice(rpm=10, requests=0), "rpm"),
        (a_slice(rpm=10, requests=1), "admitted"),
        (a_slice(tpm=10, tokens=4), "tpm"),
        (a_slice(tpm=10, tokens=5), "admitted"),
        (a_slice(rpm=10, tpm=10, requests=1, tokens=4), "tpm"),
    ],
)
def test_names_the_limit_of_a_window_that_is_used_up(own: Slice, verdict: str) -> None:
    own.known = Taken(requests=10, tokens=10, takers=1)

    assert own.admit(5) == verdict


def test_a_refused_call_uses_nothing() -> None:
    own = a_slice(rpm=10, tpm=10, requests=1, tokens=4)
    own.admit(5)

    assert (own.requests, own.tokens) == (1, 4)


@pytest.mark.parametrize(
    ("stored", "take"),
    [
        (Taken(), Take(25, 0, Taken(25, 0, 1))),
        (Taken(25, 0, 1), Take(9, 0, Taken(34, 0, 2))),
        (Taken(96, 0, 1), Take(1, 0, Taken(97, 0, 2))),
        (Taken(100, 0, 1), Take(0, 0, Taken(100, 0, 1))),
        (Taken(120, 0, 1), Take(0, 0, Taken(120, 0, 1))),
    ],
)
def test_takes_a_part_of_its_share_and_at_least_one(stored: Taken, take: Take) -> None:
    assert plan_take(a_slice(rpm=100), [0], stored) == take


def test_counts_itself_as_a_taker_once() -> None:
    own = a_slice(rpm=100)
    own.receive(Take(0, 0, Taken()))

    assert plan_take(own, [0], Taken(20, 0, 2)) == Take(10, 0, Taken(30, 0, 2))


def test_takes_what_all_who_wait_need() -> None:
    own = a_slice(rpm=100, tpm=1_000, tokens=5)

    take = plan_take(own, [100] * 30, Taken())

    # Ten of them fit into 1,000 tokens, beside the 5 that are there: 10 x 100 - 5.
    assert (take.requests, take.tokens) == (25, 995)


def test_takes_nothing_for_a_call_that_does_not_fit_and_serves_a_smaller_one() -> None:
    own = a_slice(tpm=1_000)

    assert plan_take(own, [500], Taken(tokens=600)) == Take(0, 0, Taken(tokens=600))
    assert plan_take(own, [500, 300], Taken(tokens=600)).tokens == 300


def test_a_call_that_used_more_leaves_a_debt_which_the_next_take_pays() -> None:
    own = a_slice(tpm=1_000, tokens=100)
    own.admit(100)

    own.true_up(100, 700)

    assert own.admit(0) == "short"
    assert plan_take(own, [50], Taken(tokens=100)).tokens == 650
    assert plan_take(own, [50], Taken(tokens=400)).tokens == 0


def test_a_call_that_used_less_makes_room() -> None:
    own = a_slice(tpm=1_000, tokens=100)
    own.admit(100)

    own.true_up(100, 30)

    assert own.admit(70) == "admitted"
