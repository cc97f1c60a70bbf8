"""What a correction adds: the exact difference, where its call is counted, once.

A correction and a call are counted alike (`apply_events`): a marker of its own id, and increments
in the documents of the call's minute and hour. The difference may be negative. The call itself, its
units and its hold are counted no second time. How many calls were restated is counted beside.
Corrections of one call may come in any order: there is one of each number, and each begins where
the one before it ended, so their sum is the cost that the last one says.

Minutes take a correction as long as they take calls; nobody asks older ones for money.
"""

from datetime import datetime

from common.core.correction_events import UsageCorrected
from common.core.events import CountedEvent, UsageEvent
from common.usage.episode_sums import episode_increments
from common.usage.rollups import (
    PRICED_NANOS,
    RESTATED_CALLS,
    Cell,
    Increments,
    increments_in,
    increments_of,
)


def counted_from(event: CountedEvent) -> datetime:
    """From when on the marker of an event has to live: when it was made."""
    return event.corrected_at if isinstance(event, UsageCorrected) else event.event_time


def effect_of(event: CountedEvent, now: datetime) -> Increments:
    """What an event adds, when it is counted at `now`; nothing for other types."""
    if isinstance(event, UsageEvent):
        return {**increments_of(event, now), **episode_increments(event)}
    return _of_correction(event, now) if isinstance(event, UsageCorrected) else {}


def cell_corrected(event: UsageCorrected) -> Cell:
    """Where the call is counted: only calls of a known cost are corrected."""
    return Cell(
        org=event.org,
        team=event.team,
        project=event.project,
        agent=event.agent,
        line=event.line,
        provider=event.provider,
        model=event.model_asked if event.model_billed is None else event.model_billed,
        outcome=event.outcome,
        error_code=event.error_code,
        cost_source=event.cost_source,
        cost_reason=None,
        simulated=event.simulated,
        sent=event.model_sent,
    )


def _of_correction(event: UsageCorrected, now: datetime) -> Increments:
    measures = {PRICED_NANOS: event.difference, RESTATED_CALLS: int(event.number == 0)}
    return increments_in(cell_corrected(event), event.event_time, measures, now, has_card=True)
