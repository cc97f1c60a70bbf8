"""The life of a gateway key: made, replaced, withdrawn, and found again.

A name belongs to one line of keys of its organisation for ever: rotation hands it to the line's
newest key, and revoking frees it never, so a name in an old report means one thing. The secret text
exists only in the answer that makes the key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from common.budgets.standing import Standing
from common.core.errors import AlreadyExists, InvalidInput, NotFound
from common.core.events import KeyEvent
from common.core.ids import time_ordered_id
from common.core.ports import Create, Document, Documents, Put, Query, Ref, Write
from common.core.secrets import Secret
from common.core.transactions import Read
from common.gateway.budget_changes import changed_event
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL
from common.gateway.identity import Agent, agent_ref, from_document, project_ref
from common.gateway.key_budget import KeyBudget
from common.gateway.key_index import agent_keys_ref, key_added, keys_changed, keys_listed
from common.gateway.keys import (
    KEYS,
    Key,
    KeyPolicy,
    key_digest,
    key_id_of,
    key_ref,
    new_key_text,
    refusal,
)
from common.gateway.names import (
    MAX_TAGS,
    check_globs,
    check_limits,
    check_name,
    check_slug,
    check_tag_names,
    check_tags,
)

DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=30)
MAX_MAY_ACT_AS = 20


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What somebody asks a new key to be. The team is the agent's."""

    org: str
    agent: str
    name: str
    project: str | None = None
    tags: Mapping[str, str] | None = None
    may_act_as: tuple[str, ...] = ()
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with its text, which is shown once and stored nowhere.

    `budget` is the one that was made with it.
    """

    key: Key
    secret: Secret
    budget: Standing | None = None


def key_name_ref(org: str, name: str) -> Ref:
    return Ref("key_names", f"{org}:{name}")


def create_key(request: KeyRequest, wanted: KeyBudget | None = None) -> Plan[NewKey]:
    """Plan a new key, with a budget of its own if one is wanted: both are stored, or neither.

    The plan raises InvalidInput (a wrong value, an agent or project that does not exist) and
    AlreadyExists (the name is taken in the organisation).
    """
    check_request(request)
    if wanted is not None:
        wanted.check()

    async def plan(read: Read, moment: Moment) -> Change[NewKey]:
        [taken] = await read([key_name_ref(request.org, request.name)])
        if taken is not None:
            raise AlreadyExists(
                f"{request.org} has a key named {request.name!r}; rotate it or choose another name",
                field="name",
            )
        if request.expires_at is not None and request.expires_at <= moment.now:
            raise InvalidInput("a key must expire in the future", field="expires_at")
        # The indexes before the agents: a move in between then conflicts with this commit.
        agents = (request.agent, *request.may_act_as)
        indexes = await _indexes(read, request.org, agents, moment.now)
        agent = await _referred(read, request)
        new = _new_key(request, agent, moment)
        name = {"line": new.key.line, "key_id": new.key.key_id}
        change = Change(
            result=new,
            action="key.create",
            target=f"keys/{new.key.key_id}",
            before=None,
            after=new.key.to_data(),
            writes=(
                Create(key_ref(new.key.digest), new.key.to_data()),
                Create(key_name_ref(request.org, request.name), name),
                *_listing(indexes, new.key),
            ),
            events=(_event("key.created", new.key, moment),),
        )
        return change if wanted is None else await _budgeted(read, moment, change, wanted)

    return plan


def rotate_key(digest: str, overlap: timedelta = DEFAULT_OVERLAP) -> Plan[NewKey]:
    """Plan a successor: it works at once, the old key until now + `overlap` (0 to 30 days).

    The successor keeps name, line, attribution, policy and the date the old key was to expire.

    The plan raises NotFound and InvalidInput (the key is revoked, expired or already replaced).
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise InvalidInput("the overlap is 0 s to 30 days (2592000 s)", field="overlap_s")

    async def plan(read: Read, moment: Moment) -> Change[NewKey]:
        document, old = await _stored(read, digest)
        name_ref = key_name_ref(old.org, old.name)
        name, control = await read([name_ref, CONTROL])
        _require_newest(old, name, moment.now)
        indexes = await _indexes(read, old.org, (old.agent, *old.may_act_as), moment.now)
        text, new_digest = _new_text(moment)
        new = replace(
            old,
            digest=new_digest,
            key_id=key_id_of(new_digest),
            created_by=moment.actor.email,
            created_at=moment.now,
        )
        ends = moment.now + overlap
        ending = replace(
            old, expires_at=ends if old.expires_at is None else min(ends, old.expires_at)
        )
        return Change(
            result=NewKey(new, text),
            action="key.rotate",
            target=f"keys/{new.key_id}",
            before=old.to_data(),
            after=new.to_data(),
            writes=(
                Create(key_ref(new.digest), new.to_data()),
                Put(document.ref, ending.to_data(), if_version=document.version),
                _name_moved(name_ref, name, new),
                *_listing(indexes, new),
                keys_changed(control, [old.key_id], moment.now),
            ),
            events=(_event("key.rotated", new, moment),),
        )

    return plan


