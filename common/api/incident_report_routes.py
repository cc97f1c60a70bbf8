"""The numbers of incidents and their reports, over HTTP.

When a review is written, the numbers of that moment are kept with it: minutes and calls are not
kept for ever. Of every other incident they are computed when they are asked for.
"""

import logging
from typing import Any, Literal

from pydantic import Field

from common.api.envelopes import Single, Source, View, state_source
from common.api.incident_models import StoryView
from common.api.incident_number_views import NumbersView, numbers_sentence, numbers_view
from common.api.incident_report import incident_report
from common.api.incident_views import story
from common.api.operations import Answer, AnyOperation, Asked, Call, NoBody, NoQuery, Operation
from common.core.errors import StoreUnavailable
from common.core.ports import Documents, Put, Ref
from common.gateway.incident_changes import get_incident
from common.incidents.incidents import Incident
from common.incidents.review import NO_SCOPE
from common.incidents.timeline import Entry, read_timeline
from common.runtime.incident_numbers import IncidentNumbers

logger = logging.getLogger(__name__)

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


async def kept_numbers(documents: Documents, incident: Incident) -> NumbersView | None:
    """The numbers that were kept with its review; None where there is no review, or none were.

    Raises:
        StoreUnavailable: no answer in time.
    """
    if incident.status != "reviewed":
        return None
    [document] = await documents.get_many([Ref(NUMBERS, incident.id)])
    if document is None or document.data["reviewed_at"] != incident.reviewed_at:
        return None
    return NumbersView.model_validate(document.data["numbers"])


def with_numbers(told: Single[StoryView], numbers: NumbersView | None) -> Single[StoryView]:
    """The story, with these numbers in its review."""
    review = told.data.review
    if review is None or numbers is None:
        return told
    reviewed = review.model_copy(update={"numbers": numbers})
    return told.model_copy(update={"data": told.data.model_copy(update={"review": reviewed})})


async def keep_numbers(call: Call[Any, Any]) -> None:
    """Keep the numbers of now with the review of the incident that the call names, once for each.

    Where that cannot be done they are computed whenever they are asked for, as long as they can be.
    """
    documents = call.services.documents
    try:
        incident = await get_incident(documents, call.path["id"])
        if await kept_numbers(documents, incident) is not None:
            return
        numbers = await _computed(call, incident, await read_timeline(documents, incident.id))
    except StoreUnavailable as error:
        logger.warning("incidents.numbers_not_kept", extra={"cause": error.detail})
        return
    kept = {"reviewed_at": incident.reviewed_at, "numbers": numbers.model_dump(mode="json")}
    # Whoever reviews it at this moment keeps the same; nothing else depends on the outcome.
    await documents.commit([Put(Ref(NUMBERS, incident.id), kept)])


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
    kept = await kept_numbers(documents, incident)
    view = await _computed(call, incident, entries) if kept is None else kept
    return story(incident, entries, call.now), view


async def _computed(
    call: Call[Any, Any],
    incident: Incident,
    entries: list[Entry],
) -> NumbersView:
    services = call.services
    reading = IncidentNumbers(services.documents, services.warehouse, services.policies)
    return numbers_view(await reading.of(incident, entries, call.now), call.now)


def _sources(call: Call[Any, NoBody], view: NumbersView) -> list[Source]:
    state, unknown = state_source(call.now), view.calls.reason
    if unknown is None:
        return [state, Source(name="warehouse", as_of=view.computed_at)]
    if unknown == NO_SCOPE:
        return [state]
    silent = Source(name="warehouse", as_of=view.computed_at, status="failed", detail=unknown)
    return [state, silent]
