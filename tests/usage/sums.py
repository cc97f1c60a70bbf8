"""What rollups should say, from the events themselves, and what they do say."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from common.core.events import UsageEvent
from common.core.ports import Document, Documents, Query
from common.usage.rollups import COLLECTIONS, BucketSize, Cell, cell_of, floor, sums_in
from common.usage.upstream_evidence import evidence_measures

Sums = dict[tuple[datetime, Cell, str], int]
"""Amounts by bucket, cell and measure."""


def expected(events: Iterable[UsageEvent], size: BucketSize) -> Sums:
    sums: Counter[tuple[datetime, Cell, str]] = Counter()
    for event in {event.id: event for event in events}.values():
        start, cell = floor(event.event_time, size), cell_of(event)
        sums[start, cell, "calls"] += 1
        sums[start, cell, "priced_nanos"] += event.priced_nanos
        for unit, amount in event.units.items():
            sums[start, cell, f"unit:{unit}"] += amount
        if size == "minute":
            for measure, count in evidence_measures(event).items():
                sums[start, cell, measure] += count
    return {key: amount for key, amount in sums.items() if amount}


async def stored(documents: Documents, size: BucketSize) -> Sums:
    sums: Counter[tuple[datetime, Cell, str]] = Counter()
    async for document in every(documents, COLLECTIONS[size]):
        for each in sums_in(document):
            for measure, amount in each.measures.items():
                sums[each.start, each.cell, measure] += amount
    return dict(sums)


async def every(documents: Documents, collection: str) -> AsyncIterator[Document]:
    after = None
    while page := await documents.query(Query(collection, after=after)):
        for document in page:
            yield document
        after = page[-1].ref.id
