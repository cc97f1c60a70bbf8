"""A summary from two sources with one total: rollups for the recent past, the warehouse before.

Every instant belongs to one source. Rollups answer whole minutes and hours of the last RECENT; the
warehouse answers what is older, and the seconds at the ends of a span that does not begin or end
with a minute. Both count each call once by its `event_time`, so where the boundary lies changes
nothing in the sum. A call that has just ended is in the rollups first.

A question by tag or mode goes to the warehouse alone, since rollups know neither.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from common.core.ports import Documents, Query, Warehouse
from common.usage.reports import (
    TOKEN_KINDS,
    Dimension,
    Figures,
    Filter,
    Granularity,
    Group,
    Summary,
    check_span,
    merge,
    summarise,
)
from common.usage.rollups import (
    CALLS,
    COLLECTIONS,
    PRICED_NANOS,
    RESTATED_CALLS,
    UNIT,
    BucketSize,
    Cell,
    CellSum,
    ceiling,
    floor,
    place,
    sums_in,
)

RECENT = timedelta(hours=48)
"""How far back rollups are read: a question costs some documents for each of its hours."""

PAGE = 200

_UNKNOWN_TO_ROLLUPS: frozenset[Dimension] = frozenset({"tag", "mode"})


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` up to, not including, `until`; none where they are equal."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        return self.since >= self.until


@dataclass(frozen=True, slots=True)
class Division:
    """Who answers which part of a span; the parts do not overlap and leave nothing out."""

    warehouse: tuple[Span, ...]
    rollups: tuple[tuple[BucketSize, Span], ...]


def divide(since: datetime, until: datetime, now: datetime) -> Division:
    """Divide a span that is asked for at `now` among the sources.

    A span that reaches up to `now` ends with the minute under way.
    """
    first = max(ceiling(since, "minute"), floor(now - RECENT, "hour"))
    last = ceiling(until, "minute") if until >= now else floor(until, "minute")
    if first >= last:
        return Division((Span(since, until),), ())
    # All of the hour under way is counted by now, and no call has a later time.
    hours = Span(ceiling(first, "hour"), last if last >= now else floor(last, "hour"))
    parts: list[tuple[BucketSize, Span]]
    if hours.is_empty:
        parts = [("minute", Span(first, last))]
    else:
        parts = [
            ("minute", Span(first, hours.since)),
            ("hour", hours),
            ("minute", Span(hours.until, last)),
        ]
    edges = (Span(since, first), Span(last, until))
    return Division(
        tuple(span for span in edges if not span.is_empty),
        tuple((size, span) for size, span in parts if not span.is_empty),
    )


async def summarise_usage(
    documents: Documents,
    warehouse: Warehouse,
    now: datetime,
    chosen: Filter,
    dimensions: Sequence[Dimension] = (),
    *,
    tag: str | None = None,
    granularity: Granularity = "none",
) -> tuple[Summary, Division]:
    """Sum the chosen calls by `dimensions`, and say which source answered for which time.

    Raises:
        InvalidInput: no time or too long a time between since and until, or too many groups.
        StoreUnavailable: no answer in time from one of the sources.
    """
    check_span(chosen)
    division = divide(chosen.since, chosen.until, now)
    if not _UNKNOWN_TO_ROLLUPS.isdisjoint(dimensions):
        division = Division((Span(chosen.since, chosen.until),), ())
    asked = [
        summarise(
            warehouse,
            replace(chosen, since=span.since, until=span.until),
            dimensions,
            tag=tag,
            granularity=granularity,
        )
        for span in division.warehouse
    ]
    told, read = await asyncio.gather(
        asyncio.gather(*asked),
        _groups(documents, division, chosen, dimensions, granularity),
    )
    groups = [group for summary in told for group in summary.groups]
    return merge([*groups, *read]), division


async def _groups(
    documents: Documents,
    division: Division,
    chosen: Filter,
    dimensions: Sequence[Dimension],
    granularity: Granularity,
) -> list[Group]:
    """The chosen cells of the rollups, each as a group of its own."""
    return [
        Group(
            _bucket(each.start, granularity),
            tuple(_value(each.cell, name) for name in dimensions),
            _figures(each),
        )
        for size, span in division.rollups
        async for each in read_sums(documents, size, span)
        if _is_chosen(each.cell, chosen)
    ]


async def read_sums(documents: Documents, size: BucketSize, span: Span) -> AsyncIterator[CellSum]:
    """The sums of all buckets in a span that begins with one of them.

    Raises:
        StoreUnavailable: no answer in time.
    """
    after, end = place(size, span.since), place(size, ceiling(span.until, size))
    while True:
        page = await documents.query(Query(COLLECTIONS[size], after=after, limit=PAGE))
        for document in page:
            if document.ref.id >= end:
                return
            for each in sums_in(document):
                yield each
        if len(page) < PAGE:
            return
        after = page[-1].ref.id


def _is_chosen(cell: Cell, chosen: Filter) -> bool:
    wanted = (
        (chosen.org, cell.org),
        (chosen.team, cell.team),
        (chosen.project, cell.project),
        (chosen.agent, cell.agent),
        (chosen.key, cell.line),
        (chosen.model, cell.model),
        (chosen.provider, cell.provider),
        (chosen.outcome, cell.outcome),
        (chosen.failed, cell.outcome != "ok"),
        (chosen.error_code, cell.error_code),
        (chosen.cost_source, cell.cost_source),
        (chosen.simulated, cell.simulated),
    )
    return all(value is None or value == held for value, held in wanted)


def _value(cell: Cell, dimension: Dimension) -> str | None:
    value: str | None = getattr(cell, "line" if dimension == "key" else dimension)
    return value


def _bucket(start: datetime, granularity: Granularity) -> datetime | None:
    match granularity:
        case "none":
            return None
        case "hour":
            return floor(start, "hour")
        case "day":
            return floor(start, "hour").replace(hour=0)


def _figures(each: CellSum) -> Figures:
    calls, nanos = each.measures.get(CALLS, 0), each.measures.get(PRICED_NANOS, 0)
    cell = each.cell
    estimated, simulated = cell.cost_source == "estimated", cell.simulated
    return Figures(
        calls=calls,
        ok_calls=calls if cell.outcome == "ok" else 0,
        priced_nanos=nanos,
        estimated_calls=calls if estimated else 0,
        estimated_nanos=nanos if estimated else 0,
        restated_calls=each.measures.get(RESTATED_CALLS, 0),
        simulated_calls=calls if simulated else 0,
        simulated_nanos=nanos if simulated else 0,
        unpriced_reasons={} if cell.cost_reason is None else {cell.cost_reason: calls},
        tokens={kind: each.measures.get(f"{UNIT}{kind}", 0) for kind in TOKEN_KINDS},
    )
