"""The book in force, for whoever prices by it or shows it."""

import asyncio
import logging

from common.core.errors import InvalidInput, NotFound
from common.core.ports import Document, Documents
from common.llm.price_book import PriceBook
from common.pricing.books import BookRecord, book_ref, name_in_force

logger = logging.getLogger(__name__)


class Books:
    """Books by their digests, the newest kept. One per process.

    `shipped` is the one that comes with the code, in force while no other is.
    """

    def __init__(self, documents: Documents, shipped: PriceBook) -> None:
        self._documents = documents
        self._shipped = shipped
        self._newest = shipped

    @property
    def shipped(self) -> PriceBook:
        return self._shipped

    async def load(self, sha: str | None) -> PriceBook:
        """A book; None for the one that comes with the code.

        Raises:
            NotFound: there is none of this digest.
            InvalidInput: it is damaged, or of a format that this code does not read.
            StoreUnavailable: no answer in time.
        """
        if sha is None or sha == self._shipped.digest:
            return self._shipped
        if sha != self._newest.digest:
            [document] = await self._documents.get_many([book_ref(sha)])
            if document is None:
                raise NotFound(f"there is no price book {sha[:80]!r}")
            # Some milliseconds, which no call should wait for.
            self._newest = await asyncio.to_thread(_read, document)
        return self._newest

    async def in_force(self) -> PriceBook:
        """The book in force now; one that cannot be read leaves the newest that could be.

        Raises:
            StoreUnavailable: no answer in time.
        """
        sha = await name_in_force(self._documents.get_many)
        try:
            return await self.load(sha)
        except (NotFound, InvalidInput) as error:
            logger.error(  # noqa: TRY400 - the cause is the message
                "price_book.unreadable", extra={"book": sha, "cause": error.detail}
            )
            return self._newest


def _read(document: Document) -> PriceBook:
    return PriceBook.load(BookRecord.from_document(document).data)
