"""Price books over HTTP: which have been in force, what of each waits, and the word to take it."""

import logging
from typing import Annotated, Any

from pydantic import Field

from common.api.cursors import Place, make_cursor, read_cursor
from common.api.envelopes import Count, Listing, Single, Time, View, state_source
from common.api.operations import (
    Answer,
    AnyOperation,
    Asked,
    Call,
    NoBody,
    NoQuery,
    Operation,
    Paging,
)
from common.api.writes import Shown, change
from common.core.errors import PublishFailed, StoreUnavailable
from common.gateway.price_changes import approve_cards, list_books
from common.pricing.books import BookRecord, name_in_force, publish_waiting, read_book
from common.pricing.vetting import HeldCard

logger = logging.getLogger(__name__)

LARGEST_PAGE = 50
"""Each book is a document of a hundred kilobytes."""


class ApprovalBody(Asked):
    models: Annotated[
        list[Annotated[str, Field(min_length=3, max_length=400)]],
        Field(min_length=1, max_length=500),
    ] = Field(description="what is held and may be taken, as provider/model")


class _BookPlace(Place):
    sha: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FigureView(View):
    what: str = Field(description="a unit of the list, a limit, or a name that calls use")
    per: int | None = Field(description="dollars for so many; null: no dollars")
    when: str = Field(description="for which calls or from when; empty: for all")
    above: int = Field(description="above so many input tokens in all")
    old: str | None = Field(description="null: it was not there")
    new: str | None = Field(description="null: it is not there")


class HeldCardView(View):
    card: str = Field(description="provider/model, as `:approve` takes it; provider/*: all of it")
    reason: str = Field(description="vanished, unit, zero, price, limit or name")
    told: str
    figures: list[FigureView]


class PriceBookView(View):
    sha: str = Field(description="SHA-256 of the book; calls name it in `book`")
    number: int
    state: str = Field(description="published or superseded")
    before: str | None = Field(description="the book until then; null: the one in the code")
    made_at: Time
    made_by: str = Field(description="an operator's email, or the part of the system that did it")
    held: int = Field(description="how many cards of the list are not in it")
    sources: dict[str, Any]


class HeldBookView(PriceBookView):
    cards: list[HeldCardView] = Field(description="that are not in it, as long as it is in force")


def price_book_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_price_books", "GET", "/price-books", "List price books, newest first",
            Listing[PriceBookView, Count], _list, Paging, NoBody,
        ),
        Operation(
            "read_price_book", "GET", "/price-books/{sha}",
            "Read a price book, and what of the public list is not in it",
            Single[HeldBookView], _get, NoQuery, NoBody,
        ),
        Operation(
            "approve_prices", "POST", "/price-books/{sha}:approve",
            "Take new cards that are held: another book with them is in force",
            Single[HeldBookView], _approve, NoQuery, ApprovalBody, status=201,
        ),
    ]  # fmt: skip


async def _list(call: Call[Paging, NoBody]) -> Answer:
    documents, query = call.services.documents, call.query
    place = read_cursor(call.given, query.after, _BookPlace)
    newest = None if place is None else place.sha
    in_force = await name_in_force(documents.get_many)
    books, following = await list_books(
        documents, newest=newest, most=min(query.limit, LARGEST_PAGE)
    )
    count = 0
    if in_force is not None:
        of_all = books[0] if newest is None else await read_book(documents.get_many, in_force)
        count = of_all.number
    answer = "The book that ships with the code is in force."
    if in_force is not None:
        answer = f"Price book {in_force[:12]} is in force."
    return Answer(
        Listing[PriceBookView, Count](
            as_of=call.now,
            query=query.model_dump(exclude_none=True),
            answer=answer,
            data=[PriceBookView(**_fields(each)) for each in books],
            total=Count(count=count),
            next=None if following is None else make_cursor(call.given, {"sha": following}),
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    record = await read_book(call.services.documents.get_many, call.path["sha"])
    return Answer(_single(call, record))


async def _approve(call: Call[NoQuery, ApprovalBody]) -> Answer:
    def show(made: BookRecord) -> Shown:
        shown = _single(call, made)
        return Shown(shown, shown)

    answer = await change(call, approve_cards(call.path["sha"], call.body.models), show)
    try:
        await publish_waiting(call.services.documents, call.services.bus)
    except (StoreUnavailable, PublishFailed) as error:
        # It waits in the store, and the next refresh publishes it.
        logger.warning("price_book.untold", extra={"cause": error.detail})
    return answer


def _single(call: Call[Any, Any], record: BookRecord) -> Single[HeldBookView]:
    count = len(record.held)
    return Single[HeldBookView](
        as_of=call.now,
        answer=f"{count} {'card is' if count == 1 else 'cards are'} held."
        if record.state == "published"
        else "This book is in force no more.",
        data=HeldBookView(**_fields(record), cards=[_card(each) for each in record.held]),
        sources=[state_source(call.now)],
    )


def _fields(record: BookRecord) -> dict[str, Any]:
    return {
        "sha": record.sha,
        "number": record.number,
        "state": record.state,
        "before": record.before,
        "made_at": record.made_at,
        "made_by": record.made_by,
        "held": len(record.held),
        "sources": dict(record.sources),
    }


def _card(card: HeldCard) -> HeldCardView:
    return HeldCardView(
        card=f"{card.provider}/{card.model}",
        reason=card.reason,
        told=card.told,
        figures=[FigureView(**each._asdict()) for each in card.figures],
    )
