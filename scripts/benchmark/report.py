"""Figures of several repetitions as a table, and against those of an earlier run."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from scripts.benchmark.kept import Kept
from scripts.benchmark.measures import Figure
from scripts.benchmark.rows import CALLS, OF_ITS_CORE
from scripts.commands.lock import pins

_SHOWN = ("functions-framework", "uvicorn", "uvloop", "httptools", "aiohttp", "pydantic", "orjson")

_BUSY_PERCENT = 80.0
"""Who used less of its core waited for calls: how many it could have answered is not known."""
_BELOW = "below resolution"

OF_THE_RUN = ("others", "left out")
"""What is told beside a machine, and differs from run to run."""

Runs = Mapping[Figure, Sequence[float]]


def machine(requirements: str) -> dict[str, str]:
    """What figures depend on beside the code."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in cpus if line.startswith("model name")), "")
    versions = (pin.partition(" ")[0] for name, pin in pins(requirements).items() if name in _SHOWN)
    return {
        "cpu": model or platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": " ".join(versions),
    }


def table(runs: Runs) -> Iterator[str]:
    """One line per figure: the median, and the least and the most of all repetitions.

    Calls a second of who had CPU time left are marked: the load, and the provider beside it on the
    other CPU, could give no more.
    """
    yield _line("", "", "", "median", "least to most")
    for figure, values in runs.items():
        spread = f"{_shown(figure, min(values))} to {_shown(figure, max(values))}"
        if _limited_by_load(figure, runs):
            spread += ", limited by the load"
        middle = _shown(figure, median(values))
        yield _line(figure.row, figure.target, _what(figure), middle, spread)


def _limited_by_load(figure: Figure, runs: Runs) -> bool:
    busy = runs.get(Figure(figure.row, figure.target, OF_ITS_CORE, "%"))
    return figure.measure == CALLS and busy is not None and median(busy) < _BUSY_PERCENT


def comparison(earlier: Kept, about: Mapping[str, str], runs: Runs) -> Iterator[str]:
    """Both medians, and whether they differ by more than repetitions of either run do.

    First comes what differs between the machines of the two.
    """
    for name, told in earlier.machine.items():
        if name in about and about[name] != told and name not in OF_THE_RUN:
            yield f"{name} differs: {told} before, {about[name]} now"
    before = earlier.runs()
    if before.keys().isdisjoint(runs):
        yield "No figure is in both runs."
        return
    yield _line("", "", "", "before", "now")
    for figure, values in runs.items():
        old = before.get(figure)
        if old is not None:
            now = f"{_shown(figure, median(values))}  {_verdict(old, values)}"
            middle = _shown(figure, median(old))
            yield _line(figure.row, figure.target, _what(figure), middle, now)


def _verdict(old: Sequence[float], new: Sequence[float]) -> str:
    if min(len(old), len(new)) == 1:
        return "(one repetition: spread unknown)"
    if min(new) > max(old):
        return "more, beyond the spread"
    if max(new) < min(old):
        return "less, beyond the spread"
    return "within the spread"


def _what(figure: Figure) -> str:
    return f"{figure.measure} [{figure.unit}]"


def _shown(figure: Figure, value: float) -> str:
    """Differences may be less than nothing, and CPU times no more than a step of their clock."""
    of_a_clock = figure.measure.startswith(("CPU", "added"))
    return _BELOW if value < 0 or (of_a_clock and value == 0) else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _line(row: str, target: str, what: str, middle: str, rest: str) -> str:
    return f"{row:<24} {target:<9} {what:<34} {middle:>8}   {rest}".rstrip()
