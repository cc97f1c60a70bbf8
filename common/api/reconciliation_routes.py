"""Reconciliations over HTTP: what providers billed beside what our events say, day by day."""

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from common.api.cursors import Place, first_page, read_cursor
from common.api.envelopes import Listing, Single, state_source
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.reconciliation_models import (
    BillSourceView,
    ReconciliationQuery,
    ReconciliationTotal,
    ReconciliationView,
    WholeReconciliationView,
    day_view,
    source_view,
    whole_view,
)
from common.core.errors import InvalidInput
from common.reconciliation.reading import days_of, read_day, sources_of

USUAL_DAYS = 30
MOST_DAYS = 366


class _DayPlace(Place):
    day: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    id: Annotated[str, Field(min_length=1, max_length=300)]


def reconciliation_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_reconciliations", "GET", "/reconciliations",
            "List days of providers' bills held against our events, newest first",
            Listing[ReconciliationView, ReconciliationTotal], _list, ReconciliationQuery, NoBody,
        ),
        Operation(
            "get_reconciliation", "GET", "/reconciliations/{id}",
            "Read a day of a provider's bill, with its models",
            Single[WholeReconciliationView], _get, NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[ReconciliationQuery, NoBody]) -> Answer:
    query, documents = call.query, call.services.documents
    place = read_cursor(call.given, query.after, _DayPlace)
    since, until = _days(query, call.now.date())
    sources = [source_view(each) for each in await sources_of(documents)]
    accounts = [
        (each.provider, each.account)
        for each in sources
        if query.provider in (None, each.provider) and query.account in (None, each.account)
    ]
    kept = [day_view(each) for each in await days_of(documents, accounts, since, until)]
    chosen = [each for each in kept if query.standing in (None, each.standing)]
    chosen.sort(key=_order)
    behind = None if place is None else (-date.fromisoformat(place.day).toordinal(), place.id)
    left = [each for each in chosen if behind is None or _order(each) > behind]
    page, following = first_page(call.given, left, query.limit, _place_of)
    drifts = sum(1 for each in chosen if each.drifts)
    return Answer(
        Listing[ReconciliationView, ReconciliationTotal](
            as_of=call.now,
            query=query.model_dump(mode="json", exclude_none=True)
            | {"since": since.isoformat(), "until": until.isoformat()},
            answer=_told(len(chosen), drifts, sources),
            data=page,
            total=ReconciliationTotal(count=len(chosen), drifts=drifts, sources=sources),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    view = whole_view(await read_day(call.services.documents, call.path["id"]))
    causes = ", ".join(each.cause for each in view.drifts)
    said = f"drift ({causes})" if causes else view.standing.replace("_", " ")
    return Answer(
        Single[WholeReconciliationView](
            as_of=call.now,
            answer=f"{view.provider} ({view.account}) on {view.day}: {said}.",
            data=view,
            sources=[state_source(call.now)],
        )
    )


def _days(query: ReconciliationQuery, today: date) -> tuple[date, date]:
    """The first and the last day that are asked for."""
    until = query.until or today
    if query.since is None:
        return date.fromordinal(max(1, until.toordinal() - USUAL_DAYS)), until
    if not timedelta() <= until - query.since < timedelta(days=MOST_DAYS):
        raise InvalidInput(f"since is before until, and within {MOST_DAYS} days", field="since")
    return query.since, until


def _told(count: int, drifts: int, sources: list[BillSourceView]) -> str:
    days = f"{count} {'day' if count == 1 else 'days'}, {drifts} with a drift."
    unheard = [
        f" {each.provider} ({each.account}) is {each.standing}: {each.cause}."
        for each in sources
        if each.standing != "answers"
    ]
    return days + "".join(unheard)


def _place_of(view: ReconciliationView) -> dict[str, str | int]:
    return {"day": view.day.isoformat(), "id": view.id}


def _order(view: ReconciliationView) -> tuple[int, str]:
    return -view.day.toordinal(), view.id
