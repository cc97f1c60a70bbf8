"""This instance's own rates of organisations, laid over the price book of each of their calls.

They are read when `gateway/control` says that they have changed, all of them at once, and once a
minute; the call that learns of a change waits for the reading, so its price is the new one. While
the store is down the last ones stay. As long as nobody has ever set one, nothing is read.

A call takes the rates that are valid when it arrives, and keeps them: it is held and settled by the
same book, whatever changes or ends meanwhile.
"""

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime

from common.core.errors import InvalidInput, StoreUnavailable
from common.core.paging import every_document
from common.core.ports import Clock, Documents, Query
from common.gateway.control import Control
from common.llm.price_book import PriceBook
from common.pricing.overrides import OVERRIDES, OVERRIDES_CHANGED, Override, laid_over

logger = logging.getLogger(__name__)

KEPT_FOR_S = 60.0
RETRY_AFTER_S = 2.0
ORGANISATIONS = 1_000
"""Whose books are kept: each has its own cards, and shares what was read of the list."""
PAGE = 500


class OverrideCopy:
    """Own rates by organisation. One per process."""

    def __init__(self, documents: Documents, clock: Clock, control: Control) -> None:
        self._documents = documents
        self._clock = clock
        self._control = control
        self._told: object = None
        self._wanted: object = None
        self._due_s = 0.0
        self._of_all: tuple[Override, ...] = ()
        self._of_org: dict[str, tuple[Override, ...]] = {}
        self._books: OrderedDict[str, tuple[str, tuple[Override, ...], PriceBook]] = OrderedDict()
        self._reading: asyncio.Task[None] | None = None

    async def book_for(self, book: PriceBook, org: str, at: datetime) -> PriceBook:
        """The book with the own rates of an organisation that are valid at this aware time."""
        told = self._control.data.get(OVERRIDES_CHANGED)
        if told is None:
            return book
        if told != self._told or self._clock.monotonic() >= self._due_s:
            await self._follow(told)
        own = (*self._of_org.get(org, ()), *self._of_all)
        return self._laid_over(book, org, own, at) if own else book

    async def _follow(self, told: object) -> None:
        """Have them read, and wait where they have changed."""
        running = self._reading is not None and not self._reading.done()
        if not running or told != self._wanted:
            self._wanted = told
            self._reading = asyncio.create_task(self._read(told))
        if told != self._told and self._reading is not None:
            await asyncio.shield(self._reading)

    def _laid_over(
        self, book: PriceBook, org: str, own: tuple[Override, ...], at: datetime
    ) -> PriceBook:
        valid = tuple(each for each in own if each.is_valid(at))
        known = self._books.get(org)
        if known is None or known[0] != book.digest or known[1] != valid:
            known = self._books[org] = (book.digest, valid, laid_over(book, valid))
            if len(self._books) > ORGANISATIONS:
                self._books.popitem(last=False)
        self._books.move_to_end(org)
        return known[2]

    async def _read(self, told: object) -> None:
        try:
            found = await self._all()
        except StoreUnavailable:
            found = None
        if told != self._wanted:
            return  # What was read may be older than what another reading found.
        if found is None:
            logger.warning("price_overrides.unread")
            self._told, self._due_s = told, self._clock.monotonic() + RETRY_AFTER_S
            return
        of_org: dict[str, tuple[Override, ...]] = {}
        for each in found:
            if each.org is not None:
                of_org[each.org] = (*of_org.get(each.org, ()), each)
        self._of_org = of_org
        self._of_all = tuple(each for each in found if each.org is None)
        self._told, self._due_s = told, self._clock.monotonic() + KEPT_FOR_S

    async def _all(self) -> list[Override]:
        found: list[Override] = []
        async for document in every_document(self._documents, Query(OVERRIDES, limit=PAGE)):
            try:
                found.append(Override.from_document(document))
            except InvalidInput as error:
                # A version of this code that knows more has written it.
                logger.error(  # noqa: TRY400 - the cause is the message
                    "price_override.unusable", extra={"cause": error.detail}
                )
        return found
