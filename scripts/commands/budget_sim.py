"""What leases cost: how often instances ask the store, who waits, what is spent when money ends.

The shipped code on virtual time, for few and many instances that spend one budget, evenly and
unevenly loaded. Prints one line for each; with `--json` keeps the figures.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scripts.lease_load.load import Found, Scene, averaged, run

LOADS = ((10, 200), (50, 1_000), (200, 4_000))
"""Instances, and the calls that come to all of them in a second."""


def main(
    *,
    calls: Annotated[int, typer.Option(min=1_000, help="The limit, in mean calls.")] = 1_000_000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each line.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Spend one budget with 10, 50 and 200 instances until the first call is refused."""
    scenes = [
        Scene(instances, per_second, calls, skewed)
        for instances, per_second in LOADS
        for skewed in (False, True)
    ]
    typer.echo(f"one budget of {calls:,} mean calls, {seeds} runs each")
    typer.echo(
        "instances  calls/s  load    commits/1,000  conflicts  waited  longest  unanswered"
        "   spent     held     idle at first refusal"
    )
    figures = []
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        running = [
            [processes.submit(run, scene, seed) for seed in range(seeds)] for scene in scenes
        ]
        for scene, each in zip(scenes, running, strict=True):
            found = averaged([one.result() for one in each])
            typer.echo(_line(scene, found))
            figures.append(asdict(scene) | asdict(found))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _line(scene: Scene, found: Found) -> str:
    load = "skewed" if scene.skewed else "even"
    return (
        f"{scene.instances:>9}  {scene.per_second:>7,}  {load:<6}  {found.commits_per_1000:>13.2f}"
        f"  {found.conflicts:>9,}  {found.waited_share:>6.2%}  {found.longest_s:>5.2f} s"
        f"  {found.unanswered:>10,}"
        f"  {found.spent:>6.2%}  {found.held:>6.2%}   {found.idle:>6.2%}"
    )


if __name__ == "__main__":
    typer.run(main)
