"""The events of insights. Their ids follow from the insight, so that each is told once."""

from datetime import datetime
from hashlib import sha256
from typing import Literal

from common.core.events import Event
from common.core.insight_events import CostAnomaly, RecommendationProposed
from common.insights.findings import FOUND, PROPOSED, Insight


def event_of(insight: Insight, untold: str, now: datetime) -> Event:
    """The event that one of Insight.untold says."""
    found, type_ = insight.finding, untold.partition(" ")[0]
    id_ = sha256(f"{insight.id} {untold}".encode()).hexdigest()[:32]
    if type_ == PROPOSED:
        return RecommendationProposed(
            id=id_,
            event_time=now,
            insight_id=insight.id,
            kind=found.kind,
            org=found.org,
            scope=found.scope,
            since=found.window.since,
            until=found.window.until,
            told=found.told,
            saving_nanos=found.stake,
            confidence=found.confidence,
        )
    anomaly: Literal["cost.anomaly_found", "cost.anomaly_closed"] = (
        "cost.anomaly_found" if type_ == FOUND else "cost.anomaly_closed"
    )
    return CostAnomaly(
        id=id_,
        event_time=now,
        type=anomaly,
        anomaly_id=insight.id,
        series=found.scope,
        org=found.org,
        since=found.window.since,
        actual_nanos=int(found.evidence["actual_nanos"]),
        expected_nanos=int(found.evidence["expected_nanos"]),
        told=found.told,
        going_on=not found.over,
    )
