"""The timeline of an incident, which is also the way its events take to those who are told.

An entry is created in the commit that does what it tells, and never changes. One that others are to
be told of holds its event and waits until that is published: a process that dies in between loses
none, and what is published twice has the same id.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from common.core.event_types import parse_event
from common.core.incident_events import IncidentEvent, IncidentType
from common.core.ports import Bus, Create, Document, Documents, Put, Query, Ref, Value
from common.incidents.incidents import Incident

ENTRIES = "incident_entries"

Kind: TypeAlias = Literal[
    "opened",
    "mode_change",
    "override",
    "blind",
    "sighted",
    "budget",
    "anomaly",
    "usual",
    "drift",
    "acknowledged",
    "assigned",
    "note",
    "resolved",
    "reviewed",
    "escalated",
]
"""What an entry tells: a fact, or what a person or the policy did."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline. `at` is when it happened; `event` is what is told of it."""

    incident: str
    seq: int
    at: datetime
    kind: Kind
    told: str
    actor: str | None = None
    details: Mapping[str, Value] = field(default_factory=dict)
    event: IncidentEvent | None = None

    @property
    def ref(self) -> Ref:
        return Ref(ENTRIES, f"{self.incident}-{self.seq:06d}")

    def written(self) -> Create:
        event = self.event
        return Create(
            self.ref,
            {
                "incident": self.incident,
                "seq": self.seq,
                "at": self.at,
                "kind": self.kind,
                "told": self.told,
                "actor": self.actor,
                "details": dict(self.details),
                "event": None if event is None else event.payload().decode(),
                "published": None if event is None else False,
            },
        )

    @classmethod
    def from_document(cls, document: Document) -> "Entry":
        data: Any = document.data
        told = None if data["event"] is None else parse_event(json.loads(data["event"]))
        return cls(
            incident=data["incident"],
            seq=data["seq"],
            at=data["at"],
            kind=data["kind"],
            told=data["told"],
            actor=data["actor"],
            details=data["details"],
            event=told if isinstance(told, IncidentEvent) else None,
        )


def entered(
    incident: Incident,
    at: datetime,
    kind: Kind,
    told: str,
    type_: IncidentType | None = None,
    *,
    actor: str | None = None,
    details: Mapping[str, Value] | None = None,
    to: Sequence[str] = (),
) -> tuple[Incident, Entry]:
    """The incident with one entry more, and that entry.

    Args:
        incident: as it is after what the entry tells.
        at: when it happened.
        kind: what happened.
        told: a sentence.
        type_: of the event by which others are told; None tells nobody.
        actor: who did it, None for nobody.
        details: what a reader may want to see besides.
        to: the channels that it is for.
    """
    incident = replace(incident, entries=incident.entries + 1)
    event = None
    if type_ is not None:
        event = IncidentEvent(
            id=event_id(incident.id, incident.entries),
            type=type_,
            event_time=at,
            incident_id=incident.id,
            seq=incident.entries,
            key=incident.key,
            scope=incident.scope,
            scopes=incident.scopes if len(incident.scopes) > 1 else (),
            title=incident.title,
            severity=incident.severity,
            status=incident.status,
            opened_at=incident.opened_at,
            owner=incident.owner,
            actor=actor,
            told=told,
            done=incident.done,
            link=incident.link,
            procedure=incident.procedure,
            to=tuple(to),
        )
    return incident, Entry(
        incident.id, incident.entries, at, kind, told, actor, details or {}, event
    )


def event_id(incident: str, seq: int) -> str:
    """The id of the event that an entry holds."""
    return sha256(f"incident {incident} {seq}".encode()).hexdigest()[:32]


async def read_timeline(documents: Documents, incident: str) -> list[Entry]:
    """All entries of an incident, in the order in which they were made.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found: list[Entry] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(ENTRIES, {"incident": incident}, after=after))
        found += [Entry.from_document(each) for each in page]
        if len(page) < Query(ENTRIES).limit:
            return found
        after = page[-1].ref.id


async def publish_entries(documents: Documents, bus: Bus) -> int:
    """Publish what waits, of each incident the oldest first; how many events that were.

    Raises:
        StoreUnavailable, PublishFailed: the rest is published the next time.
    """
    waiting = await documents.query(Query(ENTRIES, {"published": False}))
    for document in waiting:
        event = parse_event(json.loads(document.data["event"]))
        if event is None:  # A newer version has written it, and publishes it.
            continue
        await bus.publish(event.topic, event)
        published = {**document.data, "published": True}
        # Who else publishes the same at this moment marks the same: nothing depends on the outcome.
        await documents.commit([Put(document.ref, published, if_version=document.version)])
    return len(waiting)
