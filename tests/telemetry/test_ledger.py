"""What arrives adds up to what is counted, or the counter of what was dropped says by how much."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.telemetry import OtlpTelemetry
from common.adapters.telemetry_outbox import KEPT_S, LONGEST_PAUSE_S
from common.core.events import CountedEvent, UsageEvent
from common.core.metrics import COST_TOTAL, SERVICE_REQUESTS, TELEMETRY_DROPPED
from common.core.money import Nanos
from common.core.ports import Documents, Outcome, Unknown, Write
from common.usage.apply_events import apply_events
from common.usage.rollups import CALLS, PRICED_NANOS
from common.usage.telling import Telling
from tests.contracts.facts import a_call
from tests.gateway.making import START, SetClock
from tests.telemetry.sink import METRICS, OK, REFUSED, Sink
from tests.usage.sums import stored

SEED = 11


def events(count: int, draw: random.Random) -> list[UsageEvent]:
    """Calls of some teams and models, with costs that no binary fraction holds."""
    found = []
    for number in range(count):
        nanos = draw.randrange(1, 10**8)
        found.append(
            a_call(
                id=f"call-{number}",
                event_time=START - timedelta(seconds=number % 60),
                team=f"team-{number % 5}",
                model_billed=f"model-{number % 3}",
                outcome=draw.choice(["ok", "ok", "upstream_error"]),
                cost_nanos=nanos,
                priced_nanos=nanos,
            )
        )
    return found


def a_usage(documents: Documents, clock: SetClock, telemetry: OtlpTelemetry) -> Telling:
    async def apply(batch: Sequence[CountedEvent]) -> Any:
        return await apply_events(documents, batch, clock, sleep=partial(asyncio.sleep, 0))

    return Telling(apply, telemetry, 0.0)


async def ledger(documents: SqliteDocuments) -> tuple[int, Nanos]:
    """How many calls the rollups hold, and what they cost."""
    sums = await stored(documents, "hour")
    calls = sum(amount for (_, _, measure), amount in sums.items() if measure == CALLS)
    return calls, sum(a for (_, _, measure), a in sums.items() if measure == PRICED_NANOS)


def arrived(sink: Sink) -> tuple[int, Nanos]:
    calls, usd = sink.total(SERVICE_REQUESTS.name), sink.total(COST_TOTAL.name)
    return round(calls), round(usd * 10**9)


def always(status: int, _path: str, _number: int) -> int:
    return status


async def push(usage: Telling, deliveries: Sequence[UsageEvent]) -> None:
    async with asyncio.TaskGroup() as group:
        for event in deliveries:
            group.create_task(usage.add(event))


@pytest.mark.slow
async def test_adds_up_although_events_come_three_times_and_the_sink_fails_now_and_then(
    documents: SqliteDocuments, clock: SetClock, telemetry: OtlpTelemetry, sink: Sink
) -> None:
    draw = random.Random(SEED)
    sink.status = lambda _path, _number: REFUSED if draw.random() < 0.5 else OK
    usage = a_usage(documents, clock, telemetry)
    deliveries = events(1_000, draw) * 3
    draw.shuffle(deliveries)

    for first in range(0, len(deliveries), 80):
        await push(usage, deliveries[first : first + 80])
        clock.advance(6)
    sink.status = lambda _path, _number: OK
    clock.advance(LONGEST_PAUSE_S)
    await telemetry.flush()

    assert sink.asked[METRICS] > len(sink.metrics) > 3
    assert sink.points(TELEMETRY_DROPPED.name) == []
    assert arrived(sink) == await ledger(documents)
    assert (await ledger(documents))[0] == 1_000


@pytest.mark.slow
async def test_says_how_much_is_missing_after_an_outage_that_lasts_too_long(
    documents: SqliteDocuments, clock: SetClock, telemetry: OtlpTelemetry, sink: Sink
) -> None:
    draw = random.Random(SEED)
    usage = a_usage(documents, clock, telemetry)
    deliveries = events(1_000, draw)
    for number, first in enumerate(range(0, 1_000, 40)):
        answer = REFUSED if number in range(4, 19) else OK
        sink.status = partial(always, answer)
        await push(usage, deliveries[first : first + 40] * 3)
        clock.advance(KEPT_S / 8)
    await telemetry.flush()

    calls, _ = arrived(sink)
    dropped = sink.total(TELEMETRY_DROPPED.name, signal="metrics")
    assert dropped > 0
    assert calls + dropped == 1_000


class Deaf:
    """A store whose first answers are lost after it has stored what it was given."""

    def __init__(self, documents: SqliteDocuments, lost: int) -> None:
        self._documents = documents
        self._lost = lost

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        outcome = await self._documents.commit(writes)
        if self._lost:
            self._lost -= 1
            return Unknown("no answer")
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)


async def test_counts_as_dropped_what_the_store_does_not_say_who_counted(
    documents: SqliteDocuments, clock: SetClock, telemetry: OtlpTelemetry, sink: Sink
) -> None:
    usage = a_usage(Deaf(documents, lost=1), clock, telemetry)
    deliveries = events(60, random.Random(SEED))

    await push(usage, deliveries[:40])
    await push(usage, deliveries)

    assert arrived(sink)[0] == 20
    assert sink.total(TELEMETRY_DROPPED.name, reason="unknown_outcome") == 40


async def test_counts_an_event_although_the_sink_cannot_be_reached(
    documents: SqliteDocuments, clock: SetClock, telemetry: OtlpTelemetry, sink: Sink
) -> None:
    sink.status = lambda _path, _number: REFUSED

    await push(a_usage(documents, clock, telemetry), events(10, random.Random(SEED)))

    assert (await ledger(documents))[0] == 10


@pytest.mark.parametrize("times", [1, 3])
async def test_measures_an_event_once_that_comes_twice_in_one_batch(
    documents: SqliteDocuments, clock: SetClock, telemetry: OtlpTelemetry, sink: Sink, times: int
) -> None:
    await push(a_usage(documents, clock, telemetry), [a_call(event_time=clock.now())] * times)

    assert arrived(sink)[0] == 1
