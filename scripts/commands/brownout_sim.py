"""`scripts/brownout_sim`: what brownouts are worth when traffic, errors or answers run away.

The shipped policy, enforced, and the shipped code from the evidence of a call to its plan, in a
closed loop with made-up machines: refused and broken calls come back. Seeds that figures are told
of (101 and up) are others than those that parameters may be chosen on (1 and up).
"""

from itertools import product
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.units import duration_text
from scripts.brownout_simulation.batches import Batch, Runner, recoveries
from scripts.brownout_simulation.figures import missed, table
from scripts.brownout_simulation.scenes import (
    ARMS,
    BREAKS,
    FIGURE_SEEDS,
    SCENES,
    TUNING_SEEDS,
    ArmName,
    Assumptions,
    SceneName,
    broken,
)
from scripts.brownout_simulation.traces import Trace, made_trace, read_trace

NOT_MODELLED = (
    "A degraded answer counts as served. Not modelled: quality, prompt caches, other providers, "
    "retries by the gateway itself, Datadog's monitors of cost (their limits are absolute). What "
    "a calm hour costs is known to the rollups. All runs have the trace's calls at its moments; "
    "seeds change the rest."
)

_Name = TypeVar("_Name", bound=str)

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each line.")] = 10,
    trace_file: Annotated[
        Path | None, typer.Option("--trace", exists=True, help="A recorded trace (CSV).")
    ] = None,
    arms: Annotated[str, typer.Option(help="Some of them, with commas.")] = ",".join(ARMS),
    scenes: Annotated[str, typer.Option(help="Some of them, with commas.")] = ",".join(SCENES),
    breaks: Annotated[
        str,
        typer.Option("--break", help=f"And again with one assumption broken: {', '.join(BREAKS)}."),
    ] = "",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Other dwells and ramps too, on the tuning seeds.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 where a figure is worse than it may be.")
    ] = False,
) -> None:
    """Run calm, flash, outage and runaway under every arm."""
    trace = made_trace() if trace_file is None else _read(trace_file)
    policy = shipped_policy()
    first = (TUNING_SEEDS if sweep else FIGURE_SEEDS).start
    numbers = tuple(range(first, first + seeds))
    cases = tuple(product(_chosen(scenes, SCENES), _chosen(arms, ARMS)))
    for line in _heading(trace, policy, numbers):
        typer.echo(line)
    runner = Runner(trace)
    try:
        if sweep:
            _sweep(runner, cases, numbers)
            return
        models = {"": Assumptions()}
        models |= {name: broken(name) for name in _chosen(breaks, BREAKS)}
        batches = [Batch(cases, numbers, model) for model in models.values()]
        found = runner.rows(batches)
    finally:
        runner.close()
    for (name, model), rows in zip(models.items(), found, strict=True):
        typer.echo(f"\n{f'Broken: {name}' if name else 'The model'}: {model.told()}")
        typer.echo("\n".join(table(rows)))
    if check and (wrong := list(missed(found[0]))):
        typer.echo("\n".join(["", *wrong]), err=True)
        raise typer.Exit(1)


def _read(path: Path) -> Trace:
    try:
        return read_trace(path)
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{path.name} is no such trace: {error}") from None


def _sweep(
    runner: Runner, cases: tuple[tuple[SceneName, ArmName], ...], seeds: tuple[int, ...]
) -> None:
    tried = recoveries()
    batches = [Batch(cases, seeds, Assumptions(), recovery) for recovery in tried]
    for recovery, rows in zip(tried, runner.rows(batches), strict=True):
        dwell, ramp = duration_text(recovery.dwell), duration_text(recovery.ramp)
        typer.echo(f"\ndwell {dwell}, ramp {ramp}")
        typer.echo("\n".join(table(rows)))


def _heading(trace: Trace, policy: Policy, seeds: tuple[int, ...]) -> list[str]:
    recovery, leases = policy.recovery, policy.signals
    return [
        f"trace: {trace.name}, {len(trace.calls):,} calls, sha256 {trace.sha256}",
        f"seeds: {seeds[0]} to {seeds[-1]}",
        (
            f"policy: defaults.yaml, enforced: dwell {duration_text(recovery.dwell)}, "
            f"ramp {duration_text(recovery.ramp)}, holdout {policy.holdout:.0%}, leases "
            f"datadog {duration_text(leases.datadog)}, rollup {duration_text(leases.rollup)}, "
            f"own {duration_text(leases.own)}"
        ),
        NOT_MODELLED,
    ]


def _chosen(written: str, known: tuple[_Name, ...]) -> list[_Name]:
    asked = set(filter(None, written.split(",")))
    if unknown := asked - set(known):
        named = ", ".join(sorted(unknown))
        raise typer.BadParameter(f"{named} is none of {', '.join(known)}")
    return [each for each in known if each in asked]


if __name__ == "__main__":
    cli()
