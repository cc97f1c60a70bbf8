"""What calls were rated: each call once by each line, and nobody rates the calls of another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.core.errors import StoreUnavailable
from common.core.events import Attempt, UsageEvent
from common.core.feedback_events import CallFeedback
from common.core.ids import time_ordered_id
from common.core.metrics import QUALITY_SCORE, Fact, Measurement
from common.core.ports import (
    Document,
    Documents,
    Outcome,
    Query,
    Ref,
    Unknown,
    Write,
)
from common.usage.apply_events import MARKER_LIFE, apply_events
from common.usage.feedback import PATIENCE, CallsAndFeedback, Feedback
from common.usage.rated_calls import MICROS, SCORE_MICROS, SCORES
from common.usage.recent_calls import read_recent_calls
from common.usage.rollups import floor
from common.usage.summaries import Span, read_sums
from tests.api.conftest import NOW, SetClock, a_call

CALL = time_ordered_id(NOW, bytes(10))
OTHER = time_ordered_id(NOW, bytes([7] * 10))
LINE = "0123456789ab"


def sent(**fields: Any) -> UsageEvent:
    attempt = Attempt(upstream="openai", credential=None, status=200, ms=1.5)
    return a_call(**{"attempts": (attempt,), **fields})


def rated(score: float, call_id: str = CALL, at: datetime = NOW, **fields: Any) -> CallFeedback:
    who = {"org": "acme", "team": "search", "agent": "crawler", "line": LINE, **fields}
    return CallFeedback.given(call_id, score, ("helpful",), now=at, **who)


@dataclass(slots=True)
class KeptTelemetry:
    """Keeps what it is told."""

    measured: list[Measurement] = field(default_factory=list)
    missed: list[tuple[int, str]] = field(default_factory=list)
    flushed: int = 0

    def record(self, facts: Sequence[Fact]) -> None:
        self.measured += [each for fact in facts for each in fact.measurements]

    def miss(self, facts: int, reason: str) -> None:
        self.missed.append((facts, reason))

    async def flush(self) -> None:
        self.flushed += 1


@dataclass(slots=True)
class Watched:
    """A store that counts what is written, and loses the first answers."""

    documents: Documents
    lost: int = 0
    writes: list[Sequence[Write]] = field(default_factory=list)
    reads: int = 0

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        self.reads += len(refs)
        return await self.documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.writes.append(writes)
        outcome = await self.documents.commit(writes)
        if self.lost:
            self.lost -= 1
            return Unknown("lost")
        return outcome


@dataclass(slots=True)
class Desk:
    """Feedback over a store, and how to ask what was counted."""

    documents: Documents
    clock: SetClock
    telemetry: KeptTelemetry = field(default_factory=KeptTelemetry)

    async def called(self, *calls: UsageEvent) -> None:
        await apply_events(self.documents, calls, self.clock)

    async def add(self, *events: CallFeedback, store: Documents | None = None) -> None:
        for event in events:
            feedback = Feedback(store or self.documents, self.clock, self.telemetry, no_pause)
            await feedback.add(event)

    async def scores(self, time: datetime = NOW) -> tuple[int, float]:
        """How many calls were rated in the hour before, and the sum of it."""
        span = Span(floor(time, "minute") - timedelta(hours=1), floor(time, "minute"))
        sums = [each.measures async for each in read_sums(self.documents, "minute", span)]
        return (
            sum(each.get(SCORES, 0) for each in sums),
            sum(each.get(SCORE_MICROS, 0) for each in sums) / MICROS,
        )


async def no_pause(_seconds: float) -> None:
    """Tests wait for nothing that does not happen by itself."""


@pytest.fixture
def desk(documents: Documents, clock: SetClock) -> Desk:
    return Desk(documents, clock)


async def test_adds_a_score_to_the_minute_of_its_call(desk: Desk) -> None:
    await desk.called(sent(id=CALL), sent(id=OTHER))

    await desk.add(rated(0.75), rated(0, OTHER))

    assert await desk.scores() == (2, 0.75)
    assert (await read_recent_calls(desk.documents, NOW)).hour.score == 0.375


async def test_makes_no_sum_without_a_call(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    await desk.add(rated(1))

    span = Span(NOW - timedelta(hours=1), NOW)
    sums = [each.measures["calls"] async for each in read_sums(desk.documents, "minute", span)]
    assert sums == [1]


async def test_measures_it_by_the_calls_provider_model_and_mode(desk: Desk) -> None:
    await desk.called(sent(id=CALL, mode="soft", model_billed="gpt-x-2026"))

    await desk.add(rated(0.25))

    told = {"source": "feedback", "provider": "openai", "model": "gpt-x-2026", "mode": "soft"}
    [measured] = desk.telemetry.measured
    assert (measured.instrument, measured.value) == (QUALITY_SCORE, 0.25)
    assert dict(measured.attributes) == told
    assert desk.telemetry.flushed == 1


async def test_the_first_score_that_is_counted_stays(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    await desk.add(rated(1), rated(1), rated(0, at=NOW + timedelta(seconds=5)))

    assert await desk.scores() == (1, 1.0)
    assert [each.value for each in desk.telemetry.measured] == [1]


@pytest.mark.parametrize(
    "call",
    [
        sent(id=CALL, line="ba9876543210"),
        sent(id=CALL, line=None),
        sent(id=CALL, attempts=()),
    ],
)
async def test_drops_what_rates_no_call_of_its_own(
    desk: Desk, caplog: pytest.LogCaptureFixture, call: UsageEvent
) -> None:
    await desk.called(call)

    with caplog.at_level("INFO"):
        await desk.add(rated(1))

    assert await desk.scores() == (0, 0)
    assert desk.telemetry.measured == []
    [line] = [each.__dict__ for each in caplog.records if each.msg == "feedback.unmatched"]
    assert (line["call_id"], line["line"]) == (CALL, LINE)


async def test_a_stranger_does_not_take_the_place_of_the_calls_own_line(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    await desk.add(rated(0, line="ba9876543210"), rated(1))

    assert await desk.scores() == (1, 1.0)


async def test_waits_for_its_call_and_gives_up_in_the_end(desk: Desk, clock: SetClock) -> None:
    clock.time = NOW + PATIENCE - timedelta(seconds=1)
    with pytest.raises(StoreUnavailable):
        await desk.add(rated(1))

    clock.time = NOW + PATIENCE
    await desk.add(rated(1))
    await desk.called(sent(id=CALL))

    assert await desk.scores() == (0, 0)
    await desk.add(rated(1))
    assert await desk.scores() == (1, 1.0)


async def test_measures_what_comes_after_days_and_adds_it_to_no_minute(
    desk: Desk, clock: SetClock
) -> None:
    await desk.called(sent(id=CALL))
    clock.time = NOW + timedelta(days=4)

    await desk.add(rated(0.5, at=clock.time), rated(0.5, at=clock.time))

    assert await desk.scores() == (0, 0)
    assert [each.value for each in desk.telemetry.measured] == [0.5]


@pytest.mark.parametrize("age", [MARKER_LIFE, -timedelta(days=1)])
async def test_drops_what_could_not_be_recognised_again(desk: Desk, age: timedelta) -> None:
    await desk.called(sent(id=CALL))

    await desk.add(rated(1, at=NOW - age))

    assert await desk.scores() == (0, 0)


async def test_takes_one_read_and_two_writes(desk: Desk) -> None:
    await desk.called(sent(id=CALL))
    store = Watched(desk.documents)

    await desk.add(rated(1), store=store)

    assert (store.reads, [len(writes) for writes in store.writes]) == (1, [2])


async def test_counts_once_after_an_answer_was_lost(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    await desk.add(rated(1), store=Watched(desk.documents, lost=1))

    assert await desk.scores() == (1, 1.0)
    assert (desk.telemetry.measured, desk.telemetry.missed) == ([], [(1, "unknown_outcome")])


async def test_comes_again_when_the_store_stays_silent(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    with pytest.raises(StoreUnavailable):
        await desk.add(rated(1), store=Watched(desk.documents, lost=3))


async def test_needs_no_telemetry(desk: Desk) -> None:
    await desk.called(sent(id=CALL))

    await Feedback(desk.documents, desk.clock).add(rated(1))

    assert await desk.scores() == (1, 1.0)


async def test_calls_and_feedback_come_by_one_way(desk: Desk) -> None:
    class Calls:
        async def add(self, event: Any) -> None:
            await desk.called(event)

    both = CallsAndFeedback(Calls(), Feedback(desk.documents, desk.clock))

    await both.add(sent(id=CALL))
    await both.add(rated(1))

    assert await desk.scores() == (1, 1.0)
