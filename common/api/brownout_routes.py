"""Brownouts over HTTP: the modes of now and what holds them, pins, and what has happened."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from common.api.brownout_models import (
    BrownoutView,
    DeliveryView,
    ModeChangeView,
    PinBody,
    PinView,
    ScopeQuery,
    SignalView,
)
from common.api.brownout_policy_routes import policy_operations
from common.api.brownout_views import (
    brownout_view,
    change_view,
    delivery_view,
    pin_version,
    pin_view,
    sentence,
    signal_view,
)
from common.api.cursors import Place, read_cursor, stored_page
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.episode_views import EpisodeView, episode_sentence, episode_view
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.problems import PreconditionRequired
from common.api.published_routes import published_operations
from common.api.replay_routes import replay_operations
from common.api.versions import is_named
from common.api.writes import Shown, change
from common.brownout.changes import CHANGES, Change, publish_changes
from common.brownout.deliveries import DELIVERIES
from common.brownout.episodes import EPISODES, Episode
from common.brownout.modes import MODES
from common.brownout.pins import PinRecord, live_pins
from common.brownout.signals import SIGNALS, Signal
from common.brownout.sources import read_sources
from common.brownout.state import read_state
from common.core.errors import NotFound, PublishFailed, StoreUnavailable
from common.core.ports import Document, Query
from common.gateway.brownout_changes import PinAsked, canonical_scope, pin_scope, unpin_scope
from common.gateway.changes import Plan
from common.gateway.identity import count_documents

logger = logging.getLogger(__name__)

MOST_DELIVERIES = 100


class _IdPlace(Place):
    id: Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Documents of one page, the question, how many there are in all, and where the next begins."""

    documents: Sequence[Document]
    query: dict[str, Any]
    count: int
    following: str | None


def brownout_operations() -> list[AnyOperation]:
    return [
        Operation(
            "get_brownout", "GET", "/brownout", "Read the modes of now, what holds them, and pins",
            Single[BrownoutView], _get, NoQuery, NoBody,
        ),
        Operation(
            "list_mode_changes", "GET", "/brownout/changes", "List changes of modes, newest first",
            Listing[ModeChangeView, Count], _changes, ScopeQuery, NoBody,
        ),
        Operation(
            "list_episodes", "GET", "/brownout/episodes",
            "List the brownouts that have ended and what they saved, newest first",
            Listing[EpisodeView, Count], _episodes, ScopeQuery, NoBody,
        ),
        Operation(
            "get_episode", "GET", "/brownout/episodes/{id}",
            "Read one brownout that has ended and what it saved",
            Single[EpisodeView], _episode, NoQuery, NoBody,
        ),
        Operation(
            "list_signals", "GET", "/brownout/signals",
            "List the newest word of each alert, for an hour after its end",
            Listing[SignalView, Count], _signals, ScopeQuery, NoBody,
        ),
        Operation(
            "list_pins", "GET", "/brownout/pins", "List the pins that count now, newest first",
            Listing[PinView, Count], _pins, NoQuery, NoBody,
        ),
        Operation(
            "pin_scope", "POST", "/brownout/pins",
            "Pin a scope to a mode, in place of its pin of now",
            Single[PinView], _pin, NoQuery, PinBody, status=201,
        ),
        Operation(
            "unpin_scope", "DELETE", "/brownout/pins/{id}", "End a pin before its time",
            Single[PinView], _unpin, NoQuery, NoBody,
        ),
        Operation(
            "list_deliveries", "GET", "/brownout/deliveries",
            "List the last 100 requests of senders of alerts, newest first",
            Listing[DeliveryView, Count], _deliveries, NoQuery, NoBody,
        ),
        *policy_operations(),
        *replay_operations(),
        *published_operations(),
    ]  # fmt: skip


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    state = await read_state(call.services.documents)
    policy = await call.services.policies.of(state.policy_version)
    sources = await read_sources(call.services.documents)
    view = brownout_view(state, policy, sources, call.now)
    return Answer(
        Single[BrownoutView](
            as_of=call.now, answer=sentence(view), data=view, sources=[state_source(call.now)]
        )
    )


async def _changes(call: Call[ScopeQuery, NoBody]) -> Answer:
    page = await _page(call, CHANGES)
    return Answer(
        Listing[ModeChangeView, Count](
            data=[change_view(Change.from_document(each)) for each in page.documents],
            **_around(call, page.query, page.count, "change", page.following),
        )
    )


async def _episodes(call: Call[ScopeQuery, NoBody]) -> Answer:
    page = await _page(call, EPISODES)
    return Answer(
        Listing[EpisodeView, Count](
            data=[episode_view(Episode.from_document(each)) for each in page.documents],
            **_around(call, page.query, page.count, "episode", page.following),
        )
    )


