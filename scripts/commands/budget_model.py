"""Run the model of the leases at full length: nothing breaks, and planted faults are found.

Each run is a world of instances, commits that go astray and owners that die, around the shipped
code. Prints the violations (none, or the first ones), and how soon each planted fault is found.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated

import typer

from scripts.lease_model.parts import Faults, Violation
from scripts.lease_model.world import World

PLANTED = {
    "free on expiry": Faults(free_on_expiry=True),
    "ignore the commit in flight": Faults(ignore_flight=True),
    "settle twice": Faults(settle_twice=True),
    "close without settling": Faults(close_without_settling=True),
}


def violation(seed: int, *, steps: int, faults: Faults) -> str | None:
    """What a run breaks, None if nothing."""
    try:
        World(seed, faults).run(steps)
    except Violation as broken:
        return f"seed {seed}: {broken}"
    return None


def main(
    *,
    runs: Annotated[int, typer.Option(min=1, help="Worlds without a fault.")] = 10_000,
    steps: Annotated[int, typer.Option(min=1, help="Things that happen in each.")] = 3_000,
    planted_runs: Annotated[int, typer.Option(min=1, help="Worlds for each fault.")] = 100,
) -> None:
    """Interleave admit, settle, commit, crash, freeze, write-off and top-up at random."""
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        sound = partial(violation, steps=steps, faults=Faults())
        broken = [found for found in processes.map(sound, range(runs), chunksize=20) if found]
        print(f"{runs} runs of {steps} steps: {len(broken)} violations")
        missed = []
        for name, faults in PLANTED.items():
            attempt = partial(violation, steps=steps, faults=faults)
            found = list(processes.map(attempt, range(planted_runs), chunksize=5))
            first = next((run + 1 for run, text in enumerate(found) if text), None)
            caught = sum(text is not None for text in found)
            print(
                f"planted: {name}: found in {caught} of {planted_runs} runs, first in run {first}"
            )
            missed += [name] if first is None else []
    print(f"{time.monotonic() - began:.0f} s")
    for text in broken[:3]:
        print(text, file=sys.stderr)
    sys.exit(1 if broken or missed else 0)


if __name__ == "__main__":
    typer.run(main)
