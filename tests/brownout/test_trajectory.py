"""A mode is a function of time: it comes at once, goes slowly, and ends by itself."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.brownout.modes import Mode
from common.brownout.trajectory import (
    Lease,
    Recovery,
    ScopeState,
    Step,
    advance,
    ends_at,
    receive,
    share,
)
from tests.brownout.scenes import CYCLE, RECOVERY, T0, at

LAWS = settings(max_examples=10_000 if "LAW_CALLS" in os.environ else 300, deadline=None)
LEVELS = st.sampled_from([Mode.SOFT, Mode.HARD, Mode.EMERGENCY])
SECONDS = st.integers(0, 4_000)
LEASES = st.lists(
    st.builds(
        Lease,
        LEVELS,
        SECONDS.map(at),
        st.sampled_from([None, "errors", "cost"]),
        st.booleans(),
    ),
    max_size=4,
)
HISTORIES = st.lists(st.tuples(st.integers(0, 900), LEASES), min_size=1, max_size=6)
RECOVERIES = st.builds(
    Recovery,
    dwell=st.integers(0, 300).map(lambda s: timedelta(seconds=s)),
    ramp=st.integers(1, 400).map(lambda s: timedelta(seconds=s)),
)


def a_state(*leases: Lease) -> ScopeState:
    state, _ = receive(None, leases, T0, RECOVERY)
    assert state is not None
    return state


def lived(
    history: Sequence[tuple[int, Sequence[Lease]]], recovery: Recovery
) -> tuple[ScopeState | None, datetime, list[Step]]:
    """What is left of a history of (seconds since the last one, leases there are then)."""
    state: ScopeState | None = None
    now, steps = T0, list[Step]()
    for seconds, leases in history:
        now += timedelta(seconds=seconds)
        state, taken = receive(state, leases, now, recovery)
        steps += taken
    return state, now, steps


def held(level: Mode, seconds: float, *, told_over: bool = False) -> Lease:
    return Lease(level, at(seconds), told_over=told_over)


def test_goes_at_once_to_the_highest_level_that_a_live_lease_holds() -> None:
    state, steps = receive(
        None, [held(Mode.SOFT, 600), held(Mode.HARD, 60), held(Mode.EMERGENCY, -1)], T0, RECOVERY
    )

    assert state is not None
    assert (state.mode, state.peak, state.since) == (Mode.HARD, Mode.HARD, T0)
    assert steps == (Step(T0, Mode.NORMAL, Mode.HARD, "signal", T0),)


def test_stays_at_rest_without_a_live_lease() -> None:
    assert receive(None, [held(Mode.HARD, 0)], T0, RECOVERY) == (None, ())


@pytest.mark.parametrize(
    ("seconds", "mode", "treated"),
    [
        (0, Mode.HARD, 1.0),
        (599, Mode.HARD, 1.0),
        (600, Mode.HARD, 1.0),
        (720, Mode.HARD, 0.5),
        (839, Mode.HARD, 1 / 240),
        (840, Mode.SOFT, 1.0),
        (930, Mode.SOFT, 1.0),
        (1050, Mode.SOFT, 0.5),
        (1170, Mode.NORMAL, 1.0),
    ],
)
def test_keeps_the_mode_while_leased_and_then_hands_calls_over_step_by_step(
    seconds: int, mode: Mode, treated: float
) -> None:
    now = at(seconds)

    state, _ = advance(a_state(held(Mode.HARD, 600)), now, RECOVERY)

    assert state.mode == mode
    if mode > Mode.NORMAL:
        assert share(state, now, RECOVERY) == pytest.approx(treated)


def test_dwells_although_the_lease_is_over_at_once() -> None:
    state = a_state(held(Mode.SOFT, 1))

    before, _ = advance(state, at(329), RECOVERY)
    after, steps = advance(state, at(330), RECOVERY)

    assert (before.mode, after.mode) == (Mode.SOFT, Mode.NORMAL)
    assert [step.at for step in steps] == [at(330)]


def test_stops_on_the_way_down_where_a_lower_lease_still_holds() -> None:
    state = a_state(held(Mode.HARD, 10), held(Mode.SOFT, 5_000))

    middle, _ = advance(state, at(5_000), RECOVERY)
    last, _ = advance(state, at(5_240), RECOVERY)

    assert (middle.mode, last.mode) == (Mode.SOFT, Mode.NORMAL)


def test_cancels_the_ramp_and_dwells_anew_when_the_trouble_is_back() -> None:
    state = a_state(held(Mode.HARD, 60))
    back, steps = receive(state, [held(Mode.HARD, 260)], at(250), RECOVERY)
    assert back is not None

    assert steps == ()
    assert share(back, at(300), RECOVERY) == 1.0
    assert ends_at(back, RECOVERY) == at(250) + 2 * CYCLE


def test_does_not_dwell_anew_while_a_lease_is_only_renewed() -> None:
    state = a_state(held(Mode.HARD, 600))
    renewed, _ = receive(state, [held(Mode.HARD, 610)], at(590), RECOVERY)
    assert renewed is not None

    _, steps = advance(renewed, at(900), RECOVERY)

    assert [step.at for step in steps] == [at(610 + 240)]


@pytest.mark.parametrize("left", [(), (held(Mode.SOFT, 9_000),), (held(Mode.HARD, 1),)])
def test_ramps_from_the_moment_a_source_ends_its_signal_early(left: tuple[Lease, ...]) -> None:
    """Also where it now says something lower, or where another signal ended long ago."""
    state = a_state(held(Mode.HARD, 1_800))

    told, _ = receive(state, left, at(900), RECOVERY)
    again, _ = receive(told, left, at(930), RECOVERY)

    for each in (told, again):
        assert each is not None
        assert share(each, at(1_020), RECOVERY) == 0.5
        stepped, steps = advance(each, at(1_140), RECOVERY)
        assert (stepped.mode, steps[0].cause) == (Mode.SOFT, "recovery")


def test_says_that_a_mode_ran_out_when_nobody_told_that_it_is_over() -> None:
    _, steps = advance(a_state(held(Mode.SOFT, 600)), at(2_000), RECOVERY)

    assert [step.cause for step in steps] == ["expiry"]


@pytest.mark.parametrize(("period_s", "most"), [(60, 1), (300, 1)])
def test_never_leaves_its_mode_while_a_monitor_toggles(period_s: int, most: int) -> None:
    """It fires for half of each period, for two hours."""
    state: ScopeState | None = None
    steps, now = list[Step](), 0
    while now < 7_200:
        state, taken = receive(state, [held(Mode.HARD, now + 1_800)], at(now), RECOVERY)
        steps += taken
        over = now + period_s / 2
        state, taken = receive(state, [held(Mode.HARD, over, told_over=True)], at(over), RECOVERY)
        steps += taken
        now += period_s

    assert len(steps) == most
    assert steps[0].after == Mode.HARD


@LAWS
@given(HISTORIES, SECONDS, SECONDS, RECOVERIES)
def test_law_advancing_twice_is_advancing_once(
    history: list[tuple[int, list[Lease]]], first: int, second: int, recovery: Recovery
) -> None:
    state, now, _ = lived(history, recovery)
    if state is None:
        return
    a = now + timedelta(seconds=min(first, second))
    b = now + timedelta(seconds=max(first, second))

    halfway, early = advance(state, a, recovery)
    twice, late = advance(halfway, b, recovery)

    assert (twice, early + late) == advance(state, b, recovery)


@LAWS
@given(HISTORIES, RECOVERIES)
def test_law_every_scope_is_back_three_cycles_after_the_last_lease(
    history: list[tuple[int, list[Lease]]], recovery: Recovery
) -> None:
    state, now, _ = lived(history, recovery)
    if state is None:
        return
    last = max([now, *(lease.until for lease in state.leases)])
    cycle = recovery.dwell + recovery.ramp

    rested, steps = advance(state, last + 3 * cycle, recovery)

    assert rested.mode == Mode.NORMAL
    assert ends_at(state, recovery) == (steps[-1].at if steps else state.since)


@LAWS
@given(HISTORIES, RECOVERIES)
def test_law_steps_are_in_order_and_each_begins_where_the_last_one_ended(
    history: list[tuple[int, list[Lease]]], recovery: Recovery
) -> None:
    _, _, steps = lived(history, recovery)

    assert all(step.before != step.after for step in steps)
    assert all(a.at <= b.at and a.after == b.before for a, b in pairwise(steps))
    assert all(step.before - step.after == 1 for step in steps if step.after < step.before)


@LAWS
@given(HISTORIES, RECOVERIES)
def test_law_deciding_again_with_the_same_leases_changes_nothing(
    history: list[tuple[int, list[Lease]]], recovery: Recovery
) -> None:
    state, now, _ = lived(history, recovery)

    again, steps = receive(state, history[-1][1], now, recovery)

    assert steps == ()
    assert again == state


@LAWS
@given(HISTORIES, SECONDS, RECOVERIES)
def test_law_the_share_falls_from_one_and_never_rises_within_a_mode(
    history: list[tuple[int, list[Lease]]], seconds: int, recovery: Recovery
) -> None:
    state, now, _ = lived(history, recovery)
    if state is None:
        return
    moments = [now + timedelta(seconds=seconds * n / 3) for n in range(4)]
    seen = [advance(state, moment, recovery)[0] for moment in moments]

    shares = [
        (each.mode, share(each, moment, recovery))
        for each, moment in zip(seen, moments, strict=True)
    ]

    assert all(0.0 <= treated <= 1.0 for _, treated in shares)
    assert all(a >= b for a, b in pairwise(shares))
