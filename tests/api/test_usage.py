"""Reports: totals that equal their rows, filters, paging, and saying what is not exact."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.core.events import UsageEvent
from common.usage.reports import Filter, add_up, summarise
from tests.api.conftest import NOW, Record, a_call, pages

SUMMED = (
    "calls",
    "ok_calls",
    "estimated_calls",
    "estimated_cost_nanos",
    "unpriced_calls",
    "simulated_calls",
    "simulated_cost_nanos",
)


async def summary(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    response = await client.get("/api/v1/usage/summary", params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_sums_what_was_asked_for(client: httpx.AsyncClient, record: Record) -> None:
    await record(
        a_call(1),
        a_call(2, team="ops", cost_nanos=1, priced_nanos=1),
        a_call(3, team="ops", outcome="upstream_error", cost_nanos=0, priced_nanos=0, units={}),
    )

    answer = await summary(client, group="team")

    rows = [(row["group"], row["calls"], row["ok_calls"], row["cost"]) for row in answer["data"]]
    assert rows == [
        ({"team": "ops"}, 2, 1, "0.000000001"),
        ({"team": "search"}, 1, 1, "0.004200000"),
    ]
    assert answer["total"]["cost"] == "0.004200001"
    assert answer["total"]["cost_nanos"] == 4_200_001
    assert answer["total"]["tokens"] == {
        "input_tokens": 200,
        "cache_read_tokens": 80,
        "cache_write_tokens": 0,
        "output_tokens": 20,
        "output_reasoning_tokens": 0,
    }


async def test_counts_a_call_once_however_often_it_was_written(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(a_call(1), a_call(1))
    await record(a_call(1), a_call(2))

    assert (await summary(client))["total"]["calls"] == 2
    assert len((await pages(client, "usage/calls"))[0]["data"]) == 2


@st.composite
def ledgers(draw: st.DrawFn) -> list[UsageEvent]:
    calls = []
    for number in range(draw(st.integers(0, 40))):
        priced = draw(st.integers(0, 10**15))
        known = draw(st.booleans())
        calls.append(
            a_call(
                number,
                event_time=NOW - timedelta(minutes=draw(st.integers(1, 5_000))),
                org=draw(st.sampled_from(["acme", "beta", None])),
                team=draw(st.sampled_from(["search", "ops", None])),
                model_billed=draw(st.sampled_from(["gpt-x", "claude-y", None])),
                tags=draw(st.sampled_from([{}, {"env": "prod"}, {"env": "a\"b'c"}])),
                cost_nanos=priced if known else None,
                cost_reason=None
                if known
                else draw(st.sampled_from(["unknown_model", "usage_missing"])),
                priced_nanos=priced,
                cost_source=draw(st.sampled_from(["provider", "estimated", "free", None])),
                outcome=draw(st.sampled_from(["ok", "client_error"])),
                simulated=draw(st.booleans()),
            )
        )
    repeated = draw(st.lists(st.sampled_from(calls), max_size=20)) if calls else []
    return draw(st.permutations(calls + repeated))


@settings(max_examples=25, deadline=None)
@given(
    ledger=ledgers(),
    dimensions=st.lists(st.sampled_from(["org", "team", "model", "tag"]), unique=True),
    granularity=st.sampled_from(["hour", "day", "none"]),
)
def test_totals_equal_the_sum_of_the_rows_and_of_the_ledger(
    ledger: list[UsageEvent], dimensions: list[Any], granularity: Any
) -> None:
    chosen = Filter(since=NOW - timedelta(days=10), until=NOW)

    async def ask() -> Any:
        warehouse = DuckdbWarehouse(":memory:")
        try:
            rows = [
                {**call.model_dump(mode="json"), "message_id": str(n), "publish_time": NOW}
                for n, call in enumerate(ledger)
            ]
            await warehouse.append("usage_raw", rows)
            return await summarise(
                warehouse, chosen, dimensions, tag="env", granularity=granularity
            )
        finally:
            await warehouse.aclose()

    summary = asyncio.run(ask())

    once = {call.id: call for call in ledger}.values()
    assert add_up(group.figures for group in summary.groups) == summary.total
    assert summary.total.calls == len(once)
    assert summary.total.priced_nanos == sum(call.priced_nanos for call in once)
    assert summary.total.unpriced_calls == sum(call.cost_nanos is None for call in once)
    assert summary.total.simulated_nanos == sum(c.priced_nanos for c in once if c.simulated)
    estimated = [call for call in once if call.cost_source == "estimated"]
    assert summary.total.estimated_nanos == sum(call.priced_nanos for call in estimated)
    assert summary.total.tokens["input_tokens"] == 100 * len(once)
    keys = [(group.bucket, group.values) for group in summary.groups]
    assert len(set(keys)) == len(keys)


async def test_total_covers_the_filter_and_not_the_page(
    client: httpx.AsyncClient, record: Record
) -> None:
    models = [f"model-{number:02d}" for number in range(7)]
    await record(*(a_call(n, model_billed=model) for n, model in enumerate(models)))

    answers = await pages(client, "usage/summary", group="model", limit=3)

    rows = [row for answer in answers for row in answer["data"]]
    assert [row["group"]["model"] for row in rows] == models
    assert [len(answer["data"]) for answer in answers] == [3, 3, 1]
    for answer in answers:
        assert answer["total"]["cost_nanos"] == sum(row["cost_nanos"] for row in rows)
        assert {name: answer["total"][name] for name in SUMMED} == {
            name: sum(row[name] for row in rows) for name in SUMMED
        }


async def test_lists_calls_newest_first_through_pages_that_stand_still(
    client: httpx.AsyncClient, record: Record, clock: Any
) -> None:
    times = [NOW - timedelta(minutes=number // 2 + 1) for number in range(9)]
    await record(*(a_call(n, event_time=time) for n, time in enumerate(times)))

    first = (await client.get("/api/v1/usage/calls", params={"limit": 4})).json()
    clock.advance(timedelta(hours=1))
    await record(a_call(100, event_time=NOW + timedelta(minutes=30)))
    rest = await pages(client, "usage/calls", limit=4, after=first["next"])

    ids = [call["id"] for answer in [first, *rest] for call in answer["data"]]
    assert ids == [f"call-{n:05d}" for n in (1, 0, 3, 2, 5, 4, 7, 6, 8)]
    assert {answer["total"]["calls"] for answer in [first, *rest]} == {9}


async def test_shows_a_call_whole(client: httpx.AsyncClient, record: Record) -> None:
    await record(a_call(1))

    [call] = (await client.get("/api/v1/usage/calls")).json()["data"]

    assert call["cost"] == "0.004200000"
    assert call["units"] == {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 40}
    assert call["tags"] == {"env": "prod"}
    assert call["key"] == "0123456789ab"
    assert call["event_time"] == "2026-11-01T11:59:00Z"
    assert call["duration_s"] == 1.25
    assert (call["mode"], call["enforced"], call["edits"]) == ("normal", False, [])


async def test_says_when_a_cost_is_not_exact_or_not_real(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(
        a_call(1, cost_source="estimated"),
        a_call(2, cost_nanos=None, cost_reason="unknown_model", priced_nanos=0),
        a_call(3, simulated=True),
    )

    answer = await summary(client)

    total = answer["total"]
    assert (total["estimated_calls"], total["estimated_cost"]) == (1, "0.004200000")
    assert (total["unpriced_calls"], total["unpriced_reasons"]) == (1, {"unknown_model": 1})
    assert (total["simulated_calls"], total["simulated_cost"]) == (1, "0.004200000")
    assert answer["answer"] == (
        "3 calls from 2026-10-31T12:00:00Z to 2026-11-01T12:00:00Z cost $0.008400000;"
        " 1 estimated ($0.004200000), 1 unpriced (unknown_model 1),"
        " 1 simulated ($0.004200000, no real money)."
    )


async def test_is_null_with_a_reason_where_nothing_could_be_priced(
    client: httpx.AsyncClient, record: Record
) -> None:
    nothing = {"cost_nanos": None, "priced_nanos": 0}
    await record(
        a_call(1, **nothing, cost_reason="usage_missing"),
        a_call(2, **nothing, cost_reason="unknown_model"),
        a_call(3, **nothing, cost_reason="unknown_model"),
    )

    answer = await summary(client)
    [call, *_] = (await client.get("/api/v1/usage/calls")).json()["data"]

    [row] = answer["data"]
    assert (row["cost"], row["cost_nanos"], row["cost_reason"]) == (None, None, "unknown_model")
    assert (call["cost"], call["cost_nanos"], call["cost_reason"]) == (None, None, "unknown_model")


async def test_is_zero_where_nothing_was_spent(client: httpx.AsyncClient, record: Record) -> None:
    answer = await summary(client, group="team")

    assert answer["data"] == []
    assert (answer["total"]["calls"], answer["total"]["cost"]) == (0, "0.000000000")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"org": "beta"}, 1),
        ({"team": "ops"}, 1),
        ({"agent": "ranker"}, 1),
        ({"project": "q4"}, 1),
        ({"key": "ffffffffffff"}, 1),
        ({"model": "asked"}, 1),
        ({"provider": "anthropic"}, 1),
        ({"outcome": "gateway_error"}, 1),
        ({"failed": "true"}, 1),
        ({"failed": "false"}, 11),
        ({"error_code": "upstream_timeout"}, 1),
        ({"cost_source": "estimated"}, 1),
        ({"simulated": "true"}, 1),
        ({"simulated": "false"}, 11),
        ({"since": "2026-10-31T11:00:00Z"}, 13),
        ({"until": "2026-11-01T11:59:00Z"}, 0),
        ({"until": "2026-11-01T11:59:00.000001Z"}, 12),
        ({}, 12),
    ],
)
async def test_chooses_calls(
    client: httpx.AsyncClient, record: Record, query: dict[str, str], expected: int
) -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"org": "beta"},
        {"team": "ops"},
        {"agent": "ranker"},
        {"project": "q4"},
        {"line": "ffffffffffff"},
        {"model_billed": None, "model_asked": "asked"},
        {"provider": "anthropic"},
        {"outcome": "gateway_error"},
        {"error_code": "upstream_timeout"},
        {"cost_source": "estimated"},
        {"simulated": True},
        {"event_time": NOW - timedelta(hours=25)},
    ]
    await record(*(a_call(number, **fields) for number, fields in enumerate(odd)))

    assert (await summary(client, **query))["total"]["calls"] == expected
    calls = (await client.get("/api/v1/usage/calls", params=query)).json()
    assert (len(calls["data"]), calls["total"]["calls"]) == (expected, expected)


async def test_groups_by_every_dimension_and_hour(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(a_call(1), a_call(2, event_time=NOW - timedelta(hours=2), tags={}))
    group = "org,team,project,agent,key,model,provider,tag:env"

    answer = await summary(client, group=group, granularity="hour")

    same = {
        "org": "acme",
        "team": "search",
        "project": None,
        "agent": "crawler",
        "key": "0123456789ab",
        "model": "gpt-x",
        "provider": "openai",
    }
    assert [(row["bucket"], row["group"]) for row in answer["data"]] == [
        ("2026-11-01T10:00:00Z", {**same, "tag:env": None}),
        ("2026-11-01T11:00:00Z", {**same, "tag:env": "prod"}),
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"group": "colour"}, "group"),
        ({"group": "team,team"}, "group"),
        ({"group": "tag:a,tag:b"}, "group"),
        ({"group": "tag:a.b\"'"}, "group"),
        ({"granularity": "minute"}, "granularity"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-01T00:00:00"}, "since"),
        ({"since": "2026-11-01T00:00Z"}, "since"),
        ({"since": "2026-11-01 00:00:00Z"}, "since"),
        ({"since": "2026-11-01"}, "since"),
        ({"since": "1793491200"}, "since"),
        ({"since": "1793491200.5"}, "since"),
        ({"since": "-1"}, "since"),
        ({"since": "0"}, "since"),
        ({"since": "2026-13-01T00:00:00Z"}, "since"),
        ({"since": "1969-12-31T23:59:59Z"}, "since"),
        ({"since": "2026-11-02T00:00:00Z"}, "since"),
        ({"until": "1793491200"}, "until"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"since": "2025-01-01T00:00:00Z"}, "since"),
        ({"until": "0001-01-01T00:00:00Z"}, "until"),
        ({"limit": "501"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"outcome": "fine"}, "outcome"),
        ({"colour": "red"}, "colour"),
        ({"after": "bm90IGEgY3Vyc29y"}, "after"),
        ({"after": "é"}, "after"),
    ],
)
async def test_refuses_a_wrong_parameter_by_name(
    client: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    response = await client.get("/api/v1/usage/summary", params=query)

    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_says_how_a_time_is_written(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/usage/calls", params={"since": "1793491200"})

    assert answer.json()["detail"] == (
        "write an RFC 3339 time with an offset, such as 2026-11-01T12:00:00Z, from 1970 on"
    )


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
        ("2026-11-01t10:00:00z", "2026-11-01T10:00:00Z"),
        ("2026-11-01T12:00:00.5+02:00", "2026-11-01T10:00:00.500000Z"),
    ],
)
async def test_reads_times_with_an_offset(client: httpx.AsyncClient, sent: str, read: str) -> None:
    answer = await client.get("/api/v1/usage/calls", params={"since": sent})

    assert answer.json()["query"]["since"] == read


async def test_refuses_a_cursor_of_another_question(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(a_call(1), a_call(2))
    cursor = (await client.get("/api/v1/usage/calls", params={"limit": 1})).json()["next"]
    damaged = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]

    other = await client.get("/api/v1/usage/calls", params={"after": cursor, "team": "ops"})
    cut = await client.get("/api/v1/usage/calls", params={"after": damaged})

    assert [(r.status_code, r.json()["field"]) for r in (other, cut)] == [(422, "after")] * 2
