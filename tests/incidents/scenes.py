"""Facts of brownouts, and a store in which their changes are written down."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from common.brownout.blindness import blind, sighted
from common.core.brownout_events import (
    BrownoutBlind,
    BrownoutModeChanged,
    BrownoutSettled,
    BrownoutSighted,
    SignalTold,
)
from common.core.errors import PublishFailed
from common.core.events import Event, ThresholdCrossed
from common.core.incident_events import IncidentEvent
from common.core.ports import Bus, Documents, Query
from common.incidents.facts import Fact, Rules, fact_of
from common.incidents.incidents import Incident
from common.incidents.taking import Incidents, find_incidents
from common.incidents.timeline import ENTRIES, Entry

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SCOPE = "provider:openai"
RULES = Rules()


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def a_change(
    seq: int, before: str, after: str, minutes: float = 0, **fields: Any
) -> BrownoutModeChanged:
    """A change that a signal makes, so many minutes after T0, in the scope's first episode."""
    told = SignalTold(source="datadog", monitor="17", level=after, link="https://dd.example/17")
    members: dict[str, Any] = {
        "id": f"change-{seq}",
        "event_time": at(minutes),
        "scope": SCOPE,
        "seq": seq,
        "before": before,
        "after": after,
        "cause": "recovery" if after == "normal" else "signal",
        "signals": () if after == "normal" else (told,),
        "episode": "e1",
        "enforced": True,
        "policy_version": 0,
    }
    return BrownoutModeChanged(**members | fields)


def settled(seq: int, since: float, episode: str = "e1", scope: str = SCOPE) -> BrownoutSettled:
    """The word that a scope has stayed normal for 30 minutes since then."""
    return BrownoutSettled(
        id=f"settled-{seq}",
        event_time=at(since + 30),
        scope=scope,
        seq=seq,
        since=at(since),
        episode=episode,
    )


def crossed(percent: int, minutes: float = 0, budget: str = "search") -> ThresholdCrossed:
    return ThresholdCrossed(
        id=f"{budget}-{percent}-{minutes}",
        event_time=at(minutes),
        budget_id=budget,
        period="2026-03",
        percent=percent,
        spent_nanos=20_000_000_000,
        limit_nanos=20_000_000_000,
        projected_exhaustion=None,
    )


def blinded(minutes: float) -> BrownoutBlind:
    """The word that Datadog, silent since five minutes before then, is blind."""
    since = at(minutes - 5)
    found_at, episode = at(minutes), since.isoformat()
    return blind("datadog", since, cause="unreachable", found_at=found_at, episode=episode)


def heard(minutes: float, since: float) -> BrownoutSighted:
    return sighted("datadog", at(since), found_at=at(minutes))


def a_fact(event: Event, rules: Rules = RULES) -> Fact:
    fact = fact_of(event, rules)
    assert fact is not None, f"{event.type} says nothing of incidents"
    return fact


@dataclass(slots=True)
class WrittenChanges:
    """The changes of modes that are written down so far."""

    written: list[BrownoutModeChanged] = field(default_factory=list)

    async def __call__(self, after: int, since: datetime | None) -> Sequence[BrownoutModeChanged]:
        found = [
            each
            for each in self.written
            if each.seq > after and (since is None or each.event_time > since)
        ]
        return sorted(found, key=lambda change: change.seq)


@dataclass(slots=True)
class KeepingBus:
    """Keeps what is published; `down` refuses it."""

    published: list[Event] = field(default_factory=list)
    down: bool = False

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        if self.down:
            raise PublishFailed("down")
        self.published.append(event)

    @property
    def told(self) -> list[str]:
        """Which events of incidents were published, in order."""
        return [each.type.removeprefix("incident.") for each in self.incidents]

    @property
    def incidents(self) -> list[IncidentEvent]:
        return [each for each in self.published if isinstance(each, IncidentEvent)]


@dataclass(slots=True)
class MinuteClock:
    """Shows so many minutes after T0."""

    minutes: float = 0

    def now(self) -> datetime:
        return at(self.minutes)

    def monotonic(self) -> float:
        return self.minutes * 60


@dataclass(slots=True)
class Desk:
    """The function over a store, its bus, and the changes that it finds."""

    documents: Documents
    bus: KeepingBus = field(default_factory=KeepingBus)
    clock: MinuteClock = field(default_factory=MinuteClock)
    changes: WrittenChanges = field(default_factory=WrittenChanges)
    rules: Rules = RULES

    def process(self, bus: Bus | None = None) -> Incidents:
        """One more process of it."""

        async def rules() -> Rules:
            return self.rules

        return Incidents(
            self.documents, bus or self.bus, self.clock, os.urandom, rules, self.changes
        )

    async def take(self, *events: Event) -> None:
        """Have events happen and be delivered at their time, one after the other."""
        for event in events:
            self.write(event)
            self.clock.minutes = max(self.clock.minutes, minutes_of(event.event_time))
            await self.process().take(event)

    def write(self, event: Event) -> None:
        if isinstance(event, BrownoutModeChanged) and event not in self.changes.written:
            self.changes.written.append(event)

    async def incidents(self) -> list[Incident]:
        return await find_incidents(self.documents, {})

    async def incident(self) -> Incident:
        [only] = await self.incidents()
        return only

    async def timeline(self) -> list[Entry]:
        found = await self.documents.query(Query(ENTRIES))
        return [Entry.from_document(each) for each in found]


def minutes_of(moment: datetime) -> float:
    return (moment - T0) / timedelta(minutes=1)
