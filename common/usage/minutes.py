"""The sums of minutes and hours by whatever they are asked by, in one pass over the rollups.

A caller says what a cell counts for (its organisation, its model, ...), and gets one sum for each
of these names. Names that callers make up have no end, so of a minute only the `MOST` with the most
calls are told.

Buckets come in the order of time, each once, and none that holds nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from common.core.errors import StoreUnavailable
from common.core.money import Nanos
from common.core.ports import Documents
from common.usage.rollups import CALLS, PRICED_NANOS, BucketSize, Cell, CellSum
from common.usage.summaries import Span, read_sums
from common.usage.upstream_evidence import AWAITED, DURATION, FIRST_CHUNK, FREE, UPSTREAM_ERRORS

MOST = 200
PIECES: Mapping[BucketSize, timedelta] = {
    "minute": timedelta(hours=1),
    "hour": timedelta(days=1),
}
"""What is read of a long span by one after the other."""
AT_ONCE = 4
"""Pieces that are read at the same time."""

NamesOf: TypeAlias = Callable[[Cell], Sequence[str]]
"""Under which names a cell counts, each once."""


@dataclass(slots=True)
class Sums:
    """The calls under one name. Bins are counts by the number of the bin.

    `calls` tell whether their upstream works, `failed` are those of them that say it does not;
    `all_calls` are all that ended.
    """

    all_calls: int = 0
    calls: int = 0
    failed: int = 0
    priced: Nanos = 0
    first_chunks: Counter[int] = field(default_factory=Counter)
    awaited: Counter[int] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One minute or hour, by name."""

    start: datetime
    sums: Mapping[str, Sums]


async def read_minutes(
    documents: Documents, since: datetime, until: datetime, names_of: NamesOf
) -> AsyncIterator[Bucket]:
    """The minutes from `since` up to, not including, `until`; both begin one.

    Raises:
        StoreUnavailable: no answer in time.
    """
    async for bucket in _read(documents, "minute", Span(since, until), names_of):
        yield bucket


async def read_hours(
    documents: Documents, since: datetime, until: datetime, names_of: NamesOf
) -> AsyncIterator[Bucket]:
    """The hours from `since` up to, not including, `until`; both begin one. They hold no latencies.

    Raises:
        StoreUnavailable: no answer in time.
    """
    async for bucket in _read(documents, "hour", Span(since, until), names_of):
        yield bucket


async def _read(
    documents: Documents, size: BucketSize, span: Span, names_of: NamesOf
) -> AsyncIterator[Bucket]:
    pieces = list(_pieces(span, PIECES[size]))
    for first in range(0, len(pieces), AT_ONCE):
        together = [
            _piece(documents, size, piece, names_of) for piece in pieces[first : first + AT_ONCE]
        ]
        for buckets in await _all(together):
            for bucket in buckets:
                yield bucket


async def _all(pieces: Iterable[Coroutine[Any, Any, list[Bucket]]]) -> list[list[Bucket]]:
    """What all of them found; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(piece) for piece in pieces]
    except* StoreUnavailable as failed:
        raise StoreUnavailable("the rollups could not be read in time") from failed
    return [task.result() for task in reading]


def _pieces(span: Span, length: timedelta) -> Iterable[Span]:
    since = span.since
    while since < span.until:
        until = min(since + length, span.until)
        yield Span(since, until)
        since = until


async def _piece(
    documents: Documents, size: BucketSize, span: Span, names_of: NamesOf
) -> list[Bucket]:
    found: list[Bucket] = []
    sums: dict[str, Sums] = {}
    start: datetime | None = None
    async for each in read_sums(documents, size, span):
        if each.start != start:
            if start is not None:
                found.append(Bucket(start, _most(sums)))
            start, sums = each.start, {}
        for name in names_of(each.cell):
            known = sums.get(name)
            if known is None:
                known = sums[name] = Sums()
            _add(known, each)
    if start is not None:
        found.append(Bucket(start, _most(sums)))
    return found


def _add(sums: Sums, each: CellSum) -> None:
    measures, cell = each.measures, each.cell
    failed = measures.get(UPSTREAM_ERRORS, 0)
    calls = measures.get(CALLS, 0)
    sums.all_calls += calls
    sums.failed += failed
    # What is free and ended well lists models, or the like.
    sums.calls += calls if cell.outcome == "ok" and cell.cost_source != FREE else failed
    sums.priced += measures.get(PRICED_NANOS, 0)
    for measure, count in measures.items():
        kind, colon, number = measure.partition(":")
        bins = _BINS.get(kind + colon)
        if bins is not None:
            bins(sums)[int(number)] += count


_BINS: Mapping[str, Callable[[Sums], Counter[int]]] = {
    FIRST_CHUNK: lambda sums: sums.first_chunks,
    AWAITED: lambda sums: sums.awaited,
    DURATION: lambda sums: sums.durations,
}


def _most(sums: Mapping[str, Sums]) -> Mapping[str, Sums]:
    if len(sums) <= MOST:
        return sums
    ranked = sorted(sums.items(), key=lambda each: (-each[1].all_calls, each[0]))
    return dict(ranked[:MOST])
