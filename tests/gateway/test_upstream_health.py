"""Which models are left out for a while, by what this instance has seen of them."""

from dataclasses import dataclass

import pytest

from common.gateway.upstream_health import (
    LEAST_CALLS,
    MOST_KEPT,
    MOST_MODELS,
    RESTS_S,
    WINDOW_S,
    UpstreamHealth,
)
from tests.gateway.making import START


@dataclass(slots=True)
class Clock:
    time_s: float = 0.0

    def now(self) -> object:
        return START

    def monotonic(self) -> float:
        return self.time_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> UpstreamHealth:
    return UpstreamHealth(clock)  # type: ignore[arg-type] # nobody asks it for the time of day


def record(health: UpstreamHealth, *ends: bool) -> None:
    for failed in ends:
        health.record("openai", "gpt-5", failed=failed)


@pytest.mark.parametrize(
    ("failures", "successes", "rests"),
    [
        (LEAST_CALLS - 1, 0, False),
        (LEAST_CALLS, 0, True),
        (LEAST_CALLS // 2, LEAST_CALLS // 2, True),
        (LEAST_CALLS // 2 - 1, LEAST_CALLS // 2 + 1, False),
    ],
)
def test_leaves_out_what_fails_half_of_its_calls(
    health: UpstreamHealth, failures: int, successes: int, *, rests: bool
) -> None:
    record(health, *[False] * successes, *[True] * failures)

    assert health.rests("openai", "gpt-5") is rests
    assert not health.rests("openai", "gpt-5-mini")
    assert not health.rests("azure", "gpt-5")


def test_tries_it_again_and_needs_as_many_failures_as_before(
    health: UpstreamHealth, clock: Clock
) -> None:
    record(health, *[True] * LEAST_CALLS)
    clock.time_s += RESTS_S - 0.1
    assert health.rests("openai", "gpt-5")
    clock.time_s += 0.1
    assert not health.rests("openai", "gpt-5")

    record(health, *[True] * (LEAST_CALLS - 1))
    assert not health.rests("openai", "gpt-5")
    record(health, True)
    assert health.rests("openai", "gpt-5")


def test_forgets_what_is_long_ago(health: UpstreamHealth, clock: Clock) -> None:
    record(health, *[True] * (LEAST_CALLS - 1))
    clock.time_s += WINDOW_S
    record(health, True)

    assert not health.rests("openai", "gpt-5")


def test_sees_a_busy_model_fail_after_many_good_calls(health: UpstreamHealth) -> None:
    record(health, *[False] * 10 * MOST_KEPT, *[True] * (MOST_KEPT // 2))

    assert health.rests("openai", "gpt-5")


def test_remembers_no_more_models_than_it_may(health: UpstreamHealth) -> None:
    record(health, *[True] * LEAST_CALLS)
    for number in range(MOST_MODELS):
        health.record("openai", f"m{number}", failed=False)

    assert not health.rests("openai", "gpt-5")
