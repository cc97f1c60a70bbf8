"""Who is told that an incident goes on: each step of the policy once, from when it is raised. Pure.

A step whose time has come and whose condition does not hold is looked at again: an incident may get
worse later. Once the cause is gone, or the incident is closed, nobody more is told.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from common.incidents.facts import EscalationStep
from common.incidents.incidents import Incident, rank
from common.incidents.timeline import Entry, entered

GOING_ON = ("open", "acknowledged")
"""The statuses of incidents that are escalated."""


def due(
    incident: Incident, steps: Sequence[EscalationStep], now: datetime
) -> Sequence[EscalationStep]:
    """The steps to make now, the earliest first."""
    if incident.status not in GOING_ON:
        return ()
    left = [step for step in steps if step.name not in incident.escalated]
    holding = [step for step in left if _holds(step, incident, now)]
    return sorted(holding, key=lambda step: step.after)


def escalated(
    incident: Incident, steps: Sequence[EscalationStep], now: datetime
) -> tuple[Incident, Sequence[Entry]]:
    """The incident after the steps that are due, with an entry for each."""
    entries: list[Entry] = []
    for step in due(incident, steps, now):
        made = replace(incident, escalated=(*incident.escalated, step.name))
        channels = ", ".join(step.to)
        unknown = " and nobody has acknowledged it" if step.when is not None else ""
        told = f"{incident.title} goes on{unknown}: {channels} told."
        incident, entry = entered(made, now, "escalated", told, "incident.escalated", to=step.to)
        entries.append(entry)
    return incident, entries


def _holds(step: EscalationStep, incident: Incident, now: datetime) -> bool:
    return (
        now >= incident.raised_at + step.after
        and (step.when is None or incident.status == "open")
        and (step.min_severity is None or rank(incident.severity) >= rank(step.min_severity))
    )
