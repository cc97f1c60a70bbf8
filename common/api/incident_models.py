"""Bodies and views of incidents."""

from typing import Annotated, Any, TypeAlias

from pydantic import Field

from common.api.envelopes import Time, View
from common.api.incident_number_views import NumbersView
from common.api.operations import Asked, Paging
from common.core.incident_events import IncidentSeverity, IncidentStatus
from common.incidents.actions import MAX_ACTIONS, MAX_NOTE_CHARS, MAX_TITLE_CHARS
from common.incidents.timeline import Kind

Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_TITLE_CHARS)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NOTE_CHARS)]


class IncidentQuery(Paging):
    status: IncidentStatus | None = None
    severity: IncidentSeverity | None = None
    key: str | None = Field(
        None, description="what it is an incident of, as brownout:provider:openai or budget:search"
    )
    closed: bool | None = Field(None, description="false: neither resolved nor reviewed")


class IncidentBody(Asked):
    title: Line
    text: Text = Field(description="what happens")
    scope: str = Field("global", description="who is affected: global, provider:openai, ...")
    severity: IncidentSeverity = "error"


class OwnerBody(Asked):
    owner: Line = Field(description="who looks after it: an email, or a team's name")


class TextBody(Asked):
    text: Text


class ReviewBody(Asked):
    summary: Text
    cause: Text
    actions: list[Text] = Field([], max_length=MAX_ACTIONS, description="what is to be done")


class ReviewView(View):
    summary: str
    cause: str
    actions: list[str]
    numbers: NumbersView | None = Field(None, description="told where a single incident is read")


class IncidentView(View):
    """An incident as it stands."""

    id: str
    key: str = Field(
        description="what it is an incident of: brownout:SCOPE, budget:ID, blind:SOURCE or "
        "blind:SOURCE:MONITOR"
    )
    scope: str
    scopes: list[str] = Field(description="all who are affected: one cause may affect several")
    title: str
    status: IncidentStatus
    severity: IncidentSeverity = Field(description="the highest there was")
    opened_at: Time
    opened_by: str | None = Field(description="null: it was opened by facts")
    acknowledged_at: Time | None
    acknowledged_by: str | None
    mitigated_at: Time | None = Field(description="when its cause was gone; null while it is not")
    resolved_at: Time | None
    resolved_by: str | None = Field(description="null where its cause has stayed away")
    reviewed_at: Time | None
    reviewed_by: str | None
    review: ReviewView | None
    review_wanted: bool = Field(description="resolved three days ago, and not reviewed")
    owner: str | None
    done: str | None = Field(description="what is done about it")
    link: str | None = Field(description="to the alert that caused it")
    procedure: str | None = Field(description="link to what its readers are to do")
    episodes: list[str] = Field(description="of its scope's brownout; the last 100")
    cycles: int = Field(description="how often it came back, with the first time")
    entries: int = Field(description="of its timeline")


class EntryView(View):
    """One line of a timeline."""

    seq: int
    at: Time
    kind: Kind
    told: str
    actor: str | None = Field(description="who did it; null: nobody, it is a fact")
    event: str | None = Field(description="the type of the event by which others were told")
    to: list[str] = Field(description="the channels that an escalation is for")
    details: dict[str, Any]


class StoryView(IncidentView):
    """An incident and all that happened, the oldest first."""

    timeline: list[EntryView]
