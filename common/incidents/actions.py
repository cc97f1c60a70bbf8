"""What people do to incidents: open, acknowledge, assign, note, resolve, review. Pure.

What is done to an incident in a status in which it makes no sense is refused, and the refusal says
what can be done instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from common.core.errors import CloudOpsError, InvalidInput
from common.core.incident_events import IncidentSeverity, IncidentStatus
from common.incidents.facts import Rules, brownout_key
from common.incidents.incidents import Incident, Review, incident_id
from common.incidents.timeline import Entry, entered

MAX_TITLE_CHARS = 200
MAX_NOTE_CHARS = 5_000
MAX_ACTIONS = 50

Action: TypeAlias = Literal["ack", "assign", "note", "resolve", "review"]

ALLOWED: Mapping[IncidentStatus, frozenset[Action]] = {
    "open": frozenset({"ack", "assign", "note", "resolve"}),
    "acknowledged": frozenset({"assign", "note", "resolve"}),
    "mitigated": frozenset({"ack", "assign", "note", "resolve"}),
    "resolved": frozenset({"assign", "note", "review"}),
    "reviewed": frozenset({"note", "review"}),
}
"""What can be done to an incident in each status. Who acknowledged one need not do it again."""


class WrongTransition(CloudOpsError):
    """What is asked makes no sense for an incident in this status."""

    code: ClassVar[str] = "wrong_transition"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and when."""

    actor: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """An incident as somebody opens it. `scope` in canonical form."""

    scope: str
    title: str
    severity: IncidentSeverity
    text: str


Done: TypeAlias = tuple[Incident, Entry]


def open_incident(asked: Opening, by: By, rules: Rules, entropy: bytes) -> Done:
    """What a person opens: it is one of its scope's brownouts, which join it.

    Args:
        asked: what is to be opened.
        by: who opens it.
        rules: of the policy.
        entropy: at least 6 random bytes, which make its id.

    Raises:
        InvalidInput: the title or the text is empty, too long or not printable.
    """
    _check(asked.title, "title", MAX_TITLE_CHARS, lines=False)
    _check(asked.text, "text", MAX_NOTE_CHARS)
    key = brownout_key(asked.scope)
    incident = Incident(
        id=incident_id(key, entropy.hex(), by.now),
        key=key,
        scope=asked.scope,
        title=asked.title,
        status="open",
        severity=asked.severity,
        opened_at=by.now,
        raised_at=by.now,
        opened_by=by.actor,
        procedure=rules.procedure_for(asked.scope),
    )
    return entered(incident, by.now, "opened", asked.text, "incident.opened", actor=by.actor)


def acknowledge(incident: Incident, by: By) -> Done:
    """Somebody has seen it. One whose cause is gone stays mitigated.

    Raises:
        WrongTransition: it is acknowledged or closed.
    """
    _require(incident, "ack")
    if incident.status == "mitigated" and incident.acknowledged_at is not None:
        raise WrongTransition(f"incident {incident.id} is acknowledged already")
    status: IncidentStatus = "acknowledged" if incident.status == "open" else incident.status
    known = replace(incident, status=status, acknowledged_at=by.now, acknowledged_by=by.actor)
    told = f"{by.actor} acknowledges it."
    return entered(known, by.now, "acknowledged", told, "incident.acknowledged", actor=by.actor)


def assign(incident: Incident, owner: str, by: By) -> Done:
    """Somebody looks after it.

    Raises:
        InvalidInput: the owner is empty, too long or not printable.
        WrongTransition: it is reviewed.
    """
    _require(incident, "assign")
    _check(owner, "owner", MAX_TITLE_CHARS, lines=False)
    owned = replace(incident, owner=owner)
    return entered(owned, by.now, "assigned", f"{owner} looks after it.", actor=by.actor)


def note(incident: Incident, text: str, by: By) -> Done:
    """Somebody writes something down.

    Raises:
        InvalidInput: the text is empty, too long or not printable.
    """
    _require(incident, "note")
    _check(text, "text", MAX_NOTE_CHARS)
    return entered(incident, by.now, "note", text, actor=by.actor)


def resolve(incident: Incident, text: str, by: By) -> Done:
    """Somebody says that it is over. Should it get worse, it is open again.

    Raises:
        InvalidInput: the text is empty, too long or not printable.
        WrongTransition: it is closed.
    """
    _require(incident, "resolve")
    _check(text, "text", MAX_NOTE_CHARS)
    resolved = replace(incident, status="resolved", resolved_at=by.now, resolved_by=by.actor)
    return entered(resolved, by.now, "resolved", text, "incident.resolved", actor=by.actor)


def write_review(incident: Incident, review: Review, by: By) -> Done:
    """What is to be learned of it; may be written anew.

    Raises:
        InvalidInput: a text is empty, too long or not printable, or there are too many actions.
        WrongTransition: it is not resolved.
    """
    _require(incident, "review")
    _check(review.summary, "summary", MAX_NOTE_CHARS)
    _check(review.cause, "cause", MAX_NOTE_CHARS)
    if len(review.actions) > MAX_ACTIONS:
        raise InvalidInput(f"at most {MAX_ACTIONS} actions", field="actions")
    for action in review.actions:
        _check(action, "actions", MAX_NOTE_CHARS)
    reviewed = replace(
        incident, status="reviewed", reviewed_at=by.now, reviewed_by=by.actor, review=review
    )
    told = f"Reviewed: {review.summary}"
    return entered(reviewed, by.now, "reviewed", told, "incident.reviewed", actor=by.actor)


def _require(incident: Incident, action: Action) -> None:
    allowed = ALLOWED[incident.status]
    if action not in allowed:
        raise WrongTransition(
            f"incident {incident.id} is {incident.status}: what can be done to it is"
            f" {', '.join(sorted(allowed))}"
        )


def _check(text: str, field: str, most: int, *, lines: bool = True) -> None:
    shown = text.replace("\n", " ").replace("\t", " ") if lines else text
    if not 1 <= len(text) <= most or not shown.isprintable() or not text.strip():
        raise InvalidInput(f"write 1 to {most} printable characters", field=field)
