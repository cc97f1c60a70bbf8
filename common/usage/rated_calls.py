"""What is remembered of a call that was counted, so that feedback on it can be counted with it.

The marker that keeps a call from being counted twice says who made it and where it is counted: no
other document, and no other write. What a call was rated is added to its own cell of its own
minute. So feedback never makes a sum of a minute in which there was no call, and is counted in
minutes for as long as they take anything.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime

from common.core.events import CountedEvent, UsageEvent
from common.usage.rollups import COLLECTIONS, Cell, Increments, cell_of, increments_in
from common.usage.telemetry import model_of

SCORES = "scores"
"""Measure of minutes: how many calls were rated."""
SCORE_MICROS = "score_micros"
"""Measure of minutes: the sum of their scores, in millionths."""
MICROS = 1_000_000

_NOTE = "rateable"


@dataclass(frozen=True, slots=True)
class RateableCall:
    """A call that was sent. `model` is the one that metrics name."""

    cell: Cell
    event_time: datetime
    has_card: bool
    model: str | None
    mode: str

    def increments(self, score: float, now: datetime) -> Increments:
        """What its score adds, when it is counted at `now`; nothing where its minute is closed."""
        measures = {SCORES: 1, SCORE_MICROS: round(score * MICROS)}
        added = increments_in(
            self.cell, self.event_time, measures, now, has_card=self.has_card
        ).items()
        return {ref: sums for ref, sums in added if ref.collection == COLLECTIONS["minute"]}


def note_of(event: CountedEvent) -> Mapping[str, str]:
    """What the marker of an event says beside its day of deletion; nothing of what was not sent."""
    if not isinstance(event, UsageEvent) or event.line is None or not event.attempts:
        return {}
    at = event.event_time.isoformat()
    told = [*astuple(cell_of(event)), at, event.card is not None, model_of(event), event.mode]
    # As one text: a store indexes each field of a document, and nobody asks for these.
    return {_NOTE: json.dumps(told, ensure_ascii=False, separators=(",", ":"))}


def read_note(marker: Mapping[str, str]) -> RateableCall | None:
    """The call that a marker says, None of any other event."""
    if _NOTE not in marker:
        return None
    *cell, at, has_card, model, mode = json.loads(marker[_NOTE])
    return RateableCall(Cell(*cell), datetime.fromisoformat(at), has_card, model, mode)
