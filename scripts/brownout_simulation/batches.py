"""Many runs side by side, each in a process; and the parameters that a sweep goes through."""

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from common.brownout.policy_file import shipped_policy
from common.brownout.trajectory import Recovery
from scripts.brownout_simulation.figures import Case, Figures, Row, figures_of, row_of
from scripts.brownout_simulation.scenes import Assumptions, arm_of
from scripts.brownout_simulation.traces import Trace
from scripts.brownout_simulation.worlds import run

DWELLS_S = (60, 90, 120)
RAMPS_S = (120, 240, 360)


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of every case with every seed. `recovery` None: as the shipped policy has it."""

    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    model: Assumptions
    recovery: Recovery | None = None


class Runner:
    """Processes that know the trace. Close it."""

    def __init__(self, trace: Trace) -> None:
        self._processes = ProcessPoolExecutor(
            len(os.sched_getaffinity(0)), initializer=_know, initargs=(trace,)
        )

    def close(self) -> None:
        self._processes.shutdown(cancel_futures=True)

    def rows(self, batches: Sequence[Batch]) -> list[Mapping[Case, Row]]:
        """The rows of each batch."""
        running = [
            {
                case: [self._processes.submit(_run, batch, case, seed) for seed in batch.seeds]
                for case in batch.cases
            }
            for batch in batches
        ]
        return [
            {case: row_of([each.result() for each in runs]) for case, runs in cases.items()}
            for cases in running
        ]


def recoveries() -> tuple[Recovery, ...]:
    """Every dwell with every ramp."""
    return tuple(
        Recovery(timedelta(seconds=dwell), timedelta(seconds=ramp))
        for dwell in DWELLS_S
        for ramp in RAMPS_S
    )


_known: list[Trace] = []


def _know(trace: Trace) -> None:
    _known[:] = [trace]
    # What an instance says of its own modes is for its operators, and a run has thousands of them.
    logging.getLogger("common.brownout").setLevel(logging.ERROR)


def _run(batch: Batch, case: Case, seed: int) -> Figures:
    scene, name = case
    arm = arm_of(name, shipped_policy())
    if batch.recovery is not None:
        arm = replace(arm, policy=replace(arm.policy, recovery=batch.recovery))
    return figures_of(run(_known[0], scene, arm, batch.model, seed))
