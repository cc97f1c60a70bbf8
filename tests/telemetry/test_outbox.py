"""Batches are kept while the sink is down, and what is given up is counted."""

from collections import Counter

import pytest

from common.adapters.telemetry_outbox import KEPT_S, LONGEST_PAUSE_S, MOST_KEPT, Outbox
from tests.gateway.making import SetClock


class Post:
    """Takes batches unless it is down."""

    def __init__(self) -> None:
        self.is_down = False
        self.tried: list[str] = []
        self.taken: list[str] = []

    def take(self, batch: str) -> bool:
        self.tried.append(batch)
        if not self.is_down:
            self.taken.append(batch)
        return not self.is_down


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def outbox(post: Post, clock: SetClock) -> Outbox[str]:
    return Outbox("metrics", post.take, clock)


def test_sends_what_was_kept_before_what_is_new(post: Post, outbox: Outbox[str]) -> None:
    post.is_down = True
    for batch in ("one", "two"):
        outbox.put(batch, 1)
        outbox.send()
    post.is_down = False
    outbox.put("three", 1)
    outbox.send()

    assert post.taken == ["one", "two", "three"]
    assert not outbox.holds


def test_tries_one_batch_of_a_sink_that_is_down(post: Post, outbox: Outbox[str]) -> None:
    post.is_down = True
    for batch in ("one", "two", "three"):
        outbox.put(batch, 1)

    outbox.send()

    assert post.tried == ["one"]


def test_waits_longer_after_each_failure_and_not_after_a_success(
    post: Post, outbox: Outbox[str], clock: SetClock
) -> None:
    post.is_down = True
    pauses = []
    outbox.put("one", 1)
    for _ in range(7):
        outbox.send()
        before = clock.monotonic()
        while not outbox.is_ready:
            clock.advance(5)
        pauses.append(clock.monotonic() - before)
    post.is_down = False
    outbox.send()

    assert pauses == [5, 10, 20, 40, 80, 80, 80]
    assert outbox.is_ready


def test_drops_the_oldest_of_too_many_and_says_how_much_that_was(
    post: Post, outbox: Outbox[str]
) -> None:
    post.is_down = True
    for number in range(MOST_KEPT + 2):
        outbox.put(str(number), facts=10)
        outbox.send()
    post.is_down = False
    outbox.send()

    assert post.taken == [str(number) for number in range(2, MOST_KEPT + 2)]
    assert outbox.take_dropped() == {("metrics", "too_many"): 20}
    assert outbox.take_dropped() == {}


def test_drops_what_has_waited_too_long(post: Post, outbox: Outbox[str], clock: SetClock) -> None:
    post.is_down = True
    outbox.put("old", facts=3)
    outbox.send()
    clock.advance(KEPT_S - 1)
    outbox.put("new", facts=4)
    clock.advance(2)
    post.is_down = False
    outbox.send()

    assert post.taken == ["new"]
    assert outbox.take_dropped() == {("metrics", "too_old"): 3}


def test_counts_again_what_a_dropped_batch_told_as_dropped(
    post: Post, outbox: Outbox[str], clock: SetClock
) -> None:
    outbox.put("old", 5, Counter({("spans", "too_many"): 7}))
    clock.advance(KEPT_S + 1)

    outbox.send()

    assert outbox.take_dropped() == {("metrics", "too_old"): 5, ("spans", "too_many"): 7}


def test_takes_a_client_that_raises_for_a_sink_that_is_down(clock: SetClock) -> None:
    def raising(_: str) -> bool:
        raise RuntimeError("of others")

    outbox = Outbox("metrics", raising, clock)
    outbox.put("one", 1)

    outbox.send()

    assert outbox.holds
    assert not outbox.is_ready


def test_keeps_batches_about_as_long_by_number_as_by_time() -> None:
    pauses = [min(LONGEST_PAUSE_S, 5.0 * 2**failures) for failures in range(MOST_KEPT)]

    assert 0.5 * KEPT_S < sum(pauses) < KEPT_S
