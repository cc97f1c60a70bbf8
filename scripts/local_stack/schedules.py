"""The schedules of the table, as Cloud Scheduler keeps them: commands on the bus, minute by minute.

A minute that is over when this process comes to it (the laptop slept) is left out: whoever takes a
command would not read one that old. What would fetch something from the internet is left out too,
until the setting that says where from is given.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from common.core.errors import PublishFailed
from common.core.event_types import parse_event
from common.core.events import Event
from common.core.ids import time_ordered_id
from common.core.ports import Bus, Clock
from common.core.transactions import Entropy, Sleep
from scripts.functions_table import Schedule, read_schedules

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)
ID_BYTES = 10

REACHING: Mapping[str, str] = {"pricing.refresh": "PRICE_SOURCE_URL"}
"""Commands that ask somebody on the internet, and the setting by which a laptop allows it."""

logger = logging.getLogger(__name__)


def laptop_schedules(environment: Mapping[str, str]) -> Mapping[str, Schedule]:
    """The schedules of the table that stay on this machine, and those that settings allow."""
    return {
        name: schedule
        for name, schedule in read_schedules(ROOT).items()
        if schedule.command not in REACHING or environment.get(REACHING[schedule.command])
    }


async def publish_on_time(
    bus: Bus,
    clock: Clock,
    entropy: Entropy,
    *,
    schedules: Mapping[str, Schedule] | None = None,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Publish every command at the beginning of each minute it is due in, for ever.

    Args:
        bus: takes the commands.
        clock: says which minute it is.
        entropy: for their ids.
        schedules: those of the table if none are given.
        sleep: waits the given seconds; the clock is asked again after it.
    """
    known = read_schedules(ROOT) if schedules is None else schedules
    next_minute = _minute(clock.now()) + MINUTE
    while True:
        while (now := clock.now()) < next_minute:
            await sleep((next_minute - now).total_seconds())
        minute = _minute(now)
        for event in _due(known, minute, now, entropy):
            try:
                await bus.publish(event.topic, event)
            except PublishFailed as error:
                logger.warning("schedule.failed", extra={"type": event.type, "cause": error.detail})
        next_minute = minute + MINUTE


def _due(
    schedules: Mapping[str, Schedule], minute: datetime, now: datetime, entropy: Entropy
) -> Iterator[Event]:
    for schedule in schedules.values():
        if not schedule.is_due(minute):
            continue
        told = {"type": schedule.command, "id": time_ordered_id(now, entropy(ID_BYTES))}
        command = parse_event({**told, "event_time": now, **schedule.data})
        if command is not None:
            yield command


def _minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)
