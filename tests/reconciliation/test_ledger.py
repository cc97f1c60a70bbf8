"""Our side of a bill: which calls of the warehouse are on it, and as what."""

from datetime import timedelta
from typing import Any

import pytest

from common.reconciliation.ledger import calls_of
from common.reconciliation.rows import Called, Tokens
from tests.reconciliation.conftest import DAY, DOLLAR, HOST, NOON, Scene

MIDNIGHT = NOON - timedelta(hours=12)
SECOND = timedelta(seconds=1)
KEY = "ffffffffffff"


async def rows(scene: Scene) -> list[Called]:
    found = await calls_of(scene.warehouse, "openai", {HOST}, DAY)
    return sorted(found, key=lambda row: (row.edge, row.model, str(row.key)))


async def test_adds_up_calls_by_key_and_model(scene: Scene) -> None:
    units = {"input_tokens": 50, "cache_read_tokens": 30, "cache_write_tokens": 10}
    await scene.call(3, units=units)
    await scene.call(4, cost_source="estimated", unproven_nanos=7)
    await scene.call(5, card=None, model_billed=None, model_asked="gpt-4o")
    await scene.call(6, credential=None, provider_key_hash="0wn")

    assert await rows(scene) == [
        Called("0wn", False, "openai/gpt-4o", Tokens(1_000, 0, 0, 100), 6),
        Called(
            KEY,
            True,
            "openai/gpt-4o",
            Tokens(2_050, 30, 10, 200),
            12,
            calls=3,
            estimated_nanos=4,
            unproven_nanos=7,
        ),
    ]


async def test_counts_calls_without_a_known_cost(scene: Scene) -> None:
    await scene.call(0, cost_nanos=None, cost_reason="unknown_model", card=None)

    [row] = await rows(scene)

    assert (row.unpriced, row.nanos, row.tokens) == (1, 0, Tokens(1_000, 0, 0, 100))
    assert row.model == "openai/gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    "fields",
    [
        {"simulated": True},
        {"provider": "anthropic"},
        {"upstream": "proxy.example.com"},
        {"upstream": None},
        {"event_time": MIDNIGHT - SECOND},
        {"event_time": MIDNIGHT + timedelta(days=1)},
        {"cost_nanos": 0, "priced_nanos": 0, "cost_source": "free"},
    ],
)
async def test_leaves_out_what_is_not_on_the_bill(scene: Scene, fields: dict[str, Any]) -> None:
    await scene.call(**fields)

    assert await rows(scene) == []


async def test_keeps_calls_apart_that_lasted_over_midnight(scene: Scene) -> None:
    evening = MIDNIGHT + timedelta(days=1)
    await scene.call(1, event_time=MIDNIGHT)
    await scene.call(2, event_time=MIDNIGHT + SECOND, started_at=MIDNIGHT - SECOND)
    await scene.call(4, event_time=evening + SECOND, started_at=evening - SECOND)
    await scene.call(8, event_time=evening - SECOND, started_at=evening - SECOND)

    assert [(row.edge, row.nanos) for row in await rows(scene)] == [
        ("begun_before", 2),
        ("ended_after", 4),
        ("within", 9),
    ]


async def test_counts_an_event_once_that_was_delivered_twice(scene: Scene) -> None:
    await scene.call(DOLLAR)
    scene.calls -= 1
    await scene.call(DOLLAR)

    assert [(row.calls, row.nanos) for row in await rows(scene)] == [(1, DOLLAR)]
