"""The simulation of brownouts: repeatable, blind on calm days, and a loss without brownouts.

Short runs on the made trace. What figures have to be reached is `scripts/brownout_sim --check`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from common.brownout.policy_file import shipped_policy
from scripts.brownout_simulation.figures import Figures, figures_of, missed, row_of
from scripts.brownout_simulation.scenes import (
    ARMS,
    BREAKS,
    FIGURE_SEEDS,
    TUNING_SEEDS,
    ArmName,
    Assumptions,
    BreakName,
    SceneName,
    arm_of,
    broken,
)
from scripts.brownout_simulation.traces import Trace, made_trace, read_trace
from scripts.brownout_simulation.worlds import run

Simulate: TypeAlias = Callable[..., Figures]

UNTIL_S = 1_800.0
"""Of the trace, in these runs: the incident is whole, and what follows is left out."""


@pytest.fixture(scope="module")
def trace() -> Trace:
    whole = made_trace()
    return replace(whole, calls=tuple(each for each in whole.calls if each.at_s < UNTIL_S))


@pytest.fixture(scope="module")
def simulate(trace: Trace) -> Simulate:
    @cache
    def ran(
        scene: SceneName, arm: ArmName, model: Assumptions | None = None, seed: int = 1
    ) -> Figures:
        under = arm_of(arm, shipped_policy())
        return figures_of(run(trace, scene, under, model or Assumptions(), seed))

    return ran


def test_gives_the_same_figures_for_the_same_seed(simulate: Simulate) -> None:
    again = simulate("outage", "all", Assumptions())

    assert simulate("outage", "all") == again


def test_gives_others_for_another_seed(simulate: Simulate) -> None:
    assert simulate("outage", "all", seed=1) != simulate("outage", "all", seed=2)


@pytest.mark.parametrize("arm", ARMS)
def test_touches_no_call_of_a_calm_day(simulate: Simulate, arm: ArmName) -> None:
    found = simulate("calm", arm)

    assert (found.served, found.treated, found.reaction_s) == (1.0, 0, None)


@pytest.mark.parametrize(
    ("scene", "least", "most"),
    [("flash", 0.25, 0.45), ("outage", 0.04, 0.20), ("runaway", 0.65, 0.90)],
)
def test_loses_calls_without_brownouts(
    simulate: Simulate, scene: SceneName, least: float, most: float
) -> None:
    found = simulate(scene, "none")

    assert least <= found.served <= most
    assert (found.degraded, found.shed, found.treated) == (0.0, 0.0, 0)


def test_helps_nobody_to_shed_batch_alone(simulate: Simulate) -> None:
    without, shedding = simulate("outage", "none"), simulate("outage", "shed-batch-only")

    assert abs(shedding.served - without.served) < 0.05
    assert shedding.shed > 0.1
    assert shedding.degraded == 0.0


def test_serves_the_important_calls_with_all_signals(simulate: Simulate) -> None:
    found = simulate("outage", "all")

    assert found.served_first > 0.95
    assert found.degraded > 0.5
    assert found.reaction_s is not None
    assert found.reaction_s < 60


def test_reacts_the_later_the_fewer_signals_there_are(simulate: Simulate) -> None:
    arms: tuple[ArmName, ...] = ("all", "datadog+rollup", "datadog")
    reactions = [simulate("outage", arm).reaction_s for arm in arms]

    # What is judged 2 s after the minute, and what 60 s after it, is seen 2 s later.
    assert reactions[0] is not None
    assert reactions[0] < 60
    assert reactions[1:] == [pytest.approx(64, abs=1), pytest.approx(122, abs=1)]


@pytest.mark.parametrize("name", BREAKS)
def test_breaks_one_assumption_at_a_time(name: BreakName) -> None:
    assert broken(name) != Assumptions()


def test_serves_less_where_the_small_model_fails_too(simulate: Simulate) -> None:
    failing = replace(Assumptions(), small_in_incident=0.05)

    assert simulate("outage", "all", failing).served < simulate("outage", "all").served - 0.1


def test_never_tells_figures_of_seeds_that_may_be_chosen_on() -> None:
    assert not set(TUNING_SEEDS) & set(FIGURE_SEEDS)


def test_says_what_is_missed(simulate: Simulate) -> None:
    calm = row_of([replace(simulate("calm", "all"), treated=3)])
    flash = row_of([simulate("flash", "none")])
    told = list(missed({("calm", "all"): calm, ("flash", "none"): flash, ("flash", "all"): flash}))

    assert told[0] == "calm, all: 3 calls were treated, none should be"
    assert [each.split(":")[1] for each in told[1:]] == [
        " critical and normal calls served",
        " all calls served",
        " cost saved",
    ]


def test_reads_a_recorded_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(
        b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        b"2023-11-16 18:15:46.6805900,374,44\r\n"
        b"2023-11-16 18:15:50.9951690,396,109"
    )
    trace = read_trace(path)

    assert [(each.context, each.answer) for each in trace.calls] == [(374, 44), (396, 109)]
    assert [each.at_s for each in trace.calls] == [0.0, pytest.approx(4.314579)]
    assert len(trace.sha256) == 64


def test_makes_a_trace_of_the_same_kind(trace: Trace) -> None:
    made = made_trace()
    answers = sorted(each.answer for each in made.calls)

    assert made == made_trace()
    assert 17_000 < len(made.calls) < 22_000
    assert 110 < answers[len(answers) // 2] < 150
    assert sum(answers) / len(answers) == pytest.approx(211, rel=0.1)
