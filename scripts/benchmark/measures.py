"""What one number is, how calls are made for it, and what must add up before it counts.

CPU time is that of the measured process and its children, from /proc, so what else the machine does
disturbs it least. Latency is from request to the end of the answer, and "added" is what a target
takes longer than the provider alone under the same load.

A repetition counts: every call is charged once by the provider, whatever stands between, and every
call through the gateway has one event in its bus. Otherwise there is no figure.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmark.load import Load, Result, run_load
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import AS_THE_PROVIDER, Front, Shape
from scripts.benchmark.surroundings import charge_count, event_count

CONNECTIONS = (1, 16, 128)
USUAL_CONNECTIONS = 16
PACES = (40, 100)
"""Calls a second: the slowest of those that are measured keeps up with the first."""
COUNTED_WITHIN_S = 10.0
_POLL_S = 0.02


class CountsDiffer(Exception):
    """Calls, charges and events are not equally many, so the figures mean nothing."""


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
    """One repetition under way. `front` says how the target wants to be asked."""

    size: Size
    key: str
    front: Front = AS_THE_PROVIDER
    figures: dict[Figure, float] = field(default_factory=dict)
    calls: int = 0

    def call(
        self,
        target: Running,
        shape: Shape,
        connections: int,
        calls: int,
        per_second: float | None = None,
    ) -> tuple[Result, float]:
        """Make calls; what came of them, and the target's CPU seconds per call."""
        request = shape.request(target.address, self.key, self.front)
        before_s = target.cpu_s()
        result = run_load(target.address, Load(request, connections, calls, per_second))
        self.calls += calls
        return result, (target.cpu_s() - before_s) / calls

    def note(self, row: str, target: str, measure: str, unit: str, value: float) -> None:
        self.figures[Figure(row, target, measure, unit)] = value


def check_charges(name: str, calls: int, charges: Path, within_s: float = COUNTED_WITHIN_S) -> None:
    """Hold what was answered through one target against the provider's ledger.

    Raises:
        CountsDiffer: the provider got more calls, or fewer, than clients had answers.
    """
    _until_equal(
        lambda: (charge_count(charges),),
        (calls,),
        lambda found: f"{calls} calls through {name} were answered and {found[0]} charged",
        within_s,
    )


def check_counts(
    calls: int, forwarded: int, charges: Path, data: Path, within_s: float = COUNTED_WITHIN_S
) -> None:
    """Hold what was answered against the provider's ledger and the gateway's bus.

    Both are written a little after the answers, so they have `within_s` seconds to get there.

    Raises:
        CountsDiffer: not every call is charged once, or not every forwarded one has one event.
    """
    _until_equal(
        lambda: (charge_count(charges), event_count(data)),
        (calls, forwarded),
        lambda found: (
            f"{calls} calls were answered and {found[0]} charged; of {forwarded} through "
            f"the gateway {found[1]} have an event"
        ),
        within_s,
    )


def _until_equal(
    count: Callable[[], tuple[int, ...]],
    wanted: tuple[int, ...],
    told: Callable[[tuple[int, ...]], str],
    within_s: float,
) -> None:
    give_up = time.monotonic() + within_s
    while (found := count()) != wanted:
        if time.monotonic() > give_up:
            raise CountsDiffer(told(found))
        time.sleep(_POLL_S)
