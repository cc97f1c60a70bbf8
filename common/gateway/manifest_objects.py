"""What a manifest can hold, each as the change that makes it so.

An object is found by its natural id, a key by its organisation and name. Asked for as it is, it
plans nothing.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, get_args

from common.budgets.budgets import Budget, budget_ref
from common.budgets.standing import Standing
from common.budgets.sweep import SpentOf
from common.core.errors import InvalidInput
from common.core.ports import Document, Documents, Query
from common.core.transactions import Read
from common.gateway.budget_changes import create_budget, pause_budget, update_budget
from common.gateway.budget_reports import spent_by_period
from common.gateway.budget_scopes import org_of
from common.gateway.changes import Change, Moment, Plan
from common.gateway.identity import (
    Agent,
    Member,
    Org,
    Project,
    Team,
    agent_ref,
    create_member,
)
from common.gateway.key_budget import KeyBudget
from common.gateway.key_changes import KeyRequest, revoke_key
from common.gateway.key_updates import keys_of_line, line_of, put_key
from common.gateway.manifest_routes import routes_change, there_are_rules
from common.gateway.member_moves import replace_member
from common.gateway.upstream_changes import put_upstream, remove_upstream
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from common.routing.rules import RouteTable

Kind: TypeAlias = Literal["org", "team", "project", "agent", "upstream", "routes", "key", "budget"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In order of dependence."""
_REFERENCES: Mapping[str, type[Member]] = {
    "org": Org,
    "team": Team,
    "agent": Agent,
    "may_act_as": Agent,
    "project": Project,
}
"""Fields that name something else, and what."""
_MISSING = re.compile(r"there is no \w+ (?:[a-z0-9-]+:)?([a-z0-9-]+)")


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key as a manifest asks for it. `team`, where given, must be its agent's."""

    request: KeyRequest
    team: str | None
    budget: Budget | None


Wanted: TypeAlias = Member | UpstreamRecord | WantedKey | Budget


@dataclass(frozen=True, slots=True)
class Ground:
    """What plans of objects are made on: the store or a staged one, and what they ask."""

    documents: Documents
    spent: SpentOf
    providers: Collection[str]
    now: datetime


Make: TypeAlias = Callable[[Ground], Awaitable[Plan[Any]]]


@dataclass(frozen=True, slots=True)
class Step:
    """One object to be made so. `path` is where the file asks for it; `make` plans it."""

    kind: Kind
    id: str
    path: str
    make: Make


def member_step(member: Member, path: str) -> Step:
    async def make(ground: Ground) -> Plan[Member]:
        created = create_member(member)
        updated = replace_member(member, lambda _: True, ground.documents)

        async def plan(read: Read, moment: Moment) -> Change[Member]:
            [found] = await read([member.ref])
            return await (created if found is None else updated)(read, moment)

        return _hinted(plan, ground, None if isinstance(member, Org) else member.org)

    [kind] = [each for each in KINDS if each == member.kind]
    return Step(kind, member.ref.id.replace(":", "/"), path, make)


def upstream_step(record: UpstreamRecord, path: str) -> Step:
    async def make(ground: Ground) -> Plan[UpstreamRecord]:
        return put_upstream(record, ground.providers, lambda _: True)

    return Step("upstream", record.name, path, make)


def routes_step(org: str, table: RouteTable, path: str) -> Step:
    """All rules of an organisation, as one object with its id."""

    async def make(ground: Ground) -> Plan[Any]:
        return _hinted(routes_change(org, table), ground, org)

    return Step("routes", org, path, make)


def key_step(wanted: WantedKey, path: str) -> Step:
    """The key, and its budget if it is made; that of a key that exists is a step of its own."""
    request = wanted.request

    async def make(ground: Ground) -> Plan[Any]:
        if wanted.team is not None:
            ref = agent_ref(request.org, request.agent)
            [agent] = await ground.documents.get_many([ref])
            if agent is not None and agent.data["team"] != wanted.team:
                raise InvalidInput(
                    f"agent {request.agent} is in team {agent.data['team']}, not {wanted.team}",
                    field="team",
                )
        budget = None if wanted.budget is None else KeyBudget(wanted.budget, ground.documents)
        plan = await put_key(ground.documents, request, budget)
        return _hinted(plan, ground, request.org)

    return Step("key", f"{request.org}/{request.name}", path, make)


