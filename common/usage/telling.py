"""Counts events, and tells telemetry of each that was new.

Whether an event is new is decided by the commit that counts it, so an event that is delivered again
is measured no second time, and what corrects a call not at all. Telemetry is told after that commit
and never fails it; a process that ends between the two loses a few, and no more. Where the store
did not say who counted an event first, it is not measured, and counted as dropped.
"""

from collections.abc import Sequence

from common.core.events import CountedEvent, UsageEvent
from common.core.metrics import Fact, Telemetry
from common.usage.apply_events import Applied
from common.usage.gathering import Apply, Gathering
from common.usage.spans import spans_of
from common.usage.telemetry import measurements_of


class Telling:
    """Gathers, counts and tells. `share` is that of the traces to keep, 0 to 1."""

    def __init__(self, apply: Apply, telemetry: Telemetry, share: float) -> None:
        self._apply = apply
        self._telemetry = telemetry
        self._share = share
        self._gathering = Gathering(self._apply_and_record)

    async def add(self, event: CountedEvent) -> None:
        """Return when the event is counted, and telemetry is sent or kept.

        Raises:
            StoreUnavailable: it is not counted, as far as is known; it has to come again.
        """
        await self._gathering.add(event)
        # Within the request: an instance that serves none has no CPU.
        await self._telemetry.flush()

    async def _apply_and_record(self, events: Sequence[CountedEvent]) -> Applied:
        applied = await self._apply(events)
        new = {event.id: event for event in events if event.id in applied.new}
        facts = [
            Fact(measurements_of(event), spans_of(event, self._share))
            for event in new.values()
            if isinstance(event, UsageEvent)
        ]
        self._telemetry.record(facts)
        if applied.unsure:
            self._telemetry.miss(len(applied.unsure), "unknown_outcome")
        return applied
