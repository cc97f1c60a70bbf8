"""Where the time of a call goes: each stage of it, whole and streamed, one call at a time.

The bundle is served twice, as it is and with marks around its stages, so that what the marks cost
is seen too. `first byte` is mostly the provider's own time.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from scripts.benchmark import stage_marks
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.load import Result
from scripts.benchmark.measures import Cpus, Figure, Repetition, Size, check_counts
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import LARGE, SMALL, Shape
from scripts.benchmark.surroundings import make_key, simulated_provider

SHAPES = {
    "small": (SMALL, 4),
    "100 kB prompt": (LARGE, 16),
    "stream of 20 tokens": (Shape(stream=True), 128),
}
"""And by how much fewer calls there are of each."""
LEAST_CALLS = 10
_MAIN = "marked.py"
_START = """from main import proxy
from stage_marks import install

install({file!r})
"""


def measure_stages(proxy: Deployed, folder: Path, size: Size, cpus: Cpus) -> dict[Figure, float]:
    """Microseconds of each stage, the median of all calls, in new processes with new data.

    Raises:
        measures.CountsDiffer: calls, charges and events are not the same ones.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start, or a stage's function has moved.
    """
    lines = folder / "marks"
    marked = _with_marks(proxy, folder / "marked", lines)
    charges, data = folder / "provider", folder / "gateway"
    with simulated_provider(charges, cpu=cpus.load) as provider:
        one = Repetition(size, make_key(data))
        settings = {"SIMULATED_PROVIDER_URL": provider.address}
        with served(proxy, data, settings, cpu=cpus.target) as gateway:
            without = {row: _called(one, gateway, row) for row in SHAPES}
        with served(marked, data, settings, cpu=cpus.target, source=_MAIN) as gateway:
            for row in SHAPES:
                before = _count(lines)
                result = _called(one, gateway, row)
                calls = _read(lines)[-len(result.latencies_s) :]
                assert _count(lines) - before > len(calls), "the first calls are not counted"
                one.figures |= stage_figures(row, calls)
                for name, each in (("without", without[row]), ("with", result)):
                    latency_us = each.latency_s(0.5) * 1e6
                    one.note(row, "gateway", f"a call, {name} marks", "us", latency_us)
        check_counts(one.ids, charges, data)
    return one.figures


def _called(one: Repetition, gateway: Running, row: str) -> Result:
    shape, fewer = SHAPES[row]
    calls = max(LEAST_CALLS, one.size.calls // fewer)
    one.call(gateway, shape, 1, LEAST_CALLS)
    result, _ = one.call(gateway, shape, 1, calls)
    return result


def stage_figures(row: str, calls: Sequence[Mapping[str, int]]) -> dict[Figure, float]:
    """Medians; what is in no stage is what the gateway does between them."""
    names = {**dict.fromkeys(stage_marks.STAGES), stage_marks.WHOLE: "between stages"}
    found = {
        Figure(row, "gateway", told or stage, "us"): median(
            each.get(stage, 0) / 1000 for each in calls
        )
        for stage, told in names.items()
    }
    whole_us = median(sum(each.values()) / 1000 for each in calls)
    return {**found, Figure(row, "gateway", "all of the application", "us"): whole_us}


def _with_marks(proxy: Deployed, folder: Path, lines: Path) -> Deployed:
    shutil.copytree(proxy.folder, folder)
    source = Path(stage_marks.__file__)
    shutil.copy(source, folder / source.name)
    (folder / _MAIN).write_text(_START.format(file=str(lines)))
    return replace(proxy, folder=folder)


def _read(lines: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in lines.read_text().splitlines()]


def _count(lines: Path) -> int:
    return len(_read(lines)) if lines.exists() else 0
