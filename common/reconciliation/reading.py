"""What is kept of reconciliations, read again: days by their ids, and how each provider stood."""

from collections.abc import Sequence
from datetime import date, timedelta

from common.core.errors import NotFound
from common.core.ports import Document, Documents, Query, Ref
from common.reconciliation.records import RECONCILIATIONS, SOURCES, day_ref

PAGE = 300
"""Documents that are asked for together."""
DAY = timedelta(days=1)


async def sources_of(documents: Documents) -> Sequence[Document]:
    """How each account of a provider stood when it was last asked.

    Raises:
        StoreUnavailable: no answer in time.
    """
    return await documents.query(Query(SOURCES))


async def days_of(
    documents: Documents, accounts: Sequence[tuple[str, str]], since: date, until: date
) -> Sequence[Document]:
    """What is kept of these accounts from `since` to `until`, both included, the newest first.

    Args:
        documents: where it is kept.
        accounts: provider and account.
        since: the first day.
        until: the last day.

    Raises:
        StoreUnavailable: no answer in time.
    """
    days = [until - number * DAY for number in range((until - since).days + 1)]
    refs = [day_ref(provider, account, day) for day in days for provider, account in accounts]
    found: list[Document] = []
    for start in range(0, len(refs), PAGE):
        part = await documents.get_many(refs[start : start + PAGE])
        found += [each for each in part if each is not None]
    return found


async def read_day(documents: Documents, id_: str) -> Document:
    """What is kept of one day.

    Raises:
        NotFound: nothing is.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([Ref(RECONCILIATIONS, id_)])
    if document is None:
        raise NotFound(f"there is no reconciliation {id_[:80]!r}")
    return document
