"""Incidents as the API shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common.api.envelopes import Single, state_source
from common.api.incident_models import EntryView, IncidentView, ReviewView, StoryView
from common.api.writes import Shown
from common.incidents.incidents import Incident, named
from common.incidents.timeline import Entry


def incident_view(incident: Incident, now: datetime) -> IncidentView:
    return IncidentView(**_fields(incident, now))


def incident_shown(incident: Incident, now: datetime, hint: str = "") -> Shown:
    """`hint` is a sentence behind the one that says how it stands."""
    view = Single[IncidentView](
        as_of=now,
        answer=f"{sentence(incident)} {hint}".rstrip(),
        data=incident_view(incident, now),
        sources=[state_source(now)],
    )
    return Shown(first=view, repeated=view)


def story(incident: Incident, entries: Sequence[Entry], now: datetime) -> Single[StoryView]:
    timeline = [entry_view(entry) for entry in entries]
    return Single[StoryView](
        as_of=now,
        answer=sentence(incident),
        data=StoryView(timeline=timeline, **_fields(incident, now)),
        sources=[state_source(now)],
    )


def entry_view(entry: Entry) -> EntryView:
    event = entry.event
    return EntryView(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        told=entry.told,
        actor=entry.actor,
        event=None if event is None else event.type,
        to=[] if event is None else list(event.to),
        details=dict(entry.details),
    )


def sentence(incident: Incident) -> str:
    return (
        f"Incident {incident.id} ({incident.severity}) is {incident.status} since"
        f" {_since(incident):%Y-%m-%dT%H:%M:%SZ}: {incident.title}."
    )


def still_off(incident: Incident, modes: Mapping[str, str]) -> str:
    """What to know of an incident that is closed while calls are still treated otherwise.

    `modes` has the scopes that are not normal. Empty where none of them is one of the incident.
    """
    off = [f"{scope} is {modes[scope]}" for scope in incident.scopes if scope in modes]
    if not incident.closed or not off:
        return ""
    return (
        f"But {named(off)}: closing it does not change that, and it is open again if that gets"
        " worse; `cloudops brownout status` says what holds it."
    )


def _since(incident: Incident) -> datetime:
    at = {
        "open": incident.raised_at,
        "acknowledged": incident.acknowledged_at,
        "mitigated": incident.mitigated_at,
        "resolved": incident.resolved_at,
        "reviewed": incident.reviewed_at,
    }[incident.status]
    return at or incident.raised_at


def _fields(incident: Incident, now: datetime) -> dict[str, Any]:
    review = incident.review
    return {
        "id": incident.id,
        "key": incident.key,
        "scope": incident.scope,
        "scopes": list(incident.scopes),
        "title": incident.title,
        "status": incident.status,
        "severity": incident.severity,
        "opened_at": incident.opened_at,
        "opened_by": incident.opened_by,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "mitigated_at": incident.mitigated_at,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
        "reviewed_at": incident.reviewed_at,
        "reviewed_by": incident.reviewed_by,
        "review": None
        if review is None
        else ReviewView(summary=review.summary, cause=review.cause, actions=list(review.actions)),
        "review_wanted": incident.wants_review(now),
        "owner": incident.owner,
        "done": incident.done,
        "link": incident.link,
        "procedure": incident.procedure,
        "episodes": list(incident.episodes),
        "cycles": incident.cycles,
        "entries": incident.entries,
    }
