"""Taking facts: each once, of each thing in the order in which they happened.

Events arrive late, again and in any order. Changes of a mode need not be believed in the order in
which they arrive, because they are written down where they are made: whichever event arrives, all
changes since the last one taken are taken, of all scopes, the oldest first. `incident_keys` says
which one that is. So many changes at once are few commits, and which incident leads does not depend
on what arrives first. Other facts leave a marker under the id of their event. What is taken, that
it is taken, and what is to be told of it are one commit.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from common.core.brownout_events import BrownoutModeChanged, BrownoutSettled
from common.core.errors import PublishFailed, StoreUnavailable
from common.core.events import Event
from common.core.ports import Bus, Clock, Create, Documents, Put, Query, Write
from common.core.transactions import Entropy, Read, transact
from common.incidents.desk import Desk
from common.incidents.escalation import GOING_ON, due, escalated
from common.incidents.facts import Fact, Rules, fact_of
from common.incidents.handling import ended
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
"""Where no change was ever heard of, older ones are history."""
MOST_FACTS = 30
"""In one commit, and those that are like the last one."""
CHANGES_TAKEN = "brownouts"
"""The key under which it is known which change was taken last."""


class Changes(Protocol):
    """The changes of modes, as they are written down."""

    async def __call__(self, after: int, since: datetime | None) -> Sequence[BrownoutModeChanged]:
        """Those of all scopes behind this `seq` and not older than that, the oldest first.

        Raises:
            StoreUnavailable: no answer in time.
        """


RulesOfNow: TypeAlias = Callable[[], Awaitable[Rules]]


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
        """Resolve what has stayed away, and make every step of the policy that is due.

        Raises:
            StoreUnavailable, VersionConflict: the rest is made the next time.
        """
        rules = await self.rules()
        for incident in await find_incidents(self.documents, {"status": "mitigated"}):
            # Of a brownout's there may be changes that were not taken yet: facts resolve those.
            if not incident.seq and ended(incident, now, rules)[1]:
                await self._change(incident.id, lambda known: ended(known, now, rules))
        if not rules.escalation:
            return
        for status in GOING_ON:
            for incident in await find_incidents(self.documents, {"status": status}):
                if due(incident, rules.escalation, now):
                    await self._change(
                        incident.id, lambda known: escalated(known, rules.escalation, now)
                    )

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
        writes: list[Write] = []
        if fact.seq:
            facts, seq, more = await self._behind(read, rules, now)
            if seq:
                taken = Tracked(CHANGES_TAKEN, seq=seq)
                writes.append(Put(key_ref(CHANGES_TAKEN), taken.to_data()))
            if isinstance(event, BrownoutSettled) and not more:
                facts.append(fact)
        else:
            [marked] = await read([marker_ref(event.id)])
            if marked is not None:
                return (), False
            facts, more = [fact], False
            writes.append(Create(marker_ref(event.id), {"delete_at": now + REMEMBERED}))
        desk = await Desk.over(read, facts, rules)
        for group in _alike(facts):
            desk.take(group)
        desk.escalate(now)
        return [*writes, *desk.written()], more

    async def _behind(
        self, read: Read, rules: Rules, now: datetime
    ) -> tuple[list[Fact], int | None, bool]:
        """The changes that were not taken yet, the last one's number, and whether there are more.

        None: there are none.
        """
        [document] = await read([key_ref(CHANGES_TAKEN)])
        last = Tracked.from_document(CHANGES_TAKEN, document).seq
        events = await self.changes(last or 0, now - HORIZON if last is None else None)
        facts = [fact for each in events if (fact := fact_of(each, rules))]
        number = MOST_FACTS
        while number < len(facts) and facts[number].is_like(facts[number - 1]):
            number += 1
        taken = facts[:number]
        return taken, taken[-1].seq if taken else None, number < len(facts)

    async def _change(
        self, id_: str, changed: Callable[[Incident], tuple[Incident, Sequence[Entry]]]
    ) -> None:
        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            [document] = await read([incident_ref(id_)])
            if document is None:
                return (), None
            incident, entries = changed(Incident.from_document(document))
            stored: list[Write] = [entry.written() for entry in entries]
            return [Put(document.ref, incident.to_data()), *stored] if stored else [], None

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


def _alike(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    """The facts in their order, those that follow one another and are alike together."""
    group: list[Fact] = []
    for fact in facts:
        if group and not (fact.is_like(group[-1]) and fact.tracked not in map(_tracked, group)):
            yield group
            group = []
        group.append(fact)
    if group:
        yield group


def _tracked(fact: Fact) -> str:
    return fact.tracked
