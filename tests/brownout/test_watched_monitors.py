"""What is read of a Datadog monitor's threshold, and kept of it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from common.brownout.drift import Watched
from common.brownout.modes import Mode
from common.brownout.reconciling import Monitor
from common.brownout.sources import MOST_WATCHED, SOURCES
from common.core.ports import Put, Query
from tests.brownout.datadog_server import (
    DatadogServer,
    Redirected,
    a_datadog,
    a_monitor,
    monitors_of,
)
from tests.brownout.test_sources import Scene, scene, the_source

__all__ = ["scene"]

OWN: dict[str, Any] = {
    "query": "avg(last_2m):avg:custom.llm.ttft.p95{service:gateway,provider:openai} > 6",
    "tags": ["brownout:hard", "brownout_scope:provider:openai", "service:gateway"],
    "options": {"thresholds": {"critical": 6.0, "critical_recovery": 3.5}},
}
CALLS = "sum:custom.service.requests{service:gateway}.as_count()"
FAILED = "sum:custom.service.requests{service:gateway,outcome:upstream_error}.as_count()"
WATCHED = Watched(
    "1234567",
    "provider:openai",
    Mode.HARD,
    "latency_p95",
    Decimal("6.0"),
    "https://app.datadoghq.eu/monitors/1234567",
)


@pytest.fixture
async def datadog() -> AsyncIterator[tuple[DatadogServer, Redirected]]:
    async with a_datadog() as both:
        yield both


async def the_monitor(datadog: tuple[DatadogServer, Redirected], **of: Any) -> Monitor:
    server, upstream = datadog
    server.monitors = {"hard": [a_monitor(**OWN | of)]}
    [monitor] = await monitors_of(upstream).read({})
    return monitor


async def test_reads_what_a_monitor_of_the_module_fires_at(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    assert (await the_monitor(datadog)).watched == WATCHED


@pytest.mark.parametrize(
    ("query", "measure"),
    [
        (f"sum(last_2m):{FAILED} / {CALLS} > 0.1", "error_rate"),
        (
            "avg(last_5m):sum:custom.token_cost_per_hour{service:gateway} > 100",
            "token_cost_per_hour",
        ),
    ],
)
async def test_tells_measures_apart(
    datadog: tuple[DatadogServer, Redirected], query: str, measure: str
) -> None:
    watched = (await the_monitor(datadog, query=query)).watched

    assert watched is not None
    assert watched.measure == measure


@pytest.mark.parametrize(
    "other",
    [
        {"query": "avg(last_5m):avg:gcp.run.container.memory{service:gateway} > 0.85"},
        {"query": "avg(last_2m):avg:custom.llm.ttft.p95{service:another} > 6"},
        {"query": f"sum(last_1m):{CALLS} > 100"},
        {"query": None},
        {"query": 7},
        {"tags": ["brownout:hard", "brownout_scope:provider:openai"]},
        {"tags": ["brownout:hard", "brownout_scope:nobody:x", "service:gateway"]},
        {
            "tags": [
                "brownout:hard",
                "brownout_scope:org:a",
                "brownout_scope:org:b",
                "service:gateway",
            ]
        },
        {"options": None},
        {"options": {"thresholds": None}},
        {"options": {"thresholds": []}},
        {"options": {"thresholds": {"warning": 6.0}}},
        {"options": {"thresholds": {"critical": "6"}}},
        {"options": {"thresholds": {"critical": True}}},
        {"options": {"thresholds": {"critical": float("nan")}}},
    ],
)
async def test_says_nothing_of_others_and_reads_them_all_the_same(
    datadog: tuple[DatadogServer, Redirected], other: dict[str, Any]
) -> None:
    monitor = await the_monitor(datadog, **other)

    assert monitor.watched is None
    assert monitor.id == "1234567"


async def test_is_noted_with_how_the_source_stands(scene: Scene) -> None:
    the_source(scene).monitors = [Monitor("1", (), watched=WATCHED), Monitor("2", ())]

    await scene.asks()

    assert (await scene.status()).watched == (WATCHED,)


async def test_stays_while_the_source_is_silent(scene: Scene) -> None:
    the_source(scene).monitors = [Monitor("1", (), watched=WATCHED)]
    await scene.asks()
    the_source(scene).failure = "x"

    await scene.asks(60)
    await scene.asks(60)

    assert (await scene.status()).watched == (WATCHED,)


async def test_is_noted_in_the_one_document_of_the_source(scene: Scene) -> None:
    many = [Monitor(str(number), (), watched=WATCHED) for number in range(MOST_WATCHED + 1)]
    the_source(scene).monitors = many

    for _ in range(3):
        await scene.asks(60)

    [document] = await scene.documents.query(Query(SOURCES))
    assert len(document.data["watched"]) == MOST_WATCHED


async def test_reads_what_was_noted_without_it(scene: Scene) -> None:
    await scene.asks()
    status = await scene.status()
    data = {name: value for name, value in status.to_data().items() if name != "watched"}
    await scene.documents.commit([Put(status.ref, data)])

    assert await scene.status() == status
