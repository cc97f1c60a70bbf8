"""`scripts/route_eval`: what a choice by the form of requests is worth, and its weights.

A line of the file is one model's answer to one request: `{"features": {...}, "model": "...",
"score": 0 to 1, "cost_nanos": 123, "session": "..."}`. Features are those of
`common/routing/complexity.py`; two models must have answered each request.
"""

import hashlib
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from scripts.route_evaluation.judging import choose_threshold, fit_on, halves, judge
from scripts.route_evaluation.labelled import Unusable, read_labelled
from scripts.route_evaluation.seeded import TRUTH, seeded_lines
from scripts.route_evaluation.telling import Judgement, lines

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    file: Annotated[
        Path | None, typer.Argument(help="JSONL; with --seeded the set is written there first.")
    ] = None,
    seeded: Annotated[
        int | None,
        typer.Option(min=2, max=100_000, help="Make up so many requests with a known truth."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap, and of a made-up set.")] = 1,
    give_up: Annotated[
        float, typer.Option(min=0, max=1, help="Mean score that may be given up for the cost.")
    ] = 0.01,
) -> None:
    """Fit a rule on half of the sessions, and print what it is worth on the other half."""
    if seeded is None and file is None:
        raise typer.BadParameter("give a FILE, or --seeded and a number")
    if seeded is not None:
        made = "".join(f"{line}\n" for line in seeded_lines(seeded, seed)).encode()
        if file is not None:
            _write(file, made)
        weights = ", ".join(f"{name} {weight:g}" for name, weight in TRUTH.weights.items())
        typer.echo(f"made up with seed {seed}: intercept {TRUTH.intercept:g}, {weights}")
    try:
        for line in lines(_judgement(made if file is None else _read(file), seed, give_up)):
            typer.echo(line)
    except Unusable as error:
        _fail(str(error))


def _judgement(content: bytes, seed: int, give_up: float) -> Judgement:
    labelled = read_labelled(content.splitlines())
    to_fit, to_judge = halves(labelled.requests)
    fitted = fit_on(to_fit)
    threshold = choose_threshold(fitted, to_fit, give_up)
    return Judgement(
        labelled=labelled,
        sha256=hashlib.sha256(content).hexdigest(),
        seed=seed,
        give_up=give_up,
        fitted_on=len(to_fit),
        fitted=fitted,
        threshold=threshold,
        judged=judge(fitted, threshold, to_fit, to_judge, seed),
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        _fail(f"{file}: {error.strerror}")


def _write(file: Path, content: bytes) -> None:
    try:
        with file.open("xb") as made:
            made.write(content)
    except OSError as error:
        _fail(f"{file}: {error.strerror}; nothing was written")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    cli(prog_name="scripts/route_eval")
