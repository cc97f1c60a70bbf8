"""What insights find and what they make up: recall by kind and false alarms, on seeded ledgers.

Seeds 1 to 50 are those that constants are tried on; figures are taken from 1001 on.
"""

import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from scripts.insight_ledgers.judged import Judged, judge

KINDS = ("spike", "burn", "loop", "unit_cost", "error_rate", "latency", "new_agent", "new_model")


cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    *,
    first: Annotated[int, typer.Option(min=1, help="The first seed.")] = 1_001,
    seeds: Annotated[int, typer.Option(min=1, help="Ledgers.")] = 200,
    show: Annotated[bool, typer.Option(help="Print what was missed and made up.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Judge ledgers of twelve weeks by their last four, and print what was found."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        judged = list(processes.map(judge, range(first, first + seeds)))
    typer.echo(f"{seeds} ledgers, seeds {first} to {first + seeds - 1}, four weeks each")
    typer.echo("kind        planted   found   recall   false alarms")
    figures: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        planted, found, false = (_sum(judged, name)[kind] for name in ("planted", "found", "false"))
        recall = 100 * found / planted if planted else 100.0
        figures[kind] = {"planted": planted, "found": found, "recall": recall, "false": false}
        typer.echo(f"{kind:10}  {planted:7}  {found:6}  {recall:5.1f} %  {false:13}")
    planted, found = _sum(judged, "planted").total(), _sum(judged, "found").total()
    alarms = _sum(judged, "alarms")
    scopes = sum(each.scopes for each in judged)
    recall = 100 * found / max(1, planted)
    typer.echo(f"{'all':10}  {planted:7}  {found:6}  {recall:5.1f} %  {alarms.total():13}")
    more = sum(count > 1 for count in alarms.values())
    typer.echo(
        f"false alarms per scope and month: {alarms.total() / scopes:.3f}"
        f" over {scopes} scopes; {more} scopes have more than one, the most is"
        f" {max(alarms.values(), default=0)}"
    )
    lead = sorted(hours for each in judged for hours in each.lead_h)
    if lead:
        typer.echo(
            f"budgets are warned of {median(lead) / 24:.1f} days before they are spent (median),"
            f" nine of ten at least {lead[len(lead) // 10]} h before"
        )
    if show:
        for each in judged:
            for line in each.missed:
                typer.echo(line)
    if json_file is not None:
        figures["all"] = {
            "planted": planted,
            "found": found,
            "recall": recall,
            "false": alarms.total(),
            "scopes": scopes,
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _sum(judged: list[Judged], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in judged:
        total.update(getattr(each, name))
    return total


if __name__ == "__main__":
    cli(prog_name="scripts/insights_eval")
