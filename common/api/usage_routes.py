"""Reports over HTTP: sums of usage by dimension, and the calls behind them."""

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from common.api.cursors import Place, make_cursor, read_cursor
from common.api.envelopes import Listing, Source, Time, Usd, View, usd_or_none
from common.api.instants import Instant
from common.api.operations import Answer, AnyOperation, Call, NoBody, Operation, Paging
from common.core.events import CostSource, Outcome
from common.core.money import usd_text
from common.core.ports import Row
from common.usage.reports import (
    Dimension,
    Figures,
    Filter,
    Granularity,
    Group,
    Position,
    list_calls,
    summarise,
)
from common.usage.rollups import ceiling
from common.usage.summaries import Division, summarise_usage

DEFAULT_SPAN = timedelta(hours=24)
_DIMENSIONS = frozenset(get_args(Dimension)) - {"tag"}
_TAG = re.compile(r"tag:([a-z0-9][a-z0-9_.-]{0,62})")


class UsageQuery(Paging):
    """Which calls."""

    since: Instant | None = Field(None, description="24 hours before `until` if not given")
    until: Instant | None = Field(
        None, description="not included; now, for summaries the end of this minute, if not given"
    )
    org: str | None = None
    team: str | None = None
    project: str | None = None
    agent: str | None = None
    key: str | None = Field(None, description="a line of keys")
    model: str | None = None
    provider: str | None = None
    outcome: Outcome | None = None
    failed: bool | None = Field(None, description="true: every outcome but ok; false: ok")
    error_code: str | None = None
    cost_source: CostSource | None = None
    simulated: bool | None = None


class SummaryQuery(UsageQuery):
    group: str = Field(
        "",
        description="comma-separated: org, team, project, agent, key, model, provider,"
        " mode (of a brownout), and one tag:<name>",
        examples=["team,model"],
    )
    granularity: Granularity = "none"

    @field_validator("group")
    @classmethod
    def _known(cls, group: str) -> str:
        names = group.split(",") if group else []
        for name in names:
            if name not in _DIMENSIONS and _TAG.fullmatch(name) is None:
                known = ", ".join(sorted(_DIMENSIONS))
                raise ValueError(f"{name!r} is not one of {known}, tag:<name>")
        if len(set(names)) < len(names) or sum(name.startswith("tag:") for name in names) > 1:
            raise ValueError("name each dimension once, and one tag at most")
        return group


class _PageTime(Place):
    """Pages keep the end of the first one, where it was chosen by default."""

    until: Instant


class _GroupPlace(_PageTime):
    row: Annotated[int, Field(ge=0)]


class _CallPlace(_PageTime):
    time: Instant
    id: str


class FiguresView(View):
    """Sums. Calls of the simulated provider are included; no real money was spent on them."""

    calls: int
    ok_calls: int
    cost: Usd | None = Field(
        description="what could be priced, null if nothing could: the sum of the calls'"
        " priced_cost, so with parts of calls whose whole cost is not known"
    )
    cost_nanos: int | None
    cost_reason: str | None
    currency: Literal["USD"] = "USD"
    estimated_calls: int = Field(description="the provider told less than all about these")
    estimated_cost: Usd
    estimated_cost_nanos: int
    unpriced_calls: int = Field(description="calls whose whole cost is not known")
    unpriced_reasons: dict[str, int]
    restated_calls: int = Field(description="calls whose cost was corrected since, which is in it")
    simulated_calls: int
    simulated_cost: Usd
    simulated_cost_nanos: int
    tokens: dict[str, int] = Field(
        description="by kind; input_tokens includes cached, output_tokens reasoning tokens"
    )


class GroupView(FiguresView):
    bucket: Time | None = Field(description="start of the hour or day; null without granularity")
    group: dict[str, str | None] = Field(description="value by dimension; null: calls without one")


class EditView(View):
    """One thing that a brownout gave up of a call, or would have."""

    name: str
    told: str = Field(description="to what: low, 1024")
    outcome: str
    reason: str = Field(description="why it was left out; empty where it was not")


