"""What the events of calls prove, for whoever compares them with a provider's bill.

The warehouse holds every event, with what each hold of a call was settled at. A day is one of UTC,
and a call belongs to the day on which it ended.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files

from common.core.money import Nanos
from common.core.ports import Warehouse
from common.usage.spent import FIRST


@dataclass(frozen=True, slots=True)
class DaySum:
    """What the calls of a day cost, and what budgets were charged beyond that."""

    priced: Nanos
    unproven: Nanos


@dataclass(frozen=True, slots=True)
class FlaggedCall:
    """A call that was charged beyond its cost. `settlements` are its holds' leases and amounts."""

    id: str
    started_at: datetime
    ended_at: datetime
    settlements: tuple[tuple[str, Nanos], ...]
    unproven: Nanos


@dataclass(frozen=True, slots=True)
class Proof:
    """Answers from the warehouse. Every method raises StoreUnavailable: no answer in time."""

    warehouse: Warehouse

    async def day_sums(self, day: date) -> Mapping[str, DaySum]:
        """What the calls of a day cost that were sent to a provider, by provider."""
        since = datetime.combine(day, time(), UTC)
        rows = await self.warehouse.query(
            _sql("day_sums"), {"since": since, "until": since + timedelta(days=1)}
        )
        return {
            row["provider"]: DaySum(int(row["priced_nanos"]), int(row["unproven_nanos"]))
            for row in rows
        }

    async def flagged(
        self, provider: str, since: datetime, until: datetime
    ) -> Sequence[FlaggedCall]:
        """The calls that ended from `since` up to, not in, `until`, and were charged beyond."""
        rows = await self.warehouse.query(
            _sql("flagged_calls"), {"provider": provider, "since": since, "until": until}
        )
        return [
            FlaggedCall(
                row["id"],
                row["started_at"],
                row["event_time"],
                tuple((each["lease"], each["nanos"]) for each in json.loads(row["settlements"])),
                int(row["unproven_nanos"]),
            )
            for row in rows
        ]

    async def settled_on(
        self, lease: str, since: datetime, recently: datetime
    ) -> tuple[Nanos, Nanos]:
        """What calls settled on a lease, and the unproven part of those that ended `recently`."""
        [row] = await self.warehouse.query(
            _sql("lease_settlements"),
            {"lease": lease, "since": max(since, FIRST), "recently": recently},
        )
        return int(row["settled_nanos"] or 0), int(row["unproven_nanos"] or 0)


@cache
def _sql(name: str) -> str:
    return (files("common.usage") / f"sql/{name}.sql").read_text("utf-8")
