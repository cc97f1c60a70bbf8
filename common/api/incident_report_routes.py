"""The numbers of incidents and their reports, over HTTP.

They are computed when they are asked for. With a review they are kept as soon as they will not
change any more, because minutes are not kept for ever.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from common.api.envelopes import Single, Source, View, state_source
from common.api.incident_models import StoryView
from common.api.incident_number_views import NumbersView, numbers_sentence, numbers_view
from common.api.incident_report import incident_report
from common.api.incident_views import story
from common.api.operations import Answer, AnyOperation, Asked, Call, NoBody, NoQuery, Operation
from common.core.ports import Put, Ref
from common.gateway.incident_changes import get_incident
from common.incidents.incidents import Incident
from common.incidents.review import NO_SCOPE, TOO_EARLY
from common.incidents.timeline import Entry, read_timeline
from common.runtime.incident_numbers import NOT_READ, IncidentNumbers

MARKDOWN = "text/markdown; charset=utf-8"
NUMBERS = "incident_numbers"


class ReportQuery(Asked):
    format: Literal["markdown", "json"] = Field("markdown", description="of the answer")


class ReportView(View):
    """All that is known of an incident."""

    incident: StoryView
    numbers: NumbersView


def incident_report_operations() -> list[AnyOperation]:
    return [
        Operation(
            "get_incident_numbers", "GET", "/incidents/{id}/numbers",
            "Compute how fast an incident was handled, what it did to calls, and what it cost",
            Single[NumbersView], _numbers, NoQuery, NoBody,
        ),
        Operation(
            "get_incident_report", "GET", "/incidents/{id}/report",
            "Report an incident, its timeline and its numbers, as Markdown or JSON",
            Single[ReportView], _report, ReportQuery, NoBody, text=MARKDOWN,
        ),
    ]  # fmt: skip


async def tell_numbers(
    call: Call[Any, Any], incident: Incident, entries: Sequence[Entry]
) -> NumbersView:
    """The numbers of an incident: those that are kept, or those of now.

    Raises:
        StoreUnavailable: the state does not answer.
    """
    reviewed = incident.status == "reviewed"
    documents = call.services.documents
    ref = Ref(NUMBERS, incident.id)
    if reviewed:
        [document] = await documents.get_many([ref])
        if document is not None and document.data["reviewed_at"] == incident.reviewed_at:
            return NumbersView.model_validate(document.data["numbers"])
    services = call.services
    reading = IncidentNumbers(documents, services.warehouse, services.policies)
    view = numbers_view(await reading.of(incident, entries, call.now), call.now)
    if reviewed and _is_settled(view):
        kept = {"reviewed_at": incident.reviewed_at, "numbers": view.model_dump(mode="json")}
        # Whoever asks at this moment keeps the same, and whoever asks next finds out if it failed.
        await documents.commit([Put(ref, kept)])
    return view


async def told_with_numbers(call: Call[Any, Any], incident: Incident) -> Single[StoryView]:
    """An incident and its timeline, and with its review its numbers.

    Raises:
        StoreUnavailable: the state does not answer.
    """
    entries = await read_timeline(call.services.documents, incident.id)
    told = story(incident, entries, call.now)
    if told.data.review is None or incident.status != "reviewed":
        return told
    numbers = await tell_numbers(call, incident, entries)
    review = told.data.review.model_copy(update={"numbers": numbers})
    return told.model_copy(update={"data": told.data.model_copy(update={"review": review})})


async def _numbers(call: Call[NoQuery, NoBody]) -> Answer:
    _, view = await _story_and_numbers(call)
    return Answer(
        Single[NumbersView](
            as_of=call.now, answer=numbers_sentence(view), data=view, sources=_sources(call, view)
        )
    )


async def _report(call: Call[ReportQuery, NoBody]) -> Answer:
    told, view = await _story_and_numbers(call)
    if call.query.format == "markdown":
        return Answer(incident_report(told.data, view), headers={"content-type": MARKDOWN})
    return Answer(
        Single[ReportView](
            as_of=call.now,
            answer=told.answer,
            data=ReportView(incident=told.data, numbers=view),
            sources=_sources(call, view),
        )
    )


async def _story_and_numbers(
    call: Call[Any, NoBody],
) -> tuple[Single[StoryView], NumbersView]:
    documents = call.services.documents
    incident = await get_incident(documents, call.path["id"])
    entries = await read_timeline(documents, incident.id)
    return story(incident, entries, call.now), await tell_numbers(call, incident, entries)


def _is_settled(view: NumbersView) -> bool:
    """Whether they will be the same whenever they are computed, as long as they can be."""
    costs = (view.cost.before, view.cost.during, view.cost.after)
    is_told = view.calls.reason in {None, NO_SCOPE}
    return is_told and {NOT_READ, TOO_EARLY}.isdisjoint(each.reason for each in costs)


def _sources(call: Call[Any, NoBody], view: NumbersView) -> list[Source]:
    state, unknown = state_source(call.now), view.calls.reason
    if unknown is None:
        return [state, Source(name="warehouse", as_of=view.computed_at)]
    if unknown == NO_SCOPE:
        return [state]
    silent = Source(name="warehouse", as_of=view.computed_at, status="failed", detail=unknown)
    return [state, silent]
