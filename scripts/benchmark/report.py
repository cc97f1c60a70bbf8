"""Figures of several repetitions as a table, as JSON, and against an earlier run."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benchmark.measures import Figure
from scripts.commands.lock import pins

_SHOWN = ("functions-framework", "uvicorn", "uvloop", "httptools", "aiohttp", "pydantic", "orjson")

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
    """One line per figure: the median, and the least and the most of all repetitions."""
    yield _line("", "", "", "median", "least to most")
    for figure, values in runs.items():
        spread = f"{_number(min(values))} to {_number(max(values))}"
        yield _line(figure.row, figure.target, _what(figure), _number(median(values)), spread)


def document(about: Mapping[str, str], runs: Runs) -> dict[str, Any]:
    """The same for programs."""
    figures = [
        {
            "row": figure.row,
            "target": figure.target,
            "measure": figure.measure,
            "unit": figure.unit,
            "median": median(values),
            "values": list(values),
        }
        for figure, values in runs.items()
    ]
    return {"machine": dict(about), "figures": figures}


def comparison(earlier: Mapping[str, Any], runs: Runs) -> Iterator[str]:
    """Both medians, and whether they differ by more than repetitions of either run do."""
    before = {
        Figure(each["row"], each["target"], each["measure"], each["unit"]): each["values"]
        for each in earlier["figures"]
    }
    yield _line("", "", "", "before", "now")
    for figure, values in runs.items():
        old = before.get(figure)
        if old is not None:
            now = f"{_number(median(values))}  {_verdict(old, values)}"
            yield _line(figure.row, figure.target, _what(figure), _number(median(old)), now)


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


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _line(row: str, target: str, what: str, middle: str, rest: str) -> str:
    return f"{row:<24} {target:<9} {what:<34} {middle:>8}   {rest}".rstrip()
