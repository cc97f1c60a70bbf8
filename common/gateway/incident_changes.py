"""What operators do to incidents, planned with its audit entry.

Entries of the timeline wait in the store for their events to be published (`publish_entries`), like
those that facts make.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from common.core.errors import AlreadyExists, NotFound
from common.core.ports import Documents, Put, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.incidents.actions import By, Done, Opening, open_incident
from common.incidents.escalation import escalated
from common.incidents.facts import Rules, brownout_key
from common.incidents.incidents import INCIDENTS, Incident, Tracked, incident_ref, key_ref
from common.incidents.timeline import Entry

Act = Callable[[Incident, By], Done]

_ID_BYTES = 8


async def get_incident(documents: Documents, id_: str) -> Incident:
    """Read one incident.

    Raises:
        NotFound: there is none.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([incident_ref(id_)])
    if document is None:
        raise _unknown(id_)
    return Incident.from_document(document)


def open_for(asked: Opening, rules: Rules) -> Plan[Incident]:
    """Plan an incident of a scope, which its brownouts join while it is not closed.

    The plan raises InvalidInput, and AlreadyExists where the scope has one that is not closed.
    """

    async def plan(read: Read, moment: Moment) -> Change[Incident]:
        key = brownout_key(asked.scope)
        [document] = await read([key_ref(key)])
        tracked = Tracked.from_document(key, document)
        if tracked.incident is not None:
            [found] = await read([incident_ref(tracked.incident)])
            if found is not None and not Incident.from_document(found).closed:
                raise AlreadyExists(
                    f"incident {tracked.incident} of {asked.scope} is not closed: note it there",
                    field="scope",
                )
        by = By(moment.actor.email, moment.now)
        opened, entry = open_incident(asked, by, rules, moment.entropy(_ID_BYTES))
        incident, more = escalated(opened, rules.escalation, moment.now)
        await read([incident_ref(incident.id)])
        known = replace(tracked, incident=incident.id)
        writes = (Put(key_ref(key), known.to_data()), *_stored(incident, [entry, *more]))
        return _change("open", None, incident, writes)

    return plan


def act_on(id_: str, name: str, act: Act) -> Plan[Incident]:
    """Plan what somebody does to an incident. `name` is that of the audit entry.

    The plan raises NotFound and whatever `act` refuses with.
    """

    async def plan(read: Read, moment: Moment) -> Change[Incident]:
        [document] = await read([incident_ref(id_)])
        if document is None:
            raise _unknown(id_)
        before = Incident.from_document(document)
        incident, entry = act(before, By(moment.actor.email, moment.now))
        return _change(name, before, incident, _stored(incident, [entry]))

    return plan


def _stored(incident: Incident, entries: Sequence[Entry]) -> tuple[Write, ...]:
    return (
        Put(incident_ref(incident.id), incident.to_data()),
        *(entry.written() for entry in entries),
    )


def _change(
    name: str, before: Incident | None, after: Incident, writes: tuple[Write, ...]
) -> Change[Incident]:
    return Change(
        result=after,
        action=f"incident.{name}",
        target=f"{INCIDENTS}/{after.id}",
        before=None if before is None else before.to_data(),
        after=after.to_data(),
        writes=writes,
    )


def _unknown(id_: str) -> NotFound:
    return NotFound(f"there is no incident {id_[:80]!r}")