class CallView(View):
    """One call through the proxy."""

    id: str
    event_time: Time
    org: str | None
    team: str | None
    agent: str | None
    project: str | None
    key_id: str | None
    key: str | None = Field(description="the key's line")
    tags: dict[str, str]
    protocol: str
    endpoint: str
    upstream: str | None
    provider: str | None
    model_asked: str | None
    model_billed: str | None
    units: dict[str, int]
    cost: Usd | None = Field(
        description="null where a unit has no price; sums count priced_cost, which is there always"
    )
    cost_nanos: int | None
    cost_reason: str | None
    priced_cost: Usd = Field(description="the part that could be priced; the cost if known")
    priced_cost_nanos: int
    currency: Literal["USD"] = "USD"
    cost_source: str | None
    book: str | None
    card: str | None
    mode: str = Field(description="of a brownout: normal, soft, hard or emergency")
    mode_scope: str | None = Field(description="the scope that the mode holds for")
    episode: str | None
    arm: str | None = Field(description="degraded, or holdout: left as it is to compare with")
    enforced: bool = Field(description="false: what would be given up is only recorded")
    priority: str | None
    edits: list[EditView]
    route: str | None = Field(description="the rule that was for the call")
    route_why: str | None
    route_shadow: bool = Field(description="the rule only recorded what it would choose")
    started_at: Time
    first_chunk_s: float | None
    duration_s: float
    gateway_ms: float
    streamed: bool
    finish_reason: str | None
    status: int
    upstream_status: int | None
    outcome: str
    error_code: str | None
    client_gone: bool
    client_retry: int
    simulated: bool


def usage_operations() -> list[AnyOperation]:
    return [
        Operation(
            "usage_summary", "GET", "/usage/summary", "Usage and cost, summed by dimension",
            Listing[GroupView, FiguresView], _summary, SummaryQuery, NoBody,
        ),
        Operation(
            "usage_calls", "GET", "/usage/calls", "Calls, newest first",
            Listing[CallView, FiguresView], _calls, UsageQuery, NoBody,
        ),
    ]  # fmt: skip


async def _summary(call: Call[SummaryQuery, NoBody]) -> Answer:
    query = call.query
    place = read_cursor(call.given, query.after, _GroupPlace)
    # A span that reaches up to now ends with a minute, so that rollups answer all of it.
    chosen = _filter(query, place, ceiling(call.now, "minute"))
    names = query.group.split(",") if query.group else []
    tag = next((name.removeprefix("tag:") for name in names if name.startswith("tag:")), None)
    dimensions: list[Any] = ["tag" if name.startswith("tag:") else name for name in names]
    summary, division = await summarise_usage(
        call.services.documents,
        call.services.warehouse,
        call.now,
        chosen,
        dimensions,
        tag=tag,
        granularity=query.granularity,
    )
    start = 0 if place is None else place.row
    page = summary.groups[start : start + query.limit]
    end = start + len(page)
    return Answer(
        Listing[GroupView, FiguresView](
            as_of=call.now,
            query=_normalised(query, chosen),
            answer=sentence(summary.total, chosen),
            data=[_group_view(names, group) for group in page],
            total=FiguresView(**_figures(summary.total)),
            next=_cursor(call, chosen, {"row": end}) if end < len(summary.groups) else None,
            sources=_sources(division, call.now),
        )
    )


async def _calls(call: Call[UsageQuery, NoBody]) -> Answer:
    query = call.query
    place = read_cursor(call.given, query.after, _CallPlace)
    chosen = _filter(query, place, call.now)
    warehouse = call.services.warehouse
    position = None if place is None else Position(place.time, place.id)
    rows = await list_calls(warehouse, chosen, after=position, limit=query.limit + 1)
    page = rows[: query.limit]
    total = (await summarise(warehouse, chosen)).total
    following = None
    if len(rows) > query.limit:
        last = {"time": page[-1]["event_time"].isoformat(), "id": page[-1]["id"]}
        following = _cursor(call, chosen, last)
    return Answer(
        Listing[CallView, FiguresView](
            as_of=call.now,
            query=_normalised(query, chosen),
            answer=sentence(total, chosen),
            data=[_call_view(row) for row in page],
            total=FiguresView(**_figures(total)),
            next=following,
            sources=[Source(name="warehouse", as_of=call.now)],
        )
    )


