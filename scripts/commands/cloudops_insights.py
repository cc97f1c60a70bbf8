"""`scripts/cloudops insights`: what was found in the ledger, and what you make of it."""

from typing import Annotated

import typer

from scripts.commands.cloudops_client import moment_text, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

insights = typer.Typer(
    help="Insights: what deserves a look, with the money at stake.", no_args_is_help=True
)

InsightId = Annotated[str, typer.Argument(help="as `insights list` shows it")]


@command(insights, "list")
def list_insights(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    kind: Annotated[str | None, typer.Option(help="as spike, loop or cheaper_model")] = None,
    org: Annotated[str | None, typer.Option(help="only this organisation")] = None,
    scope: Annotated[str | None, typer.Option(help="as it is written on the insight")] = None,
    state: Annotated[
        str | None, typer.Option(help="open, dismissed, snoozed or done; open if not given")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 50,
    every: Annotated[
        bool, typer.Option("--all", help="of all states and windows, and however many")
    ] = False,
) -> None:
    """Insights that are open, those with most money at stake first."""
    asked = {"kind": kind, "org": org, "scope": scope, "state": state}
    if every:
        rows, last = session.client.rows("insights", asked)
    else:
        asked |= {"state": state or "open", "latest": "true"}
        last = session.client.get("insights", {**asked, "limit": limit})
        rows = last["data"]
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("id", "kind", "scope", "confidence", "state", "stake_usd", "told")
    columns = [Column(name, is_number=name == "stake_usd") for name in names]
    print_table(columns, [[cell(row[name]) for name in names] for row in rows])
    more = "" if last["total"]["count"] == len(rows) else f" The first {len(rows)} are shown."
    typer.echo(f"{last['answer']}{more}")


@command(insights, "show")
def show_insight(session: Session, insight_id: InsightId) -> None:
    """An insight, its evidence, and how to see its calls."""
    answer = session.client.get(_path(insight_id), {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    names = ("kind", "scope", "since", "until", "stake_usd", "confidence", "state", "changed_by")
    shown = {name: cell(data[name]) for name in names}
    if data["snoozed_until"] is not None:
        shown["snoozed_until"] = data["snoozed_until"]
    shown |= {name: cell(value) for name, value in data["evidence"].items()}
    width = max(map(len, shown))
    typer.echo(data["told"])
    typer.echo("\n".join(f"{name:<{width}}  {text}" for name, text in shown.items()))
    typer.echo(f"{'calls':<{width}}  {cell(data['rows'])}")


@command(insights, "dismiss")
def dismiss(session: Session, insight_id: InsightId) -> None:
    """Say that it does not matter."""
    _act(session, insight_id, "dismiss", {})


@command(insights, "snooze")
def snooze(
    session: Session,
    insight_id: InsightId,
    until: Annotated[str, typer.Argument(help="a duration (7d), a date or a time")],
) -> None:
    """Hide it until a time."""
    _act(session, insight_id, "snooze", {"until": moment_text(until, ahead=True)})


@command(insights, "done")
def done(session: Session, insight_id: InsightId) -> None:
    """Say that what it advises is done."""
    _act(session, insight_id, "done", {})


@command(insights, "reopen")
def reopen(session: Session, insight_id: InsightId) -> None:
    """Open it again."""
    _act(session, insight_id, "reopen", {})


def _act(session: Session, insight_id: str, name: str, body: dict[str, str]) -> None:
    answer = session.client.post(f"{_path(insight_id)}:{name}", body)
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    until = "" if data["snoozed_until"] is None else f" until {data['snoozed_until']}"
    what = f"{data['kind']} of {data['scope']}"
    typer.echo(f"Insight {data['id']} ({what}) is {data['state']}{until}.")


def _path(insight_id: str) -> str:
    return f"insights/{segment(insight_id)}"
