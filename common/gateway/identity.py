"""Organisations, teams, agents and projects: who a call may be attributed to.

Ids are slugs and are never reused for something else, because nothing here is deleted: spend stays
attributed to what existed when it was spent. Teams, agents and projects live inside one
organisation. Moving an agent to another team takes the agent's keys along in the same commit, so
its new calls are the new team's and what it spent before stays where it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar

from common.core.errors import AlreadyExists, InvalidInput, NotFound, VersionConflict
from common.core.ports import Create, Document, Documents, Put, Query, Ref, Value, Write
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan
from common.gateway.key_index import agent_keys_ref, keys_following
from common.gateway.names import check_name, check_slug, check_tags

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation: the outermost scope of spend."""

    kind: ClassVar[str] = "org"
    collection: ClassVar[str] = "orgs"

    id: str
    name: str

    @property
    def ref(self) -> Ref:
        return org_ref(self.id)

    def parents(self) -> dict[str, Ref]:
        return {}


@dataclass(frozen=True, slots=True)
class Team:
    kind: ClassVar[str] = "team"
    collection: ClassVar[str] = "teams"

    org: str
    id: str
    name: str

    @property
    def ref(self) -> Ref:
        return team_ref(self.org, self.id)

    def parents(self) -> dict[str, Ref]:
        return {"org": org_ref(self.org)}


@dataclass(frozen=True, slots=True)
class Agent:
    """An application or a part of one. Its tags are carried by all of its keys."""

    kind: ClassVar[str] = "agent"
    collection: ClassVar[str] = "agents"

    org: str
    id: str
    team: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        return agent_ref(self.org, self.id)

    def parents(self) -> dict[str, Ref]:
        return {"org": org_ref(self.org), "team": team_ref(self.org, self.team)}


@dataclass(frozen=True, slots=True)
class Project:
    """A second way to cut an organisation's spend, beside its teams."""

    kind: ClassVar[str] = "project"
    collection: ClassVar[str] = "projects"

    org: str
    id: str
    name: str

    @property
    def ref(self) -> Ref:
        return project_ref(self.org, self.id)

    def parents(self) -> dict[str, Ref]:
        return {"org": org_ref(self.org)}


Member: TypeAlias = Org | Team | Agent | Project
M = TypeVar("M", bound=Org | Team | Agent | Project)


def org_ref(org: str) -> Ref:
    return Ref(Org.collection, org)


def team_ref(org: str, team: str) -> Ref:
    return Ref(Team.collection, f"{org}:{team}")


def agent_ref(org: str, agent: str) -> Ref:
    return Ref(Agent.collection, f"{org}:{agent}")


def project_ref(org: str, project: str) -> Ref:
    return Ref(Project.collection, f"{org}:{project}")


def create_member(member: M) -> Plan[M]:
    """Plan a new organisation, team, agent or project.

    The plan raises InvalidInput (a wrong value, or a parent that does not exist) and AlreadyExists.
    """
    check_member(member)

    async def plan(read: Read, moment: Moment) -> Change[M]:  # noqa: ARG001 - the form of all plans
        [existing] = await read([member.ref])
        await _require_parents(read, member)
        if existing is not None:
            raise AlreadyExists(
                f"{member.kind} {member.ref.id} exists; change it with PUT", field="id"
            )
        writes: tuple[Write, ...] = (Create(member.ref, to_data(member)),)
        if isinstance(member, Agent):
            writes += (Create(agent_keys_ref(member.org, member.id), {"digests": []}),)
        return Change(
            result=member,
            action=f"{member.kind}.create",
            target=_address(member),
            before=None,
            after=to_data(member),
            writes=writes,
        )

    return plan


def update_member(member: M, is_expected: Callable[[M], bool]) -> Plan[M]:
    """Plan to replace a member. `is_expected` judges whether the stored one is what was seen.

    The plan raises NotFound, InvalidInput and, if the stored one is not expected, VersionConflict.
    """
    check_member(member)

    async def plan(read: Read, moment: Moment) -> Change[M]:
        [document] = await read([member.ref])
        if document is None:
            raise NotFound(f"there is no {member.kind} {member.ref.id}")
        stored = from_document(type(member), document)
        if not is_expected(stored):
            raise VersionConflict(
                f"{member.kind} {member.ref.id} has changed since it was read; read it again"
            )
        await _require_parents(read, member)
        writes: tuple[Write, ...] = ()
        if stored != member:
            writes = (Put(member.ref, to_data(member), if_version=document.version),)
            if isinstance(member, Agent) and isinstance(stored, Agent):
                writes += await _moved_keys(read, stored, member, moment)
        return Change(
            result=member,
            action=f"{member.kind}.update",
            target=_address(member),
            before=to_data(stored),
            after=to_data(member),
            writes=writes,
        )

    return plan


async def get_member(documents: Documents, kind: type[M], ref: Ref) -> M:
    """Read one member.

    Raises:
        NotFound: there is none at `ref`.
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([ref])
    if document is None:
        raise NotFound(f"there is no {kind.kind} {ref.id}")
    return from_document(kind, document)


async def list_members(
    documents: Documents,
    kind: type[M],
    where: Mapping[str, str],
    *,
    after: str | None,
    limit: int,
) -> list[M]:
    """One page of members whose fields equal `where`, ordered by document id, behind `after`."""
    page = await documents.query(Query(kind.collection, dict(where), after=after, limit=limit))
    return [from_document(kind, document) for document in page]


async def count_documents(documents: Documents, collection: str, where: Mapping[str, str]) -> int:
    """How many documents equal `where`, over all pages."""
    count = 0
    after: str | None = None
    while True:
        page = await documents.query(Query(collection, dict(where), after=after, limit=_PAGE))
        count += len(page)
        if len(page) < _PAGE:
            return count
        after = page[-1].ref.id


def to_data(member: Member) -> dict[str, Value]:
    return asdict(member)


def from_document(kind: type[M], document: Document) -> M:
    values: Any = document.data
    return kind(**values)


def check_member(member: Member) -> None:
    """Judge the values that can be judged without reading anything.

    Raises:
        InvalidInput: names the field and the right form.
    """
    check_slug(member.id, "id")
    check_name(member.name)
    if not isinstance(member, Org):
        check_slug(member.org, "org")
    if isinstance(member, Agent):
        check_slug(member.team, "team")
        check_tags(member.tags)


async def _require_parents(read: Read, member: Member) -> None:
    parents = member.parents()
    found = await read(list(parents.values())) if parents else []
    for (name, ref), document in zip(parents.items(), found, strict=True):
        if document is None:
            raise InvalidInput(f"there is no {name} {ref.id}; create it first", field=name)


def _address(member: Member) -> str:
    return f"{member.ref.collection}/{member.ref.id}"


async def _moved_keys(
    read: Read, stored: Agent, member: Agent, moment: Moment
) -> tuple[Write, ...]:
    if stored.team == member.team and stored.tags == member.tags:
        return ()
    return await keys_following(
        read,
        org=member.org,
        agent=member.id,
        team=member.team,
        old_tags=stored.tags,
        new_tags=member.tags,
        now=moment.now,
    )
