"""What a budget's scope stands for: whether it exists, and which hard budgets meet in one call."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, get_args

from common.budgets.budgets import BUDGETS, MOST_HARD, Budget, ScopeKind, Spender
from common.core.errors import InvalidInput
from common.core.ids import is_slug
from common.core.paging import every_document
from common.core.ports import Documents, Query, Ref
from common.gateway.identity import Agent, Org, Project, Team, agent_ref
from common.gateway.keys import KEYS, Key, refusal

_KINDS: tuple[ScopeKind, ...] = get_args(ScopeKind)
_LINE = re.compile(r"[0-9a-f]{12}")
_COLLECTIONS: Mapping[str, str] = {
    "team": Team.collection,
    "agent": Agent.collection,
    "project": Project.collection,
}
_FORMS = "org:ORG, team:ORG/TEAM, project:ORG/PROJECT, agent:ORG/AGENT or key:LINE"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope string, taken apart. `org` is None for a line of keys, whose keys say it."""

    kind: ScopeKind
    org: str | None
    name: str


def read_scope(text: str) -> Scope:
    """Take a scope string apart.

    Raises:
        InvalidInput: it has not the form of one.
    """
    kind, _, rest = text.partition(":")
    known = next((each for each in _KINDS if each == kind), None)
    if known is None:
        raise InvalidInput(
            f"{text[:80]!r} is no scope{_hint(kind, _KINDS)}; write {_FORMS}", field="scope"
        )
    org, slash, name = rest.partition("/")
    if known == "key" and _LINE.fullmatch(rest):
        return Scope(known, None, rest)
    if known == "org" and is_slug(rest):
        return Scope(known, rest, rest)
    if known in _COLLECTIONS and slash and is_slug(org) and is_slug(name):
        return Scope(known, org, name)
    raise InvalidInput(f"{text[:80]!r} is no scope; write {_FORMS}", field="scope")


async def org_of(documents: Documents, text: str) -> str:
    """The organisation that a scope is in. What exists is never deleted, so this stays true.

    Raises:
        InvalidInput: there is no such scope; names the one that may be meant.
        StoreUnavailable: no answer in time.
    """
    scope = read_scope(text)
    if scope.org is None:
        return await _org_of_line(documents, scope.name)
    await _require(documents, Ref(Org.collection, scope.org), "organisation", {})
    if scope.kind != "org":
        member = Ref(_COLLECTIONS[scope.kind], f"{scope.org}:{scope.name}")
        await _require(documents, member, scope.kind, {"org": scope.org})
    return scope.org


async def hard_budgets(documents: Documents, org: str) -> list[Budget]:
    """All hard budgets of an organisation."""
    found = [
        Budget.from_document(each)
        async for each in every_document(documents, Query(BUDGETS, {"org": org}, limit=_PAGE))
    ]
    return [budget for budget in found if budget.hard]


async def check_meeting(
    documents: Documents, budget: Budget, now: datetime, newcomers: Iterable[Spender] = ()
) -> None:
    """Refuse a hard budget that would be one too many for some call.

    Budgets of different models count together, because a call may name no model.

    Args:
        documents: what is stored.
        budget: as it is to be stored.
        now: aware.
        newcomers: callers that are stored in the same commit.

    Raises:
        InvalidInput: names the budgets that meet already.
        StoreUnavailable: no answer in time.
    """
    others = [each for each in await hard_budgets(documents, budget.org) if each.id != budget.id]
    if len(others) < MOST_HARD:
        return
    counts = Counter(each.scope for each in (*others, budget))
    callers = [*await _callers(documents, budget, counts, now), *newcomers]
    meeting = max(
        (caller.scopes for caller in callers if budget.scope in caller.scopes),
        key=lambda scopes: sum(counts[scope] for scope in scopes),
        default=frozenset[str](),
    )
    met = sorted(each.id for each in others if each.scope in meeting)
    if len(met) >= MOST_HARD:
        raise InvalidInput(
            f"at most {MOST_HARD} hard budgets may apply to one call, and {', '.join(met)} apply"
            f" to calls of {budget.scope} already: pause one, or make this one soft",
            field="enforcement",
        )


