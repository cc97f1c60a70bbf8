"""What operators do about prices, planned with its audit entry: approve what is held, ask anew."""

from collections.abc import Collection

from common.core.ids import time_ordered_id
from common.core.ports import Documents, Put, Ref
from common.core.price_events import RefreshPrices
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

ASKED = Ref("price_sources", "asked")
"""Who asked last for the newest prices."""
_ID_BYTES = 10


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


def ask_for_prices() -> Plan[RefreshPrices]:
    """Plan to note who asks for the newest prices; the result is the command to publish."""

    async def plan(read: Read, moment: Moment) -> Change[RefreshPrices]:
        await read([ASKED])
        command = RefreshPrices(
            id=time_ordered_id(moment.now, moment.entropy(_ID_BYTES)), event_time=moment.now
        )
        data = {"asked_at": moment.now, "actor": moment.actor.email, "command": command.id}
        return Change(
            result=command,
            action="price_book.refresh",
            target=f"{ASKED.collection}/{ASKED.id}",
            before=None,
            after=data,
            writes=(Put(ASKED, data),),
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
