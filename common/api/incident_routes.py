"""Incidents over HTTP: what is open, what happened, and what people do about it."""

import logging
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from common.api.cursors import Place, first_page, read_cursor
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.incident_models import (
    IncidentBody,
    IncidentQuery,
    IncidentView,
    OwnerBody,
    ReviewBody,
    StoryView,
    TextBody,
)
from common.api.incident_report_routes import told_with_numbers
from common.api.incident_views import incident_shown, incident_view, still_off
from common.api.instants import Instant
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.writes import Shown, change
from common.brownout.modes import Mode
from common.brownout.standings import modes_now
from common.brownout.state import read_state
from common.core.errors import PublishFailed, StoreUnavailable
from common.gateway.brownout_changes import canonical_scope
from common.gateway.changes import Plan
from common.gateway.incident_changes import Act, act_on, get_incident, open_for
from common.incidents.actions import (
    Opening,
    acknowledge,
    assign,
    note,
    resolve,
    write_review,
)
from common.incidents.incidents import Incident, Review
from common.incidents.taking import find_incidents
from common.incidents.timeline import publish_entries
from common.runtime.incidents import rules_of

logger = logging.getLogger(__name__)

_FILTERS: tuple[str, ...] = ("status", "severity", "key")


class _IncidentPlace(Place):
    opened_at: Instant
    id: Annotated[str, Field(min_length=1, max_length=200)]


def incident_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_incidents", "GET", "/incidents", "List incidents, newest first",
            Listing[IncidentView, Count], _list, IncidentQuery, NoBody,
        ),
        Operation(
            "open_incident", "POST", "/incidents", "Open an incident, which brownouts may join",
            Single[IncidentView], _open, NoQuery, IncidentBody, status=201,
        ),
        Operation(
            "get_incident", "GET", "/incidents/{id}", "Read an incident and its timeline",
            Single[StoryView], _get, NoQuery, NoBody,
        ),
        Operation(
            "acknowledge_incident", "POST", "/incidents/{id}:ack", "Say that you have seen it",
            Single[IncidentView], _doing("acknowledge", lambda _: acknowledge), NoQuery, NoBody,
        ),
        Operation(
            "assign_incident", "POST", "/incidents/{id}:assign", "Say who looks after it",
            Single[IncidentView],
            _doing("assign", lambda body: lambda seen, by: assign(seen, body.owner, by)),
            NoQuery, OwnerBody,
        ),
        Operation(
            "note_incident", "POST", "/incidents/{id}:note", "Write something into its timeline",
            Single[IncidentView],
            _doing("note", lambda body: lambda seen, by: note(seen, body.text, by)),
            NoQuery, TextBody,
        ),
        Operation(
            "resolve_incident", "POST", "/incidents/{id}:resolve", "Say that it is over, and why",
            Single[IncidentView],
            _doing("resolve", lambda body: lambda seen, by: resolve(seen, body.text, by)),
            NoQuery, TextBody,
        ),
        Operation(
            "review_incident", "POST", "/incidents/{id}:review", "Say what is to be learned of it",
            Single[IncidentView],
            _doing("review", lambda body: lambda seen, by: write_review(seen, _review(body), by)),
            NoQuery, ReviewBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[IncidentQuery, NoBody]) -> Answer:
    query = call.query
    asked = query.model_dump(exclude_none=True)
    where = {name: asked[name] for name in _FILTERS if name in asked}
    place = read_cursor(call.given, query.after, _IncidentPlace)
    known = await find_incidents(call.services.documents, where)
    chosen = [each for each in known if query.closed is None or each.closed == query.closed]
    ordered = sorted(chosen, key=_order, reverse=True)
    left = [each for each in ordered if place is None or _order(each) < (place.opened_at, place.id)]
    page, following = first_page(call.given, left, query.limit, _place_of)
    count = len(chosen)
    return Answer(
        Listing[IncidentView, Count](
            as_of=call.now,
            query=asked,
            answer=f"{count} {'incident' if count == 1 else 'incidents'}.",
            data=[incident_view(each, call.now) for each in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    incident = await get_incident(call.services.documents, call.path["id"])
    return Answer(await told_with_numbers(call, incident))


async def _open(call: Call[NoQuery, IncidentBody]) -> Answer:
    body, services = call.body, call.services
    rules = await rules_of(services.documents, services.policies)()
    scope = canonical_scope(body.scope, services.default_org)
    return await _changed(
        call, open_for(Opening(scope, body.title, body.severity, body.text), rules)
    )


def _doing(name: str, act_of: Callable[[Any], Act]) -> Callable[[Call[Any, Any]], Any]:
    """What answers an action: `act_of` makes of the body what is done."""

    async def answer(call: Call[NoQuery, Any]) -> Answer:
        return await _changed(call, act_on(call.path["id"], name, act_of(call.body)))

    return answer


async def _changed(call: Call[Any, Any], plan: Plan[Incident]) -> Answer:
    off = await _off_normal(call)

    def show(incident: Incident) -> Shown:
        return incident_shown(incident, call.now, still_off(incident, off))

    answer = await change(call, plan, show)
    try:
        await publish_entries(call.services.documents, call.services.bus)
    except (StoreUnavailable, PublishFailed) as error:
        # They wait in the store, and the minute's command publishes them.
        logger.warning("incidents.unpublished", extra={"cause": error.detail})
    return answer


async def _off_normal(call: Call[Any, Any]) -> dict[str, str]:
    """The scopes that are not normal now, and their modes."""
    state = await read_state(call.services.documents)
    policy = await call.services.policies.of(state.policy_version)
    modes = modes_now(state, policy.recovery, call.now)
    return {scope: mode.word for scope, mode in modes.items() if mode > Mode.NORMAL}


def _review(body: ReviewBody) -> Review:
    return Review(body.summary, body.cause, tuple(body.actions))


def _place_of(incident: Incident) -> dict[str, str | int]:
    return {"opened_at": incident.opened_at.isoformat(), "id": incident.id}


def _order(incident: Incident) -> tuple[Any, str]:
    return incident.opened_at, incident.id
