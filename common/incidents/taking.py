"""Taking facts: each once, of each thing in the order in which they happened.

Events arrive late, again and in any order. Changes of a mode need not be believed in the order in
which they arrive, because they are written down where they are made: whichever event of a scope
arrives, all changes since the last one taken are taken, the oldest first. `incident_keys` says
which one that is. Other facts leave a marker under the id of their event. What is taken, that it is
taken, and what is to be told of it are one commit.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from common.core.brownout_events import BrownoutModeChanged, BrownoutSettled
from common.core.errors import PublishFailed, StoreUnavailable
from common.core.events import Event
from common.core.ports import Bus, Clock, Create, Documents, Put, Query, Write
from common.core.transactions import Entropy, Read, transact
from common.incidents.escalation import GOING_ON, due, escalated
from common.incidents.facts import Fact, Rules, fact_of
from common.incidents.handling import ended, handle
from common.incidents.incidents import (
    INCIDENTS,
    REMEMBERED,
    Incident,
    Tracked,
    incident_ref,
    key_ref,
    marker_ref,
)
from common.incidents.timeline import Entry, publish_entries

logger = logging.getLogger(__name__)

HORIZON = timedelta(days=1)
"""Of a scope that was never heard of, older changes are history."""
MOST_FACTS = 50
"""In one commit."""


class Changes(Protocol):
    """The changes of a scope's mode, as they are written down."""

    async def __call__(self, scope: str, after: int) -> Sequence[BrownoutModeChanged]:
        """Those behind this `seq`, the oldest first.

        Raises:
            StoreUnavailable: no answer in time.
        """


RulesOfNow: TypeAlias = Callable[[], Awaitable[Rules]]


@dataclass(slots=True)
class _Folded:
    """The newest incident of a key while facts are handled, and what is to be stored of it all."""

    newest: Incident | None
    changed: dict[str, Incident] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def take(self, incident: Incident | None, entries: Sequence[Entry]) -> None:
        if incident is not None and incident != self.newest:
            self.changed[incident.id] = incident
        self.newest = incident
        self.entries += entries


@dataclass(frozen=True, slots=True)
class Incidents:
    """Makes incidents of facts. One per process."""

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    rules: RulesOfNow
    changes: Changes

    async def take(self, event: Event) -> None:
        """Handle what an event says, if it says something of incidents.

        Raises:
            StoreUnavailable, VersionConflict: it is not known whether it is handled.
        """
        rules = await self.rules()
        fact = fact_of(event, rules)
        if fact is None:
            logger.info("incidents.no_fact", extra={"type": event.type, "event_id": event.id})
            return
        more = True
        while more:
            more = await transact(
                self.documents,
                self.clock,
                lambda read: self._taken(read, event, fact, rules),
                entropy=self.entropy,
            )
        await self._publish()

    async def escalate(self, now: datetime) -> None:
        """Make every step of the policy that is due.

        Raises:
            StoreUnavailable, VersionConflict: the rest is made the next time.
        """
        rules = await self.rules()
        if not rules.escalation:
            return
        for status in GOING_ON:
            for incident in await find_incidents(self.documents, {"status": status}):
                if due(incident, rules.escalation, now):
                    await self._escalate(incident.id, rules, now)

    async def publish(self, _now: datetime) -> None:
        """Publish what was left unpublished.

        Raises:
            StoreUnavailable, PublishFailed: the rest is published the next time.
        """
        await publish_entries(self.documents, self.bus)

    async def _taken(
        self, read: Read, event: Event, fact: Fact, rules: Rules
    ) -> tuple[Sequence[Write], bool]:
        """What to write for an event, and whether there are more facts than one commit takes."""
        now = self.clock.now()
        [document] = await read([key_ref(fact.key)])
        tracked = Tracked.from_document(fact.key, document)
        writes: list[Write] = []
        if fact.seq:
            facts, more = await self._behind(tracked, fact.scope, rules, now)
            if isinstance(event, BrownoutSettled) and not more:
                facts.append(fact)
        else:
            [marked] = await read([marker_ref(event.id)])
            if marked is not None:
                return (), False
            facts, more = [fact], False
            writes.append(Create(marker_ref(event.id), {"delete_at": now + REMEMBERED}))
        folded = _Folded(await _newest(read, tracked))
        known = folded.newest
        for each in facts:
            if folded.newest is not None:
                folded.take(*ended(folded.newest, each.at, rules))
            folded.take(*handle(folded.newest, each, rules))
        if folded.newest is not None:
            folded.take(*escalated(folded.newest, rules.escalation, now))
        newest = None if folded.newest is None else folded.newest.id
        after = replace(
            tracked, incident=newest, seq=max((f.seq for f in facts), default=0) or tracked.seq
        )
        if after != tracked:
            writes.append(Put(key_ref(fact.key), after.to_data()))
        return [*writes, *_written(known, folded)], more

    async def _behind(
        self, tracked: Tracked, scope: str, rules: Rules, now: datetime
    ) -> tuple[list[Fact], bool]:
        """The changes of a scope that were not taken yet, and whether there are still more."""
        events = await self.changes(scope, tracked.seq or 0)
        if tracked.seq is None:
            events = [each for each in events if each.event_time > now - HORIZON]
        facts = [fact for each in events[:MOST_FACTS] if (fact := fact_of(each, rules))]
        return facts, len(events) > MOST_FACTS

    async def _escalate(self, id_: str, rules: Rules, now: datetime) -> None:
        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            [document] = await read([incident_ref(id_)])
            if document is None:
                return (), None
            known = Incident.from_document(document)
            folded = _Folded(known)
            folded.take(*escalated(known, rules.escalation, now))
            return _written(known, folded), None

        await transact(self.documents, self.clock, decide, entropy=self.entropy)

    async def _publish(self) -> None:
        try:
            await publish_entries(self.documents, self.bus)
        except (StoreUnavailable, PublishFailed) as error:
            # What was taken is stored, and the minute's command publishes what waits.
            logger.warning("incidents.unpublished", extra={"cause": str(error)})


async def find_incidents(documents: Documents, where: Mapping[str, str]) -> list[Incident]:
    """All incidents whose fields equal `where`, by id: those of a later day come later.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found: list[Incident] = []
    after: str | None = None
    while True:
        page = await documents.query(Query(INCIDENTS, dict(where), after=after))
        found += [Incident.from_document(each) for each in page]
        if len(page) < Query(INCIDENTS).limit:
            return found
        after = page[-1].ref.id


async def _newest(read: Read, tracked: Tracked) -> Incident | None:
    if tracked.incident is None:
        return None
    [document] = await read([incident_ref(tracked.incident)])
    return None if document is None else Incident.from_document(document)


def _written(known: Incident | None, folded: _Folded) -> list[Write]:
    writes: list[Write] = [
        Put(incident_ref(each.id), each.to_data())
        if known is not None and each.id == known.id
        else Create(incident_ref(each.id), each.to_data())
        for each in folded.changed.values()
    ]
    stored: list[Any] = [entry.written() for entry in folded.entries]
    return [*writes, *stored]