def sentence(total: Figures, chosen: Filter) -> str:
    """The figures in words, with everything that keeps the cost from being exact or real."""
    calls = f"{total.calls:,} {'call' if total.calls == 1 else 'calls'}"
    span = f"from {_rfc3339(chosen.since)} to {_rfc3339(chosen.until)}"
    if total.cost_nanos is None:
        text = f"{calls} {span}, and the cost of none is known"
    else:
        text = f"{calls} {span} cost ${usd_text(total.cost_nanos)}"
    notes = []
    if total.estimated_calls:
        cost = usd_text(total.estimated_nanos)
        notes.append(f"{total.estimated_calls:,} estimated (${cost})")
    if total.unpriced_calls:
        reasons = ", ".join(f"{why} {count:,}" for why, count in total.unpriced_reasons.items())
        notes.append(f"{total.unpriced_calls:,} unpriced ({reasons})")
    if total.restated_calls:
        notes.append(f"{total.restated_calls:,} restated")
    if total.simulated_calls:
        cost = usd_text(total.simulated_nanos)
        notes.append(f"{total.simulated_calls:,} simulated (${cost}, no real money)")
    return f"{text}{'; ' if notes else ''}{', '.join(notes)}."


def _sources(division: Division, now: datetime) -> list[Source]:
    """Who answered: rollups are kept in the state."""
    sources = []
    if division.rollups:
        sources.append(Source(name="state", as_of=now))
    if division.warehouse:
        sources.append(Source(name="warehouse", as_of=now))
    return sources


def _filter(query: UsageQuery, place: _PageTime | None, end: datetime) -> Filter:
    until = query.until or (end if place is None else place.until)
    return Filter(
        since=query.since or until - DEFAULT_SPAN,
        until=until,
        org=query.org,
        team=query.team,
        project=query.project,
        agent=query.agent,
        key=query.key,
        model=query.model,
        provider=query.provider,
        outcome=query.outcome,
        failed=query.failed,
        error_code=query.error_code,
        cost_source=query.cost_source,
        simulated=query.simulated,
    )


def _cursor(call: Call[Any, Any], chosen: Filter, place: dict[str, str | int]) -> str:
    return make_cursor(call.given, {**place, "until": chosen.until.isoformat()})


def _normalised(query: UsageQuery, chosen: Filter) -> dict[str, Any]:
    asked = query.model_dump(mode="json", exclude_none=True)
    return {**asked, "since": _rfc3339(chosen.since), "until": _rfc3339(chosen.until)}


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "calls": figures.calls,
        "ok_calls": figures.ok_calls,
        "cost": usd_or_none(figures.cost_nanos),
        "cost_nanos": figures.cost_nanos,
        "cost_reason": figures.cost_reason,
        "estimated_calls": figures.estimated_calls,
        "estimated_cost": usd_text(figures.estimated_nanos),
        "estimated_cost_nanos": figures.estimated_nanos,
        "unpriced_calls": figures.unpriced_calls,
        "unpriced_reasons": dict(figures.unpriced_reasons),
        "restated_calls": figures.restated_calls,
        "simulated_calls": figures.simulated_calls,
        "simulated_cost": usd_text(figures.simulated_nanos),
        "simulated_cost_nanos": figures.simulated_nanos,
        "tokens": dict(figures.tokens),
    }


def _group_view(names: list[str], group: Group) -> GroupView:
    return GroupView(
        bucket=group.bucket,
        group=dict(zip(names, group.values, strict=True)),
        **_figures(group.figures),
    )


def _call_view(row: Row) -> CallView:
    values = dict(row)
    cost, priced, line = values["cost_nanos"], values.pop("priced_nanos"), values.pop("line")
    return CallView.model_validate(
        {
            **values,
            "key": line,
            "tags": json.loads(values["tags"] or "{}"),
            "units": json.loads(values["units"] or "{}"),
            # Calls that were recorded by older versions say nothing of brownouts and rules.
            "mode": values["mode"] or "normal",
            "enforced": bool(values["enforced"]),
            "edits": json.loads(values["edits"] or "[]") or [],
            "route_shadow": bool(values["route_shadow"]),
            "cost": usd_or_none(cost),
            "priced_cost": usd_text(priced),
            "priced_cost_nanos": priced,
        }
    )
