"""The upstreams this instance knows, in memory.

The three vendors are always there. Configured ones are read from `upstreams` when they are first
needed, when `gateway/control` says that they have changed, and once a minute. While the store is
down the last ones stay.
"""

import asyncio
import logging

from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import Clock, Documents, Query
from common.gateway.control import UPSTREAMS_CHANGED, Control
from common.gateway.destinations import VENDORS, Destination, Destinations
from common.gateway.upstream_records import UPSTREAMS, EnvironmentSecret, UpstreamRecord

logger = logging.getLogger(__name__)

KEPT_FOR_S = 60.0
RETRY_AFTER_S = 2.0


class Directory:
    """Destinations by name. One per process."""

    def __init__(
        self, documents: Documents, clock: Clock, control: Control, secret: EnvironmentSecret
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._control = control
        self._secret = secret
        self._vendors = {name: UpstreamRecord(name).destination(secret) for name in VENDORS}
        self._known: Destinations = self._vendors
        self._changed: object = None
        self._due_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def current(self) -> Destinations:
        """All upstreams. Waits only for the first reading and after a change."""
        changed = self._control.data.get(UPSTREAMS_CHANGED)
        first = self._due_at is None
        if first or changed != self._changed or self._clock.monotonic() >= (self._due_at or 0):
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(changed))
            if first or changed != self._changed:
                await asyncio.shield(self._reading)
        return self._known

    async def _read(self, changed: object) -> None:
        try:
            documents = await self._documents.query(Query(UPSTREAMS))
        except StoreUnavailable:
            logger.warning("upstreams.unread")
            self._due_at = self._clock.monotonic() + RETRY_AFTER_S
            return
        configured: dict[str, Destination] = {}
        for document in documents:
            try:
                record = UpstreamRecord.from_document(document)
                configured[record.name] = record.destination(self._secret)
            except (InvalidInput, KeyError, TypeError):
                logger.warning("upstream.unusable", extra={"upstream": document.ref.id})
        self._known = {**self._vendors, **configured}
        self._changed = changed
        self._due_at = self._clock.monotonic() + KEPT_FOR_S
