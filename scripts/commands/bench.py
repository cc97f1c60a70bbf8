"""`scripts/bench`: what the gateway costs, exactly as it is bundled and served on Cloud Run.

Prints a table, and with `--json` keeps it; `--compare` holds it against a kept one. No timing fails
the command: it fails (1) when a call does, or when answers, charges and events are not the same
ones, and does not begin (2) with options that cannot be followed. Every process it starts ends with
it, whatever it ends by but SIGKILL: that leaves them, and their folder `bench-*`, behind.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from common.core.errors import InvalidSettings
from scripts.benchmark import enforcement
from scripts.benchmark.asked import Asked, CannotBegin, Mode, check_asked, mode_asked
from scripts.benchmark.brownouts import measure_brownouts
from scripts.benchmark.budgets import repeat_budgets
from scripts.benchmark.bystanders import DISTURBS, used_so_far
from scripts.benchmark.deployed import deploy
from scripts.benchmark.floors import measure_floors
from scripts.benchmark.goals import goal_document, goal_table, goals, measure_transactions, reached
from scripts.benchmark.kept import document
from scripts.benchmark.load import CallFailed
from scripts.benchmark.measures import FULL, QUICK, CountsDiffer, Cpus, Figure
from scripts.benchmark.nginx import installed_nginx
from scripts.benchmark.peers.installed import installed_peers
from scripts.benchmark.pipeline import repeat_pipeline
from scripts.benchmark.processes import NotStarted, on_cpu
from scripts.benchmark.repetition import repeat_once
from scripts.benchmark.report import comparison, machine, table
from scripts.benchmark.rollups import measure_rollups
from scripts.benchmark.routing import measure_routing
from scripts.benchmark.stages import measure_stages
from scripts.benchmark.telemetry import measure_telemetry
from scripts.commands.bundle import ROOT
from scripts.environments import IndexUnreachable

REPETITIONS = 3
MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - the folder below it is private
"""Data are kept in memory if they can be: the disk of a laptop is no part of Cloud Run."""

Runs = dict[Figure, list[float]]

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Once, with fewer calls.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Figures that --json wrote.")] = None,
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
    try:
        mode = mode_asked(rollups=rollups, brownout=brownout, profile=profile)
        asked = check_asked(
            mode,
            quick=quick,
            emulators=emulators,
            peers=peers,
            json_file=json_file,
            compare=compare,
        )
        about, runs = _run(asked)
    except (CannotBegin, InvalidSettings) as error:
        typer.echo(error, err=True)
        raise typer.Exit(code=2) from None
    except (CallFailed, CountsDiffer, IndexUnreachable, NotStarted, TimeoutError) as error:
        typer.echo(f"There are no figures: {str(error) or 'it took too long'}", err=True)
        raise typer.Exit(code=1) from None
    _tell(asked, about, runs)


def _run(asked: Asked) -> tuple[dict[str, str], Runs]:
    """What was measured on, and the figures."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    parent = MEMORY_FILES if MEMORY_FILES.is_dir() else None
    begun = used_so_far()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        about, runs = _MEASURED[asked.mode](Path(folder), asked)
    share = begun.others_until(used_so_far(), os.cpu_count() or 1)
    about["size"] = "quick" if asked.quick else "full"
    about["others"] = f"{100 * share:.1f} % of the CPU time of the machine"
    if share > DISTURBS:
        about["others"] += ": too much for figures that can be relied on"
    return about, runs


def _tell(asked: Asked, about: Mapping[str, str], runs: Runs) -> None:
    for name, value in about.items():
        typer.echo(f"{name}: {value}")
    typer.echo("\n".join(["", *table(runs)]))
    found = reached(goals(), runs, judged=not asked.quick) if asked.mode == "calls" else []
    if found:
        typer.echo("\n".join(["", *goal_table(found)]))
    if asked.json_file is not None:
        kept = document(asked.mode, about, runs) | {"goals": goal_document(found)}
        asked.json_file.write_text(json.dumps(kept, indent=2) + "\n")
    if asked.earlier is not None:
        typer.echo("\n".join(["", *comparison(asked.earlier, about, runs)]))


def _measure(folder: Path, asked: Asked) -> tuple[dict[str, str], Runs]:
    others, left_out = installed_peers() if asked.peers else ([], [])
    nginx = installed_nginx()
    if nginx is None:
        left_out.append("nginx is left out: it is not installed.")
    proxy, usage = (deploy(name, folder / "deployed" / name) for name in ("proxy", "usage"))
    about = machine((proxy.folder / "requirements.txt").read_text())
    about["peers"] = " ".join(each.version for each in others) or "none"
    cpus = _cpus()
    about["pinned"] = f"target to CPU {cpus.target}, load and provider to CPU {cpus.load}"
    runs: Runs = {}
    with on_cpu(cpus.load):
        for number in range(1 if asked.quick else REPETITIONS):
            place = folder / str(number)
            size = QUICK if asked.quick else FULL
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


def _measure_stages(folder: Path, asked: Asked) -> tuple[dict[str, str], Runs]:
    proxy = deploy("proxy", folder / "deployed/proxy")
    about = machine((proxy.folder / "requirements.txt").read_text())
    cpus = _cpus()
    runs: Runs = {}
    with on_cpu(cpus.load):
        for number in range(1 if asked.quick else REPETITIONS):
            place, size = folder / str(number), QUICK if asked.quick else FULL
            once = measure_stages(proxy, place, size, cpus)
            once |= measure_floors(proxy, place / "floors", size, cpus)
            for figure, value in once.items():
                runs.setdefault(figure, []).append(value)
    return about, runs


def _cpus() -> Cpus:
    usable = sorted(os.sched_getaffinity(0))
    return Cpus(usable[0], usable[1]) if len(usable) > 1 else Cpus(None, None)


def _measure_rollups(folder: Path, asked: Asked) -> tuple[dict[str, str], Runs]:
    about = machine((ROOT / "functions/usage/requirements.txt").read_text())
    about["engines"] = "emulators" if asked.emulators else "local"
    runs: Runs = {}
    for number in range(1 if asked.quick else REPETITIONS):
        # In a process of its own, since a process has one App.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seconds, calls = (2, 20) if asked.quick else (10, 100)
            place = folder / str(number)
            once = process.submit(
                measure_rollups, place, seconds, calls, emulators=asked.emulators
            ).result()
        if not asked.emulators:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                sending = process.submit(measure_telemetry, place / "telemetry", seconds, calls)
                once |= sending.result()
        for figure, value in once.items():
            runs.setdefault(figure, []).append(value)
    return about, runs


def _measure_brownout(folder: Path, asked: Asked) -> tuple[dict[str, str], Runs]:
    firestore = os.environ.get("FIRESTORE_EMULATOR_HOST") if asked.emulators else None
    proxy, webhook = (
        deploy(name, folder / "deployed" / name) for name in ("proxy", "brownout_webhook")
    )
    about = machine((proxy.folder / "requirements.txt").read_text())
    about["state"] = "a file" if firestore is None else "Firestore emulator"
    alerts = enforcement.QUICK if asked.quick else enforcement.FULL
    place = folder / "enforcement"
    once = enforcement.measure_enforcement(proxy, webhook, place, alerts, firestore=firestore)
    return about, {figure: [value] for figure, value in once.items()}


_MEASURED: Mapping[Mode, Callable[[Path, Asked], tuple[dict[str, str], Runs]]] = {
    "calls": _measure,
    "rollups": _measure_rollups,
    "brownout": _measure_brownout,
    "profile": _measure_stages,
}


if __name__ == "__main__":
    cli()
