"""Bodies and views of insights."""

from datetime import datetime

from pydantic import Field

from common.api.envelopes import Time, View
from common.api.instants import Instant
from common.api.operations import Asked, Paging
from common.core.money import usd_text
from common.insights.findings import Confidence, Insight, Kind, State


class InsightQuery(Paging):
    kind: Kind | None = None
    org: str | None = None
    scope: str | None = Field(None, description="as it is written on the insight")
    state: State | None = None
    latest: bool | None = Field(
        None, description="true: only the newest of each kind and scope; false: only older ones"
    )


class SnoozeBody(Asked):
    until: Instant = Field(description="when it is shown again; within a year")


class InsightView(View):
    """An insight as it stands."""

    id: str
    kind: Kind
    org: str
    scope: str
    since: Time = Field(description="beginning of the window it was found in")
    until: Time
    told: str = Field(description="what was seen, as a sentence")
    evidence: dict[str, int | str]
    stake_usd: str = Field(description="money at stake a month; 0 where none depends on it")
    confidence: Confidence
    rows: dict[str, str] = Field(description="filters that show the calls it was seen in")
    state: State
    snoozed_until: Time | None
    over: bool = Field(description="it has passed by itself")
    latest: bool = Field(description="the newest of its kind and scope")
    after: str | None = Field(description="the insight before it that somebody had dealt with")
    found_at: Time
    changed_at: Time
    changed_by: str | None = Field(description="who gave it its state; null: nobody")


def insight_view(insight: Insight, now: datetime) -> InsightView:
    found = insight.finding
    state = insight.state_at(now)
    return InsightView(
        id=insight.id,
        kind=found.kind,
        org=found.org,
        scope=found.scope,
        since=found.window.since,
        until=found.window.until,
        told=found.told,
        evidence=dict(found.evidence),
        stake_usd=usd_text(found.stake),
        confidence=found.confidence,
        rows=dict(found.rows),
        state=state,
        snoozed_until=insight.snoozed_until if state == "snoozed" else None,
        over=found.over,
        latest=insight.latest,
        after=insight.after,
        found_at=insight.found_at,
        changed_at=insight.changed_at,
        changed_by=insight.actor,
    )
