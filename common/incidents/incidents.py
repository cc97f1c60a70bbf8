"""What is stored of an incident, and where.

Of each thing that can go wrong (`key`: a scope's brownout, a budget, a source) at most one incident
is open at a time, and one incident may be about several of them (`parts`) that have one cause.
`incident_keys` names the newest one of a key and the newest fact that was taken into account for
it, and of a cause the incident that it led to last; whoever handles a fact writes that document, so
that of two who do so at once one begins again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, get_args

from common.core.incident_events import IncidentSeverity, IncidentStatus
from common.core.ports import Document, Ref, Value

INCIDENTS = "incidents"
KEYS = "incident_keys"
MARKERS = "incident_markers"

SEVERITIES: tuple[IncidentSeverity, ...] = get_args(IncidentSeverity)
"""Ascending."""
STATUSES: tuple[IncidentStatus, ...] = get_args(IncidentStatus)
CLOSED: frozenset[IncidentStatus] = frozenset({"resolved", "reviewed"})

REMEMBERED = timedelta(days=40)
"""How long it is known that an event was handled: longer than it can be delivered again."""
MOST_EPISODES = 100
"""The last ones, that are kept by id; `cycles` counts all."""
MOST_PARTS = 250
"""Of one incident; the next one opens another."""
MOST_NAMED = 20
"""Parts that a text names; the others are counted."""
REVIEW_WITHIN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Review:
    """What is to be learned of an incident."""

    summary: str
    cause: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things that an incident is about, by the key under which it is tracked.

    `seq` is that of its newest change of a mode, 0 for something else. `calm`: its cause is gone.
    """

    key: str
    scope: str
    seq: int = 0
    calm: bool = False
    episode: str | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, as it stands.

    `raised_at` is when it was opened, or reopened after it had been closed: escalations count from
    there, and `escalated` are those that were made since. `seq` is that of the newest change of a
    mode that it holds, 0 for an incident of something else. `entries` counts its timeline.
    """

    id: str
    key: str
    scope: str
    title: str
    status: IncidentStatus
    severity: IncidentSeverity
    opened_at: datetime
    raised_at: datetime
    opened_by: str | None = None
    done: str | None = None
    link: str | None = None
    procedure: str | None = None
    owner: str | None = None
    episodes: tuple[str, ...] = ()
    cycles: int = 1
    seq: int = 0
    entries: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    review: Review | None = None
    escalated: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    @property
    def scopes(self) -> tuple[str, ...]:
        """All who are affected, in the order in which that was found."""
        return tuple(dict.fromkeys((self.scope, *(part.scope for part in self.parts))))

    @property
    def calm(self) -> bool:
        return all(part.calm for part in self.parts)

    def part(self, key: str) -> Part | None:
        return next((part for part in self.parts if part.key == key), None)

    def worse(self, severity: IncidentSeverity | None) -> "Incident":
        """The incident with this severity, if that is a higher one."""
        if severity is None or rank(severity) <= rank(self.severity):
            return self
        return replace(self, severity=severity)

    def wants_review(self, now: datetime) -> bool:
        """Whether it is resolved for long, and nobody has written what is to be learned of it."""
        resolved_at = self.resolved_at
        return (
            self.status == "resolved"
            and resolved_at is not None
            and now >= resolved_at + REVIEW_WITHIN
        )

    def to_data(self) -> dict[str, Value]:
        review = self.review
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "episodes": list(self.episodes),
            "escalated": list(self.escalated),
            "parts": [asdict(part) for part in self.parts],
            "review": None
            if review is None
            else {
                "summary": review.summary,
                "cause": review.cause,
                "actions": list(review.actions),
            },
        }

    @classmethod
    def from_document(cls, document: Document) -> "Incident":
        data: Any = document.data
        review = data["review"]
        parts = data.get("parts")
        if parts is None:  # It is older than that.
            parts = _only_part(data)
        return cls(
            **{name: data[name] for name in _PLAIN},
            parts=tuple(Part(**each) for each in parts),
            episodes=tuple(data["episodes"]),
            escalated=tuple(data["escalated"]),
            review=None
            if review is None
            else Review(review["summary"], review["cause"], tuple(review["actions"])),
        )


_PLAIN = tuple(
    name
    for name in Incident.__dataclass_fields__
    if name not in {"episodes", "escalated", "parts", "review"}
)


def _only_part(data: Any) -> list[dict[str, Any]]:
    if not data["seq"]:
        return []
    is_calm = data["mitigated_at"] is not None
    episode = data["episodes"][-1] if data["episodes"] else None
    names = {"key": data["key"], "scope": data["scope"], "seq": data["seq"]}
    return [{**names, "calm": is_calm, "episode": episode}]


def named(names: Sequence[str]) -> str:
    """The names as a text: at most 20, and how many more there are."""
    more = len(names) - MOST_NAMED
    if more > 0:
        return f"{', '.join(names[:MOST_NAMED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is known of a key: its newest incident, and the newest change of a mode taken.

    Of facts without a number `raised_at` and `calmed_at` say how old the newest one of each is.
    """

    key: str
    incident: str | None = None
    seq: int | None = None
    raised_at: datetime | None = None
    calmed_at: datetime | None = None

    def to_data(self) -> dict[str, Value]:
        return {name: getattr(self, name) for name in Tracked.__dataclass_fields__}

    @classmethod
    def from_document(cls, key: str, document: Document | None) -> "Tracked":
        if document is None:
            return cls(key)
        data: Any = document.data
        times = (data.get("raised_at"), data.get("calmed_at"))
        return cls(key, data["incident"], data["seq"], *times)

    def is_late(self, effect: str, at: datetime) -> bool:
        """Whether a newer fact has said the opposite: then this one says nothing any more."""
        opposite = {"raise": self.calmed_at, "calm": self.raised_at}.get(effect)
        return opposite is not None and at <= opposite

    def told(self, effect: str, at: datetime) -> "Tracked":
        """After a fact without a number."""
        if effect == "raise" and (self.raised_at is None or self.raised_at < at):
            return replace(self, raised_at=at)
        if effect == "calm" and (self.calmed_at is None or self.calmed_at < at):
            return replace(self, calmed_at=at)
        return self


def rank(severity: IncidentSeverity) -> int:
    """Greater is worse."""
    return SEVERITIES.index(severity)


def incident_ref(id_: str) -> Ref:
    return Ref(INCIDENTS, id_)


def key_ref(key: str) -> Ref:
    return Ref(KEYS, sha256(key.encode()).hexdigest()[:32])


def cause_key(cause: str) -> str:
    """The key under which it is known what a cause led to."""
    return f"cause:{cause}"


def marker_ref(event_id: str) -> Ref:
    return Ref(MARKERS, event_id)


def incident_id(key: str, cause: str, at: datetime) -> str:
    """The id of what this cause opens: a day and six letters or digits, the same each time."""
    digest = int.from_bytes(sha256(f"{key}\n{cause}".encode()).digest()[:8], "big")
    letters = "".join(_LETTERS[digest >> (5 * place) & 31] for place in range(6))
    return f"{at:%Y-%m-%d}-{letters}"


_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
