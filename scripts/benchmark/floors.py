"""What a small call costs without the gateway: the floor that no work on its stages goes below.

Two functions stand in place of `proxy`, with its requirements and served alike: one that answers by
itself, and one that sends each body on over the gateway's transport and passes the reply on. What
the gateway costs beyond the second is its own pipeline, and the storing of the call's event.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from scripts.benchmark import floor_function
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.measures import (
    USUAL_CONNECTIONS,
    Cpus,
    Figure,
    Repetition,
    Size,
    check_charges,
    check_counts,
)
from scripts.benchmark.rows import cpu_of, small_row
from scripts.benchmark.shapes import SMALL
from scripts.benchmark.surroundings import make_key, simulated_provider

ROW = small_row(USUAL_CONNECTIONS)
FLOORS = ("framework", "exchange", "gateway")
WARMING_CALLS = 200


def measure_floors(proxy: Deployed, folder: Path, size: Size, cpus: Cpus) -> dict[Figure, float]:
    """CPU milliseconds of a small call through each, in new processes with new data.

    Raises:
        measures.CountsDiffer: calls, charges and events are not the same ones.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start.
    """
    source = Path(floor_function.__file__)
    floors = replace(proxy, folder=folder / "floors")
    shutil.copytree(proxy.folder, floors.folder)
    shutil.copy(source, floors.folder / source.name)
    figures: dict[Figure, float] = {}
    for name in FLOORS:
        charges, data = folder / name / "provider", folder / name / "gateway"
        with simulated_provider(charges, cpu=cpus.load) as provider:
            one = Repetition(size, make_key(data))
            settings = {"SIMULATED_PROVIDER_URL": provider.address}
            floor = replace(floors, function=name)
            of, main = (proxy, "main.py") if name == "gateway" else (floor, source.name)
            with served(of, data, settings, cpu=cpus.target, source=main) as target:
                one.call(target, SMALL, USUAL_CONNECTIONS, WARMING_CALLS)
                _, cpu_s = one.call(target, SMALL, USUAL_CONNECTIONS, size.calls)
            if name == "exchange":
                check_charges(name, one.ids, charges)
            if name == "gateway":
                check_counts(one.ids, charges, data)
        figures[cpu_of(ROW, name)] = cpu_s * 1000
    return figures
