"""Price books as they are kept: each under the digest of its bytes, one of them in force.

The book in force is named by the field `book` of `gateway/control`, the small document that every
proxy reads all the time. It moves in the same commit that stores the book, so that what it names is
there. No name: the book that ships with the code is in force. Books are never removed, because the
events of calls name the one that they were priced by.

What a book keeps of an older one waits for an approval: the book's document has the one that was
compiled, `candidate`, and approving a card takes it from there. What is to be told waits in the
document too, and is published from it until it is marked.
"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from common.core.errors import InvalidInput, NotFound, VersionConflict
from common.core.event_types import parse_event
from common.core.events import Event
from common.core.ports import Bus, Document, Documents, Put, Ref, Value, Write
from common.core.price_events import CardHeld, PriceBookHeld, PriceBookPublished
from common.core.transactions import Read
from common.llm.price_book import PriceBook
from common.pricing.book_lines import BookLines, assemble
from common.pricing.vetting import Figure, HeldCard

BOOKS = "price_books"
CONTROL = Ref("gateway", "control")
"""Of the proxies, who say what else is in it."""
POINTER = "book"
MAX_DOCUMENT_BYTES = 900_000
"""A document of the store has at most 1 MiB."""
MOST_TOLD = 20
"""Cards that one event names."""

BookState: TypeAlias = Literal["published", "superseded"]


@dataclass(frozen=True, slots=True)
class BookRecord:
    """One book. `number` counts them, `before` is the one that was in force until then.

    `candidate` is what it would be without what is held, None if nothing is. `waiting` holds events
    that are not published yet.
    """

    sha: str
    number: int
    before: str | None
    made_at: datetime
    made_by: str
    sources: Mapping[str, Value]
    data: bytes
    held: tuple[HeldCard, ...] = ()
    candidate: bytes | None = None
    state: BookState = "published"
    waiting: tuple[str, ...] = ()

    @property
    def ref(self) -> Ref:
        return book_ref(self.sha)

    @property
    def place(self) -> "Place":
        """What the next book follows."""
        return Place(self.sha, self.number, self.waiting)

    def telling(self, event: Event, *before: str) -> "BookRecord":
        """The same with an event that waits to be published, and others that waited before."""
        return replace(self, waiting=(*self.waiting, *before, event.payload().decode()))

    def to_data(self) -> dict[str, Value]:
        """The document.

        Raises:
            InvalidInput: it is too large for the store.
        """
        held = [_held_data(each) for each in self.held]
        data = {
            "number": self.number,
            "before": self.before,
            "made_at": self.made_at,
            "made_by": self.made_by,
            "sources": dict(self.sources),
            "book": _text(self.data),
            # One text: a list that is wrong as a whole has more figures than a document has room.
            "held": json.dumps(held, separators=(",", ":")),
            "candidate": None if self.candidate is None else _text(self.candidate),
            "state": self.state,
            "waiting": list(self.waiting),
        }
        size = len(json.dumps(data, default=str))
        if size > MAX_DOCUMENT_BYTES:
            raise InvalidInput(
                f"the price book takes {size:,} bytes with what is held of it; a document has room "
                f"for {MAX_DOCUMENT_BYTES:,}",
                field="price_book",
            )
        return data

    @classmethod
    def from_document(cls, document: Document) -> "BookRecord":
        """A stored book.

        Raises:
            InvalidInput: it is damaged: not what its name says.
        """
        data: Mapping[str, Any] = document.data
        try:
            candidate = data["candidate"]
            record = cls(
                sha=document.ref.id,
                number=data["number"],
                before=data["before"],
                made_at=data["made_at"],
                made_by=data["made_by"],
                sources=data["sources"],
                data=base64.b64decode(data["book"], validate=True),
                held=tuple(_held_card(each) for each in json.loads(data["held"])),
                candidate=None if candidate is None else base64.b64decode(candidate, validate=True),
                state=data["state"],
                waiting=tuple(data["waiting"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"price book {document.ref.id[:12]} is damaged", field="price_book"
            ) from error
        if sha256(record.data).hexdigest() != record.sha:
            raise InvalidInput(f"price book {record.sha[:12]} is damaged", field="price_book")
        return record


def book_ref(sha: str) -> Ref:
    return Ref(BOOKS, sha)


async def name_in_force(read: Read) -> str | None:
    """The digest of the book in force, None for the one that ships with the code.

    Raises:
        StoreUnavailable: no answer in time.
    """
    [control] = await read([CONTROL])
    named = None if control is None else control.data.get(POINTER)
    return named if isinstance(named, str) else None


async def read_book(read: Read, sha: str) -> BookRecord:
    """A stored book.

    Raises:
        NotFound: there is none of this digest.
        InvalidInput: it is damaged.
        StoreUnavailable: no answer in time.
    """
    [document] = await read([book_ref(sha)])
    if document is None:
        raise NotFound(f"there is no price book {sha[:80]!r}")
    return BookRecord.from_document(document)


async def put_in_force(read: Read, record: BookRecord) -> tuple[Write, ...]:
    """What to write so that a book is in force instead of the one before it.

    Raises:
        VersionConflict: another one is in force by now than the one it follows.
        InvalidInput: it is too large for the store.
        StoreUnavailable: no answer in time.
    """
    [control] = await read([CONTROL])
    members = {} if control is None else dict(control.data)
    if members.get(POINTER) != record.before:
        raise VersionConflict("another price book is in force by now: look again")
    before = () if record.before is None else await read([book_ref(record.before)])
    await read([record.ref])
    return (
        Put(CONTROL, {**members, POINTER: record.sha}),
        Put(record.ref, record.to_data()),
        *(_superseded(each) for each in before if each is not None),
    )


def _superseded(document: Document) -> Write:
    """A book that others follow: what it compiled is of no use any more."""
    return Put(
        document.ref, {**document.data, "state": "superseded", "candidate": None, "waiting": []}
    )


def approve(record: BookRecord, cards: Collection[str], actor: str, now: datetime) -> BookRecord:
    """The book with the new cards of these models, as ``provider/model``.

    Raises:
        InvalidInput: nothing of this name is held, no name is given, or the book is in force no
            more.
    """
    if record.state != "published":
        raise InvalidInput(
            f"price book {record.sha[:12]} is in force no more: approve what the newest one holds",
            field="sha",
        )
    if record.candidate is None:
        raise InvalidInput("nothing of this price book is held", field="models")
    names = {f"{each.provider}/{each.model}": each for each in record.held}
    unknown = sorted(set(cards) - set(names))
    if unknown or not cards:
        known = ", ".join(sorted(names)[:MOST_TOLD])
        which = f"{unknown[0][:200]!r} is not held" if unknown else "name what is approved"
        raise InvalidInput(f"{which}: {known}", field="models")
    held = tuple(each for name, each in names.items() if name not in cards)
    old, new = BookLines.read(record.data), BookLines.read(record.candidate)
    data = assemble(old, new, [each.key for each in held])
    return follow(record.place, data, held, record.candidate, actor=actor, now=now)


@dataclass(frozen=True, slots=True)
class Place:
    """Which book another one follows; without a digest the one in the code."""

    sha: str | None = None
    number: int = 0
    waiting: tuple[str, ...] = ()


def follow(
    place: Place,
    data: bytes,
    held: Sequence[HeldCard],
    candidate: bytes,
    *,
    actor: str,
    now: datetime,
) -> BookRecord:
    """The book that comes next, and that it is published, which waits to be told.

    Raises:
        InvalidInput: it is damaged.
    """
    book = PriceBook.load(data)
    record = BookRecord(
        sha=book.digest,
        number=place.number + 1,
        before=place.sha,
        made_at=now,
        made_by=actor,
        sources=book.sources,
        data=data,
        held=tuple(held),
        candidate=candidate if held else None,
    )
    published = PriceBookPublished(
        id=event_id("price_book.published", record.sha, record.number),
        event_time=now,
        book=record.sha,
        before=record.before,
        held=len(record.held),
        actor=actor,
    )
    return record.telling(published, *place.waiting)


def holding(record: BookRecord, now: datetime) -> PriceBookHeld:
    """What is to be told of the cards that a book holds: one event for one set of them."""
    return PriceBookHeld(
        id=event_id("price_book.held", *(_held_data(each) for each in record.held)),
        event_time=now,
        book=record.sha,
        refused=None,
        count=len(record.held),
        cards=tuple(
            CardHeld(provider=each.provider, model=each.model, reason=each.reason, told=each.told)
            for each in record.held[:MOST_TOLD]
        ),
    )


async def publish_waiting(documents: Documents, bus: Bus) -> None:
    """Publish what the book in force has to tell, and mark it.

    Raises:
        InvalidInput: the book is damaged.
        StoreUnavailable: no answer in time.
        PublishFailed: an event was not accepted; it waits on.
    """
    sha = await name_in_force(documents.get_many)
    [document] = await documents.get_many([book_ref(sha)]) if sha is not None else [None]
    if document is None or not document.data["waiting"]:
        return
    for text in document.data["waiting"]:
        event = parse_event(json.loads(text))
        if event is not None:  # Else a newer version has decided it, and will publish it.
            await bus.publish(event.topic, event)
    # Whatever comes of it: unmarked it is published again, under the same ids.
    await documents.commit([Put(document.ref, {**document.data, "waiting": []}, document.version)])


def event_id(*facts: Value) -> str:
    """The id of the one event about these facts, as 32 hex digits."""
    return sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _held_data(card: HeldCard) -> dict[str, Value]:
    return {
        "provider": card.provider,
        "model": card.model,
        "reason": card.reason,
        "figures": [list(each) for each in card.figures],
    }


def _held_card(data: Mapping[str, Any]) -> HeldCard:
    figures = tuple(Figure(*each) for each in data["figures"])
    return HeldCard(data["provider"], data["model"], data["reason"], figures)
