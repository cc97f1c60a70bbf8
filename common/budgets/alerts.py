"""What budgets have to tell, kept until it is told: no event is lost between a commit and the bus.

The decision to tell something is a document, created once under the event's id in the commit that
makes it true; whoever creates it has decided for everybody. It holds the event and waits. Then it
is published, and only then marked. A process that dies in between leaves a document that still
waits, and the next sweep publishes the same event, byte for byte, again: at least once, under one
id, by which every consumer is idempotent. Marked documents stay, so that nothing is decided twice.
"""

import json
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from hashlib import sha256

from common.core.event_types import parse_event
from common.core.events import Event
from common.core.ports import Bus, Create, Document, Documents, Put, Query, Ref

logger = logging.getLogger(__name__)

ALERTS = "budget_alerts"
PAGE = 100


def alert_id(*facts: str | int) -> str:
    """The id of the one event about these facts, as 32 hex digits."""
    return sha256(json.dumps(facts).encode()).hexdigest()[:32]


def alert_ref(event_id: str) -> Ref:
    return Ref(ALERTS, event_id)


def alert(event: Event, delete_at: datetime | None) -> Create:
    """The decision to publish an event; `delete_at` is when it cannot be decided again anyway."""
    data = {"waiting": True, "event": event.payload().decode(), "delete_at": delete_at}
    return Create(alert_ref(event.id), data)


async def undecided(documents: Documents, ids: Iterable[str]) -> set[str]:
    """Those of these events that nobody has decided to publish yet.

    Raises:
        StoreUnavailable: no answer in time.
    """
    asked = list(ids)
    found = await documents.get_many([alert_ref(each) for each in asked]) if asked else []
    return {each for each, document in zip(asked, found, strict=True) if document is None}


async def publish_waiting(documents: Documents, bus: Bus) -> None:
    """Publish what waits, and mark it.

    Raises:
        StoreUnavailable: no answer in time.
        PublishFailed: an event was not accepted; it and all behind it wait on.
    """
    async for document in _waiting(documents):
        event = parse_event(json.loads(document.data["event"]))
        if event is None:  # A newer version has decided it, and will publish it.
            logger.warning("budgets.unknown_alert", extra={"event_id": document.ref.id})
            continue
        await bus.publish(event.topic, event)
        logger.info("budgets.told", extra={"event_id": event.id, "type": event.type})
        marked = {**document.data, "waiting": False}
        # Whatever comes of it: who was faster has marked it, and unmarked it is published again.
        await documents.commit([Put(document.ref, marked, document.version)])


async def _waiting(documents: Documents) -> AsyncIterator[Document]:
    after: str | None = None
    while True:
        query = Query(ALERTS, {"waiting": True}, after=after, limit=PAGE)
        page = await documents.query(query)
        for document in page:
            yield document
        if len(page) < PAGE:
            return
        after = page[-1].ref.id
