"""What operators do about prices, planned with its audit entry: approve what is held, and look."""

from collections.abc import Collection

from common.core.ports import Documents
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.pricing.books import (
    BOOKS,
    BookRecord,
    approve,
    name_in_force,
    put_in_force,
    read_book,
)


def approve_cards(sha: str, cards: Collection[str]) -> Plan[BookRecord]:
    """Plan to put a book in force that has the new cards of these models, as ``provider/model``.

    The plan raises NotFound, InvalidInput (it does not hold them, or is in force no more) and
    VersionConflict (another is in force). What waits to be told has to be published afterwards.
    """

    async def plan(read: Read, moment: Moment) -> Change[BookRecord]:
        record = await read_book(read, sha)
        made = approve(record, cards, moment.actor.email, moment.now)
        return Change(
            result=made,
            action="price_book.approve",
            target=f"{BOOKS}/{made.sha}",
            before={"book": record.sha, "held": len(record.held)},
            after={"book": made.sha, "held": len(made.held), "approved": sorted(set(cards))},
            writes=await put_in_force(read, made),
        )

    return plan


async def list_books(
    documents: Documents, *, newest: str | None, most: int
) -> tuple[list[BookRecord], str | None]:
    """Books from `newest` back to the first, at most so many, and the one that comes after them.

    Args:
        documents: where they are.
        newest: the digest of the first one; None for the book in force.
        most: how many.

    Raises:
        NotFound: there is no such book.
        InvalidInput: a book is damaged.
        StoreUnavailable: no answer in time.
    """
    sha = newest or await name_in_force(documents.get_many)
    found: list[BookRecord] = []
    while sha is not None and len(found) < most:
        record = await read_book(documents.get_many, sha)
        # One that came back into force has its newest place only.
        if found and record.number >= found[-1].number:
            return found, None
        found.append(record)
        sha = record.before
    return found, sha
