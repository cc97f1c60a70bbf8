"""What somebody has spent, cheap enough to be asked every minute for every budget.

The warehouse is asked once an hour for each organisation and beginning, up to a boundary one to two
hours back, and its answer is remembered; what came since is read from the rollups of these hours,
in one pass for everybody. A call belongs to one of the two by its `event_time` alone, so none is
counted twice. One that arrives more than an hour late is missing until the next hour.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from common.core.money import Nanos
from common.core.ports import Clock, Documents, Warehouse
from common.usage.rollups import PRICED_NANOS, BucketSize, floor
from common.usage.summaries import Span, divide, read_sums

SETTLED_AFTER = timedelta(hours=1)
"""When calls count as complete in the warehouse."""
AT_ONCE = 4
"""Questions to the warehouse at the same time."""
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing was spent before."""


@dataclass(frozen=True, slots=True)
class Who:
    """All that spend is told apart by.

    `model` is the one that was sent, as a hard budget sees it before anybody has billed it.
    """

    team: str | None
    project: str | None
    agent: str | None
    line: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Portion:
    """The calls of an organisation from `since` up to, not including, `until` that `counts` takes.

    `until` None is the end of the minute under way.
    """

    org: str
    since: datetime
    until: datetime | None
    counts: Callable[[Who], bool]


_Sums: TypeAlias = Mapping[Who, Nanos]
_Rollup: TypeAlias = tuple[BucketSize, Span]


@dataclass(slots=True)
class Spent:
    """Sums of what was spent. One per process, which remembers."""

    documents: Documents
    warehouse: Warehouse
    clock: Clock
    _until: datetime = FIRST
    _told: dict[tuple[str, Span], _Sums] = field(default_factory=dict)

    async def of(self, portions: Sequence[Portion]) -> list[Nanos]:
        """What each portion cost, in nano-USD.

        Raises:
            StoreUnavailable: no answer in time from one of the sources.
        """
        now = self.clock.now()
        boundary = floor(now - SETTLED_AFTER, "hour")
        if boundary != self._until:
            self._until, self._told = boundary, {}
        divided = [self._divide(each, now) for each in portions]
        asked = {
            (each.org, span)
            for each, (told, _) in zip(portions, divided, strict=True)
            for span in told
        }
        await self._ask(asked - self._told.keys())
        read = await self._read({rollup for _, rollups in divided for rollup in rollups})
        return [
            sum(_add(self._told[each.org, span], each.counts) for span in told)
            + sum(_add(read[rollup].get(each.org, {}), each.counts) for rollup in rollups)
            for each, (told, rollups) in zip(portions, divided, strict=True)
        ]

    async def under(self, portions: Sequence[tuple[Portion, int]]) -> list[Nanos]:
        """What each portion cost of calls to which budgets older than an epoch applied, or none.

        The warehouse answers for what it holds by now, and nothing is remembered.

        Raises:
            StoreUnavailable: no answer in time.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(each: Portion, epoch: int) -> Nanos:
            span = Span(max(each.since, FIRST), each.until or self.clock.now())
            async with slots:
                return _add(await self._sums(each.org, span, epoch), each.counts)

        return await asyncio.gather(*(ask(*each) for each in portions))

    def _divide(self, each: Portion, now: datetime) -> tuple[list[Span], list[_Rollup]]:
        """Which spans the warehouse answers, and which the rollups."""
        since, until = max(each.since, FIRST), each.until or now
        told, rollups = [Span(since, min(until, self._until))], list[_Rollup]()
        if until > self._until:
            recent = divide(max(since, self._until), until, now)
            told += recent.warehouse
            rollups += recent.rollups
        return [span for span in told if not span.is_empty], rollups

    async def _ask(self, asked: set[tuple[str, Span]]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(org: str, span: Span) -> _Sums:
            async with slots:
                return await self._sums(org, span)

        ordered = sorted(asked, key=lambda each: (each[0], each[1].since, each[1].until))
        sums = await asyncio.gather(*(ask(*each) for each in ordered))
        self._told.update(zip(ordered, sums, strict=True))

    async def _sums(self, org: str, span: Span, epoch: int | None = None) -> _Sums:
        rows = await self.warehouse.query(
            _sql(), {"org": org, "since": span.since, "until": span.until, "epoch": epoch}
        )
        return {
            Who(r["team"], r["project"], r["agent"], r["line"], r["model"]): int(r["priced_nanos"])
            for r in rows
        }

    async def _read(self, rollups: set[_Rollup]) -> Mapping[_Rollup, Mapping[str, _Sums]]:
        """What the rollups hold, by organisation."""
        found: dict[_Rollup, dict[str, dict[Who, Nanos]]] = {}
        for size, span in rollups:
            by_org = found[size, span] = {}
            async for each in read_sums(self.documents, size, span):
                cell, nanos = each.cell, each.measures.get(PRICED_NANOS, 0)
                if nanos and cell.org is not None:
                    who = Who(cell.team, cell.project, cell.agent, cell.line, cell.sent)
                    sums = by_org.setdefault(cell.org, {})
                    sums[who] = sums.get(who, 0) + nanos
        return found


def _add(sums: _Sums, counts: Callable[[Who], bool]) -> Nanos:
    return sum(nanos for who, nanos in sums.items() if counts(who))


@cache
def _sql() -> str:
    return (files("common.usage") / "sql/spent.sql").read_text("utf-8")
