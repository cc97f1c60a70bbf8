"""What the sums of minutes call for."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from common.brownout.minute_sums import MinuteSums
from common.brownout.modes import Mode
from common.brownout.policy_file import shipped_policy
from common.brownout.rollup_judgement import Finding, RollupJudge, cost_limit
from common.brownout.trajectory import About
from common.core.latency_bins import bin_of
from tests.brownout.rollup_scenes import DOLLAR, policy_with, streamed

TOTALS = {"above": "2s", "of": "total", "baseline": "off"}


def found(
    *recent: Mapping[str, MinuteSums],
    held: Mapping[str, Mapping[About, Mode]] | None = None,
    usual: int | None = None,
    **members: Any,
) -> list[tuple[str, str, Mode]]:
    """What is found in the newest minutes, by the shipped policy with other members."""
    judge = RollupJudge(policy_with(**members))
    before: Sequence[Mapping[str, MinuteSums]] = [{}] * (judge.minutes - len(recent))
    findings = judge.judge([*before, *recent], held or {}, lambda _: usual)
    return [(each.scope, each.about, each.level) for each in findings]


@pytest.mark.parametrize(
    ("failed", "level"), [(3, None), (20, Mode.SOFT), (30, Mode.HARD), (60, Mode.EMERGENCY)]
)
def test_finds_errors_that_are_surely_too_many(failed: int, level: Mode | None) -> None:
    told = found({"provider:openai": MinuteSums(calls=150, failed=failed)})

    assert told == ([] if level is None else [("provider:openai", "errors", level)])


def test_does_not_judge_few_calls() -> None:
    assert found({"global": MinuteSums(calls=19, failed=19)}) == []
    assert found({"global": MinuteSums(calls=20, failed=19)}) != []


def test_must_be_the_surer_the_more_scopes_there_are() -> None:
    failing = {"agent:acme/x": MinuteSums(calls=24, failed=5)}
    others = {f"agent:acme/{n}": MinuteSums(calls=24) for n in range(199)}

    assert found(failing) == [("agent:acme/x", "errors", Mode.SOFT)]
    assert found({**failing, **others}) == []


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(1.5, None), (3.0, Mode.SOFT), (7.0, Mode.HARD), (30.0, Mode.EMERGENCY)],
)
def test_finds_first_chunks_that_are_slow(seconds: float, level: Mode | None) -> None:
    told = found({"global": streamed(*[0.4] * 80, *[seconds] * 20)})

    assert told == ([] if level is None else [("global", "latency", level)])


def test_takes_a_few_slow_calls_for_what_they_are() -> None:
    assert found({"global": streamed(*[0.4] * 96, *[30.0] * 4)}) == []


def test_finds_that_clients_leave_before_the_first_chunk() -> None:
    """They say that it was slow where they waited longer than the limit, and else nothing."""
    waited, left = {bin_of(15.0): 40}, {bin_of(0.1): 40}

    assert found({"global": streamed(*[0.4] * 40, awaited=waited)}) == [
        ("global", "latency", Mode.EMERGENCY)
    ]
    assert found({"global": streamed(*[0.4] * 40, awaited=left)}) == []
    assert found({"global": streamed(*[0.4] * 80, *[30.0] * 20, awaited={1: 2_000})}) == [
        ("global", "latency", Mode.EMERGENCY)
    ]


def test_judges_calls_that_are_not_streamed_by_limits_of_the_whole_time_alone() -> None:
    """How long they usually take is not known."""
    slow = {"model:m": MinuteSums(calls=40, durations={bin_of(8.0): 40})}
    thresholds = {"model:m": {"thresholds": {"soft": {"latency_p95": TOTALS}}}}

    assert found(slow) == []
    assert found(slow, per_scope=thresholds) == [("model:m", "latency", Mode.SOFT)]


@pytest.mark.parametrize("scope", ["global", "org:acme", "team:acme/t", "agent:acme/a"])
def test_finds_what_spends_too_much_an_hour(scope: str) -> None:
    """Over five minutes: $4.20 are $50.40 an hour."""
    spent = {scope: MinuteSums(calls=1, cost=4_200_000_000)}

    assert found(spent) == [(scope, "cost", Mode.SOFT)]
    assert found({scope: MinuteSums(calls=1, cost=4_100_000_000)}) == []
    assert found(*[spent] * 5) == [(scope, "cost", Mode.EMERGENCY)]


@pytest.mark.parametrize("scope", ["provider:openai", "model:gpt-5"])
def test_does_not_judge_what_those_earn_who_are_paid(scope: str) -> None:
    assert found({scope: MinuteSums(calls=1, cost=10**15)}) == []


def test_lets_whoever_spends_much_by_nature_spend_it() -> None:
    """$150 an hour is usual: soft begins at 1.5 times that."""
    spent = {"global": MinuteSums(calls=9, cost=3 * DOLLAR)}
    more = {"global": MinuteSums(calls=9, cost=4 * DOLLAR)}

    assert found(*[spent] * 5, usual=150 * DOLLAR) == []
    assert found(*[more] * 5, usual=150 * DOLLAR) == [("global", "cost", Mode.SOFT)]


def test_takes_the_threshold_where_it_is_more_or_stands_alone() -> None:
    limits = shipped_policy().limits_for("global")
    off = policy_with(
        thresholds={"soft": {"token_cost_per_hour": {"above": "$7", "baseline": "off"}}}
    ).limits_for("global")

    assert cost_limit(limits.hard.token_cost_per_hour, 1) == 100 * DOLLAR
    assert cost_limit(limits.hard.token_cost_per_hour, None) == 100 * DOLLAR
    assert cost_limit(limits.hard.token_cost_per_hour, 50 * DOLLAR) == 150 * DOLLAR
    assert cost_limit(off.soft.token_cost_per_hour, 50 * DOLLAR) == 7 * DOLLAR
    assert cost_limit(off.hard.token_cost_per_hour, 50 * DOLLAR) is None


@pytest.mark.parametrize(
    ("about", "sums"),
    [
        ("errors", MinuteSums(calls=10_000, failed=450)),
        ("latency", streamed(*[0.4] * 800, *[1.65] * 200)),
        ("cost", MinuteSums(calls=9, cost=3_500_000_000)),
    ],
)
def test_goes_on_until_it_is_below_what_it_recovers_at(about: About, sums: MinuteSums) -> None:
    """4.5 % errors, 1.65 s and $42 an hour are below the limits of soft, and above 60 or 70 %."""
    assert found({"global": sums}) == []
    assert found({"global": sums}, held={"global": {about: Mode.SOFT}}) == [
        ("global", about, Mode.SOFT)
    ]


def test_ends_below_it() -> None:
    held: dict[str, dict[About, Mode]] = {
        "global": dict.fromkeys(("errors", "latency", "cost"), Mode.SOFT)
    }
    calm = streamed(*[0.4] * 900, *[1.65] * 30, calls=1_000, failed=20, cost=2_000_000_000)

    assert found({"global": calm}, held=held) == []
    assert found({}, held=held) == []


def test_looks_as_far_back_as_the_policy_says() -> None:
    reading = {"error_rate": {"window": "3m"}, "latency_p95": {"window": "2m"}}
    few = {"global": streamed(*[0.4] * 5, *[30.0] * 5, failed=8)}

    assert found(few, few, {}, {}, reading=reading) == []
    assert found(few, few, {}, reading=reading) == [("global", "errors", Mode.EMERGENCY)]
    assert found({}, few, few, reading=reading) == [
        ("global", "errors", Mode.EMERGENCY),
        ("global", "latency", Mode.EMERGENCY),
    ]
    assert found(few) == []


@pytest.mark.parametrize(
    ("sums", "about", "evidence"),
    [
        (
            MinuteSums(calls=80, failed=30),
            "errors",
            ("error_rate", "37.5% of 80 calls", "20%"),
        ),
        (streamed(*[15.0] * 40), "latency", ("latency_p95", "about 16s", "10s")),
        (
            MinuteSums(calls=40, awaited={bin_of(15.0): 40}),
            "latency",
            ("latency_p95", "clients that left", "10s"),
        ),
        (
            MinuteSums(cost=6_543_210_987),
            "cost",
            ("token_cost_per_hour", "$78.51", "$50"),
        ),
    ],
)
def test_shows_a_value_and_its_limit(
    sums: MinuteSums, about: About, evidence: tuple[str, str, str]
) -> None:
    judge = RollupJudge(shipped_policy())
    recent: list[Mapping[str, MinuteSums]] = [{}, {}, {}, {}, {"global": sums}]

    [finding] = judge.judge(recent, {}, lambda _: None)
    told = judge.evidence(finding, recent, lambda _: None)

    assert finding == Finding("global", about, finding.level)
    assert (told.metric, told.value, told.limit) == evidence


def test_finds_nothing_that_the_whole_judgement_would_not() -> None:
    """Most scopes are found calm at a glance; whoever is held is looked at whole."""
    draw, judge = Random(5), RollupJudge(shipped_policy())
    for _ in range(300):
        calls = draw.randrange(1, 200)
        slow = [draw.choice([0.4, 1.8, 2.3, 6.0, 12.0]) for _ in range(calls)]
        sums = streamed(*slow, calls=calls, failed=draw.randrange(calls // 3 + 1))
        recent: list[Mapping[str, MinuteSums]] = [{}, {}, {}, {}, {"global": sums}]

        glance = judge.judge(recent, {}, lambda _: None)
        assert glance == judge.judge(recent, {"global": {}}, lambda _: None)
