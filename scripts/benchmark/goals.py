"""What the gateway has to reach beside others, and how far this run is from it.

Each goal is one ratio of medians of the same run, with a bound it must keep and a better one that
is aimed at. A goal whose reference was not measured is not decided, nor is one whose figures are no
more than their clock can tell; memory and transactions count at the size of a full run only. A
quick run lists goals and judges none: it repeats nothing, and its calls are few ticks of the clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median
from typing import Any, Literal

from scripts.benchmark.measures import FULL, USUAL_CONNECTIONS, Figure, Size
from scripts.benchmark.rows import (
    LARGE_ROW,
    PACED,
    STREAM,
    cpu_of,
    pss_after,
    small_row,
)
from scripts.lease_load.load import Scene, run

GATEWAY, NGINX, LITELLM, PORTKEY = "gateway", "nginx", "LiteLLM", "Portkey"
BUSY_INSTANCES, CALLS_A_SECOND = 50, 1_000
_USUAL = small_row(USUAL_CONNECTIONS)

Verdict = Literal[
    "moonshot", "must", "missed", "not measured", "too small to tell", "not judged: a quick run"
]


@dataclass(frozen=True, slots=True)
class Goal:
    """`ours` in parts of `of`, or as it is without one; `at_least`: more is better."""

    name: str
    ours: Figure
    of: Figure | None
    must: Fraction
    moonshot: Fraction
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """`value` is the ratio, None where one of its figures is missing or `too_small`."""

    goal: Goal
    value: float | None
    too_small: bool = False
    judged: bool = True

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return "too small to tell" if self.too_small else "not measured"
        if not self.judged:
            return "not judged: a quick run"
        if self._keeps(self.goal.moonshot):
            return "moonshot"
        return "must" if self._keeps(self.goal.must) else "missed"

    def _keeps(self, bound: Fraction) -> bool:
        assert self.value is not None
        return self.value >= bound if self.goal.at_least else self.value <= bound


def transactions(size: Size) -> Figure:
    measure = f"transactions, {size.budget_calls:,} calls fit"
    return Figure(f"budget, {BUSY_INSTANCES} instances", GATEWAY, measure, "1/call")


def goals() -> Sequence[Goal]:
    """All of them."""
    few, many = FULL.filling
    memory = pss_after(many, GATEWAY)
    cpu, calls = _by_target(_USUAL, "CPU", "ms/call"), _by_target(_USUAL, "calls", "1/s")
    chunk = _by_target(STREAM, "CPU of a chunk", "us")
    added = {share: _by_target(PACED[100], f"added {share}", "ms") for share in ("p50", "p99")}
    started = _by_target("start", "to the first answer", "s")
    return (
        Goal("CPU of a call, of LiteLLM's", *_pair(cpu, LITELLM), _part(30), _part(60)),
        Goal("CPU of a call, of nginx's", *_pair(cpu, NGINX), Fraction(12), Fraction(7)),
        replace(
            Goal("calls a second, of Portkey's", *_pair(calls, PORTKEY), Fraction(5), Fraction(10)),
            at_least=True,
        ),
        Goal("CPU of a chunk, of LiteLLM's", *_pair(chunk, LITELLM), _part(8), _part(12)),
        Goal("CPU of a chunk, of nginx's", *_pair(chunk, NGINX), Fraction(4), Fraction(5, 2)),
        *(
            Goal(
                f"added {share} at 100 calls/s, of LiteLLM's",
                *_pair(each, LITELLM),
                _part(5),
                _part(10),
            )
            for share, each in added.items()
        ),
        Goal(
            "start to the first answer, of LiteLLM's", *_pair(started, LITELLM), _part(8), _part(15)
        ),
        Goal(
            f"PSS after {many:,} calls, of LiteLLM's",
            memory,
            pss_after(many, LITELLM),
            _part(3),
            _part(5),
        ),
        Goal(
            f"PSS after {many:,} calls, of that after {few:,}",
            memory,
            pss_after(few, GATEWAY),
            _NO_GROWTH,
            _NO_GROWTH,
        ),
        Goal(
            f"budget transactions a call, {BUSY_INSTANCES} busy instances",
            transactions(FULL),
            None,
            Fraction(6, 1000),
            Fraction(45, 10_000),
        ),
        Goal(
            "CPU of a 100 kB prompt, of a small call's",
            cpu_of(LARGE_ROW, GATEWAY),
            cpu[GATEWAY],
            Fraction(3),
            Fraction(2),
        ),
    )


def _by_target(row: str, measure: str, unit: str) -> dict[str, Figure]:
    return {name: Figure(row, name, measure, unit) for name in (GATEWAY, NGINX, LITELLM, PORTKEY)}


def _pair(figures: Mapping[str, Figure], other: str) -> tuple[Figure, Figure]:
    return figures[GATEWAY], figures[other]


_NO_GROWTH = Fraction(102, 100)
"""Pages that are shared differently move PSS by a part of this."""


def reached(
    wanted: Sequence[Goal], runs: Mapping[Figure, Sequence[float]], *, judged: bool = True
) -> list[Reached]:
    """Every goal with the ratio of this run's medians; `judged` says whether that decides it."""
    return [_reached(goal, runs, judged=judged) for goal in wanted]


def goal_table(found: Sequence[Reached]) -> Iterator[str]:
    """One line per goal: value, bounds, and which of them it keeps."""
    yield _line("goal", "value", "must", "moonshot", "")
    for each in found:
        value = "-" if each.value is None else f"{each.value:.3g}"
        goal = each.goal
        sign = ">=" if goal.at_least else "<="
        must, moonshot = (f"{sign} {_text(bound)}" for bound in (goal.must, goal.moonshot))
        yield _line(goal.name, value, must, moonshot, each.verdict)


def goal_document(found: Sequence[Reached]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "goal": each.goal.name,
            "value": each.value,
            "must": float(each.goal.must),
            "moonshot": float(each.goal.moonshot),
            "at_least": each.goal.at_least,
            "verdict": each.verdict,
        }
        for each in found
    ]


def measure_transactions(size: Size) -> dict[Figure, float]:
    """Commits a call while 50 busy instances spend one hard budget: shipped code, virtual time."""
    found = run(Scene(BUSY_INSTANCES, CALLS_A_SECOND, size.budget_calls), seed=0)
    return {transactions(size): found.commits_per_1000 / 1000}


def _reached(goal: Goal, runs: Mapping[Figure, Sequence[float]], *, judged: bool) -> Reached:
    figures = [goal.ours] if goal.of is None else [goal.ours, goal.of]
    if not all(figure in runs for figure in figures):
        return Reached(goal, None)
    ours, *reference = (median(runs[figure]) for figure in figures)
    if min([ours, *reference]) <= 0:
        return Reached(goal, None, too_small=True)
    return Reached(goal, ours / reference[0] if reference else ours, judged=judged)


def _part(parts: int) -> Fraction:
    return Fraction(1, parts)


def _text(bound: Fraction) -> str:
    if bound.numerator == 1 and bound.denominator > 1:
        return f"1/{bound.denominator}"
    return f"{float(bound):.4g}"


def _line(goal: str, value: str, must: str, moonshot: str, verdict: str) -> str:
    return f"{goal:<46} {value:>8}   {must:<10} {moonshot:<10} {verdict}".rstrip()
