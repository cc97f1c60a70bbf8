"""All documents of a query, however many pages of the store they fill."""

from collections.abc import AsyncIterator
from dataclasses import replace

from common.core.ports import Document, Documents, Query


async def every_document(documents: Documents, asked: Query) -> AsyncIterator[Document]:
    """Documents in the query's order, from behind its `after` on; `limit` is the length of a page.

    Raises:
        StoreUnavailable: no answer in time; what came before was given.
    """
    while True:
        page = await documents.query(asked)
        for document in page:
            yield document
        if len(page) < asked.limit:
            return
        asked = replace(asked, after=page[-1].ref.id)
