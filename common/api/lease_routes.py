"""Leases over HTTP: what instances of the proxy hold, and what was written off of those gone."""

from typing import Annotated

from pydantic import Field

from common.api.budget_models import CorrectionBody, LeaseQuery, LeaseView
from common.api.budget_views import lease_view
from common.api.cursors import Place, first_page, read_cursor
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.writes import Shown, change
from common.budgets.accounts import Lease
from common.core.money import usd_text
from common.gateway.budget_changes import correct_lease
from common.gateway.budget_reports import list_leases


class _LeasePlace(Place):
    id: Annotated[str, Field(min_length=1, max_length=200)]


def lease_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_leases", "GET", "/leases", "List leases that are open or were written off",
            Listing[LeaseView, Count], _list, LeaseQuery, NoBody,
        ),
        Operation(
            "correct_lease", "POST", "/leases/{id}:correct",
            "Say which part of a write-off was not spent, once",
            Single[LeaseView], _correct, NoQuery, CorrectionBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[LeaseQuery, NoBody]) -> Answer:
    query = call.query
    place = read_cursor(call.given, query.after, _LeasePlace)
    leases = await list_leases(call.services.documents, query.state, query.budget)
    left = [lease for lease in leases if place is None or lease.id > place.id]
    page, following = first_page(call.given, left, query.limit, lambda each: {"id": each.id})
    count = len(leases)
    return Answer(
        Listing[LeaseView, Count](
            as_of=call.now,
            query=query.model_dump(exclude_none=True),
            answer=f"{count} {'lease' if count == 1 else 'leases'} {_STATES[query.state]}.",
            data=[lease_view(lease) for lease in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _correct(call: Call[NoQuery, CorrectionBody]) -> Answer:
    body = call.body

    def show(lease: Lease) -> Shown:
        view = Single[LeaseView](
            as_of=call.now,
            answer=f"Lease {lease.id} is corrected: of ${usd_text(lease.written_off)}"
            f" ${usd_text(body.refund_usd)} was not spent.",
            data=lease_view(lease),
            sources=[state_source(call.now)],
        )
        return Shown(first=view, repeated=view)

    return await change(call, correct_lease(call.path["id"], body.refund_usd, body.reason), show)


_STATES = {"open": "open", "written_off": "written off", "corrected": "corrected"}
