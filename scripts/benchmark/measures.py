"""What one number is, how calls are made for it, and what must add up before it counts.

CPU time is that of the measured process and its children, from /proc, so what else the machine does
disturbs it least. Latency is from request to the end of the answer, and "added" is what a target
takes longer than the provider alone under the same load.

A repetition counts: every call has a whole answer, which is the provider's to exactly one charge,
whatever stands between, and every call through the gateway has one event in its bus. Otherwise
there is no figure.

A figure that is not above what its clock can tell is kept as 0: see `above_resolution`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmark.answers import read_answers
from scripts.benchmark.load import Load, Result, run_load
from scripts.benchmark.processes import TICK_S, Running
from scripts.benchmark.shapes import AS_THE_PROVIDER, Front, Shape
from scripts.benchmark.surroundings import charge_count, charged_ids, event_count

CONNECTIONS = (1, 16, 128)
USUAL_CONNECTIONS = 16
PACES = (40, 100)
"""Calls a second: the slowest of those that are measured keeps up with the first."""
COUNTED_WITHIN_S = 10.0
_POLL_S = 0.02


class CountsDiffer(Exception):
    """Calls, charges and events are not the same ones, so the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many calls a row makes.

    `paced_s` is for how many seconds calls come at a pace, `filling` are the numbers of calls after
    which memory is read, `budget_calls` is the limit of the budget that busy instances spend, in
    mean calls.
    """

    calls: int
    paced_s: float
    streams: int
    filling: tuple[int, int]
    budget_calls: int

    def part(self, fewer: int) -> "Size":
        """The same rows with fewer calls, for what costs many times as much."""
        return Size(
            max(CONNECTIONS[-1], self.calls // fewer),
            self.paced_s,
            self.streams,
            self.filling,
            self.budget_calls,
        )


FULL = Size(
    calls=4_000, paced_s=20.0, streams=256, filling=(10_000, 50_000), budget_calls=1_000_000
)
QUICK = Size(calls=500, paced_s=1.0, streams=64, filling=(100, 500), budget_calls=2_000)


@dataclass(frozen=True, slots=True)
class Cpus:
    """The CPU of what is measured, and that of the load; None for wherever the system likes."""

    target: int | None
    load: int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """What one number says."""

    row: str
    target: str
    measure: str
    unit: str


@dataclass(slots=True)
class Repetition:
    """One repetition under way. `front` says how the target wants to be asked.

    `ids` are those of all answers, by which their charges are found.
    """

    size: Size
    key: str
    front: Front = AS_THE_PROVIDER
    figures: dict[Figure, float] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    events: int = 0
    """How many each answer of the last calls had, if they were streams."""

    def call(
        self,
        target: Running,
        shape: Shape,
        connections: int,
        calls: int,
        per_second: float | None = None,
    ) -> tuple[Result, float]:
        """Make calls; what came of them, and the target's CPU seconds per call.

        Raises:
            load.CallFailed: a call has no answer, or one that is not whole or not the provider's.
        """
        request = shape.request(target.address, self.key, self.front)
        before_s = target.cpu_s()
        result = run_load(target.address, Load(request, connections, calls, per_second))
        cpu_s = target.cpu_s() - before_s
        answers = read_answers(shape, result.answers)
        self.ids += answers.ids
        self.events = answers.events
        return result, above_resolution(cpu_s, TICK_S) / calls

    def note(self, row: str, target: str, measure: str, unit: str, value: float) -> None:
        self.figures[Figure(row, target, measure, unit)] = value


def above_resolution(value: float, resolution: float) -> float:
    """The value, or 0 where it is no more than one step of its clock, by which it may be off."""
    return value if round(value / resolution) > 1 else 0.0


def check_charges(
    name: str, ids: Sequence[str], charges: Path, within_s: float = COUNTED_WITHIN_S
) -> None:
    """Hold the ids of what was answered through one target against the provider's ledger.

    Raises:
        CountsDiffer: an answer came twice or is of no charge, or a charge has no answer.
    """
    if len(set(ids)) != len(ids):
        twice = len(ids) - len(set(ids))
        raise CountsDiffer(f"{twice} of {len(ids)} answers through {name} came a second time")
    _until_equal(
        lambda: charge_count(charges),
        len(ids),
        lambda found: f"{len(ids)} calls through {name} were answered and {found} charged",
        within_s,
    )
    others = len(set(ids) - set(charged_ids(charges)))
    if others:
        raise CountsDiffer(f"{others} of {len(ids)} answers through {name} are of no charge")


def check_counts(
    ids: Sequence[str], charges: Path, data: Path, within_s: float = COUNTED_WITHIN_S
) -> None:
    """Hold the ids of what was answered against the provider's ledger and the gateway's bus.

    Both are written a little after the answers, so they have `within_s` seconds to get there.

    Raises:
        CountsDiffer: not every answer is charged once, or not every call has one event.
    """
    check_charges("the gateway", ids, charges, within_s)
    _until_equal(
        lambda: event_count(data),
        len(ids),
        lambda found: f"{len(ids)} calls through the gateway were answered and {found} have events",
        within_s,
    )


def _until_equal(
    count: Callable[[], int], wanted: int, told: Callable[[int], str], within_s: float
) -> None:
    give_up = time.monotonic() + within_s
    while (found := count()) != wanted:
        if time.monotonic() > give_up:
            raise CountsDiffer(told(found))
        time.sleep(_POLL_S)
