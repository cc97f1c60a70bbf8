"""How one call is treated: the highest mode of its scopes, or the most specific pin."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

import pytest

from common.brownout.modes import Mode, Priority, scopes_of_call
from common.brownout.plans import Caller, Decision, decide, plan
from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.state import Pin, State
from common.brownout.trajectory import Lease, ScopeState, receive
from common.gateway.brownouts import even_draw
from common.llm.reductions.wanted import OutputCap, UseModel
from tests.brownout.scenes import RECOVERY, T0, at

POLICY = replace(shipped_policy(), holdout=0.0)
SCOPES = scopes_of_call(
    org="acme", team="search", agent="crawler", provider="openai", model="gpt-5"
)
DRAW = even_draw(b"installation")


def a_caller(conversation: str = "c", priority: Priority = Priority.NORMAL) -> Caller:
    return Caller(SCOPES, conversation, priority)


def a_scope(level: Mode, *, seconds: float = 3_600, about: str | None = None) -> ScopeState:
    lease = Lease(level, at(seconds), about)  # type: ignore[arg-type] # a word of the table
    state, _ = receive(None, [lease], T0, RECOVERY)
    assert state is not None
    return state


def a_state(**scopes: ScopeState) -> State:
    """Scopes by name, written with two underscores for the colon."""
    named = {name.replace("__", ":"): each for name, each in scopes.items()}
    return State(scopes=MappingProxyType(named))


def a_pin(scope: str, mode: Mode, until_s: float = 600) -> Pin:
    return Pin(f"pin {scope}", scope, mode, "a test", "ann@example.com", T0, at(until_s))


def decided(
    state: State,
    caller: Caller | None = None,
    now: datetime = T0,
    policy: Policy = POLICY,
    draw: Callable[[str], float] = DRAW,
) -> Decision | None:
    return decide(state, policy, caller or a_caller(), now, draw)


def mode_of(decision: Decision | None) -> tuple[Mode, str]:
    assert decision is not None
    return decision.mode, decision.scope


def test_leaves_a_call_alone_whose_scopes_are_at_rest() -> None:
    assert decided(a_state(provider__anthropic=a_scope(Mode.EMERGENCY))) is None


def test_takes_the_highest_mode_of_the_scopes_a_call_lies_in() -> None:
    state = a_state(
        **{"agent__acme/crawler": a_scope(Mode.SOFT)},
        provider__openai=a_scope(Mode.HARD),
        **{"model__gpt-4o": a_scope(Mode.EMERGENCY)},
    )

    assert mode_of(decided(state)) == (Mode.HARD, "provider:openai")


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ([a_pin("global", Mode.SOFT)], (Mode.SOFT, "global")),
        (
            [a_pin("provider:openai", Mode.SOFT), a_pin("org:acme", Mode.EMERGENCY)],
            (Mode.EMERGENCY, "org:acme"),
        ),
        (
            [a_pin("org:acme", Mode.EMERGENCY), a_pin("agent:acme/crawler", Mode.SOFT)],
            (Mode.SOFT, "agent:acme/crawler"),
        ),
        ([a_pin("team:acme/other", Mode.EMERGENCY)], (Mode.HARD, "global")),
        ([a_pin("global", Mode.SOFT, until_s=0)], (Mode.HARD, "global")),
    ],
)
def test_obeys_the_most_specific_live_pin_over_any_signal(
    pins: list[Pin], expected: tuple[Mode, str]
) -> None:
    state = replace(a_state(**{"global": a_scope(Mode.HARD)}), pins=tuple(pins))

    assert mode_of(decided(state)) == expected


def test_leaves_a_call_alone_that_is_pinned_to_normal() -> None:
    state = replace(
        a_state(**{"global": a_scope(Mode.EMERGENCY)}), pins=(a_pin("org:acme", Mode.NORMAL),)
    )

    assert decided(state) is None


def test_hands_a_falling_share_of_the_conversations_over_to_the_lower_mode() -> None:
    state = a_state(**{"global": a_scope(Mode.HARD, seconds=100)})
    callers = [a_caller(f"c{number}") for number in range(2_000)]

    shares = [
        sum(mode_of(decided(state, caller, at(seconds)))[0] == Mode.HARD for caller in callers)
        for seconds in (100, 160, 220, 280, 339)
    ]

    assert shares == pytest.approx([2_000, 1_500, 1_000, 500, 8], abs=90)


def test_never_flips_a_conversation_back() -> None:
    state = a_state(**{"global": a_scope(Mode.HARD, seconds=100)})

    for number in range(200):
        modes = [
            mode_of(decided(state, a_caller(f"c{number}"), at(s)))[0] for s in range(100, 360, 10)
        ]
        assert modes == sorted(modes, reverse=True)


@pytest.mark.parametrize(
    ("mode", "held_out"), [(Mode.SOFT, 0.05), (Mode.HARD, 0.05), (Mode.EMERGENCY, 0.0)]
)
def test_leaves_a_holdout_as_it_is_but_never_in_an_emergency(mode: Mode, held_out: float) -> None:
    state, policy = a_state(**{"global": a_scope(mode)}), shipped_policy()

    found = [decided(state, a_caller(f"c{n}"), policy=policy) for n in range(4_000)]
    left = [each for each in found if each is not None and each.arm == "holdout"]

    assert len(left) / len(found) == pytest.approx(held_out, abs=0.012)
    assert all(not plan(policy, each, a_caller(), "gpt-5").wanted for each in left)


@pytest.mark.parametrize(
    ("scope", "level", "about", "failing"),
    [
        ("provider:openai", Mode.HARD, "errors", True),
        ("model:gpt-5", Mode.EMERGENCY, None, True),
        ("provider:openai", Mode.HARD, "cost", False),
        ("provider:openai", Mode.SOFT, "errors", False),
        ("org:acme", Mode.HARD, "errors", False),
    ],
)
def test_says_that_the_provider_fails_only_where_a_hard_lease_on_it_says_so(
    scope: str, level: Mode, about: str | None, *, failing: bool
) -> None:
    state = State(scopes=MappingProxyType({scope: a_scope(level, about=about)}))

    decision = decided(state)

    assert decision is not None
    assert decision.failing is failing


@pytest.mark.parametrize(
    ("mode", "priority", "shed", "let_in", "model"),
    [
        (Mode.SOFT, Priority.BATCH, False, 1.0, None),
        (Mode.HARD, Priority.BATCH, False, 0.5, "gpt-5-mini"),
        (Mode.HARD, Priority.NORMAL, False, 1.0, "gpt-5-mini"),
        (Mode.HARD, Priority.CRITICAL, False, 1.0, None),
        (Mode.EMERGENCY, Priority.BATCH, True, 1.0, "gpt-5-mini"),
        (Mode.EMERGENCY, Priority.CRITICAL, False, 1.0, "gpt-5-mini"),
    ],
)
def test_plans_what_the_shipped_policy_gives_up_of_each_priority(
    mode: Mode, priority: Priority, *, shed: bool, let_in: float, model: str | None
) -> None:
    decision = decided(a_state(**{"global": a_scope(mode)}))
    assert decision is not None

    made = plan(POLICY, decision, a_caller(priority=priority), "gpt-5")

    used = [each.model for each in made.wanted if isinstance(each, UseModel)]
    caps = [each.tokens for each in made.wanted if isinstance(each, OutputCap)]
    assert (made.shed, made.let_in) == (shed, let_in)
    assert used == ([model] if model else [])
    assert caps == [{Mode.SOFT: 4096, Mode.HARD: 1024, Mode.EMERGENCY: 512}[mode]]
