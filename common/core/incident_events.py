"""Events of incidents: what happened, who knows of it, and what is still open."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from common.core.events import Event, Topic

IncidentType: TypeAlias = Literal[
    "incident.opened",
    "incident.joined",
    "incident.acknowledged",
    "incident.mitigated",
    "incident.resolved",
    "incident.reopened",
    "incident.reviewed",
    "incident.escalated",
]
IncidentStatus: TypeAlias = Literal["open", "acknowledged", "mitigated", "resolved", "reviewed"]
"""mitigated: its cause is gone for now. resolved: for good, as far as anybody knows. reviewed: what
is to be learned of it is written down."""

IncidentSeverity: TypeAlias = Literal["info", "warning", "error", "critical"]


class IncidentEvent(Event):
    """Something became of an incident. Of one incident, the greatest `seq` is the newest.

    The fields are those of the incident after what the event tells.
    """

    topic: ClassVar[Topic] = "events"
    type: IncidentType

    incident_id: str
    seq: int = Field(description="of the timeline's entry that tells the same")
    key: str = Field(
        description="what it is an incident of: brownout:SCOPE, budget:ID, blind:SOURCE or "
        "blind:SOURCE:MONITOR"
    )
    scope: str = Field(description="who is affected: a scope of brownouts, or budget:ID")
    scopes: tuple[str, ...] = Field(
        (), description="all who are affected, with `scope`, where one cause affects several"
    )
    title: str
    severity: IncidentSeverity
    status: IncidentStatus
    opened_at: AwareDatetime
    owner: str | None
    actor: str | None = Field(description="who did it; null: nobody, it came of facts")
    told: str = Field(description="what happened, as a sentence")
    done: str | None = Field(description="what is done about it, as a sentence; null: nothing")
    link: str | None = Field(description="to the alert that caused it")
    procedure: str | None = Field(description="link to what its readers are to do")
    to: tuple[str, ...] = Field((), description="escalated: the channels to tell, by name")
