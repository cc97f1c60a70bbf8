"""What facts do to incidents: opened, joined, mitigated, resolved and reopened. Pure.

- A fact joins the incident of its key that is not closed, or was closed a short while ago, or holds
  the same episode; any other one that is bad enough opens a new incident.
- When the cause is gone it is mitigated, and when the cause has stayed away it is resolved: told by
  a fact, or seen by whoever handles a later one, at the same moment either way.
- When the cause comes back it is reopened. If nobody had closed it, who acknowledged it still does.
- The severity only rises while it is one incident.

Facts of changes of a mode come in their order (`taking.py`); `seq` tells one that was handled.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from common.core.incident_events import IncidentStatus, IncidentType
from common.incidents.facts import Fact, Rules
from common.incidents.incidents import MOST_EPISODES, Incident, incident_id
from common.incidents.timeline import Entry, entered

Handled: TypeAlias = tuple[Incident | None, Sequence[Entry]]


def handle(incident: Incident | None, fact: Fact, rules: Rules) -> Handled:
    """The incident of a fact's key after the fact, and what is added to its timeline.

    Another incident than the one that was given is a new one, and None is one that never was.

    Args:
        incident: the newest one of the key.
        fact: what happened.
        rules: of the policy.
    """
    if incident is None or not _belongs(incident, fact, rules):
        return _opened(fact, rules) if fact.opens else (incident, ())
    if fact.effect == "settle":
        return _settled(incident, fact)
    if fact.seq and fact.seq <= incident.seq:
        return incident, ()
    incident, then = _after(incident, fact)
    incident = _told_by(incident, fact)
    return _single(
        entered(
            incident,
            fact.at,
            fact.kind,
            fact.told,
            then,
            details=fact.details,
        )
    )


def ended(incident: Incident, now: datetime, rules: Rules) -> tuple[Incident, Sequence[Entry]]:
    """The incident at `now` if nothing happened since it was mitigated."""
    since = incident.mitigated_at
    if incident.status != "mitigated" or since is None or since + rules.resolve_after > now:
        return incident, ()
    told = f"{incident.scope} has stayed normal since {since:%H:%M} UTC."
    return _resolved(incident, since + rules.resolve_after, told)


def _belongs(incident: Incident, fact: Fact, rules: Rules) -> bool:
    if not incident.closed or incident.resolved_at is None:
        return True
    if fact.episode is not None and fact.episode in incident.episodes:
        return True
    return fact.at <= incident.resolved_at + rules.join_window


def _opened(fact: Fact, rules: Rules) -> tuple[Incident, Sequence[Entry]]:
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
        episodes=() if fact.episode is None else (fact.episode,),
        seq=fact.seq,
    )
    incident, entry = entered(
        opened, fact.at, fact.kind, fact.told, "incident.opened", details=fact.details
    )
    return incident, (entry,)


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
        case "calm" if incident.status in {"open", "acknowledged"}:
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


def _told_by(incident: Incident, fact: Fact) -> Incident:
    """The incident with what the fact says of it besides its status."""
    episodes, cycles = incident.episodes, incident.cycles
    if fact.episode is not None and fact.episode not in episodes:
        # What a person opened has had none so far: then it is its first.
        cycles += 1 if episodes else 0
        episodes = (*episodes, fact.episode)[-MOST_EPISODES:]
    return replace(
        incident.worse(fact.severity),
        episodes=episodes,
        cycles=cycles,
        seq=max(incident.seq, fact.seq),
        opened_at=min(incident.opened_at, fact.at),
        done=fact.done or incident.done,
        link=incident.link or fact.link,
    )


def _settled(incident: Incident, fact: Fact) -> tuple[Incident, Sequence[Entry]]:
    if incident.status != "mitigated" or fact.seq != incident.seq:
        return incident, ()
    return _resolved(incident, fact.at, fact.told)


def _resolved(incident: Incident, at: datetime, told: str) -> tuple[Incident, Sequence[Entry]]:
    resolved = replace(incident, status="resolved", resolved_at=at)
    return _single(entered(resolved, at, "resolved", told, "incident.resolved"))


def _single(entry: tuple[Incident, Entry]) -> tuple[Incident, Sequence[Entry]]:
    return entry[0], (entry[1],)
