"""`scripts/bench`: what the gateway costs, exactly as it is bundled and served on Cloud Run.

Prints a table, and with `--json` keeps it; `--compare` holds it against a kept one. No timing fails
the command: it fails when a call does, or when calls, charges and events are not equally many.
Every process it starts ends with it.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from scripts.benchmark import enforcement
from scripts.benchmark.brownouts import measure_brownouts
from scripts.benchmark.budgets import repeat_budgets
from scripts.benchmark.deployed import deploy
from scripts.benchmark.goals import goal_document, goal_table, goals, measure_transactions, reached
from scripts.benchmark.measures import FULL, QUICK, Cpus, Figure
from scripts.benchmark.nginx import installed_nginx
from scripts.benchmark.peers.installed import installed_peers
from scripts.benchmark.pipeline import repeat_pipeline
from scripts.benchmark.processes import on_cpu
from scripts.benchmark.repetition import repeat_once
from scripts.benchmark.report import comparison, document, machine, table
from scripts.benchmark.rollups import measure_rollups
from scripts.benchmark.routing import measure_routing
from scripts.benchmark.stages import measure_stages
from scripts.benchmark.telemetry import measure_telemetry
from scripts.commands.bundle import ROOT

REPETITIONS = 3
MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - the folder below it is private
"""Data are kept in memory if they can be: the disk of a laptop is no part of Cloud Run."""

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Once, with fewer calls.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Earlier figures, written by --json.", exists=True)
    ] = None,
    rollups: Annotated[
        bool, typer.Option("--rollups", help="Measure how usage is counted instead.")
    ] = False,
    emulators: Annotated[
        bool,
        typer.Option(
            "--emulators",
            help="With --rollups: on the emulators that FIRESTORE_EMULATOR_HOST, "
            "PUBSUB_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST name; with --brownout on the first.",
        ),
    ] = False,
    brownout: Annotated[
        bool, typer.Option("--brownout", help="Measure how soon alerts are enforced instead.")
    ] = False,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="LiteLLM and Portkey too, installed apart on the first run."),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Measure the stages of a call instead.")
    ] = False,
) -> None:
    """Measure the gateway beside the provider alone, and beside nginx where it is installed."""
    if not Path("/proc/self/smaps_rollup").exists():
        typer.echo("CPU time and memory are read from /proc, which Linux has.", err=True)
        raise typer.Exit(code=2)
    earlier = None if compare is None else json.loads(compare.read_text())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    parent = MEMORY_FILES if MEMORY_FILES.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        if rollups:
            about, runs = _measure_rollups(Path(folder), quick=quick, emulators=emulators)
        elif brownout:
            about, runs = _measure_brownout(Path(folder), quick=quick, emulators=emulators)
        elif profile:
            about, runs = _measure_stages(Path(folder), quick=quick)
        else:
            about, runs = _measure(Path(folder), quick=quick, peers=peers)
    for name, value in about.items():
        typer.echo(f"{name}: {value}")
    typer.echo("\n".join(["", *table(runs)]))
    found = [] if rollups or brownout or profile else reached(goals(), runs)
    if found:
        typer.echo("\n".join(["", *goal_table(found)]))
    if json_file is not None:
        kept = document(about, runs) | {"goals": goal_document(found)}
        json_file.write_text(json.dumps(kept, indent=2) + "\n")
    if earlier is not None:
        typer.echo("\n".join(["", *comparison(earlier, runs)]))


def _measure(
    folder: Path, *, quick: bool, peers: bool
) -> tuple[dict[str, str], dict[Figure, list[float]]]:
    others, left_out = installed_peers() if peers else ([], [])
    nginx = installed_nginx()
    if nginx is None:
        left_out.append("nginx is left out: it is not installed.")
    proxy, usage = (deploy(name, folder / "deployed" / name) for name in ("proxy", "usage"))
    about = machine((proxy.folder / "requirements.txt").read_text())
    about["peers"] = " ".join(each.version for each in others) or "none"
    cpus = _cpus()
    about["pinned"] = f"target to CPU {cpus.target}, load and provider to CPU {cpus.load}"
    runs: dict[Figure, list[float]] = {}
    with on_cpu(cpus.load):
        for number in range(1 if quick else REPETITIONS):
            place = folder / str(number)
            size = QUICK if quick else FULL
            bench = repeat_once(
                proxy, usage, place, size, cpus, nginx=nginx, peers=others, first=number == 0
            )
            once = bench.figures
            left_out += bench.left_out
            once |= measure_transactions(size) if number == 0 else {}
            once |= repeat_budgets(proxy, place / "budgets", size, cpus)
            once |= repeat_pipeline(proxy, place / "pipeline", size, cpus)
            once |= measure_brownouts()
            once |= measure_routing(once)
            for figure, value in once.items():
                runs.setdefault(figure, []).append(value)
            shutil.rmtree(place)
    about["left out"] = " ".join(dict.fromkeys(left_out)) or "nothing"
    return about, runs


def _measure_stages(
    folder: Path, *, quick: bool
) -> tuple[dict[str, str], dict[Figure, list[float]]]:
    proxy = deploy("proxy", folder / "deployed/proxy")
    about = machine((proxy.folder / "requirements.txt").read_text())
    cpus = _cpus()
    runs: dict[Figure, list[float]] = {}
    with on_cpu(cpus.load):
        for number in range(1 if quick else REPETITIONS):
            once = measure_stages(proxy, folder / str(number), QUICK if quick else FULL, cpus)
            for figure, value in once.items():
                runs.setdefault(figure, []).append(value)
    return about, runs


def _cpus() -> Cpus:
    usable = sorted(os.sched_getaffinity(0))
    return Cpus(usable[0], usable[1]) if len(usable) > 1 else Cpus(None, None)


def _measure_rollups(
    folder: Path, *, quick: bool, emulators: bool
) -> tuple[dict[str, str], dict[Figure, list[float]]]:
    about = machine((ROOT / "functions/usage/requirements.txt").read_text())
    about["engines"] = "emulators" if emulators else "local"
    runs: dict[Figure, list[float]] = {}
    for number in range(1 if quick else REPETITIONS):
        # In a process of its own, since a process has one App.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seconds, calls = (2, 20) if quick else (10, 100)
            place = folder / str(number)
            once = process.submit(
                measure_rollups, place, seconds, calls, emulators=emulators
            ).result()
        if not emulators:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                sending = process.submit(measure_telemetry, place / "telemetry", seconds, calls)
                once |= sending.result()
        for figure, value in once.items():
            runs.setdefault(figure, []).append(value)
    return about, runs


def _measure_brownout(
    folder: Path, *, quick: bool, emulators: bool
) -> tuple[dict[str, str], dict[Figure, list[float]]]:
    firestore = os.environ.get("FIRESTORE_EMULATOR_HOST") if emulators else None
    if emulators and firestore is None:
        typer.echo("FIRESTORE_EMULATOR_HOST must name an emulator.", err=True)
        raise typer.Exit(code=2)
    proxy, webhook = (
        deploy(name, folder / "deployed" / name) for name in ("proxy", "brownout_webhook")
    )
    about = machine((proxy.folder / "requirements.txt").read_text())
    about["state"] = "a file" if firestore is None else "Firestore emulator"
    alerts = enforcement.QUICK if quick else enforcement.FULL
    place = folder / "enforcement"
    once = enforcement.measure_enforcement(proxy, webhook, place, alerts, firestore=firestore)
    return about, {figure: [value] for figure, value in once.items()}


if __name__ == "__main__":
    cli()
