"""Events of insights: what is found in the ledger, and the commands to look."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from common.core.events import Event, Topic
from common.core.money import Nanos


class RecommendationProposed(Event):
    """A way to spend less that somebody may take. One event for each insight of this kind."""

    topic: ClassVar[Topic] = "events"
    type: Literal["recommendation.proposed"] = "recommendation.proposed"

    insight_id: str
    kind: str = Field(description="cheaper_model, cacheable or batchable")
    org: str
    scope: str
    since: AwareDatetime = Field(description="beginning of the month it is proposed in")
    until: AwareDatetime
    told: str = Field(description="what was seen, as a sentence")
    saving_nanos: Nanos = Field(description="a month, as it was when this was proposed")
    confidence: Literal["low", "medium", "high"]


class CostAnomaly(Event):
    """A scope's spend stands out, or is usual again. Anomalies of one series are one incident."""

    topic: ClassVar[Topic] = "events"
    type: Literal["cost.anomaly_found", "cost.anomaly_closed"]

    anomaly_id: str = Field(description="the insight's id")
    series: str = Field(description="the scope")
    kind: Literal["llm_hour"] = "llm_hour"
    org: str
    since: AwareDatetime = Field(description="beginning of the UTC day it is seen in")
    actual_nanos: Nanos = Field(description="what the hours that stand out cost")
    expected_nanos: Nanos
    told: str = Field(description="what was seen, as a sentence")
    going_on: bool = Field(True, description="it was not over when this was told")


class RunInsights(Event):
    """The command to look at the ledger: each hour at what passes, each day at what stays."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["insights.hourly", "insights.daily"]
