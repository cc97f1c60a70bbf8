"""What facts do to incidents: opened, joined, mitigated, resolved and reopened. Pure.

- A fact joins the incident of its key that is not closed, or was closed a short while ago, or holds
  the same episode. One that has none such joins the incident that its own alert led to a short
  while ago, or that a scope around its own has of that alert. Any other one that is bad enough
  opens a new incident.
- When the cause is gone of all its parts it is mitigated, and when it has stayed away it is
  resolved: told by a fact, or seen by whoever handles a later one, at the same moment either way.
- When the cause comes back it is reopened. If nobody had closed it, who acknowledged it still does.
- The severity only rises while it is one incident.
- Facts that say the same of several scopes in one moment are told as one.

Facts of changes of a mode come in their order (`taking.py`); `seq` tells one that was handled.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from common.core.incident_events import IncidentStatus, IncidentType
from common.incidents.facts import Fact, Rules, by_width, is_around
from common.incidents.incidents import (
    MOST_EPISODES,
    MOST_PARTS,
    Incident,
    Part,
    incident_id,
    named,
)
from common.incidents.timeline import Entry, entered

Handled: TypeAlias = tuple[Incident | None, Sequence[Entry]]


def handle(
    incident: Incident | None,
    fact: Fact,
    rules: Rules,
    others: Sequence[Fact] = (),
    *,
    joins: bool = False,
) -> Handled:
    """The incident of a fact's key after the fact, and what is added to its timeline.

    Another incident than the one that was given is a new one, and None is one that never was.

    Args:
        incident: the newest one of the key.
        fact: what happened.
        rules: of the policy.
        others: facts that are alike.
        joins: the incident is one of the same cause, whatever its key.
    """
    facts = sorted((fact, *others), key=by_width)
    if incident is None or not (joins or belongs(incident, fact, rules)):
        return _opened(facts, rules) if fact.opens else (incident, ())
    if fact.effect == "settle":
        return _settled(incident, fact)
    facts = [each for each in facts if not _is_known(incident, each)]
    if not facts:
        return incident, ()
    incident = _with_parts(incident, facts)
    incident, then = _after(incident, facts[0])
    incident = _told_by(incident, facts)
    return _single(_entered(incident, facts, then))


def ended(incident: Incident, now: datetime, rules: Rules) -> tuple[Incident, Sequence[Entry]]:
    """The incident at `now` if nothing happened since it was mitigated."""
    since = incident.mitigated_at
    if incident.status != "mitigated" or since is None or since + rules.resolve_after > now:
        return incident, ()
    return _resolved(incident, since + rules.resolve_after)


def belongs(incident: Incident, fact: Fact, rules: Rules) -> bool:
    """Whether a fact of one of its parts is one of the incident, and opens no other."""
    if not incident.closed or incident.resolved_at is None:
        return True
    part = incident.part(fact.tracked)
    if fact.episode is not None and (
        fact.episode in incident.episodes or (part is not None and part.episode == fact.episode)
    ):
        return True
    return fact.at <= incident.resolved_at + rules.join_window


def leads(incident: Incident, last: datetime, fact: Fact, rules: Rules) -> bool:
    """Whether a fact joins an incident of the same cause, which led to it `last` then."""
    if len(incident.parts) >= MOST_PARTS or not belongs(incident, fact, rules):
        return False
    if abs(fact.at - last) <= rules.join_window:
        return True
    around = any(is_around(scope, fact.scope) for scope in incident.scopes)
    return around and bool(fact.seq) and not incident.closed


def _is_known(incident: Incident, fact: Fact) -> bool:
    part = incident.part(fact.tracked)
    return part is not None and 0 < fact.seq <= part.seq


def _opened(facts: Sequence[Fact], rules: Rules) -> tuple[Incident, Sequence[Entry]]:
    fact = facts[0]
    opened = Incident(
        id=incident_id(fact.key, fact.id, fact.at),
        key=fact.key,
        scope=fact.scope,
        title=fact.title,
        status="open",
        severity=fact.severity or "info",
        opened_at=fact.at,
        raised_at=fact.at,
        done=fact.done,
        link=fact.link,
        procedure=rules.procedure_for(fact.scope),
    )
    opened = _told_by(_with_parts(opened, facts), facts)
    return _single(_entered(opened, facts, "incident.opened"))


def _after(incident: Incident, fact: Fact) -> tuple[Incident, IncidentType | None]:
    """The incident in the status that the fact leads to, and what became of it."""
    match fact.effect:
        case "raise" if incident.closed:
            return _raised_again(incident, fact.at), "incident.reopened"
        case "raise" if incident.status == "mitigated":
            known = incident.acknowledged_at is not None
            status: IncidentStatus = "acknowledged" if known else "open"
            return replace(incident, status=status, mitigated_at=None), "incident.reopened"
        case "raise":
            return incident, "incident.joined"
        case "calm" if incident.calm and incident.status in {"open", "acknowledged"}:
            return replace(incident, status="mitigated", mitigated_at=fact.at), "incident.mitigated"
        case _:
            return incident, None


def _raised_again(incident: Incident, at: datetime) -> Incident:
    """A closed incident, open again: whoever is to be told is told anew."""
    return replace(
        incident,
        status="open",
        raised_at=at,
        acknowledged_at=None,
        acknowledged_by=None,
        mitigated_at=None,
        resolved_at=None,
        resolved_by=None,
        escalated=(),
    )


def _with_parts(incident: Incident, facts: Sequence[Fact]) -> Incident:
    """The incident with what the facts say of its parts."""
    parts = {part.key: part for part in incident.parts}
    episodes, came_back = incident.episodes, False
    for fact in facts:
        before = parts.get(fact.tracked, Part(fact.tracked, fact.scope))
        if fact.episode is not None and before.episode not in {None, fact.episode}:
            came_back = True
        if fact.episode is not None and fact.episode not in episodes:
            episodes = (*episodes, fact.episode)[-MOST_EPISODES:]
        parts[fact.tracked] = replace(
            before,
            seq=max(before.seq, fact.seq),
            calm={"raise": False, "calm": True}.get(fact.effect, before.calm),
            episode=fact.episode or before.episode,
        )
    return replace(
        incident,
        parts=tuple(parts.values()),
        title=_title(incident, len(incident.parts), len(parts)),
        episodes=episodes,
        cycles=incident.cycles + came_back,
    )


def _title(incident: Incident, before: int, after: int) -> str:
    """What a person has written stays as it is."""
    if incident.opened_by is not None:
        return incident.title
    return incident.title.removesuffix(_more(before)) + _more(after)


def _more(parts: int) -> str:
    return f" and {parts - 1} more" if parts > 1 else ""


def _told_by(incident: Incident, facts: Sequence[Fact]) -> Incident:
    """The incident with what the facts say of it besides its status and its parts."""
    fact = facts[0]
    done = fact.done
    if len(facts) > 1 and fact.alike is not None and fact.alike.done is not None:
        done = f"Calls of {_scopes_of(facts)} {fact.alike.done}"
    return replace(
        incident.worse(fact.severity),
        seq=max(incident.seq, *(each.seq for each in facts)),
        opened_at=min(incident.opened_at, fact.at),
        done=done or incident.done,
        link=incident.link or fact.link,
    )


def _entered(
    incident: Incident, facts: Sequence[Fact], then: IncidentType | None
) -> tuple[Incident, Entry]:
    fact = facts[0]
    told, details = fact.told, fact.details
    if len(facts) > 1 and fact.alike is not None:
        told = f"{_scopes_of(facts)} {fact.alike.told}"
        details = {**details, "scopes": [each.scope for each in facts]}
    return entered(incident, fact.at, fact.kind, told, then, details=details)


def _scopes_of(facts: Sequence[Fact]) -> str:
    return named([each.scope for each in facts])


def _settled(incident: Incident, fact: Fact) -> tuple[Incident, Sequence[Entry]]:
    if incident.status != "mitigated" or fact.seq != incident.seq:
        return incident, ()
    return _resolved(incident, fact.at)


def _resolved(incident: Incident, at: datetime) -> tuple[Incident, Sequence[Entry]]:
    what = "It has stayed away"
    if incident.seq:
        scopes = incident.scopes
        what = f"{named(scopes)} {'has' if len(scopes) == 1 else 'have'} stayed normal"
    told = f"{what} since {incident.mitigated_at or at:%H:%M} UTC."
    resolved = replace(incident, status="resolved", resolved_at=at)
    return _single(entered(resolved, at, "resolved", told, "incident.resolved"))


def _single(entry: tuple[Incident, Entry]) -> tuple[Incident, Sequence[Entry]]:
    return entry[0], (entry[1],)
