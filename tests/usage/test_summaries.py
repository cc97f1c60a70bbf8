"""Two sources, one total: where the boundary lies changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.sqlite_documents import SqliteDocuments
from common.core.events import UsageEvent
from common.core.ports import Documents
from common.usage.apply_events import apply_events
from common.usage.reports import Filter, summarise
from common.usage.rollups import LENGTHS, floor
from common.usage.summaries import RECENT, Division, Span, divide, summarise_usage
from tests.api.conftest import NOW, Record, SetClock, a_call

MINUTE = timedelta(minutes=1)

instants = st.datetimes(datetime(2026, 10, 29), datetime(2026, 11, 1, 13)).map(  # noqa: DTZ001 - the strategy wants them naive
    lambda naive: naive.replace(tzinfo=UTC)
)
any_instants = (
    instants
    | instants.map(lambda instant: floor(instant, "minute"))
    | instants.map(lambda instant: floor(instant, "hour"))
)


@given(since=any_instants, until=any_instants, now=any_instants)
def test_leaves_no_instant_out_and_counts_none_twice(
    since: datetime, until: datetime, now: datetime
) -> None:
    since, until = min(since, until), max(since, until) + timedelta(microseconds=1)

    division = divide(since, until, now)

    parts = [*division.warehouse, *(span for _, span in division.rollups)]
    parts.sort(key=lambda span: span.since)
    assert parts[0].since == since
    assert all(earlier.until == later.since for earlier, later in pairwise(parts))
    if until < now:
        assert parts[-1].until == until
    else:
        assert until <= parts[-1].until <= until + MINUTE
    for size, span in division.rollups:
        assert span.since == floor(span.since, size)
        assert span.until == floor(span.until, size) or span.until >= now
        assert span.since >= now - RECENT - LENGTHS["hour"]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        # A day up to now, in whole minutes: no warehouse.
        (-24 * 60, 0, Division((), (("hour", Span(NOW - timedelta(days=1), NOW)),))),
        # Up to the minute under way.
        (-60, 0.5, Division((), (("hour", Span(NOW - 60 * MINUTE, NOW + MINUTE)),))),
        # Inside an hour.
        (-50, -10, Division((), (("minute", Span(NOW - 50 * MINUTE, NOW - 10 * MINUTE)),))),
        # Seconds at the start.
        (
            -60.5,
            0,
            Division(
                (Span(NOW - 60.5 * MINUTE, NOW - 60 * MINUTE),),
                (("hour", Span(NOW - 60 * MINUTE, NOW)),),
            ),
        ),
        # Long ago.
        (
            -9_000,
            -8_000,
            Division((Span(NOW - 9_000 * MINUTE, NOW - 8_000 * MINUTE),), ()),
        ),
        # From long ago up to now.
        (
            -9_000,
            0,
            Division(
                (Span(NOW - 9_000 * MINUTE, NOW - RECENT),), (("hour", Span(NOW - RECENT, NOW)),)
            ),
        ),
    ],
)
def test_reads_rollups_for_the_recent_past(since: float, until: float, expected: Division) -> None:
    assert divide(NOW + since * MINUTE, NOW + until * MINUTE, NOW) == expected


@st.composite
def ledgers(draw: st.DrawFn) -> list[UsageEvent]:
    """Calls of the last three days, many of them at the edges of minutes and hours."""
    time = st.datetimes(
        datetime(2026, 10, 29, 12),  # noqa: DTZ001 - the strategy wants them naive
        datetime(2026, 11, 1, 11, 59),  # noqa: DTZ001 - the same
    ).map(lambda naive: naive.replace(tzinfo=UTC))
    edge = time.flatmap(
        lambda at: st.sampled_from([at, floor(at, "minute"), floor(at, "hour")]).map(
            lambda start: start - timedelta(microseconds=draw(st.integers(0, 1)))
        )
    )
    maybe = st.sampled_from
    calls = []
    for number in range(draw(st.integers(0, 30))):
        known = draw(st.booleans())
        priced = draw(st.integers(0, 10**15))
        calls.append(
            a_call(
                number,
                event_time=draw(edge),
                org=draw(maybe(["acme", "beta", None])),
                team=draw(maybe(["search", None])),
                agent=draw(maybe(["crawler", "ranker"])),
                project=draw(maybe(["q4", None])),
                line=draw(maybe(["l1", "l2"])),
                provider=draw(maybe(["openai", "anthropic"])),
                card=draw(maybe(["openai/gpt-x", None])),
                model_asked=draw(maybe(["asked", None])),
                model_billed=draw(maybe(["gpt-x", "", None])),
                units=draw(maybe([{}, {"input_tokens": 3, "requests": 1}, {"output_tokens": 0}])),
                cost_nanos=priced if known else None,
                cost_reason=None if known else draw(maybe(["unknown_model", None])),
                priced_nanos=priced,
                cost_source=draw(maybe(["provider", "estimated", "free", None])),
                outcome=draw(maybe(["ok", "client_error", "upstream_error"])),
                error_code=draw(maybe([None, "upstream_500"])),
                simulated=draw(st.booleans()),
            )
        )
    return calls


FILTERS: list[dict[str, Any]] = [
    {},
    {"org": "acme"},
    {"team": "search", "agent": "ranker"},
    {"project": "q4"},
    {"key": "l1"},
    {"model": "asked"},
    {"model": ""},
    {"provider": "anthropic"},
    {"outcome": "client_error"},
    {"failed": True},
    {"failed": False},
    {"error_code": "upstream_500"},
    {"cost_source": "estimated"},
    {"simulated": False},
]


@settings(max_examples=40, deadline=None)
@given(
    ledger=ledgers(),
    ends=st.tuples(any_instants, any_instants),
    asked=st.sampled_from(FILTERS),
    dimensions=st.lists(
        st.sampled_from(["org", "team", "project", "agent", "key", "model", "provider"]),
        unique=True,
    ),
    granularity=st.sampled_from(["hour", "day", "none"]),
)
def test_answers_exactly_what_the_warehouse_alone_would(
    ledger: list[UsageEvent],
    ends: tuple[datetime, datetime],
    asked: dict[str, Any],
    dimensions: list[Any],
    granularity: Any,
) -> None:
    chosen = Filter(since=min(ends), until=max(ends) + timedelta(microseconds=1), **asked)

    async def ask() -> tuple[Any, Any]:
        documents, warehouse = SqliteDocuments(":memory:"), DuckdbWarehouse(":memory:")
        try:
            rows = [
                {**call.model_dump(mode="json"), "message_id": call.id, "publish_time": NOW}
                for call in ledger
            ]
            await warehouse.append("usage_raw", rows)
            await apply_events(documents, ledger, SetClock())
            both, _ = await summarise_usage(
                documents, warehouse, NOW, chosen, dimensions, granularity=granularity
            )
            return both, await summarise(warehouse, chosen, dimensions, granularity=granularity)
        finally:
            await documents.aclose()
            await warehouse.aclose()

    both, warehouse_alone = asyncio.run(ask())

    assert both == warehouse_alone
    assert both.total.calls == sum(group.figures.calls for group in both.groups)


async def test_asks_the_warehouse_alone_about_tags(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(a_call(1), a_call(2, tags={}))

    answers = [
        (await client.get("/api/v1/usage/summary", params={"group": group})).json()
        for group in ("team,tag:env", "team")
    ]

    assert [[source["name"] for source in answer["sources"]] for answer in answers] == [
        ["warehouse"],
        ["state"],
    ]
    assert [answer["total"]["calls"] for answer in answers] == [2, 2]


async def test_reaches_to_the_end_of_the_minute_and_stays_there_over_pages(
    client: httpx.AsyncClient, record: Record, clock: SetClock
) -> None:
    clock.advance(timedelta(seconds=20))
    times = [NOW + timedelta(seconds=10 + n) for n in range(3)]
    await record(*(a_call(n, model_billed=f"m{n}", event_time=t) for n, t in enumerate(times)))
    query: dict[str, Any] = {"group": "model", "limit": 2}

    first = (await client.get("/api/v1/usage/summary", params=query)).json()
    clock.advance(timedelta(minutes=9))
    await record(a_call(9, model_billed="m0", event_time=NOW + timedelta(minutes=5)))
    query["after"] = first["next"]
    second = (await client.get("/api/v1/usage/summary", params=query)).json()

    assert first["query"]["until"] == second["query"]["until"] == "2026-11-01T12:01:00Z"
    assert [row["group"]["model"] for row in first["data"] + second["data"]] == ["m0", "m1", "m2"]
    assert first["total"] == second["total"]


async def test_reads_as_many_documents_as_there_are(documents: Documents, clock: SetClock) -> None:
    """More than a page of them, of several organisations."""
    ledger = [
        a_call(
            n,
            org=f"org-{n % 9}",
            event_time=NOW - timedelta(minutes=n % 2_000, seconds=1),
            line=f"line-{n % 40}",
        )
        for n in range(3_000)
    ]
    await apply_events(documents, ledger, clock)
    warehouse = DuckdbWarehouse(":memory:")

    chosen = Filter(since=NOW - timedelta(hours=40), until=NOW)
    summary, division = await summarise_usage(documents, warehouse, NOW, chosen, ["org"])
    await warehouse.aclose()

    assert division.warehouse == ()
    assert [group.figures.calls for group in summary.groups] == [
        sum(call.org == f"org-{n}" for call in ledger) for n in range(9)
    ]
