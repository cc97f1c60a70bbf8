"""Insights over HTTP: what was found in the ledger, and what people make of it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from common.api.cursors import Place, first_page, read_cursor
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.insight_models import InsightQuery, InsightView, SnoozeBody, insight_view
from common.api.operations import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from common.api.writes import Shown, change
from common.gateway.insight_changes import Act, act_on, get_insight
from common.insights.findings import Insight, dismiss, finish, reopen, snooze
from common.insights.keeping import find_insights

_EQUAL = ("kind", "org", "scope")


class _InsightPlace(Place):
    stake: int
    id: Annotated[str, Field(min_length=1, max_length=200)]


def insight_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_insights", "GET", "/insights", "List insights, those with most at stake first",
            Listing[InsightView, Count], _list, InsightQuery, NoBody,
        ),
        Operation(
            "get_insight", "GET", "/insights/{id}", "Read an insight",
            Single[InsightView], _get, NoQuery, NoBody,
        ),
        Operation(
            "dismiss_insight", "POST", "/insights/{id}:dismiss", "Say that it does not matter",
            Single[InsightView], _doing("dismiss", lambda _: dismiss), NoQuery, NoBody,
        ),
        Operation(
            "snooze_insight", "POST", "/insights/{id}:snooze", "Hide it until a time",
            Single[InsightView], _doing("snooze", _snoozing), NoQuery, SnoozeBody,
        ),
        Operation(
            "finish_insight", "POST", "/insights/{id}:done", "Say that what it advises is done",
            Single[InsightView], _doing("done", lambda _: finish), NoQuery, NoBody,
        ),
        Operation(
            "reopen_insight", "POST", "/insights/{id}:reopen", "Open it again",
            Single[InsightView], _doing("reopen", lambda _: reopen), NoQuery, NoBody,
        ),
    ]  # fmt: skip


async def _list(call: Call[InsightQuery, NoBody]) -> Answer:
    query = call.query
    asked = query.model_dump(exclude_none=True)
    where = {name: asked[name] for name in _EQUAL if name in asked}
    place = read_cursor(call.given, query.after, _InsightPlace)
    known = await find_insights(call.services.documents, where)
    chosen = sorted(
        (
            each
            for each in known
            if query.state in (None, each.state_at(call.now))
            and query.latest in (None, each.latest)
        ),
        key=_order,
    )
    left = [each for each in chosen if place is None or _order(each) > (-place.stake, place.id)]
    page, following = first_page(call.given, left, query.limit, _place_of)
    count = len(chosen)
    return Answer(
        Listing[InsightView, Count](
            as_of=call.now,
            query=asked,
            answer=f"{count} {'insight' if count == 1 else 'insights'}.",
            data=[insight_view(each, call.now) for each in page],
            total=Count(count=count),
            next=following,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    insight = await get_insight(call.services.documents, call.path["id"])
    return Answer(_single(insight, call.now))


def _doing(
    name: str, act_of: Callable[[Any], Act]
) -> Callable[[Call[NoQuery, Any]], Awaitable[Answer]]:
    """What answers an action: `act_of` makes of the body what is done."""

    async def answer(call: Call[NoQuery, Any]) -> Answer:
        plan = act_on(call.path["id"], name, act_of(call.body))
        return await change(call, plan, lambda insight: _shown(insight, call.now))

    return answer


def _snoozing(body: SnoozeBody) -> Act:
    return lambda insight, actor, now: snooze(insight, body.until, actor, now)


def _shown(insight: Insight, now: datetime) -> Shown:
    view = _single(insight, now)
    return Shown(first=view, repeated=view)


def _single(insight: Insight, now: datetime) -> Single[InsightView]:
    return Single[InsightView](
        as_of=now,
        answer=insight.finding.told,
        data=insight_view(insight, now),
        sources=[state_source(now)],
    )


def _place_of(insight: Insight) -> dict[str, str | int]:
    return {"stake": insight.finding.stake, "id": insight.id}


def _order(insight: Insight) -> tuple[int, str]:
    return -insight.finding.stake, insight.id