def revoke_key(digest: str) -> Plan[Key]:
    """Plan to withdraw one key, not the others of its line. A revoked key stays as it is.

    The plan raises NotFound.
    """

    async def plan(read: Read, moment: Moment) -> Change[Key]:
        document, key = await _stored(read, digest)
        [control] = await read([CONTROL])
        revoked = key
        writes: tuple[Write, ...] = ()
        events: tuple[KeyEvent, ...] = ()
        if key.revoked_at is None:
            revoked = replace(key, revoked_at=moment.now)
            writes = (
                Put(document.ref, revoked.to_data(), if_version=document.version),
                keys_changed(control, [key.key_id], moment.now),
            )
            events = (_event("key.revoked", key, moment),)
        return Change(
            result=revoked,
            action="key.revoke",
            target=f"keys/{key.key_id}",
            before=key.to_data(),
            after=revoked.to_data(),
            writes=writes,
            events=events,
        )

    return plan


async def get_key(documents: Documents, key_id: str) -> Key:
    """Find a key by the id that people and events use.

    Raises:
        NotFound: there is none.
        StoreUnavailable: no answer in time.
    """
    found = await documents.query(Query(KEYS, {"key_id": key_id}, limit=1))
    if not found:
        raise NotFound(f"there is no key {key_id}")
    return Key.from_document(found[0])


async def list_keys(
    documents: Documents, where: Mapping[str, str], *, after: str | None, limit: int
) -> list[Key]:
    """One page of keys whose fields equal `where`, ordered by key id, behind key `after`."""
    # The documents are ordered by digest, which begins with the key id; "g" is behind all digests.
    start = None if after is None else f"{after}g"
    page = await documents.query(Query(KEYS, dict(where), after=start, limit=limit))
    return [Key.from_document(document) for document in page]


def check_request(request: KeyRequest) -> None:
    """Judge the values that can be judged without reading anything.

    Raises:
        InvalidInput: names the field and the right form.
    """
    check_slug(request.org, "org")
    check_slug(request.agent, "agent")
    check_name(request.name)
    if request.project is not None:
        check_slug(request.project, "project")
    check_tags(request.tags or {})
    if len(request.may_act_as) > MAX_MAY_ACT_AS:
        raise InvalidInput(f"a key acts as at most {MAX_MAY_ACT_AS} agents", field="may_act_as")
    for agent in request.may_act_as:
        check_slug(agent, "may_act_as")
    if request.agent in request.may_act_as or len(set(request.may_act_as)) < len(
        request.may_act_as
    ):
        raise InvalidInput("name each other agent once", field="may_act_as")
    check_globs(request.policy.models, "policy.models")
    check_globs(request.policy.upstreams, "policy.upstreams")
    check_tag_names(request.policy.tags, "policy.tags")
    check_limits(request.policy.limits, "policy.limits")


