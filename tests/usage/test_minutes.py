"""Minutes and hours are summed by name, in one pass over the rollups."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.latency_bins import bin_of
from common.core.ports import Document, Query
from common.usage.apply_events import apply_events
from common.usage.minutes import MOST, Bucket, Sums, read_hours, read_minutes
from common.usage.rollups import Cell
from tests.api.conftest import NOW, SetClock, a_call

FIRST = NOW.replace(second=0, microsecond=0) - timedelta(minutes=10)


def names_of(cell: Cell) -> Sequence[str]:
    return ["all", f"agent {cell.agent}"]


def at(minute: int, second: int = 30) -> datetime:
    return FIRST + timedelta(minutes=minute, seconds=second)


async def minutes_of(
    documents: SqliteDocuments, events: Sequence[UsageEvent], clock: SetClock
) -> list[Bucket]:
    await apply_events(documents, events, clock)
    read = read_minutes(documents, FIRST, FIRST + timedelta(minutes=10), names_of)
    return [each async for each in read]


async def test_sums_the_calls_of_each_minute_by_name(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    failed: dict[str, Any] = {
        "outcome": "upstream_error",
        "error_code": "upstream_503",
        "upstream_status": 503,
        "priced_nanos": 0,
        "cost_nanos": 0,
    }
    events = [
        a_call(1, event_time=at(1), agent="a", priced_nanos=5),
        a_call(2, event_time=at(1), agent="b", priced_nanos=7, streamed=False),
        a_call(3, event_time=at(1), agent="b", **failed),
        a_call(4, event_time=at(1), agent="b", outcome="client_error", priced_nanos=0),
        a_call(5, event_time=at(4, 0), agent="a", model_billed="m", priced_nanos=11),
    ]

    first, second = await minutes_of(documents, events, clock)

    bins = {bin_of(0.4995): 1}
    assert (first.start, second.start) == (at(1, 0), at(4, 0))
    assert first.sums["agent a"] == Sums(1, 1, 0, 5, first_chunks=bins)  # type: ignore[arg-type] # a Counter equals a dict
    assert first.sums["all"].calls == 3
    assert first.sums["all"].all_calls == 4
    assert first.sums["all"].failed == 1
    assert first.sums["all"].priced == 12
    assert first.sums["agent b"].durations == {bin_of(1.2495): 1}
    assert second.sums.keys() == {"all", "agent a"}
    assert second.sums["all"].priced == 11


async def test_tells_those_with_the_most_calls_where_names_have_no_end(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    made_up = [a_call(n, event_time=at(1), agent=f"made-up-{n:04d}") for n in range(MOST + 50)]
    real = [a_call(1_000 + n, event_time=at(1), agent="zz") for n in range(3)]

    [minute] = await minutes_of(documents, [*made_up, *real], clock)

    assert len(minute.sums) == MOST
    assert minute.sums["all"].calls == MOST + 53
    assert minute.sums["agent zz"].calls == 3
    assert "agent made-up-0000" in minute.sums


async def test_reads_every_piece_of_a_long_span_in_order(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    since = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=20)
    times = [since + timedelta(minutes=37 * number) for number in range(30)]
    events = [a_call(number, event_time=time) for number, time in enumerate(times)]
    await apply_events(documents, events, clock)

    until = since + timedelta(hours=20)
    minutes = [each.start async for each in read_minutes(documents, since, until, names_of)]
    hours = [each async for each in read_hours(documents, since, until, names_of)]

    assert minutes == times
    assert [each.start for each in hours] == sorted({time.replace(minute=0) for time in times})
    assert sum(each.sums["all"].priced for each in hours) == 30 * 4_200_000


class Silent(SqliteDocuments):
    """A store that stops to answer with the third page."""

    asked = 0

    async def query(self, query: Query) -> list[Document]:
        self.asked += 1
        if self.asked == 3:
            raise StoreUnavailable("no answer")
        return await super().query(query)


async def test_says_so_where_a_part_cannot_be_read(tmp_path: Path) -> None:
    documents = Silent(tmp_path / "state.sqlite")

    with pytest.raises(StoreUnavailable, match="in time"):
        async for _ in read_minutes(documents, FIRST - timedelta(hours=9), FIRST, names_of):
            pass

    await documents.aclose()
