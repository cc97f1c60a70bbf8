"""The statements of usage reports answer the same in every warehouse."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.core.events import UsageEvent
from common.core.ports import Warehouse
from common.usage.reports import Dimension, Filter, Granularity, Position, list_calls, summarise
from common.warehouse.tables import load_definitions
from tests.contracts.facts import NOON, a_call
from tests.warehouse_engines import OpenWarehouse

DAY = Filter(since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 3, 2, tzinfo=UTC))

CALLS = [
    a_call(id="a", cost_nanos=1, priced_nanos=1),
    a_call(id="b", cost_nanos=10, priced_nanos=10, event_time=NOON + timedelta(minutes=59)),
    a_call(
        id="c",
        team="ops",
        tags={"env": "test"},
        cost_nanos=None,
        priced_nanos=100,
        cost_reason="unknown_model",
        event_time=NOON + timedelta(hours=1),
    ),
    a_call(
        id="d",
        agent=None,
        mode="soft",
        outcome="upstream_error",
        error_code="overloaded",
        cost_nanos=1000,
        priced_nanos=1000,
        cost_source="estimated",
        simulated=True,
        event_time=NOON + timedelta(hours=2),
    ),
    a_call(id="tomorrow", event_time=NOON + timedelta(days=1)),
]


@pytest.fixture
async def warehouse(open_warehouse: OpenWarehouse) -> Warehouse:
    warehouse = await open_warehouse(load_definitions())
    await warehouse.append("usage_raw", [row(call, n) for n, call in enumerate(CALLS * 2)])
    return warehouse


def row(call: UsageEvent, delivery: int) -> dict[str, Any]:
    metadata = {"publish_time": NOON + timedelta(seconds=delivery), "message_id": str(delivery)}
    return call.model_dump(mode="json") | metadata


@pytest.mark.parametrize(
    ("dimensions", "granularity", "nanos"),
    [
        ((), "none", {(): 1111}),
        (("team",), "none", {("search",): 1011, ("ops",): 100}),
        (("agent", "team"), "none", {
            ("crawler", "search"): 11,
            ("crawler", "ops"): 100,
            (None, "search"): 1000,
        }),
        (("tag",), "none", {("prod",): 1011, ("test",): 100}),
        (("mode",), "none", {("hard",): 111, ("soft",): 1000}),
        (("key", "model", "provider", "org", "project"), "none", {
            ("l1", "gpt-5", "openai", "acme", None): 1111
        }),
        ((), "hour", {(12,): 11, (13,): 100, (14,): 1000}),
        ((), "day", {(0,): 1111}),
    ],
)  # fmt: skip
async def test_adds_up_by_dimension_and_time(
    warehouse: Warehouse,
    dimensions: Sequence[Dimension],
    granularity: Granularity,
    nanos: dict[tuple[Any, ...], int],
) -> None:
    summary = await summarise(warehouse, DAY, dimensions, tag="env", granularity=granularity)

    assert {
        group.values if group.bucket is None else (group.bucket.hour,): group.figures.priced_nanos
        for group in summary.groups
    } == nanos
    assert summary.total.calls == 4
    assert summary.total.unpriced_reasons == {"unknown_model": 1}
    assert summary.total.tokens["input_tokens"] == 4800
    assert (summary.total.estimated_nanos, summary.total.simulated_calls) == (1000, 1)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({}, ["d", "c", "b", "a"]),
        ({"org": "acme", "team": "search", "agent": "crawler"}, ["b", "a"]),
        ({"key": "l1", "model": "gpt-5", "provider": "openai"}, ["d", "c", "b", "a"]),
        ({"failed": True}, ["d"]),
        ({"failed": False}, ["c", "b", "a"]),
        ({"simulated": True}, ["d"]),
        ({"simulated": False, "outcome": "ok"}, ["c", "b", "a"]),
        ({"error_code": "overloaded"}, ["d"]),
        ({"cost_source": "estimated"}, ["d"]),
        ({"project": "x"}, []),
        ({"org": "acme' OR TRUE --"}, []),
    ],
)
async def test_lists_the_calls_that_are_asked_for(
    warehouse: Warehouse, asked: dict[str, Any], ids: list[str]
) -> None:
    chosen = Filter(DAY.since, DAY.until, **asked)

    calls = await list_calls(warehouse, chosen, after=None, limit=10)

    assert [call["id"] for call in calls] == ids


async def test_goes_on_behind_a_call(warehouse: Warehouse) -> None:
    first = await list_calls(warehouse, DAY, after=None, limit=2)
    behind = Position(first[-1]["event_time"], first[-1]["id"])
    rest = await list_calls(warehouse, DAY, after=behind, limit=10)

    assert [call["id"] for call in first + rest] == ["d", "c", "b", "a"]
    assert rest[0]["tags"] == '{"env":"prod"}'


async def test_tells_what_a_brownout_gave_up_of_a_call(warehouse: Warehouse) -> None:
    call = (await list_calls(warehouse, DAY, after=None, limit=10))[-1]

    told = CALLS[0]
    names = ("mode", "mode_scope", "episode", "arm", "enforced", "priority", "route")
    assert [call[name] for name in names] == [getattr(told, name) for name in names]
    assert json.loads(str(call["edits"])) == [each.model_dump() for each in told.edits]
    assert told.edits
