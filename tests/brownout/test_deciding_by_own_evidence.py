"""How a call is treated when the instance itself has seen that its upstream does badly."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from common.brownout.modes import Mode
from common.brownout.plans import Decision, decide, takes_over
from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.state import State
from common.brownout.trajectory import ScopeState, episode_of
from tests.brownout.scenes import T0, at
from tests.brownout.test_deciding import DRAW, POLICY, a_caller, a_pin, a_scope

OPENAI, GPT = "provider:openai", "model:gpt-5"


def decided(
    state: Mapping[str, ScopeState], own: Mapping[str, ScopeState], policy: Policy = POLICY
) -> Decision | None:
    stored = State(scopes=MappingProxyType(dict(state)))
    return decide(stored, policy, a_caller(), T0, DRAW, own=own)


@pytest.mark.parametrize(
    ("stored", "own", "expected"),
    [
        (Mode.SOFT, Mode.HARD, (Mode.HARD, "own", GPT)),
        (Mode.HARD, Mode.SOFT, (Mode.HARD, "state", OPENAI)),
        (Mode.HARD, Mode.HARD, (Mode.HARD, "state", OPENAI)),
    ],
)
def test_takes_the_higher_of_the_state_and_what_the_instance_has_seen(
    stored: Mode, own: Mode, expected: tuple[Mode, str, str]
) -> None:
    decision = decided({OPENAI: a_scope(stored)}, {GPT: a_scope(own)})

    assert decision is not None
    assert (decision.mode, decision.by, decision.scope) == expected


def test_is_moved_by_own_evidence_while_everything_else_is_at_rest() -> None:
    decision = decided({}, {OPENAI: a_scope(Mode.EMERGENCY, about="errors")})

    assert decision == Decision(
        Mode.EMERGENCY, "own", OPENAI, episode_of(OPENAI, T0), "degraded", failing=True
    )


def test_is_not_moved_by_what_was_seen_of_other_upstreams() -> None:
    assert decided({}, {"provider:anthropic": a_scope(Mode.EMERGENCY)}) is None


@pytest.mark.parametrize(("held", "arm"), [("own", "degraded"), ("state", "holdout")])
def test_compares_nothing_with_calls_that_own_evidence_moves(held: str, arm: str) -> None:
    policy = replace(shipped_policy(), holdout=1.0)
    scopes = {OPENAI: a_scope(Mode.HARD)}

    decision = decided(scopes if held == "state" else {}, scopes if held == "own" else {}, policy)

    assert decision is not None
    assert decision.arm == arm


def test_counts_own_evidence_of_a_failing_provider_where_the_state_decides() -> None:
    seen = {OPENAI: a_scope(Mode.HARD, about="latency")}

    decision = decided({"global": a_scope(Mode.EMERGENCY, about="cost")}, seen)

    assert decision is not None
    assert (decision.by, decision.failing) == ("state", True)


@pytest.mark.parametrize("mode", [Mode.NORMAL, Mode.SOFT])
def test_obeys_a_pin_over_own_evidence(mode: Mode) -> None:
    state = State(pins=(a_pin("org:acme", mode),))

    decision = decide(state, POLICY, a_caller(), T0, DRAW, own={OPENAI: a_scope(Mode.EMERGENCY)})

    assert (decision and (decision.mode, decision.by)) == (
        None if mode == Mode.NORMAL else (mode, "pin")
    )


@pytest.mark.parametrize("held", ["own", "state"])
def test_moves_nobody_to_a_model_in_trouble_and_lets_calls_return_while_it_recovers(
    held: str,
) -> None:
    """A conversation in its ramp comes back once, and stays."""
    scopes = {"model:gpt-5-mini": a_scope(Mode.HARD, seconds=100)}
    state = State(scopes=MappingProxyType(scopes)) if held == "state" else State()
    own = scopes if held == "own" else {}

    moved = [
        {
            name
            for name in map(str, range(200))
            if takes_over(
                state, POLICY, a_caller(name), at(seconds), DRAW, model="gpt-5-mini", own=own
            )
        }
        for seconds in (0, 100, 160, 280, 340)
    ]

    assert not moved[0] | moved[1]
    assert 20 < len(moved[2]) < len(moved[3]) < len(moved[4]) == 200
    assert moved[2] < moved[3]