def key_budget_step(budget: Budget, org: str, line: str, path: str) -> Step:
    scoped = replace(budget, id=f"key-{line}", org=org, scope=f"key:{line}")
    return budget_step(scoped, path)


def budget_step(budget: Budget, path: str) -> Step:
    """The budget; its organisation is that of its scope."""

    async def make(ground: Ground) -> Plan[Standing]:
        wanted = replace(budget, org=await org_of(ground.documents, budget.scope))
        [found] = await ground.documents.get_many([budget_ref(wanted.id)])
        if found is not None and _is_as_asked(found, wanted):
            spent: Mapping[str, int] = {}
        else:
            spent = await spent_by_period(ground.spent, [wanted], ground.now)
        created = create_budget(wanted, spent, ground.documents)
        updated = update_budget(wanted, lambda _: True, spent, ground.documents)

        async def plan(read: Read, moment: Moment) -> Change[Standing]:
            [stored] = await read([budget_ref(wanted.id)])
            return await (created if stored is None else updated)(read, moment)

        return plan

    return Step("budget", budget.id, path, make)


async def absence_steps(documents: Documents, kind: Kind, id_: str) -> list[Step]:
    """What ends an object that a file no longer holds: nothing where it has ended already."""
    if kind == "upstream":
        [found] = await documents.get_many([upstream_ref(id_)])
        return [Step(kind, id_, "", _made(remove_upstream(id_, lambda _: True)))] if found else []
    if kind == "budget":
        [found] = await documents.get_many([budget_ref(id_)])
        ends = found is not None and not found.data["paused"]
        return [Step(kind, id_, "", _made(pause_budget(id_, lambda _: True)))] if ends else []
    if kind == "routes":
        ends = await there_are_rules(documents, id_)
        return [Step(kind, id_, "", _made(routes_change(id_, None)))] if ends else []
    org, _, name = id_.partition("/")
    line = await line_of(documents, org, name)
    keys = [] if line is None else await keys_of_line(documents, line)
    usable = [key for key in keys if key.revoked_at is None]
    return [Step(kind, id_, "", _made(revoke_key(key.digest))) for key in usable]


def _made(plan: Plan[Any]) -> Make:
    async def make(_ground: Ground) -> Plan[Any]:
        return plan

    return make


def _is_as_asked(found: Document, wanted: Budget) -> bool:
    stored = Budget.from_document(found)
    return replace(stored, epoch=0, began_at=None, version=None) == replace(
        wanted, epoch=0, began_at=None, version=None
    )


def _hinted(plan: Plan[Any], ground: Ground, org: str | None) -> Plan[Any]:
    """The plan, which names the nearest word where a reference leads nowhere."""

    async def planned(read: Read, moment: Moment) -> Change[Any]:
        try:
            return await plan(read, moment)
        except InvalidInput as error:
            hint = await _nearest(ground.documents, error, org)
            if hint is None:
                raise
            raise InvalidInput(f"{error.detail}; did you mean {hint}?", field=error.field) from None

    return planned


async def _nearest(documents: Documents, error: InvalidInput, org: str | None) -> str | None:
    """The id that a reference to nothing may stand for."""
    kind = _REFERENCES.get(error.field or "")
    asked = _MISSING.search(error.detail)
    if kind is None or asked is None:
        return None
    where = {} if kind is Org or org is None else {"org": org}
    found = await documents.query(Query(kind.collection, where))
    names = [document.ref.id.rpartition(":")[2] for document in found]
    near = get_close_matches(asked[1], names, n=1)
    return near[0] if near else None