async def _episode(call: Call[NoQuery, NoBody]) -> Answer:
    id_ = call.path["id"]
    found = await call.services.documents.query(Query(EPISODES, {"id": id_}, limit=1))
    if not found:
        raise NotFound(f"there is no episode {id_[:80]!r}, or it has not ended yet")
    view = episode_view(Episode.from_document(found[0]))
    return Answer(
        Single[EpisodeView](
            as_of=call.now,
            answer=episode_sentence(view),
            data=view,
            sources=[state_source(call.now)],
        )
    )


async def _signals(call: Call[ScopeQuery, NoBody]) -> Answer:
    page = await _page(call, SIGNALS)
    return Answer(
        Listing[SignalView, Count](
            data=[signal_view(Signal.from_document(each), call.now) for each in page.documents],
            **_around(call, page.query, page.count, "signal", page.following),
        )
    )


async def _pins(call: Call[NoQuery, NoBody]) -> Answer:
    live = live_pins(await read_state(call.services.documents), call.now)
    return Answer(
        Listing[PinView, Count](
            data=[pin_view(PinRecord(pin), call.now) for pin in live],
            **_around(call, {}, len(live), "pin"),
        )
    )


async def _deliveries(call: Call[NoQuery, NoBody]) -> Answer:
    found = await call.services.documents.query(Query(DELIVERIES, limit=MOST_DELIVERIES))
    return Answer(
        Listing[DeliveryView, Count](
            data=[delivery_view(each) for each in found],
            **_around(call, {}, len(found), "request"),
        )
    )


async def _pin(call: Call[NoQuery, PinBody]) -> Answer:
    body, services = call.body, call.services
    asked = PinAsked(
        scope=canonical_scope(body.scope, services.default_org),
        mode=MODES[body.mode],
        reason=body.reason,
        lasts=timedelta(minutes=body.minutes),
    )
    return await _moved(call, pin_scope(asked, services.policies))


async def _unpin(call: Call[NoQuery, NoBody]) -> Answer:
    seen = call.if_match
    if seen is None:
        raise PreconditionRequired(
            "send If-Match with the version of the pin that you read, or *", field="If-Match"
        )
    plan = unpin_scope(
        call.path["id"], lambda pin: is_named(seen, pin_version(pin)), call.services.policies
    )
    return await _moved(call, plan)


async def _moved(call: Call[Any, Any], plan: Plan[PinRecord]) -> Answer:
    def show(record: PinRecord) -> Shown:
        view = pin_view(record, call.now)
        ended = record.ended_at or record.pin.until
        told = f"is pinned to {view.mode} until" if view.live else "is not pinned any more, since"
        single = Single[PinView](
            as_of=call.now,
            answer=f"{view.scope} {told} {ended:%Y-%m-%dT%H:%M:%SZ}.",
            data=view,
            sources=[state_source(call.now)],
        )
        return Shown(first=single, repeated=single, etag=view.version)

    answer = await change(call, plan, show)
    services = call.services
    try:
        await publish_changes(services.documents, services.bus)
    except (StoreUnavailable, PublishFailed) as error:
        # They are marked as unpublished, and the next tick finds them.
        logger.warning("brownout.unpublished", extra={"cause": error.detail})
    return answer


async def _page(call: Call[ScopeQuery, NoBody], collection: str) -> _Page:
    """One page of a collection, perhaps of one scope only."""
    services, limit = call.services, call.query.limit
    where: dict[str, str] = {}
    if call.query.scope is not None:
        where = {"scope": canonical_scope(call.query.scope, services.default_org)}
    place = read_cursor(call.given, call.query.after, _IdPlace)
    after = None if place is None else place.id

    async def read(*, after: str | None, limit: int) -> Sequence[Document]:
        return await services.documents.query(Query(collection, where, after=after, limit=limit))

    found, following = await stored_page(call.given, after, limit, read, lambda each: each.ref.id)
    count = await count_documents(services.documents, collection, where)
    asked = {**call.query.model_dump(exclude_none=True), **where}
    return _Page(found, asked, count, following)


def _around(
    call: Call[Any, Any], query: dict[str, Any], count: int, word: str, following: str | None = None
) -> dict[str, Any]:
    """What stands around the rows of a list."""
    return {
        "as_of": call.now,
        "query": query,
        "answer": f"{count} {word if count == 1 else f'{word}s'}.",
        "total": Count(count=count),
        "next": following,
        "sources": [state_source(call.now)],
    }
