"""This instance's price book: the one in force, taken up beside the calls.

`gateway/control` names the book in force, and is read every 2 s while calls are in flight. Another
name starts one loading in the background; no call waits for it. A call keeps the book that it began
with, so it is held and settled by the same prices; those that begin after the loading have the new
one. So a book is adopted 2 s after it is published and a loading later, or with the second call of
an instance that had none. A book that is damaged, gone or of another format leaves the one before
in force, is logged once, and is asked for again with each reading.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.core.errors import InvalidInput, NotFound, StoreUnavailable
from common.core.ports import Value
from common.pricing.books import POINTER
from common.pricing.in_force import Books

if TYPE_CHECKING:
    from common.llm.price_book import PriceBook

logger = logging.getLogger(__name__)


class PriceCopy:
    """Follows the book in force. One per process."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._wanted: str | None = None
        self._missed: str | None = None
        self.book: PriceBook = books.shipped
        """Of calls that begin now."""
        self.loading: asyncio.Task[None] | None = None

    def hear(self, control: Mapping[str, Value]) -> None:
        """Take what was read of `gateway/control`."""
        named = control.get(POINTER)
        self._wanted = named if isinstance(named, str) else None
        if (self._wanted or self._books.shipped.digest) == self.book.digest:
            return
        if self.loading is None or self.loading.done():
            self.loading = asyncio.create_task(self._load(self._wanted))

    async def _load(self, sha: str | None) -> None:
        try:
            book = await self._books.load(sha)
        except StoreUnavailable as error:
            logger.warning("price_book.unread", extra={"book": sha, "cause": error.detail})
            return
        except (NotFound, InvalidInput) as error:
            if sha != self._missed:
                logger.error(  # noqa: TRY400 - the cause is the message
                    "price_book.unreadable", extra={"book": sha, "cause": error.detail}
                )
            self._missed = sha
            return
        # What was named meanwhile comes with the next reading.
        if sha == self._wanted:
            self.book = book
            logger.info("price_book.adopted", extra={"book": book.digest})
