"""The price book in force over HTTP: searchable, with exact rates as the list states them."""

from typing import Annotated, Any

from pydantic import Field

from common.api.cursors import Place, make_cursor, read_cursor
from common.api.envelopes import Count, Listing, Single, Source, Time, View
from common.api.instants import Instant
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation, Paging
from common.core.errors import InvalidInput


class PriceQuery(Paging):
    q: str | None = Field(
        None, max_length=256, description="part of a model's id or name, in any case"
    )
    provider: str | None = Field(None, description="whose list, by its id in the book")
    at: Instant | None = Field(None, description="prices in force then; now if not given")


class _PricePlace(Place):
    row: Annotated[int, Field(ge=0)]


class TierView(View):
    above: int = Field(description="above so many input tokens in all, every unit costs this")
    usd: str


class RateView(View):
    unit: str
    per: int
    usd: str = Field(description="exact dollars for `per` units")
    tiers: list[TierView]


class PriceView(View):
    provider: str
    model: str
    name: str | None
    context_window: int | None
    rates: list[RateView]


class BookView(View):
    digest: str = Field(description="SHA-256 of the book; events name it in `book`")
    sources: dict[str, Any]
    providers: list[str]
    at: Time


def price_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_prices", "GET", "/prices", "Prices of the book in force",
            Listing[PriceView, Count], _list, PriceQuery, NoBody,
        ),
        Operation(
            "get_price_book", "GET", "/prices/book", "Which book is in force, and what it is from",
            Single[BookView], _book, NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[PriceQuery, NoBody]) -> Answer:
    query, book = call.query, await call.services.books.in_force()
    if query.provider is not None and query.provider not in book.providers:
        known = ", ".join(sorted(book.providers))
        raise InvalidInput(
            f"the book has no provider {query.provider!r}: {known}", field="provider"
        )
    at = query.at or call.now
    wanted = (query.q or "").lower()
    cards = [
        card
        for card in book.iter_cards(query.provider)
        if wanted in card.key.lower() or wanted in (card.name or "").lower()
    ]
    place = read_cursor(call.given, query.after, _PricePlace)
    start = 0 if place is None else place.row
    page = cards[start : start + query.limit]
    end = start + len(page)
    return Answer(
        Listing[PriceView, Count](
            as_of=call.now,
            query=query.model_dump(mode="json", exclude_none=True),
            answer=f"{len(cards)} {'price' if len(cards) == 1 else 'prices'}.",
            data=[
                PriceView(
                    provider=card.provider,
                    model=card.model,
                    name=card.name,
                    context_window=card.context_window,
                    rates=[
                        RateView(
                            unit=rate.unit,
                            per=rate.per,
                            usd=rate.usd,
                            tiers=[TierView(above=tier.above, usd=tier.usd) for tier in rate.tiers],
                        )
                        for rate in card.rates(at, {})
                    ],
                )
                for card in page
            ],
            total=Count(count=len(cards)),
            next=make_cursor(call.given, {"row": end}) if end < len(cards) else None,
            sources=[Source(name="price_book", as_of=call.now, detail=book.digest)],
        )
    )


async def _book(call: Call[NoQuery, NoBody]) -> Answer:
    book = await call.services.books.in_force()
    return Answer(
        Single[BookView](
            as_of=call.now,
            answer=f"Price book {book.digest[:12]} is in force.",
            data=BookView(
                digest=book.digest,
                sources=dict(book.sources),
                providers=sorted(book.providers),
                at=call.now,
            ),
            sources=[Source(name="price_book", as_of=call.now, detail=book.digest)],
        )
    )
