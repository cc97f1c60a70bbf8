"""A policy is tried on calls of the past."""

from datetime import timedelta
from random import Random

import pytest

from common.brownout.minute_sums import MINUTE, Minute, MinuteSums
from common.brownout.modes import Mode
from common.brownout.policy_file import shipped_policy
from common.brownout.replay import Episode, Replay, replay
from tests.brownout.rollup_scenes import DOLLAR, calls_of, minute, minutes_of, policy_with
from tests.brownout.scenes import RECOVERY, T0, at

POLICY = shipped_policy()
LEASE = POLICY.signals.rollup
FLEET = ("global", "provider:openai", "model:gpt-5", "org:acme", "team:acme/search")


def failing(number: int, scope: str = "global", failed: int = 50) -> Minute:
    return minute(number, scope, calls=100, failed=failed)


def test_tells_when_a_scope_leaves_normal_and_is_back() -> None:
    """Two minutes of errors: emergency, and from the end of the last lease down step by step."""
    calm = [minute(number, calls=100) for number in range(2, 60)]

    [episode] = replay(POLICY, [failing(0), failing(1), *calm])

    opened, ends = T0 + MINUTE, T0 + MINUTE * 2 + LEASE
    cycle = RECOVERY.dwell + RECOVERY.ramp
    assert episode == Episode(
        scope="global",
        opened_at=opened,
        closed_at=ends + RECOVERY.ramp + cycle * 2,
        peak=Mode.EMERGENCY,
        lasted={
            Mode.EMERGENCY: ends + RECOVERY.ramp - opened,
            Mode.HARD: cycle,
            Mode.SOFT: cycle,
        },
        about=("errors",),
    )


def test_tells_of_one_that_is_not_back_at_the_end() -> None:
    [episode] = replay(POLICY, [failing(0, failed=14)])

    assert (episode.closed_at, episode.peak, episode.lasted) == (
        None,
        Mode.SOFT,
        {Mode.SOFT: timedelta(0)},
    )


def test_goes_on_to_the_end_that_it_is_asked_for() -> None:
    replaying = Replay(POLICY)
    replaying.take(failing(0, failed=14))

    [short] = replaying.episodes(until=at(600))
    [long] = replaying.episodes(until=at(3_600))

    assert (short.closed_at, short.lasted[Mode.SOFT]) == (at(480), timedelta(seconds=420))
    assert (long.closed_at, long.lasted) == (short.closed_at, short.lasted)


def test_tells_each_episode_by_time_and_scope() -> None:
    minutes = [
        failing(0, "org:b"),
        failing(90, "org:a"),
        Minute(T0 + MINUTE * 200, {"org:b": MinuteSums(100, 50), "org:a": MinuteSums(100, 50)}),
    ]

    episodes = replay(POLICY, minutes)

    told = [(each.scope, each.opened_at, each.closed_at is None) for each in episodes]
    assert told == [
        ("org:b", at(60), False),
        ("org:a", at(91 * 60), False),
        ("org:a", at(201 * 60), True),
        ("org:b", at(201 * 60), True),
    ]


def test_goes_on_while_it_is_above_what_it_recovers_at() -> None:
    """At 4 % errors among many calls nothing begins, and nothing ends."""
    many = [minute(number, calls=5_000, failed=200) for number in range(120)]

    [episode] = replay(POLICY, [failing(-1, failed=14), *many])

    assert replay(POLICY, many) == []
    assert (episode.closed_at, episode.lasted) == (None, {Mode.SOFT: MINUTE * 120})


def test_lets_what_ran_out_begin_again_at_the_limit_only() -> None:
    later = minute(9, calls=5_000, failed=200)

    [episode] = replay(POLICY, [failing(0, failed=14), later])

    assert episode.closed_at == T0 + MINUTE + LEASE + RECOVERY.ramp


def test_takes_minutes_without_calls_for_what_they_are() -> None:
    """The cost of five minutes is looked at, also where the last of them saw no call."""
    spent = minute(0, "org:acme", calls=1, cost=5 * DOLLAR)

    [alone] = replay(POLICY, [spent, minute(30, calls=1)])
    [filled] = replay(POLICY, [spent, *[minute(number, calls=1) for number in range(1, 31)]])

    assert alone == filled
    assert alone.about == ("cost",)
    assert alone.lasted == {Mode.SOFT: MINUTE * 4 + LEASE + RECOVERY.ramp}


def test_compares_costs_with_what_is_usual_in_that_hour() -> None:
    minutes = [minute(number, "org:acme", calls=9, cost=2 * DOLLAR) for number in range(120)]

    alone = replay(POLICY, minutes)
    usual = replay(POLICY, minutes, lambda _, time: 100 * DOLLAR if time < at(3_600) else None)

    assert [each.opened_at for each in alone] == [at(60 * 3)]
    assert [each.opened_at for each in usual] == [at(60 * 61)]


def test_tries_the_policy_that_it_is_given() -> None:
    lax = policy_with(thresholds={"emergency": {"error_rate": "90%"}})

    assert replay(lax, [failing(0)]) == []


def test_says_nothing_of_no_calls() -> None:
    assert replay(POLICY, []) == []


@pytest.mark.parametrize("a_minute", [24, 40, 150])
@pytest.mark.parametrize("seed", [1, 2])
def test_leaves_a_day_alone_in_which_3_percent_fail(a_minute: int, seed: int) -> None:
    """Soft begins at 5 %. Of 1,440 judgements one may be wrong."""
    calls = calls_of(Random(seed), T0, timedelta(days=1), a_minute=a_minute, failing=0.03)

    episodes = replay(POLICY, minutes_of(calls, FLEET))

    assert len({each.opened_at for each in episodes}) <= 1
