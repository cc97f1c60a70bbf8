"""What an instance makes of its own calls: modes of its own, on good grounds, and not for long."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from common.brownout.modes import LONGEST_NAME, Mode
from common.brownout.own_counters import Ended
from common.brownout.own_evidence import MOST_SCOPES, OwnEvidence
from common.brownout.policy import LatencyThreshold, LevelThresholds, Policy, Thresholds
from common.brownout.policy_file import shipped_policy
from common.brownout.trajectory import advance
from tests.brownout.scenes import at

POLICY = shipped_policy()
GOOD, BAD = Ended(failed=False, first_chunk_s=0.3), Ended(failed=True)
OPENAI, GPT = "provider:openai", "model:gpt-5"


def with_thresholds(**levels: LevelThresholds) -> Policy:
    return replace(POLICY, thresholds=Thresholds(**levels))


def modes(evidence: OwnEvidence, seconds: float, policy: Policy = POLICY) -> dict[str, Mode]:
    """The modes that are not normal at a moment."""
    now = at(seconds)
    found = {
        name: advance(state, now, policy.recovery)[0].mode
        for name, state in evidence.scopes.items()
    }
    return {name: mode for name, mode in found.items() if mode != Mode.NORMAL}


def give(
    evidence: OwnEvidence,
    calls: Iterable[tuple[float, Ended]],
    *,
    provider: str = "openai",
    model: str | None = "gpt-5",
    policy: Policy = POLICY,
) -> None:
    for seconds, ended in calls:
        evidence.record(policy, provider, model, ended, at(seconds))


def a_minute(ended: Ended, calls: int = 60) -> list[tuple[float, Ended]]:
    """So many calls in the first minute, and a good one that finds it over."""
    return [*((60 * n / calls, ended) for n in range(calls)), (60.0, GOOD)]


def test_moves_provider_and_model_where_calls_fail() -> None:
    evidence = OwnEvidence()

    give(evidence, a_minute(BAD))

    assert modes(evidence, 60) == {OPENAI: Mode.EMERGENCY, GPT: Mode.EMERGENCY}
    lease = evidence.scopes[GPT].leases[0]
    assert (lease.about, lease.until) == ("errors", at(60) + POLICY.signals.own)


def test_leaves_other_models_of_the_provider_out_of_it() -> None:
    evidence = OwnEvidence()

    for second in range(61):
        give(evidence, [(second, GOOD)] * 20, model="gpt-5-mini")
        give(evidence, [(second, BAD)])

    assert modes(evidence, 60) == {GPT: Mode.EMERGENCY}


def test_sees_30_percent_errors_within_30_s_of_at_least_20_calls() -> None:
    evidence = OwnEvidence()

    give(evidence, [(n * 30 / 21, BAD if n % 10 in {0, 3, 6} else GOOD) for n in range(22)])

    assert modes(evidence, 30)[GPT] >= Mode.SOFT


@pytest.mark.parametrize("seed", range(3))
def test_sees_30_percent_errors_within_30_s_after_a_calm_time(seed: int) -> None:
    random, evidence = Random(seed), OwnEvidence()
    calm = [(n / 4, GOOD) for n in range(4 * 120)]
    failing = [(120 + n / 4, BAD if random.random() < 0.3 else GOOD) for n in range(4 * 30 + 1)]

    give(evidence, [*calm, *failing])

    assert modes(evidence, 150)[GPT] >= Mode.SOFT


@pytest.mark.slow
@pytest.mark.parametrize("a_minutes_calls", [20, 30, 83])
@pytest.mark.parametrize("seed", range(2))
def test_leaves_normal_at_most_five_times_a_day_where_3_percent_of_the_calls_fail(
    a_minutes_calls: int, seed: int
) -> None:
    random, evidence = Random(seed), OwnEvidence()
    seconds, activations, off_rest = 0.0, 0, False
    while seconds < timedelta(days=1).total_seconds():
        seconds += random.expovariate(a_minutes_calls / 60)
        evidence.record(
            POLICY, "openai", None, BAD if random.random() < 0.03 else GOOD, at(seconds)
        )
        was, off_rest = off_rest, bool(evidence.scopes) and bool(modes(evidence, seconds))
        activations += off_rest and not was

    assert activations <= 5


def test_takes_no_call_that_tells_nothing_for_a_good_or_a_bad_one() -> None:
    evidence = OwnEvidence()
    untold = Ended(failed=None)

    give(evidence, [(n / 10, untold) for n in range(500)])
    give(evidence, [(50 + n / 10, BAD) for n in range(19)])
    give(evidence, [(60, untold)])

    assert modes(evidence, 60) == {}


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Ended(failed=False, first_chunk_s=1.9, total_s=60.0), {}),
        (Ended(failed=False, first_chunk_s=2.1), {OPENAI: Mode.SOFT, GPT: Mode.SOFT}),
        (Ended(failed=False, first_chunk_s=5.1), {OPENAI: Mode.HARD, GPT: Mode.HARD}),
        (Ended(failed=False, first_chunk_s=10.1), {OPENAI: Mode.EMERGENCY, GPT: Mode.EMERGENCY}),
        (Ended(failed=False, total_s=600.0), {}),  # not streamed, and nothing usual is known
        (
            Ended(failed=None, first_chunk_s=10.1, answered=False),
            {OPENAI: Mode.EMERGENCY, GPT: Mode.EMERGENCY},
        ),
    ],
)
def test_judges_streams_by_their_first_chunk(ended: Ended, expected: dict[str, Mode]) -> None:
    evidence = OwnEvidence()

    give(evidence, a_minute(ended))

    assert modes(evidence, 60) == expected


def test_takes_a_stream_that_nobody_waited_for_long_for_no_fast_one() -> None:
    evidence = OwnEvidence()
    left = Ended(failed=None, first_chunk_s=0.1, answered=False)
    slow = Ended(failed=False, first_chunk_s=2.1)

    give(evidence, [(n / 100, left) for n in range(3_900)])
    give(evidence, [(40 + n / 2, slow) for n in range(41)])

    assert modes(evidence, 60)[GPT] == Mode.SOFT


def test_judges_all_calls_by_their_total_where_the_policy_says_so() -> None:
    limit = LatencyThreshold(timedelta(seconds=60), of="total", baseline="off")
    policy = with_thresholds(soft=LevelThresholds(latency_p95=limit))
    slow, fast = OwnEvidence(), OwnEvidence()

    give(slow, a_minute(Ended(failed=False, total_s=61.0)), policy=policy)
    give(fast, a_minute(Ended(failed=False, first_chunk_s=59.0, total_s=59.0)), policy=policy)

    assert (modes(slow, 60, policy), modes(fast, 60, policy)) == (
        {OPENAI: Mode.SOFT, GPT: Mode.SOFT},
        {},
    )


def test_judges_a_scope_by_its_own_thresholds() -> None:
    limit = LatencyThreshold(timedelta(seconds=20))
    own = Thresholds(*(LevelThresholds(latency_p95=limit) for _ in range(3)))
    policy, evidence = replace(POLICY, per_scope={GPT: own}), OwnEvidence()

    give(evidence, a_minute(Ended(failed=False, first_chunk_s=6.0)), policy=policy)

    assert modes(evidence, 60, policy) == {OPENAI: Mode.HARD}


def test_goes_back_to_normal_by_itself_when_no_call_comes_any_more() -> None:
    evidence = OwnEvidence()
    give(evidence, a_minute(BAD))

    cycle = (POLICY.recovery.dwell + POLICY.recovery.ramp).total_seconds()
    end = 60 + POLICY.signals.own.total_seconds() + 3 * cycle

    assert modes(evidence, 60 + 119)[GPT] == Mode.EMERGENCY
    assert modes(evidence, end) == {}


def test_stays_while_the_errors_do_and_leaves_once_they_are_over() -> None:
    evidence = OwnEvidence()
    failing = [(n / 2, BAD if n % 3 == 0 else GOOD) for n in range(1_200)]
    calm = [(600 + n / 2, GOOD) for n in range(3_000)]

    give(evidence, failing)
    during = modes(evidence, 600)[GPT]
    give(evidence, calm)

    assert during >= Mode.HARD
    assert evidence.scopes == {}


def test_renews_a_lease_until_the_errors_are_below_the_recovery_limit() -> None:
    evidence = OwnEvidence()
    failing = [(n / 40, BAD if n % 13 == 0 else GOOD) for n in range(40 * 60)]
    between = [(60 + n / 40, BAD if n % 21 == 0 else GOOD) for n in range(40 * 600)]

    give(evidence, failing)
    give(evidence, between)
    give(fresh := OwnEvidence(), between)

    assert modes(evidence, 660)[GPT] == Mode.SOFT
    assert modes(fresh, 660) == {}


def test_forgets_what_is_older_than_a_minute() -> None:
    evidence = OwnEvidence()

    give(evidence, [(n / 10, BAD) for n in range(90)])
    give(evidence, [(75 + n, GOOD) for n in range(60)])

    assert modes(evidence, 135) == {}


def test_drops_what_it_counted_when_the_clock_is_set_back() -> None:
    evidence = OwnEvidence()

    give(evidence, [(1_000 + n / 10, BAD) for n in range(90)])
    give(evidence, [(n / 2, GOOD) for n in range(100)])

    assert modes(evidence, 50) == {}


def test_watches_no_more_scopes_than_so_many_and_drops_those_unused_longest() -> None:
    evidence = OwnEvidence()
    give(evidence, a_minute(BAD))
    assert GPT in evidence.scopes

    for n in range(MOST_SCOPES):
        give(evidence, [(61, GOOD)], model=f"m{n}")

    assert sorted(evidence.scopes) == [OPENAI]


def test_keeps_no_name_of_a_model_that_is_longer_than_a_scope_s() -> None:
    evidence = OwnEvidence()

    give(evidence, a_minute(BAD), model="m" * (LONGEST_NAME + 1))

    assert modes(evidence, 60) == {OPENAI: Mode.EMERGENCY}


def test_counts_anew_under_a_new_policy_and_keeps_the_modes() -> None:
    evidence, other = OwnEvidence(), replace(POLICY, enforcement="enforce")
    give(evidence, a_minute(BAD))

    give(evidence, [(61 + n / 10, GOOD) for n in range(300)], policy=other)

    assert modes(evidence, 91, other)[GPT] == Mode.EMERGENCY
    assert [lease.until for lease in evidence.scopes[GPT].leases] == [at(60) + POLICY.signals.own]


def test_sees_calls_that_wait_even_where_none_ends() -> None:
    policy, evidence = with_thresholds(soft=LevelThresholds(pending_requests=10)), OwnEvidence()

    waiting = [evidence.enter(policy, "openai", "gpt-5", at(n)) for n in range(12)]
    during = modes(evidence, 12, policy)
    for each in waiting:
        evidence.leave(each)
    give(evidence, [(30 * n, GOOD) for n in range(1, 30)], policy=policy)

    assert evidence.reads_in_flight
    assert during == {OPENAI: Mode.SOFT, GPT: Mode.SOFT}
    assert evidence.scopes == {}
