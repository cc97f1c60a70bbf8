"""`scripts/savings_coverage`: how often the interval of a saving holds what was truly saved.

Brownouts are made up, so that the truth is known, with answers as long as a log-normal
distribution, one with a heavy tail and a trace have them. A tail so heavy is not promised anything;
it stands beside the others to show what it does.
"""

from pathlib import Path
from typing import Annotated

import typer

from common.brownout.savings import CONFIDENCE
from scripts.brownout_simulation.saving_incidents import (
    CALLS,
    HELD,
    KINDS,
    LEAST_HELD,
    cover,
)
from scripts.brownout_simulation.traces import made_trace, read_trace

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    incidents: Annotated[int, typer.Option(min=1, max=100_000, help="For each line.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 101,
    trace_file: Annotated[
        Path | None,
        typer.Option(
            "--trace", envvar="AZURE_LLM_TRACE", exists=True, help="A recorded trace (CSV)."
        ),
    ] = None,
) -> None:
    """Print coverage and half width of the intervals, for each distribution of lengths."""
    try:
        trace = made_trace() if trace_file is None else read_trace(trace_file)
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"this is no such trace: {error}") from None
    contexts = [each.context for each in trace.calls]
    typer.echo(
        f"trace: {trace.name}, {len(trace.calls):,} calls, sha256 {trace.sha256}\n"
        f"seed {seed}; {incidents:,} incidents a line, each of {CALLS:,} calls, {HELD:.0%} held "
        f"out, at least {LEAST_HELD}; intervals of {CONFIDENCE:.0%}\n"
        "half width: of the saving; totals: where inputs are not taken from the price list"
    )
    for name, kind in KINDS.items():
        found = cover(kind(trace, seed), contexts, incidents, seed)
        typer.echo(
            f"{name:>13}: {found.coverage:.1%} covered, half width {found.half_width:.1%}, "
            f"totals {found.of_totals:.1%}"
        )


if __name__ == "__main__":
    cli()
