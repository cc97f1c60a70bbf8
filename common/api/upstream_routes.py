"""Configured upstreams over HTTP.

What is asked and answered names the variables that hold keys, never a key. `PUT` replaces the whole
upstream: what the body leaves out is not kept.
"""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated

from pydantic import Field

from common.api.conditions import condition_of
from common.api.cursors import Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, View, state_source
from common.api.identity_models import Version
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
from common.gateway.upstream_changes import (
    get_upstream,
    list_upstreams,
    put_upstream,
    remove_upstream,
)
from common.gateway.upstream_records import UPSTREAMS, CredentialRecord, UpstreamRecord


class CredentialBody(Asked):
    name: str = Field(description="how reports and events call the key", examples=["main"])
    env: str = Field(
        description="variable of the proxy that holds the key; its name ends in _API_KEY",
        examples=["GROQ_API_KEY"],
    )
    weight: int = Field(1, description="heavier keys get more of the calls; 1 to 1000")


class UpstreamBody(Asked):
    base_url: str | None = Field(
        None,
        description="what stands before /chat/completions",
        examples=["https://api.groq.com/openai/v1"],
    )
    provider: str | None = Field(
        None, description="whose prices apply, by its id in the price book; null: no prices"
    )
    allow_private: bool = Field(
        default=False, description="the address is inside the own network, http is allowed"
    )
    models: list[str] = Field([], description="models to list beside those of the price book")
    credentials: list[CredentialBody] = Field(
        [], description="keys for calls that bring none of their own"
    )
    identity: str | None = Field(
        None, description="google: Vertex AI, paid by the proxy's own identity; no base_url"
    )
    project: str | None = Field(None, description="the project of Vertex AI")
    location: str | None = Field(None, description="the location of Vertex AI, or global")


class CredentialView(View):
    name: str
    env: str
    weight: int


class UpstreamView(View):
    name: str
    base_url: str | None
    provider: str | None
    allow_private: bool
    models: list[str]
    credentials: list[CredentialView]
    identity: str | None
    project: str | None
    location: str | None
    version: Version


class _UpstreamPlace(Place):
    name: Annotated[str, Field(pattern=f"^{SLUG.pattern}$")]


def upstream_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_upstreams", "GET", "/upstreams", "List configured upstreams",
            Listing[UpstreamView, Count], _list, Paging, NoBody,
        ),
        Operation(
            "get_upstream", "GET", "/upstreams/{name}", "Read a configured upstream",
            Single[UpstreamView], _get, NoQuery, NoBody,
        ),
        Operation(
            "put_upstream", "PUT", "/upstreams/{name}", "Make an upstream, or replace it whole",
            Single[UpstreamView], _put, NoQuery, UpstreamBody, makes=True,
        ),
        Operation(
            "remove_upstream", "DELETE", "/upstreams/{name}", "Remove an upstream",
            Single[UpstreamView], _remove, NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[Paging, NoBody]) -> Answer:
    documents, limit = call.services.documents, call.query.limit
    place = read_cursor(call.given, call.query.after, _UpstreamPlace)
    after = None if place is None else place.name
    read = partial(list_upstreams, documents)

    page, following = await stored_page(
        call.given, after, limit, read, lambda each: each.name, name="name"
    )
    count = await count_documents(documents, UPSTREAMS, {})
    return Answer(
        Listing[UpstreamView, Count](
            as_of=call.now,
            query=call.query.model_dump(exclude_none=True),
            answer=f"{count} {'upstream' if count == 1 else 'upstreams'} configured.",
            data=[_view(record) for record in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    record = await get_upstream(call.services.documents, call.path["name"])
    return Answer(
        _single(call.now, record, "is configured"), headers={"etag": f'"{_version(record)}"'}
    )


async def _put(call: Call[NoQuery, UpstreamBody]) -> Answer:
    record = record_of(call.path["name"], call.body)
    plan = put_upstream(
        record, call.services.price_book.providers, condition_of(call, "an upstream", _version)
    )

    def show(stored: UpstreamRecord) -> Shown:
        view = _single(call.now, stored, "is as asked")
        return Shown(first=view, repeated=view, etag=_version(stored))

    answer = await change(call, plan, show)
    return answer if call.if_none_match is None else replace(answer, status=201)


async def _remove(call: Call[NoQuery, NoBody]) -> Answer:
    def show(was: UpstreamRecord) -> Shown:
        view = _single(call.now, was, "is removed")
        return Shown(first=view, repeated=view)

    return await change(
        call, remove_upstream(call.path["name"], condition_of(call, "an upstream", _version)), show
    )


def record_of(name: str, body: UpstreamBody) -> UpstreamRecord:
    """The upstream that a body asks for."""
    return UpstreamRecord(
        name=name,
        base_url=body.base_url,
        provider=body.provider,
        allow_private=body.allow_private,
        models=tuple(body.models),
        credentials=tuple(
            CredentialRecord(each.name, each.env, each.weight) for each in body.credentials
        ),
        identity=body.identity,
        project=body.project,
        location=body.location,
    )


def _single(now: datetime, record: UpstreamRecord, verb: str) -> Single[UpstreamView]:
    return Single[UpstreamView](
        as_of=now,
        answer=f"Upstream {record.name} {verb}.",
        data=_view(record),
        sources=[state_source(now)],
    )


def _view(record: UpstreamRecord) -> UpstreamView:
    return UpstreamView.model_validate(
        {"name": record.name, **record.to_data(), "version": _version(record)}
    )


def _version(record: UpstreamRecord) -> str:
    return version_of(record.to_data())
