"""Counts what calls were rated: each call once by each line, and a line rates its own calls alone.

The event of feedback has an id that follows from the call and the line, so the score that is
counted first stays, and any other for the same call changes nothing. Whether the line made the
call is asked of the marker of the call: what was made by another line, was never sent or is
forgotten is dropped, with one log line. Events come in no order, so feedback whose call is not
counted yet is sent back for PATIENCE, and dropped after that.

Counting takes one read and one commit of two documents at most: a marker, and the minute in which
the call is counted.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Protocol

from common.core import metrics
from common.core.errors import StoreUnavailable
from common.core.events import CountedEvent
from common.core.feedback_events import CallFeedback
from common.core.metrics import Fact, Measurement, Telemetry
from common.core.ports import Clock, Documents, Ref
from common.core.transactions import Sleep
from common.usage.apply_events import MARKER_LIFE, MARKERS, MOST_AHEAD, apply_effect
from common.usage.rated_calls import RateableCall, read_note

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=1)
"""How long after it was given feedback waits for its call."""


class Calls(Protocol):
    """Counts calls."""

    async def add(self, event: CountedEvent) -> None:
        """Return when the event is counted; raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """Counts feedback. Telemetry is told of what was new, where there is any."""

    documents: Documents
    clock: Clock
    telemetry: Telemetry | None = None
    sleep: Sleep = asyncio.sleep

    async def add(self, event: CallFeedback) -> None:
        """Return when the feedback is counted, now or long ago, or is dropped.

        Raises:
            StoreUnavailable: it is not counted, as far as is known, or its call is not counted yet;
                it has to come again.
        """
        now = self.clock.now()
        age = now - event.event_time
        call = await self._call_of(event, wait=age < PATIENCE)
        if call is None or not -MOST_AHEAD < age < MARKER_LIFE:
            logger.info("feedback.unmatched", extra={"call_id": event.call_id, "line": event.line})
            return
        effect = call.increments(event.score, now)
        applied = await apply_effect(self.documents, event.id, effect, now, sleep=self.sleep)
        if event.id in applied.failed:
            raise StoreUnavailable(applied.failed[event.id])
        if self.telemetry is None:
            return
        if event.id in applied.new:
            self.telemetry.record([Fact([_measured(event, call)])])
        elif applied.unsure:
            self.telemetry.miss(len(applied.unsure), "unknown_outcome")
        # Within the request: an instance that serves none has no CPU.
        await self.telemetry.flush()

    async def _call_of(self, event: CallFeedback, *, wait: bool) -> RateableCall | None:
        """The call, if the line that rates made it."""
        [marker] = await self.documents.get_many([Ref(MARKERS, event.call_id)])
        if marker is None and wait:
            raise StoreUnavailable("the call of this feedback is not counted yet")
        call = None if marker is None else read_note(marker.data)
        return call if call is not None and call.cell.line == event.line else None


@dataclass(frozen=True, slots=True)
class CallsAndFeedback:
    """Counts what the function `usage` is given."""

    calls: Calls
    feedback: Feedback

    async def add(self, event: CountedEvent) -> None:
        """Return when the event is counted.

        Raises:
            StoreUnavailable: it is not, as far as is known; it has to come again.
        """
        if isinstance(event, CallFeedback):
            await self.feedback.add(event)
        else:
            await self.calls.add(event)


def _measured(event: CallFeedback, call: RateableCall) -> Measurement:
    told = {"source": "feedback", "provider": call.cell.provider, "model": call.model}
    known = {name: value for name, value in told.items() if value is not None}
    attributes = MappingProxyType({**known, "mode": call.mode})
    return Measurement(metrics.QUALITY_SCORE, event.score, attributes)