async def _budgeted(
    read: Read, moment: Moment, change: Change[NewKey], wanted: KeyBudget
) -> Change[NewKey]:
    """The change that makes a key, making its budget too."""
    standing, writes = await wanted.made_for(read, change.result.key, moment.now)
    return replace(
        change,
        result=replace(change.result, budget=standing),
        after={**(change.after or {}), "budget": standing.budget.to_data()},
        writes=(*change.writes, *writes),
        events=(*change.events, changed_event(standing.budget, moment, "create")),
    )


async def _referred(read: Read, request: KeyRequest) -> Agent:
    refs = [agent_ref(request.org, name) for name in (request.agent, *request.may_act_as)]
    if request.project is not None:
        [project] = await read([project_ref(request.org, request.project)])
        if project is None:
            raise InvalidInput(
                f"there is no project {request.org}:{request.project}", field="project"
            )
    document, *others = await read(refs)
    if document is None:
        raise InvalidInput(f"there is no agent {refs[0].id}; create it first", field="agent")
    agent = from_document(Agent, document)
    for ref, other in zip(refs[1:], others, strict=True):
        if other is None or other.data["team"] != agent.team:
            raise InvalidInput(f"{ref.id} is not an agent of team {agent.team}", field="may_act_as")
    return agent


def _new_key(request: KeyRequest, agent: Agent, moment: Moment) -> NewKey:
    tags = {**agent.tags, **(request.tags or {})}
    if len(tags) > MAX_TAGS:
        raise InvalidInput(
            f"{len(tags)} tags with those of the agent, and at most {MAX_TAGS} are kept",
            field="tags",
        )
    text, digest = _new_text(moment)
    key = Key(
        digest=digest,
        key_id=key_id_of(digest),
        name=request.name,
        line=key_id_of(digest),
        org=request.org,
        team=agent.team,
        agent=request.agent,
        project=request.project,
        tags=tags,
        may_act_as=request.may_act_as,
        policy=request.policy,
        created_by=moment.actor.email,
        created_at=moment.now,
        expires_at=request.expires_at,
        revoked_at=None,
    )
    return NewKey(key, text)


def _new_text(moment: Moment) -> tuple[Secret, str]:
    text = new_key_text(moment.entropy)
    digest = key_digest(text)
    if digest is None:
        raise AssertionError("a new key is refused by its own checksum")
    return Secret(text), digest


async def _indexes(
    read: Read, org: str, agents: Sequence[str], now: datetime
) -> list[tuple[Document, list[Document]]]:
    """The index of each agent, with the usable keys that it lists."""
    found = await read([agent_keys_ref(org, agent) for agent in agents])
    return [(index, await keys_listed(read, index, now)) for index in found if index is not None]


def _listing(indexes: Sequence[tuple[Document, list[Document]]], key: Key) -> list[Put]:
    return [key_added(index, usable, key.digest) for index, usable in indexes]


def _name_moved(ref: Ref, name: Document | None, key: Key) -> Write:
    data = {"line": key.line, "key_id": key.key_id}
    return Create(ref, data) if name is None else Put(ref, data, if_version=name.version)


async def _stored(read: Read, digest: str) -> tuple[Document, Key]:
    [document] = await read([key_ref(digest)])
    if document is None:
        raise NotFound(f"there is no key {key_id_of(digest)}")
    return document, Key.from_document(document)


def _require_newest(key: Key, name: Document | None, now: datetime) -> None:
    newest = key.key_id if name is None else name.data["key_id"]
    if newest != key.key_id:
        raise InvalidInput(f"key {key.key_id} has been replaced by {newest}; rotate that one")
    reason = refusal(key, now)
    if reason is not None:
        raise InvalidInput(f"key {key.key_id} is {reason}; create a new one")


def _event(
    kind: Literal["key.created", "key.rotated", "key.revoked"], key: Key, moment: Moment
) -> KeyEvent:
    return KeyEvent(
        id=time_ordered_id(moment.now, moment.entropy(10)),
        type=kind,
        event_time=moment.now,
        org=key.org,
        team=key.team,
        agent=key.agent,
        key_id=key.key_id,
        line=key.line,
        actor=moment.actor.email,
    )
