"""What organisations pay instead of the list's price, over HTTP.

Rates are exact dollars as text, for as many of a unit as the list states them: a million tokens, a
thousand searches. `PUT` replaces the whole override: what the body leaves out is not kept. What
was booked is not changed by any of this, but `scripts/reprice` restates it by the overrides that
are there, so an override that was in use ends by `valid_until`; removed, it never was.
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial, reduce
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from common.api.conditions import condition_of
from common.api.cursors import Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, Time, View, state_source
from common.api.identity_models import Version
from common.api.instants import Instant
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
from common.api.versions import version_of
from common.api.writes import Shown, change
from common.core.ids import SLUG
from common.gateway.identity import count_documents
from common.gateway.override_changes import (
    get_override,
    list_overrides,
    overlapping,
    put_override,
    remove_override,
)
from common.llm.price_book import PriceBook
from common.llm.price_tariffs import exact_usd
from common.pricing.overrides import OVERRIDES, Override, OverrideKind, read_rates, winner

_REMOVED = (
    "is removed: calls pay what else holds, or the list's price, and scripts/reprice restates to"
    " that what it priced"
)


def _as_text(sent: Any) -> Any:
    """A number as the text that it was sent as; anything else as it is."""
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        return format(Decimal(repr(sent)), "f")
    return sent


_MOST_NAMED = 5
"""Overrides that an answer names."""


class OverrideBody(Asked):
    org: str | None = Field(description="whose calls; null: of every organisation")
    provider: str = Field(
        max_length=100,
        description="by its id in the price book; u/NAME for an upstream without a list",
        examples=["openai"],
    )
    model: str = Field(
        max_length=300,
        description="as calls name it, as the list does, or a pattern with *; an exact name counts "
        "before a pattern, of equals an organisation's own, then the one that begins last",
        examples=["gpt-4o", "llama-*"],
    )
    kind: OverrideKind = Field(
        description="negotiated: the list's price counts for what the rates do not cover; "
        "self_hosted: there are no other rates; prepaid: nothing is charged"
    )
    rates: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(
        {},
        description="exact dollars by unit, for as many as the list states it: a million tokens",
        examples=[{"input_tokens": "2", "output_tokens": "8"}],
    )
    valid_from: Instant | None = Field(None, description="by a call's arrival; now if not given")
    valid_until: Instant | None = Field(None, description="calls from then on; null: for good")
    note: str = Field("", max_length=1000, description="why; needed where it is prepaid")


class OwnRateView(View):
    unit: str
    per: int
    usd: str = Field(description="exact dollars for `per` units")


class OverrideView(View):
    id: str
    org: str | None
    provider: str
    model: str
    kind: str
    rates: list[OwnRateView]
    valid_from: Time
    valid_until: Time | None
    note: str
    tag: str = Field(description="behind the plus in `card` of the calls that it priced")
    version: Version


class _OverridePlace(Place):
    id: Annotated[str, Field(pattern=f"^{SLUG.pattern}$")]


def override_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_price_overrides", "GET", "/price-overrides", "List price overrides",
            Listing[OverrideView, Count], _list, Paging, NoBody,
        ),
        Operation(
            "get_price_override", "GET", "/price-overrides/{id}", "Read a price override",
            Single[OverrideView], _get, NoQuery, NoBody,
        ),
        Operation(
            "put_price_override", "PUT", "/price-overrides/{id}",
            "Make a price override, or replace it whole",
            Single[OverrideView], _put, NoQuery, OverrideBody, makes=True,
        ),
        Operation(
            "remove_price_override", "DELETE", "/price-overrides/{id}", "Remove a price override",
            Single[OverrideView], _remove, NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[Paging, NoBody]) -> Answer:
    documents, limit = call.services.documents, call.query.limit
    place = read_cursor(call.given, call.query.after, _OverridePlace)
    after = None if place is None else place.id
    read = partial(list_overrides, documents)

    page, following = await stored_page(call.given, after, limit, read, lambda each: each.id)
    count = await count_documents(documents, OVERRIDES, {})
    book = await call.services.books.in_force()
    return Answer(
        Listing[OverrideView, Count](
            as_of=call.now,
            query=call.query.model_dump(exclude_none=True),
            answer=f"{count} price {'override' if count == 1 else 'overrides'}.",
            data=[_view(each, book) for each in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    override = await get_override(call.services.documents, call.path["id"])
    book = await call.services.books.in_force()
    text = "counts now" if override.is_valid(call.now) else "does not count now"
    return Answer(
        _single(call.now, override, book, text), headers={"etag": f'"{_version(override)}"'}
    )


async def _put(call: Call[NoQuery, OverrideBody]) -> Answer:
    book = await call.services.books.in_force()
    override = _override_of(call, book)
    plan = put_override(override, book.providers, condition_of(call, "an override", _version))
    others = await overlapping(call.services.documents, override)

    def show(stored: Override) -> Shown:
        view = _single(call.now, stored, book, _told(stored, others, call.now))
        return Shown(first=view, repeated=view, etag=_version(stored))

    answer = await change(call, plan, show)
    return answer if call.if_none_match is None else replace(answer, status=201)


async def _remove(call: Call[NoQuery, NoBody]) -> Answer:
    book = await call.services.books.in_force()

    def show(was: Override) -> Shown:
        view = _single(call.now, was, book, _REMOVED)
        return Shown(first=view, repeated=view)

    return await change(
        call, remove_override(call.path["id"], condition_of(call, "an override", _version)), show
    )


def _told(override: Override, others: list[Override], now: datetime) -> str:
    """When it counts, and what else is for the same calls."""
    if override.valid_until is not None and override.valid_until <= now:
        when = "is over: it counts for no call to come, and for past ones where they are repriced"
    elif override.valid_from > now:
        when = f"counts for calls from {_instant(override.valid_from)} on"
    else:
        when = "counts from the next call on"
    if override.valid_until is not None and override.valid_until > now:
        when += f", until {_instant(override.valid_until)}"
    if not others:
        return when
    named = ", ".join(each.id for each in others[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    first = reduce(winner, others, override)
    return f"{when}. It overlaps with {named}{more}: where all of them hold, {first.id} counts"


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _override_of(call: Call[NoQuery, OverrideBody], book: PriceBook) -> Override:
    body = call.body
    return Override(
        id=call.path["id"],
        org=body.org,
        provider=body.provider,
        model=body.model,
        kind=body.kind,
        rates=read_rates(body.rates, book.units),
        valid_from=body.valid_from or call.now,
        valid_until=body.valid_until,
        note=body.note,
    )


def _single(now: datetime, override: Override, book: PriceBook, verb: str) -> Single[OverrideView]:
    return Single[OverrideView](
        as_of=now,
        answer=f"Price override {override.id} {verb}.",
        data=_view(override, book),
        sources=[state_source(now)],
    )


def _view(override: Override, book: PriceBook) -> OverrideView:
    rates = [
        # A unit that the list has no more is sold by one.
        OwnRateView(unit=unit, per=_per(book, unit), usd=exact_usd(attos))
        for unit, attos in override.rates.items()
    ]
    return OverrideView(
        id=override.id,
        org=override.org,
        provider=override.provider,
        model=override.model,
        kind=override.kind,
        rates=rates,
        valid_from=override.valid_from,
        valid_until=override.valid_until,
        note=override.note,
        tag=override.tag,
        version=_version(override),
    )


def _per(book: PriceBook, unit: str) -> int:
    known = book.units.get(unit)
    return known.per if known is not None else 1


def _version(override: Override) -> str:
    return version_of(override.to_data())
