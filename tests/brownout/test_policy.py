"""A policy is asked: what leads a scope to a mode, and what the mode does to a call."""

from datetime import timedelta

import pytest

from common.brownout.modes import Mode, Priority
from common.brownout.policy import Admit, CostLimit, LatencyLimit, ModelMap, Retries, Shed
from common.brownout.policy_file import read_policy, shipped_policy
from common.llm.reductions.wanted import (
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    UseModel,
    WithoutServerTools,
)
from tests.brownout.policy_scenes import SMALL

CHEAPER = ModelMap("cheaper", {"gpt-5*": "gpt-5-mini", "claude-opus-*": "claude-haiku-4-5"})
USD = 1_000_000_000


def test_resolves_thresholds_by_what_the_policy_says_of_their_words() -> None:
    limits = shipped_policy().limits_for("team:acme/search")

    assert limits.hard.latency_p95 == LatencyLimit(timedelta(seconds=5), "first_chunk", 2.5)
    assert limits.hard.error_rate == 0.1
    assert limits.hard.token_cost_per_hour == CostLimit(100 * USD, 3.0)
    assert limits.emergency.latency_p95 == LatencyLimit(timedelta(seconds=10), "first_chunk", 4.0)
    assert limits.hard.pending_requests is None


def test_takes_the_thresholds_of_a_scope_before_those_of_all() -> None:
    policy = read_policy(
        SMALL + "per_scope:\n"
        '  "model:deep-research":\n'
        "    thresholds:\n"
        "      soft: {latency_p95: {above: 60s, of: total, baseline: off}, pending_requests: 9}\n"
    )

    own, other = policy.limits_for("model:deep-research"), policy.limits_for("model:other")

    assert own.soft.latency_p95 == LatencyLimit(timedelta(seconds=60), "total", None)
    assert own.soft.pending_requests == 9
    assert own.hard == other.hard
    assert other.soft.latency_p95 == LatencyLimit(timedelta(seconds=2), "first_chunk", 1.5)


def test_takes_a_multiple_of_a_threshold_before_that_of_its_reading() -> None:
    text = SMALL.replace("latency_p95: 2s", "token_cost_per_hour: {above: 50 USD, baseline: 1.2}")

    cost = read_policy(text).limits_for("global").soft.token_cost_per_hour

    assert cost == CostLimit(50 * USD, 1.2)


def test_has_no_multiple_where_the_reading_has_none() -> None:
    text = SMALL + "reading: {latency_p95: {baseline: off}}\n"

    latency = read_policy(text).limits_for("global").hard.latency_p95

    assert latency == LatencyLimit(timedelta(seconds=5), "first_chunk", None)


def test_gives_a_call_the_strategy_of_its_most_specific_scope() -> None:
    policy = read_policy(
        SMALL.replace("default: {}", "{default: {}, a: {soft: [{retries: 1}]}, b: {}}")
        + "assign: [{scope: org:acme, strategy: b}, {scope: team:acme/x, strategy: a}]\n"
    )

    assert policy.strategy_name(["team:acme/x", "org:acme", "global"]) == "a"
    assert policy.strategy_name(["team:acme/y", "org:acme", "global"]) == "b"
    assert policy.strategy_name(["org:other", "global"]) == "default"
    assert policy.strategies["a"].edits(Mode.SOFT, Priority.NORMAL) == (Retries(1),)


def test_does_nothing_in_normal_mode() -> None:
    assert shipped_policy().strategies["default"].edits(Mode.NORMAL, Priority.BATCH) == ()


@pytest.mark.parametrize(
    ("mode", "priority", "edits"),
    [
        (
            Mode.SOFT,
            Priority.CRITICAL,
            (
                StandardTier(),
                OneCandidate(),
                EffortDown(1),
                OutputCap(4096),
                LowVerbosity(),
                Hint("Answer briefly."),
                Retries(1),
            ),
        ),
        (
            Mode.HARD,
            Priority.CRITICAL,
            (
                StandardTier(),
                OneCandidate(),
                EffortAtMost("low"),
                OutputCap(1024),
                LowVerbosity(),
                Hint("Answer briefly."),
                LowMediaDetail(),
                Retries(0),
            ),
        ),
        (
            Mode.HARD,
            Priority.BATCH,
            (
                StandardTier(),
                OneCandidate(),
                EffortAtMost("low"),
                OutputCap(1024),
                LowVerbosity(),
                Hint("Answer briefly."),
                LowMediaDetail(),
                CHEAPER,
                Admit(0.5),
                Retries(0),
            ),
        ),
        (
            Mode.EMERGENCY,
            Priority.BATCH,
            (
                StandardTier(),
                OneCandidate(),
                EffortAtMost("none"),
                OutputCap(512),
                LowVerbosity(),
                Hint("Answer briefly."),
                LowMediaDetail(),
                WithoutServerTools(),
                CHEAPER,
                Shed(),
                Retries(0),
            ),
        ),
    ],
)
def test_does_to_a_call_what_the_shipped_policy_says(
    mode: Mode, priority: Priority, edits: tuple[object, ...]
) -> None:
    assert shipped_policy().strategies["default"].edits(mode, priority) == edits


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("gpt-5.2", "gpt-5-mini"),
        ("gpt-5-nano", "gpt-5-nano-2"),
        ("gpt-5-mini", None),
        ("gpt-4o", None),
        ("my-gpt-5", None),
    ],
)
def test_maps_a_model_by_the_longest_pattern_that_fits(asked: str, used: str | None) -> None:
    patterns = ModelMap("m", {"gpt-5*": "gpt-5-mini", "gpt-5-nano*": "gpt-5-nano-2"})

    assert patterns.model_for(asked) == (None if used is None else UseModel(used))
