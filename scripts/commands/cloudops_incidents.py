"""`scripts/cloudops incidents`: what is open, what happened, and what you did about it."""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

incidents = typer.Typer(
    help="Incidents: what went wrong, and who knows of it.", no_args_is_help=True
)

_MOST_NAMED = 20

IncidentId = Annotated[str, typer.Argument(help="as `incidents list` shows it")]
Text = Annotated[str, typer.Argument(help="for the timeline")]


@command(incidents, "list")
def list_incidents(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    status: Annotated[
        str | None, typer.Option(help="open, acknowledged, mitigated, resolved or reviewed")
    ] = None,
    severity: Annotated[str | None, typer.Option(help="info, warning, error or critical")] = None,
    key: Annotated[
        str | None, typer.Option(help="of what, as brownout:provider:openai or budget:search")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 50,
    every: Annotated[bool, typer.Option("--all", help="closed ones too, and however many")] = False,
) -> None:
    """Incidents that are not closed, newest first."""
    closed = None if every or status is not None else "false"
    asked = {"status": status, "severity": severity, "key": key, "closed": closed}
    if every:
        rows, last = session.client.rows("incidents", asked)
    else:
        last = session.client.get("incidents", {**asked, "limit": limit})
        rows = last["data"]
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("id", "severity", "status", "title", "opened_at", "owner")
    print_table(
        [Column(name) for name in names], [[cell(row[name]) for name in names] for row in rows]
    )
    more = "" if last["total"]["count"] == len(rows) else f" The newest {len(rows)} are shown."
    typer.echo(f"{last['answer']}{more}")


@command(incidents, "show")
def show_incident(session: Session, incident_id: IncidentId) -> None:
    """An incident, and all that happened."""
    answer = session.client.get(_path(incident_id), {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    shown = {
        "title": data["title"],
        "scope": _scopes(data["scopes"]),
        "severity": data["severity"],
        "status": data["status"],
        "opened": _by(data, "opened"),
        "acknowledged": _by(data, "acknowledged"),
        "mitigated": cell(data["mitigated_at"]),
        "resolved": _by(data, "resolved"),
        "reviewed": _by(data, "reviewed"),
        "owner": cell(data["owner"]),
        "procedure": cell(data["procedure"]),
        "cause": cell(data["link"]),
    }
    typer.echo("\n".join(f"{label:<13} {text}" for label, text in shown.items()))
    for entry in data["timeline"]:
        who = "" if entry["actor"] is None else f" {entry['actor']}:"
        typer.echo(f"{entry['at']}{who} {entry['told']}")


@command(incidents, "ack")
def acknowledge(session: Session, incident_id: IncidentId) -> None:
    """Say that you have seen it."""
    print_answer(session, session.client.post(f"{_path(incident_id)}:ack", {}))


@command(incidents, "note")
def note(session: Session, incident_id: IncidentId, text: Text) -> None:
    """Write something into its timeline."""
    print_answer(session, session.client.post(f"{_path(incident_id)}:note", {"text": text}))


@command(incidents, "resolve")
def resolve(session: Session, incident_id: IncidentId, text: Text) -> None:
    """Say that it is over, and why."""
    print_answer(session, session.client.post(f"{_path(incident_id)}:resolve", {"text": text}))


def _scopes(scopes: list[str]) -> str:
    more = len(scopes) - _MOST_NAMED
    return ", ".join(scopes[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _path(incident_id: str) -> str:
    return f"incidents/{segment(incident_id)}"


def _by(data: dict[str, Any], what: str) -> str:
    who = data[f"{what}_by"]
    return cell(data[f"{what}_at"]) + ("" if who is None else f" by {who}")
