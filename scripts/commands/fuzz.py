"""`scripts/fuzz`: feed every parser that reads bytes from outside with bytes nobody thought of.

Inputs are found by coverage (atheris, libFuzzer), beginning with built-in ones and, where TEST_DATA
is set, recorded replies. Each target runs in a process of its own, which ends at its first finding:
a law that does not hold, an exception, an input that takes seconds, or memory above 1 GiB.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from scripts.fuzzing.runs import Run, fuzz, repeat
from scripts.fuzzing.targets import targets

TARGETS = "scripts.fuzzing.targets"
_LAST_LINES = 30

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    seconds: Annotated[int, typer.Option(min=1, help="For each target.")] = 10,
    target: Annotated[
        list[str] | None, typer.Option(help="Only this one; can be repeated.")
    ] = None,
    findings: Annotated[Path, typer.Option(help="Where failing inputs are kept.")] = Path(
        ".data/fuzz"
    ),
    again: Annotated[
        Path | None, typer.Option("--input", help="Feed this file alone.", exists=True)
    ] = None,
    names_only: Annotated[bool, typer.Option("--list", help="Name the targets.")] = False,
) -> None:
    """Fuzz the parsers; exit 1 where one crashed or hung."""
    known = targets()
    chosen = target or list(known)
    if unknown := [name for name in chosen if name not in known]:
        raise typer.BadParameter(f"no such target: {', '.join(unknown)} (see --list)")
    if names_only:
        typer.echo("\n".join(chosen))
        return

    def run(name: str) -> Run:
        if again is not None:
            return repeat(TARGETS, name, again)
        return fuzz(TARGETS, name, known[name].seeds, seconds=seconds, findings=findings)

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        runs = list(pool.map(run, chosen))
    typer.echo("\n".join(table(runs)))
    for failed in (run for run in runs if run.failed):
        last = "\n".join(failed.text.splitlines()[-_LAST_LINES:])
        typer.echo(f"\n{failed.target}: {failed.finding or 'no input was kept'}\n{last}", err=True)
    raise typer.Exit(code=int(any(run.failed for run in runs)))


def table(runs: list[Run]) -> list[str]:
    width = max(len("target"), *(len(run.target) for run in runs))
    rows = [f"{'target':{width}}  {'runs':>9}  {'crashes':>7}  {'hangs':>5}  {'seconds':>7}"]
    rows += [
        f"{run.target:{width}}  {run.runs:>9,}  {run.crashes:>7}  {run.hangs:>5}  "
        f"{run.seconds:>7.1f}"
        for run in runs
    ]
    return rows


if __name__ == "__main__":
    cli()
