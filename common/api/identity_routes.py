"""Organisations, teams, agents and projects over HTTP.

The address of what lives in an organisation is `{org}/{id}`. A change must name the version it
changes (`If-Match`); the version is a digest of the content, so it is the same wherever it is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Generic

from pydantic import Field

from common.api.cursors import PAGING, Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, View, state_source
from common.api.identity_models import (
    AgentBody,
    AgentChange,
    AgentQuery,
    AgentView,
    InOrgQuery,
    OrgBody,
    OrgChange,
    OrgQuery,
    OrgView,
    ProjectBody,
    ProjectChange,
    ProjectView,
    TeamBody,
    TeamChange,
    TeamView,
)
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
from common.api.problems import PreconditionRequired
from common.api.versions import is_named, version_of
from common.api.writes import Shown, change
from common.core.ids import SLUG
from common.core.ports import Ref
from common.gateway.identity import (
    Agent,
    M,
    Org,
    Project,
    Team,
    agent_ref,
    count_documents,
    create_member,
    get_member,
    list_members,
    org_ref,
    project_ref,
    team_ref,
    to_data,
)
from common.gateway.member_moves import replace_member


class _MemberPlace(Place):
    id: Annotated[str, Field(pattern=f"^{SLUG.pattern}(:{SLUG.pattern})?$")]


@dataclass(frozen=True, slots=True)
class _Kind(Generic[M]):
    """How one kind of member looks over HTTP."""

    member: type[M]
    path: str
    ref: Callable[[Mapping[str, str]], Ref]
    query: type[Paging]
    body: type[Asked]
    change: type[Asked]
    view: type[View]
    single: type[View]
    listing: type[View]


_ORGS = _Kind(
    Org,
    "{id}",
    lambda path: org_ref(path["id"]),
    OrgQuery,
    OrgBody,
    OrgChange,
    OrgView,
    Single[OrgView],
    Listing[OrgView, Count],
)
_TEAMS = _Kind(
    Team,
    "{org}/{id}",
    lambda path: team_ref(path["org"], path["id"]),
    InOrgQuery,
    TeamBody,
    TeamChange,
    TeamView,
    Single[TeamView],
    Listing[TeamView, Count],
)
_AGENTS = _Kind(
    Agent,
    "{org}/{id}",
    lambda path: agent_ref(path["org"], path["id"]),
    AgentQuery,
    AgentBody,
    AgentChange,
    AgentView,
    Single[AgentView],
    Listing[AgentView, Count],
)
_PROJECTS = _Kind(
    Project,
    "{org}/{id}",
    lambda path: project_ref(path["org"], path["id"]),
    InOrgQuery,
    ProjectBody,
    ProjectChange,
    ProjectView,
    Single[ProjectView],
    Listing[ProjectView, Count],
)


def identity_operations() -> list[AnyOperation]:
    return [
        *_operations(_ORGS),
        *_operations(_TEAMS),
        *_operations(_AGENTS),
        *_operations(_PROJECTS),
    ]


def _operations(kind: _Kind[M]) -> list[AnyOperation]:
    collection, name = kind.member.collection, kind.member.kind

    async def list_all(call: Call[Any, Any]) -> Answer:
        return await _list(kind, call)

    async def create(call: Call[Any, Any]) -> Answer:
        member = _member(kind, call.body, {})
        return await change(call, create_member(member), _shower(kind, call.now, "is created"))

    async def get(call: Call[Any, Any]) -> Answer:
        member = await get_member(call.services.documents, kind.member, kind.ref(call.path))
        shown = _shower(kind, call.now, "exists")(member)
        return Answer(shown.first, headers={"etag": f'"{shown.etag}"'})

    async def update(call: Call[Any, Any]) -> Answer:
        if call.if_match is None:
            raise PreconditionRequired(
                f"send If-Match with the version of the {name} that you read", field="If-Match"
            )
        member = _member(kind, call.body, call.path)
        documents = call.services.documents
        expected = replace_member(member, _matcher(call.if_match), documents)
        return await change(call, expected, _shower(kind, call.now, "is as asked"))

    one = f"/{collection}/{kind.path}"
    return [
        Operation(
            f"list_{collection}", "GET", f"/{collection}", f"List {collection}",
            kind.listing, list_all, kind.query, NoBody,
        ),
        Operation(
            f"create_{name}", "POST", f"/{collection}", f"Create a {name}",
            kind.single, create, NoQuery, kind.body, status=201,
        ),
        Operation(f"get_{name}", "GET", one, f"Read a {name}", kind.single, get, NoQuery, NoBody),
        Operation(
            f"update_{name}", "PUT", one, f"Replace a {name}",
            kind.single, update, NoQuery, kind.change,
        ),
    ]  # fmt: skip


async def _list(kind: _Kind[M], call: Call[Any, Any]) -> Answer:
    asked = call.query.model_dump(exclude_none=True)
    where = {name: value for name, value in asked.items() if name not in PAGING}
    place = read_cursor(call.given, call.query.after, _MemberPlace)
    after = None if place is None else place.id
    documents, limit = call.services.documents, call.query.limit
    read = partial(list_members, documents, kind.member, where)

    page, following = await stored_page(call.given, after, limit, read, lambda each: each.ref.id)
    count = await count_documents(documents, kind.member.collection, where)
    return Answer(
        kind.listing.model_validate(
            {
                "as_of": call.now,
                "query": asked,
                "answer": f"{count} {kind.member.kind if count == 1 else kind.member.collection}.",
                "data": [_view(kind, member) for member in page],
                "total": {"count": count},
                "next": following,
                "sources": [state_source(call.now)],
            }
        )
    )


def _member(kind: _Kind[M], body: Asked, path: Mapping[str, str]) -> M:
    values: dict[str, Any] = {**body.model_dump(), **path}
    values["name"] = values["name"] or values["id"]
    return kind.member(**values)


def _view(kind: _Kind[M], member: M) -> View:
    return kind.view.model_validate({**to_data(member), "version": version_of(to_data(member))})


def _matcher(if_match: str) -> Callable[[M], bool]:
    return lambda stored: is_named(if_match, version_of(to_data(stored)))


def _shower(kind: _Kind[M], now: datetime, verb: str) -> Callable[[M], Shown]:
    def show(member: M) -> Shown:
        view = kind.single.model_validate(
            {
                "as_of": now,
                "answer": f"{kind.member.kind.capitalize()} {member.ref.id} {verb}.",
                "data": _view(kind, member),
                "sources": [state_source(now)],
            }
        )
        return Shown(first=view, repeated=view, etag=version_of(to_data(member)))

    return show
