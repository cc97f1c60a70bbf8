"""The rules of organisations for which model serves a call, in this instance's memory.

An organisation's table is read at its first call, when `gateway/control` says that rules have
changed, and once a minute. While the store is down the last one stays; a call whose table was never
read goes where it was sent. As long as nobody has ever written a rule, nothing is read.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass

from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import Clock, Document, Documents, Ref
from common.gateway.control import Control
from common.routing.rules import RouteTable, read_table

logger = logging.getLogger(__name__)

ROUTES = "routes"
ROUTES_CHANGED = "routes_changed"
"""Member of `gateway/control`: when rules of any organisation last changed."""
KEPT_FOR_S = 60.0
RETRY_AFTER_S = 2.0
ORGANISATIONS = 1_000
NO_RULES = RouteTable()


def routes_ref(org: str) -> Ref:
    return Ref(ROUTES, org)


def table_of(document: Document) -> RouteTable:
    """The table that a document holds, as text: names of models are no names of fields.

    Raises:
        InvalidInput: this code cannot read it.
    """
    return read_table({"rules": json.loads(document.data["rules"])})


@dataclass(slots=True)
class _Known:
    """The table of one organisation; `told` is what the control said when it was read."""

    table: RouteTable
    told: object
    due_s: float


class RouteBook:
    """Tables by organisation. One per process."""

    def __init__(self, documents: Documents, clock: Clock, control: Control) -> None:
        self._documents = documents
        self._clock = clock
        self._control = control
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def table(self, org: str) -> RouteTable:
        """The rules of an organisation, empty where it has none."""
        told = self._control.data.get(ROUTES_CHANGED)
        if told is None:
            return NO_RULES
        known = self._known.get(org)
        if known is None or known.told != told or self._clock.monotonic() >= known.due_s:
            reading = self._reading.get(org)
            if reading is None or reading.done():
                reading = self._reading[org] = asyncio.create_task(self._read(org, told))
                reading.add_done_callback(lambda _: self._reading.pop(org, None))
            if known is None or known.told != told:
                await asyncio.shield(reading)
            known = self._known.get(org)
        return known.table if known is not None else NO_RULES

    async def _read(self, org: str, told: object) -> None:
        known = self._known.get(org)
        table = known.table if known is not None else NO_RULES
        kept_s = KEPT_FOR_S
        try:
            [document] = await self._documents.get_many([routes_ref(org)])
            table = table_of(document) if document is not None else NO_RULES
        except StoreUnavailable:
            logger.warning("routes.unread", extra={"org": org})
            kept_s = RETRY_AFTER_S
        except (InvalidInput, KeyError, TypeError, ValueError):
            # A version of this code that knows more has written it.
            logger.warning("routes.unusable", extra={"org": org})
        self._known[org] = _Known(table, told, self._clock.monotonic() + kept_s)
        self._known.move_to_end(org)
        if len(self._known) > ORGANISATIONS:
            self._known.popitem(last=False)
