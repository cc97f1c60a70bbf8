"""A gateway key as it is asked to be: made where its name is free, else changed in place.

What a key may do, its project, its own tags and its end can change; the proxy reads the key again
within seconds. Whose it is stays: an agent's key that became another's would move spend that nobody
asked to move. All usable keys of the line change together, so the one that a rotation left working
for a while cannot do more than its successor.
"""

from collections.abc import Sequence
from dataclasses import replace

from common.core.errors import InvalidInput, VersionConflict
from common.core.ports import Document, Documents, Put, Query, Write
from common.core.transactions import Read
from common.gateway.budget_scopes import check_moved_key
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL
from common.gateway.identity import Agent, agent_ref, from_document, project_ref
from common.gateway.key_budget import KeyBudget
from common.gateway.key_changes import (
    KeyRequest,
    NewKey,
    check_request,
    create_key,
    key_name_ref,
)
from common.gateway.key_index import keys_changed
from common.gateway.keys import KEYS, Key, key_ref, refusal
from common.gateway.names import check_tags


async def line_of(documents: Documents, org: str, name: str) -> str | None:
    """The line of keys that has a name in an organisation; None where the name is free."""
    [document] = await documents.get_many([key_name_ref(org, name)])
    return None if document is None else str(document.data["line"])


async def keys_of_line(documents: Documents, line: str) -> list[Key]:
    """All keys of a line, the newest first."""
    found = await documents.query(Query(KEYS, {"line": line}))
    keys = [Key.from_document(document) for document in found]
    return sorted(keys, key=lambda key: (key.created_at, key.digest), reverse=True)


async def put_key(
    documents: Documents, request: KeyRequest, wanted: KeyBudget | None
) -> Plan[NewKey | Key]:
    """Plan that a key is as asked. `wanted` is the budget of a new one.

    A key that is revoked or has expired stays so: its name is not used again.

    The plan raises InvalidInput (a wrong value, a project whose hard budgets are too many with
    those of the key) and, if the key was rotated meanwhile, VersionConflict.
    """
    check_request(request)
    make = create_key(request, wanted)
    line = await line_of(documents, request.org, request.name)
    digests = [] if line is None else [key.digest for key in await keys_of_line(documents, line)]

    async def plan(read: Read, moment: Moment) -> Change[NewKey | Key]:
        [name] = await read([key_name_ref(request.org, request.name)])
        if name is None:
            made = await make(read, moment)
            return _with_result(made, made.result)
        refs = [key_ref(digest) for digest in digests]
        found = [each for each in (await read(refs) if refs else []) if each is not None]
        # First, so that a budget made while this one asks of budgets conflicts with its commit.
        await read([CONTROL])
        change = await _changed(read, moment, request, str(name.data["key_id"]), found)
        if change.before is not None and change.before["project"] != change.result.project:
            await check_moved_key(documents, change.result)
        return _with_result(change, change.result)

    return plan


def _with_result(made: Change[NewKey] | Change[Key], result: NewKey | Key) -> Change[NewKey | Key]:
    return Change(
        result=result,
        action=made.action,
        target=made.target,
        before=made.before,
        after=made.after,
        writes=made.writes,
        events=made.events,
    )


async def _changed(
    read: Read, moment: Moment, request: KeyRequest, newest_id: str, found: Sequence[Document]
) -> Change[Key]:
    known = {key.key_id: key for key in map(Key.from_document, found)}
    if newest_id not in known:
        raise VersionConflict(f"key {request.name} was made or replaced meanwhile")
    after = newest = known[newest_id]
    writes: list[Write] = []
    if refusal(newest, moment.now) is None:
        after = await _as_asked(read, newest, request, moment)
    if after != newest:
        changed: list[str] = []
        for document in found:
            key = Key.from_document(document)
            if refusal(key, moment.now) is None:
                ends = after.expires_at if key.key_id == newest_id else key.expires_at
                data = replace(
                    key,
                    project=after.project,
                    tags=after.tags,
                    policy=after.policy,
                    expires_at=ends,
                ).to_data()
                writes.append(Put(document.ref, data, if_version=document.version))
                changed.append(key.key_id)
        [control] = await read([CONTROL])
        writes.append(keys_changed(control, changed, moment.now))
    return Change(
        result=after,
        action="key.update",
        target=f"keys/{newest.key_id}",
        before=newest.to_data(),
        after=after.to_data(),
        writes=tuple(writes),
    )


async def _as_asked(read: Read, key: Key, request: KeyRequest, moment: Moment) -> Key:
    if request.agent != key.agent:
        raise InvalidInput(
            f"key {request.name} belongs to agent {key.agent} and stays there; make another key,"
            " with another name",
            field="agent",
        )
    if set(request.may_act_as) != set(key.may_act_as):
        raise InvalidInput(
            f"key {request.name} may act as {', '.join(key.may_act_as) or 'no other agent'}, and"
            " that stays; make another key, with another name",
            field="may_act_as",
        )
    if request.project is not None:
        [project] = await read([project_ref(request.org, request.project)])
        if project is None:
            raise InvalidInput(
                f"there is no project {request.org}:{request.project}", field="project"
            )
    expires_at = request.expires_at
    if expires_at is not None and expires_at != key.expires_at and expires_at <= moment.now:
        raise InvalidInput(
            "a key must expire in the future; to end it now, revoke it", field="expires_at"
        )
    [agent] = await read([agent_ref(request.org, request.agent)])
    tags = dict(request.tags or {})
    if agent is not None:
        tags = {**from_document(Agent, agent).tags, **tags}
    check_tags(tags)
    return replace(
        key, project=request.project, tags=tags, policy=request.policy, expires_at=expires_at
    )
