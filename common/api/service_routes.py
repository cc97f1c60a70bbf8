"""What the API says of itself: whether it can work, and its contract.

`health` also tells when budgets were last swept. Sweeps that stay away are told as stale and fail
nothing: calls and the API go on without them, only write-offs and alerts wait.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import ConfigDict

from common.api.envelopes import Single, Source, View
from common.api.openapi import openapi_document
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.budgets.sweep import SWEPT
from common.core.errors import StoreUnavailable
from common.core.ports import Document
from common.gateway.control import CONTROL

SWEEP_LATE = timedelta(minutes=5)
"""Without a sweep, of which there is one each minute."""


class HealthView(View):
    status: Literal["ok", "failed"]
    version: str
    price_book: str


class OpenApiView(View):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow", frozen=True)

    openapi: str


def service_operations(others: list[AnyOperation]) -> list[AnyOperation]:
    async def contract(call: Call[NoQuery, NoBody]) -> Answer:
        document = openapi_document([*others, *own], call.services.version)
        return Answer(OpenApiView.model_validate(document))

    own: list[AnyOperation] = [
        Operation(
            "health", "GET", "/health", "Whether state and warehouse answer; 503 if not",
            Single[HealthView], _health, NoQuery, NoBody, is_open=True,
        ),
        Operation(
            "openapi", "GET", "/openapi.json", "This contract",
            OpenApiView, contract, NoQuery, NoBody, is_open=True,
        ),
    ]  # fmt: skip
    return own


async def _health(call: Call[NoQuery, NoBody]) -> Answer:
    sources = await check_stores(call)
    failed = [source.name for source in sources if source.status == "failed"]
    view = Single[HealthView](
        as_of=call.now,
        answer=f"{' and '.join(failed)} failed." if failed else "All stores answer.",
        data=HealthView(
            status="failed" if failed else "ok",
            version=call.services.version,
            price_book=call.services.price_book.digest,
        ),
        sources=sources,
    )
    return Answer(view, status=503 if failed else None)


async def check_stores(call: Call[NoQuery, NoBody]) -> list[Source]:
    """Whether state and warehouse answer, and when budgets were last swept."""
    return [*await _state(call), await _warehouse(call)]


async def _state(call: Call[NoQuery, NoBody]) -> list[Source]:
    try:
        _, swept = await call.services.documents.get_many([CONTROL, SWEPT])
    except StoreUnavailable as error:
        return [Source(name="state", as_of=call.now, status="failed", detail=error.detail)]
    return [Source(name="state", as_of=call.now), _sweep(call, swept)]


def _sweep(call: Call[NoQuery, NoBody], swept: Document | None) -> Source:
    if swept is None:
        told = "no sweep has finished yet"
        return Source(name="budgets_sweep", as_of=call.now, status="stale", detail=told)
    finished: datetime = swept.data["finished_at"]
    is_late = call.now - finished > SWEEP_LATE
    return Source(
        name="budgets_sweep",
        as_of=finished,
        status="stale" if is_late else "ok",
        detail=f"the last sweep finished at {finished:%Y-%m-%dT%H:%M:%SZ}",
    )


async def _warehouse(call: Call[NoQuery, NoBody]) -> Source:
    try:
        await call.services.warehouse.query("SELECT 1 AS one")
    except StoreUnavailable as error:
        return Source(name="warehouse", as_of=call.now, status="failed", detail=error.detail)
    return Source(name="warehouse", as_of=call.now)
