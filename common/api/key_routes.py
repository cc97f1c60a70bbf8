"""Gateway keys over HTTP. The text of a key is in one answer, the first, and nowhere else."""

from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from pydantic import Field

from common.api.budget_routes import budget_of
from common.api.cursors import PAGING, Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.identity_models import (
    KeyBody,
    KeyQuery,
    KeyView,
    LimitsView,
    NewKeyView,
    PolicyView,
    RotateBody,
)
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.writes import Shown, change
from common.budgets.rate_limits import CallLimits
from common.core.errors import InvalidInput
from common.gateway.identity import agent_ref, count_documents
from common.gateway.key_budget import KeyBudget
from common.gateway.key_changes import (
    KeyRequest,
    NewKey,
    create_key,
    get_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from common.gateway.keys import KEYS, Key, KeyPolicy, refusal


class _KeyPlace(Place):
    key_id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


def key_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_keys", "GET", "/keys", "List keys, without their texts",
            Listing[KeyView, Count], _list, KeyQuery, NoBody,
        ),
        Operation(
            "create_key", "POST", "/keys", "Create a key",
            Single[NewKeyView], _create, NoQuery, KeyBody, status=201,
        ),
        Operation(
            "get_key", "GET", "/keys/{key_id}", "Read a key",
            Single[KeyView], _get, NoQuery, NoBody,
        ),
        Operation(
            "rotate_key", "POST", "/keys/{key_id}:rotate", "Replace a key; the old one works on",
            Single[NewKeyView], _rotate, NoQuery, RotateBody, status=201,
        ),
        Operation(
            "revoke_key", "POST", "/keys/{key_id}:revoke", "Withdraw a key",
            Single[KeyView], _revoke, NoQuery, NoBody,
        ),
    ]  # fmt: skip


def request_of(body: KeyBody) -> KeyRequest:
    """The key that a body asks for."""
    return KeyRequest(
        org=body.org,
        agent=body.agent,
        name=body.name,
        project=body.project,
        tags=body.tags,
        may_act_as=tuple(body.may_act_as),
        policy=KeyPolicy(
            models=tuple(body.policy.models),
            upstreams=tuple(body.policy.upstreams),
            tags=tuple(body.policy.tags),
            on_disconnect=body.policy.on_disconnect,
            limits=CallLimits(**body.policy.limits.model_dump()),
            priority=body.policy.priority,
            may_opt_out=body.policy.may_opt_out,
        ),
        expires_at=body.expires_at,
    )


async def _list(call: Call[KeyQuery, NoBody]) -> Answer:
    asked = call.query.model_dump(exclude_none=True)
    where = {name: value for name, value in asked.items() if name not in PAGING}
    place = read_cursor(call.given, call.query.after, _KeyPlace)
    after = None if place is None else place.key_id
    documents, limit = call.services.documents, call.query.limit
    read = partial(list_keys, documents, where)

    page, following = await stored_page(
        call.given, after, limit, read, lambda each: each.key_id, name="key_id"
    )
    count = await count_documents(documents, KEYS, where)
    return Answer(
        Listing[KeyView, Count](
            as_of=call.now,
            query=asked,
            answer=f"{count} {'key' if count == 1 else 'keys'}.",
            data=[_view(call.now, key) for key in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _create(call: Call[NoQuery, KeyBody]) -> Answer:
    body = call.body
    await _require_team(call)
    request = request_of(body)
    wanted = None
    if body.budget is not None:
        wanted = KeyBudget(budget_of(body.budget, "", body.org, ""), call.services.documents)
    plan = create_key(request, wanted)
    return await change(call, plan, lambda new: _shown(call.now, new, "is created"))


async def _require_team(call: Call[NoQuery, KeyBody]) -> None:
    body = call.body
    if body.team is None:
        return
    [document] = await call.services.documents.get_many([agent_ref(body.org, body.agent)])
    if document is not None and document.data["team"] != body.team:
        raise InvalidInput(
            f"agent {body.agent} is in team {document.data['team']}, not {body.team}", field="team"
        )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    key = await get_key(call.services.documents, call.path["key_id"])
    return Answer(_single(call.now, key))


async def _rotate(call: Call[NoQuery, RotateBody]) -> Answer:
    key = await get_key(call.services.documents, call.path["key_id"])
    plan = rotate_key(key.digest, timedelta(seconds=call.body.overlap_s))
    return await change(
        call, plan, lambda new: _shown(call.now, new, f"replaces key {call.path['key_id']}")
    )


async def _revoke(call: Call[NoQuery, NoBody]) -> Answer:
    key = await get_key(call.services.documents, call.path["key_id"])

    def show(revoked: Key) -> Shown:
        view = _single(call.now, revoked)
        return Shown(first=view, repeated=view)

    return await change(call, revoke_key(key.digest), show)


def _single(now: datetime, key: Key) -> Single[KeyView]:
    view = _view(now, key)
    return Single[KeyView](
        as_of=now,
        answer=f"Key {key.key_id} ({key.name}) is {view.state}.",
        data=view,
        sources=[state_source(now)],
    )


def _shown(now: datetime, new: NewKey, did: str) -> Shown:
    view = _view(now, new.key).model_dump()
    budget = None if new.budget is None else new.budget.budget.id

    def single(secret: str | None) -> Single[NewKeyView]:
        return Single[NewKeyView](
            as_of=now,
            answer=f"Key {new.key.key_id} ({new.key.name}) {did}."
            + ("" if budget is None else f" Its budget is {budget}.")
            + (" Its secret was shown once; rotate it for a new one." if secret is None else ""),
            data=NewKeyView(**view, secret=secret, secret_shown=secret is None),
            sources=[state_source(now)],
        )

    return Shown(first=single(new.secret.reveal()), repeated=single(None))


def _view(now: datetime, key: Key) -> KeyView:
    return KeyView(
        key_id=key.key_id,
        name=key.name,
        line=key.line,
        state=refusal(key, now) or "usable",
        org=key.org,
        team=key.team,
        agent=key.agent,
        project=key.project,
        tags=dict(key.tags),
        may_act_as=list(key.may_act_as),
        policy=PolicyView(
            models=list(key.policy.models),
            upstreams=list(key.policy.upstreams),
            tags=list(key.policy.tags),
            on_disconnect=key.policy.on_disconnect,
            limits=LimitsView(**asdict(key.policy.limits)),
            priority=key.policy.priority,
            may_opt_out=key.policy.may_opt_out,
        ),
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
