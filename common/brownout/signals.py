"""Signals: what a source says about a scope, as leases that end by themselves.

A signal is one alert of one source about one scope. While the source says that it goes on, the
lease is renewed; when it says that it is over, the lease ends there and then; when it says nothing
more, the lease runs out. What a source says late, after something newer, is ignored.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from common.brownout.modes import Mode
from common.brownout.trajectory import About, Lease
from common.core.ports import Document, Ref, Value

SIGNALS = "brownout_signals"
"""Collection of the newest word of each source on each scope."""

KEPT = timedelta(hours=1)
"""After its end a signal stays for so long, so that what comes late is known to be old."""

Source: TypeAlias = Literal["datadog", "monitoring", "rollup"]
_ID_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, as the source tells it: texts of at most 200 characters."""

    metric: str
    value: str
    limit: str


@dataclass(frozen=True, slots=True)
class Signal:
    """The newest word of one alert about one scope.

    `group` tells the alerts of one monitor apart. `lease_until` is when it stops to count;
    `told_over` says that the source itself ended it.
    """

    source: Source
    monitor: str
    group: str
    scope: str
    level: Mode
    observed_at: datetime
    received_at: datetime
    lease_until: datetime
    told_over: bool = False
    about: About | None = None
    link: str | None = None
    evidence: Evidence | None = None

    @property
    def id(self) -> str:
        text = f"{self.source}\n{self.monitor}\n{self.group}\n{self.scope}"
        return sha256(text.encode()).hexdigest()[:_ID_DIGITS]

    @property
    def alert(self) -> str:
        """The same for all signals of one alert, whatever their scopes."""
        return alert_id(self.source, self.monitor, self.group)

    @property
    def lease(self) -> Lease:
        return Lease(self.level, self.lease_until, self.about, self.told_over)

    def to_data(self) -> dict[str, Value]:
        evidence = self.evidence
        return {
            "source": self.source,
            "monitor": self.monitor,
            "group": self.group,
            "alert": self.alert,
            "scope": self.scope,
            "level": self.level.word,
            "observed_at": self.observed_at,
            "received_at": self.received_at,
            "lease_until": self.lease_until,
            "told_over": self.told_over,
            "about": self.about,
            "link": self.link,
            "evidence": None
            if evidence is None
            else {"metric": evidence.metric, "value": evidence.value, "limit": evidence.limit},
            "delete_at": max(self.lease_until, self.received_at) + KEPT,
        }

    @classmethod
    def from_document(cls, document: Document) -> "Signal":
        data: Any = document.data
        return cls(
            source=data["source"],
            monitor=data["monitor"],
            group=data["group"],
            scope=data["scope"],
            level=Mode[data["level"].upper()],
            observed_at=data["observed_at"],
            received_at=data["received_at"],
            lease_until=data["lease_until"],
            told_over=data["told_over"],
            about=data["about"],
            link=data["link"],
            evidence=None if data["evidence"] is None else Evidence(**data["evidence"]),
        )


def alert_id(source: Source, monitor: str, group: str) -> str:
    """Of an alert: short, whatever the tags of its group."""
    return sha256(f"{source}\n{monitor}\n{group}".encode()).hexdigest()[:_ID_DIGITS]


def signal_ref(signal: Signal) -> Ref:
    return Ref(SIGNALS, signal.id)


def raised(signal: Signal, lease: timedelta) -> Signal:
    """The signal as one that goes on: it counts for the length of a lease from when it was seen."""
    seen = min(signal.observed_at, signal.received_at)
    return replace(signal, lease_until=seen + lease, told_over=False)


def ended(signal: Signal) -> Signal:
    """The signal as one that its source says is over: it stops to count now."""
    return replace(signal, lease_until=signal.received_at, told_over=True)


def observed(told: datetime | None, received_at: datetime) -> datetime:
    """When something was seen: never after it was told, whatever the clock of its source says.

    What is dated ahead would make all that is told before then seem old.
    """
    return received_at if told is None else min(told, received_at)


def merged(known: Signal | None, told: Signal) -> Signal | None:
    """What is stored once this is told: None if something newer is known already."""
    if known is None:
        return told
    if told.observed_at < known.observed_at:
        return None
    if told.told_over and known.lease_until < told.lease_until:  # it had run out before
        return replace(told, lease_until=known.lease_until, told_over=known.told_over)
    return told
