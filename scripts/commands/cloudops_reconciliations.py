"""`scripts/cloudops reconciliations`: what providers billed beside what our events say."""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import moment_text, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

reconciliations = typer.Typer(
    help="Reconciliations: providers' bills beside our events.", no_args_is_help=True
)

_SUMS = ("ours_usd", "theirs_usd")


@command(reconciliations, "list")
def list_reconciliations(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    provider: Annotated[str | None, typer.Option(help="openai or anthropic")] = None,
    account: Annotated[str | None, typer.Option(help="at the provider")] = None,
    standing: Annotated[
        str | None, typer.Option(help="agrees, drift, early or not_compared")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="a duration (30d) or a date; 30 days if not given")
    ] = None,
    until: Annotated[str | None, typer.Option(help="a duration or a date; today")] = None,
) -> None:
    """Days of bills, newest first, and which providers do not tell theirs."""
    asked = {
        "provider": provider,
        "account": account,
        "standing": standing,
        "since": _day(since),
        "until": _day(until),
    }
    rows, last = session.client.rows("reconciliations", asked)
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("id", "standing", *_SUMS)
    columns = [Column(name, is_number=name in _SUMS) for name in names]
    table = [[*(cell(row[name]) for name in names), _causes(row)] for row in rows]
    print_table([*columns, Column("drift")], table)
    typer.echo(last["answer"])


@command(reconciliations, "show")
def show_reconciliation(
    session: Session,
    reconciliation_id: Annotated[str, typer.Argument(help="as `reconciliations list` shows it")],
) -> None:
    """A day: both sides, each cause, and the tokens of its models."""
    answer = session.client.get(f"reconciliations/{segment(reconciliation_id)}", {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    typer.echo(answer["answer"])
    names = (*_SUMS, "unproven_usd", "estimated_usd", "calls", "unpriced_calls", "withheld")
    typer.echo("\n".join(f"{name:<14}  {cell(data[name])}" for name in names))
    for drift in data["drifts"]:
        what = ", ".join([*drift["models"], *drift["keys"]])
        typer.echo(f"{drift['cause']}: {drift['usd']} USD more on the bill ({what or '-'})")
    columns = [Column("model"), *(Column(name, is_number=True) for name in ("ours", "theirs"))]
    table = [
        [each["model"], *(_tokens(each[side]) for side in ("ours", "theirs"))]
        for each in data["models"]
    ]
    print_table(columns, table)


def _causes(row: dict[str, Any]) -> str:
    return ", ".join(f"{each['cause']} {each['usd']}" for each in row["drifts"]) or "-"


def _tokens(side: dict[str, int]) -> str:
    return f"{side['input']:,} in, {side['output']:,} out"


def _day(text: str | None) -> str | None:
    return None if text is None else moment_text(text)[:10]
