"""Facts laid against the incidents that they are about, and what is to be stored of it.

Which incident a fact is about is decided here: the newest one of its key, or else the one that its
cause has led to, or a new one. Everything that this depends on is read before.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from common.core.ports import Create, Put, Write
from common.core.transactions import Read
from common.incidents.escalation import escalated
from common.incidents.facts import Fact, Rules
from common.incidents.handling import belongs, ended, handle, leads
from common.incidents.incidents import Incident, Tracked, cause_key, incident_ref, key_ref
from common.incidents.timeline import Entry

_ALONE = ""


@dataclass(slots=True)
class Desk:
    """Some keys and their incidents as they are stored, and as they are after the facts taken."""

    rules: Rules
    stored_keys: dict[str, Tracked]
    stored: dict[str, Incident]
    keys: dict[str, Tracked] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    async def over(cls, read: Read, facts: Sequence[Fact], rules: Rules) -> "Desk":
        """What these facts may be about.

        Raises:
            StoreUnavailable: no answer in time.
        """
        causes = [cause_key(cause) for fact in facts for cause in fact.causes]
        names = list(dict.fromkeys([*(fact.tracked for fact in facts), *causes]))
        documents = await read([key_ref(name) for name in names]) if names else []
        keys = {
            name: Tracked.from_document(name, document)
            for name, document in zip(names, documents, strict=True)
        }
        ids = list(dict.fromkeys(each.incident for each in keys.values() if each.incident))
        found = await read([incident_ref(each) for each in ids]) if ids else []
        known = {each.ref.id: Incident.from_document(each) for each in found if each is not None}
        return cls(rules, keys, known, dict(keys), dict(known))

    def take(self, facts: Sequence[Fact]) -> None:
        """Handle facts that are alike: at least one."""
        about: dict[tuple[str, bool], list[Fact]] = defaultdict(list)
        for fact in facts:
            if self._is_past(fact):
                continue
            incident, joins = self._about(fact)
            alone = fact.tracked if incident is None and not fact.causes else _ALONE
            about[alone if incident is None else incident.id, joins].append(fact)
        for (id_, joins), group in about.items():
            self._handle(self.incidents.get(id_), group, joins=joins)

    def escalate(self, now: datetime) -> None:
        """Make every step of the policy that is due."""
        for incident in list(self.incidents.values()):
            self._keep(*escalated(incident, self.rules.escalation, now))

    def written(self) -> list[Write]:
        """What is otherwise than it is stored."""
        writes: list[Write] = [
            Put(key_ref(name), tracked.to_data())
            for name, tracked in self.keys.items()
            if tracked != self.stored_keys[name]
        ]
        for id_, incident in self.incidents.items():
            before = self.stored.get(id_)
            if before is None:
                writes.append(Create(incident_ref(id_), incident.to_data()))
            elif incident != before:
                writes.append(Put(incident_ref(id_), incident.to_data()))
        return [*writes, *(entry.written() for entry in self.entries)]

    def _is_past(self, fact: Fact) -> bool:
        """Whether something newer was taken; what is told of keys is noted all the same."""
        tracked = self.keys[fact.tracked]
        if fact.seq:
            return fact.effect != "settle" and fact.seq <= (tracked.seq or 0)
        self.keys[fact.tracked] = tracked.told(fact.effect, fact.at)
        return tracked.is_late(fact.effect, fact.at)

    def _about(self, fact: Fact) -> tuple[Incident | None, bool]:
        """The incident of a fact, and whether it is that of its cause and not of its key."""
        own = self._now(self.keys[fact.tracked].incident, fact.at)
        if not fact.opens or (own is not None and belongs(own, fact, self.rules)):
            return own, False
        for cause in fact.causes:
            led = self.keys[cause_key(cause)]
            incident = self._now(led.incident, fact.at)
            if incident is None or led.raised_at is None:
                continue
            if leads(incident, led.raised_at, fact, self.rules):
                return incident, True
        return None, False

    def _now(self, id_: str | None, at: datetime) -> Incident | None:
        """An incident as it is then if nothing happened since."""
        if id_ is None or id_ not in self.incidents:
            return None
        self._keep(*ended(self.incidents[id_], at, self.rules))
        return self.incidents[id_]

    def _handle(self, incident: Incident | None, facts: Sequence[Fact], *, joins: bool) -> None:
        first, *others = facts
        incident, entries = handle(incident, first, self.rules, others, joins=joins)
        self._keep(incident, entries)
        for fact in facts:
            tracked = self.keys[fact.tracked]
            id_ = tracked.incident if incident is None else incident.id
            seq = max(fact.seq, tracked.seq or 0) or tracked.seq
            self.keys[fact.tracked] = replace(tracked, incident=id_, seq=seq)
        if incident is None or first.effect != "raise":
            return
        for cause in (cause_key(cause) for fact in facts for cause in fact.causes):
            led = replace(self.keys[cause], incident=incident.id)
            self.keys[cause] = led.told("raise", first.at)

    def _keep(self, incident: Incident | None, entries: Sequence[Entry]) -> None:
        if incident is not None:
            self.incidents[incident.id] = incident
        self.entries += entries