async def check_moved_agent(documents: Documents, agent: Agent, now: datetime) -> None:
    """Refuse an agent's new team if with it more hard budgets meet in a call than may.

    Args:
        documents: what is stored; whether the agent is in its new team there does not matter.
        agent: as it is to be stored.
        now: aware.

    Raises:
        InvalidInput: names the budgets that would meet.
        StoreUnavailable: no answer in time.
    """
    budgets = await hard_budgets(documents, agent.org)
    if len(budgets) <= MOST_HARD:
        return
    project = _busiest_project(Counter(budget.scope for budget in budgets))
    callers = [Spender(agent.org, agent.team, agent.id, project, "")]
    async for document in every_document(
        documents, Query(KEYS, {"org": agent.org, "agent": agent.id}, limit=_PAGE)
    ):
        key = Key.from_document(document)
        if refusal(key, now) is None:
            callers.append(Spender(agent.org, agent.team, agent.id, key.project, key.line))
    _require_few(budgets, callers, f"agent {agent.id} in team {agent.team}", "team")


async def check_moved_key(documents: Documents, key: Key) -> None:
    """Refuse a key's new project if with it more hard budgets meet in a call than may.

    Raises:
        InvalidInput: names the budgets that would meet.
        StoreUnavailable: no answer in time.
    """
    budgets = await hard_budgets(documents, key.org)
    _require_few(budgets, callers_with(key), f"key {key.name}", "project")


def _require_few(
    budgets: Sequence[Budget], callers: Iterable[Spender], who: str, field: str
) -> None:
    met = max(
        (sorted(each.id for each in budgets if each.scope in caller.scopes) for caller in callers),
        key=len,
    )
    if len(met) > MOST_HARD:
        raise InvalidInput(
            f"at most {MOST_HARD} hard budgets may apply to one call, and {', '.join(met)} would"
            f" apply to calls of {who}: pause one, or make it soft",
            field=field,
        )


async def _callers(
    documents: Documents, budget: Budget, counts: Mapping[str, int], now: datetime
) -> list[Spender]:
    """For every combination of budgeted scopes that a call can have, one that has most of it."""
    org = budget.org
    scopes = [read_scope(text) for text in counts]
    project = _busiest_project(counts)
    agents = [scope.name for scope in scopes if scope.kind == "agent"]
    found = await documents.get_many([agent_ref(org, agent) for agent in agents]) if agents else []
    homes = {agent: each.data["team"] for agent, each in zip(agents, found, strict=True) if each}
    callers = [Spender(org, "", "", project, "")]
    callers += [
        Spender(org, scope.name, "", project, "") for scope in scopes if scope.kind == "team"
    ]
    callers += [Spender(org, team, agent, project, "") for agent, team in homes.items()]
    if any(scope.kind == "key" for scope in scopes):
        async for document in every_document(documents, Query(KEYS, {"org": org}, limit=_PAGE)):
            key = Key.from_document(document)
            if f"key:{key.line}" in counts and refusal(key, now) is None:
                callers += callers_with(key)
    return callers


def callers_with(key: Key) -> Sequence[Spender]:
    """Everybody that calls with this key may be charged to."""
    return [
        Spender(key.org, key.team, agent, key.project, key.line)
        for agent in (key.agent, *key.may_act_as)
    ]


def _busiest_project(counts: Mapping[str, int]) -> str | None:
    """The project with most budgets: any call may be for it, but for those of budgeted keys."""
    projects = [text for text in counts if text.startswith("project:")]
    if not projects:
        return None
    return read_scope(max(projects, key=lambda text: counts[text])).name


async def _require(documents: Documents, ref: Ref, kind: str, where: Mapping[str, Any]) -> None:
    [document] = await documents.get_many([ref])
    if document is None:
        known = [
            each.ref.id
            async for each in every_document(documents, Query(ref.collection, where, limit=_PAGE))
        ]
        raise InvalidInput(f"there is no {kind} {ref.id}{_hint(ref.id, known)}", field="scope")


async def _org_of_line(documents: Documents, line: str) -> str:
    for name in ("line", "key_id"):
        found = await documents.query(Query(KEYS, {name: line}, limit=1))
        if found:
            key = Key.from_document(found[0])
            if key.line == line:
                return key.org
            raise InvalidInput(
                f"{line} is a key, not a line of keys: did you mean key:{key.line}?", field="scope"
            )
    lines = [each.data["line"] for each in await documents.query(Query(KEYS, limit=_PAGE))]
    raise InvalidInput(f"there is no line of keys {line!r}{_hint(line, lines)}", field="scope")


def _hint(asked: str, known: Iterable[str]) -> str:
    near = get_close_matches(asked.lower(), sorted(set(known)), n=1)
    return f": did you mean {near[0]}?" if near else ""
