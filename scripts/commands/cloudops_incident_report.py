"""`scripts/cloudops incidents report`: what happened, with its numbers."""

import typer

from scripts.commands.cloudops_client import segment
from scripts.commands.cloudops_incidents import IncidentId
from scripts.commands.cloudops_session import Session, print_answer


def report_incident(session: Session, incident_id: IncidentId) -> None:
    """Its course, how fast it was handled, what it did to calls and what it cost, as Markdown."""
    path = f"incidents/{segment(incident_id)}/report"
    if session.as_json:
        print_answer(session, session.client.get(path, {"format": "json"}))
        return
    typer.echo(session.client.text(path, {"format": "markdown"}), nl=False)
