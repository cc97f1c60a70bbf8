"""Events, rollups and the warehouse's view agree, whatever happens to deliveries and consumers."""

import asyncio
import base64
import json
import os
import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from common.core.events import UsageEvent
from common.usage.reports import Dimension, Filter, summarise
from common.usage.summaries import summarise_usage
from tests.api.conftest import NOW, a_call
from tests.laws.conftest import Engines
from tests.usage.sums import expected, stored

ROOT = Path(__file__).parents[2]
CONSUMERS = 2
KILLS = 10
AT_ONCE = 80
SEED = 20261123
DEADLINE_S = 240


def a_ledger(count: int, now: datetime, draw: random.Random) -> list[UsageEvent]:
    """Calls of the last 60 hours by 60 keys, some failed, estimated or without a price."""
    calls = []
    for number in range(count):
        agent, nanos = draw.randrange(60), draw.randrange(10**9)
        known = draw.random() < 0.9
        ok = draw.random() < 0.9
        calls.append(
            a_call(
                number,
                event_time=now - timedelta(seconds=draw.uniform(1, 60 * 3600)),
                org=f"org-{agent % 2}",
                team=f"team-{agent % 9}",
                agent=f"agent-{agent}",
                line=f"line-{agent}",
                model_billed=draw.choice(["gpt-x", "gpt-y", "made-up"]) if ok else None,
                card="openai/gpt-x" if known else None,
                units={"input_tokens": draw.randrange(9_999), "output_tokens": draw.randrange(99)},
                cost_nanos=nanos if known else None,
                cost_reason=None if known else "unknown_model",
                priced_nanos=nanos if known else 0,
                cost_source=draw.choice(["provider", "estimated"]),
                outcome="ok" if ok else "upstream_error",
                error_code=None if ok else "upstream_500",
            )
        )
    return calls


@dataclass(slots=True)
class Deliveries:
    """What is still to be delivered, by number of the event; some of it more than once."""

    events: Sequence[UsageEvent]
    waiting: deque[int]
    acknowledged: int = 0
    killed: int = 0
    ended: list[int] = field(default_factory=list)

    def line(self, number: int) -> bytes:
        data = base64.b64encode(self.events[number].payload()).decode()
        message = {"data": data, "messageId": str(number), "attributes": {"type": "usage.call"}}
        envelope = {"message": message, "subscription": "projects/p/subscriptions/usage"}
        return f"{number} {json.dumps(envelope)}\n".encode()


async def consume(deliveries: Deliveries, settings: dict[str, str], kill_at: list[int]) -> None:
    """Deliver to one process after another; each is killed at a moment of `kill_at`, if any."""
    while deliveries.waiting:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tests.laws.consumer"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        in_flight: list[int] = []
        try:
            while deliveries.waiting or in_flight:
                while deliveries.waiting and len(in_flight) < AT_ONCE:
                    number = deliveries.waiting.popleft()
                    in_flight.append(number)
                    process.stdin.write(deliveries.line(number))
                number_text, _, status = (await process.stdout.readline()).decode().partition(" ")
                number = int(number_text)
                in_flight.remove(number)
                if status.strip() == "204":
                    deliveries.acknowledged += 1
                else:
                    deliveries.waiting.append(number)
                if kill_at and deliveries.acknowledged >= kill_at[0]:
                    kill_at.pop(0)
                    deliveries.killed += 1
                    break
        finally:
            # What it was doing is lost with it, effect or acknowledgement, and comes again.
            if in_flight:
                process.kill()
            deliveries.waiting.extend(in_flight)
            process.stdin.close()
            deliveries.ended.append(await process.wait())


@pytest.mark.slow
async def test_events_rollups_and_the_view_agree_while_consumers_are_killed(
    engines: Engines,
) -> None:
    """Each event is delivered one to three times, out of order, and again after every kill."""
    draw, now = random.Random(SEED), datetime.now(UTC)
    events = a_ledger(engines.events, now, draw)
    order = [number for number in range(engines.events) for _ in range(draw.randint(1, 3))]
    draw.shuffle(order)
    deliveries = Deliveries(events, deque(order))
    kills = min(KILLS, engines.events // 150)  # a process takes a while to start
    moments = sorted(draw.sample(range(len(order) * 9 // 10), kills))

    writing = asyncio.create_task(_write_view(engines, events, order))
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(
            *(
                consume(deliveries, dict(engines.settings), moments[consumer::CONSUMERS])
                for consumer in range(CONSUMERS)
            )
        )
        await writing

    assert deliveries.acknowledged == len(order)
    assert (deliveries.killed, deliveries.ended.count(-9)) == (kills, kills)
    assert await stored(engines.documents, "hour") == expected(events, "hour")
    assert await stored(engines.documents, "minute") == expected(events, "minute")
    await _assert_one_total(engines, events, now)


async def _write_view(engines: Engines, events: Sequence[UsageEvent], order: list[int]) -> None:
    """Rows as the table's subscription writes them, one for each delivery."""
    rows = [
        {**events[number].model_dump(mode="json"), "message_id": str(n), "publish_time": NOW}
        for n, number in enumerate(order)
    ]
    for start in range(0, len(rows), 500):
        await engines.warehouse.append("usage_raw", rows[start : start + 500])


async def _assert_one_total(engines: Engines, events: Sequence[UsageEvent], now: datetime) -> None:
    """The same rows and total, from both sources, from the warehouse alone, from the events."""
    groups: list[list[Dimension]] = [[], ["team", "model"], ["org", "agent", "key"]]
    hours: list[float] = [1.01, 20, 61]
    for span, dimensions in product(hours, groups):
        chosen = Filter(since=now - timedelta(hours=span), until=now)
        both, _ = await summarise_usage(
            engines.documents, engines.warehouse, now, chosen, dimensions, granularity="hour"
        )
        alone = await summarise(engines.warehouse, chosen, dimensions, granularity="hour")
        within: list[Any] = [event for event in events if event.event_time >= chosen.since]

        assert both == alone
        assert both.total.calls == len(within)
        assert both.total.priced_nanos == sum(event.priced_nanos for event in within)
