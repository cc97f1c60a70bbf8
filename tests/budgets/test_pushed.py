"""The function as it is pushed to: a schedule's command, obeyed with what it finds."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint, Subscription
from common.adapters.system_clock import SystemClock
from common.budgets.accounts import Lease, LeaseState, lease_ref, period_ref
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.events import Settlement
from common.core.ports import Put, Write
from common.runtime.app import app
from common.usage.apply_events import apply_events
from scripts.local_stack.pushes import endpoint
from tests.api.conftest import a_call

SOURCE = Path(__file__).parents[2] / "functions/budgets/main.py"
BILL = Path(__file__).with_name("spend_reconciled.json")
DOLLAR = 10**9


@pytest.fixture
async def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[dict[str, Any]]]:
    """An App of the test's own, and the events that are published on its bus."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    app.cache_clear()
    events: list[dict[str, Any]] = []

    async def take(envelope: dict[str, Any]) -> int:
        events.append(json.loads(base64.b64decode(envelope["message"]["data"])))
        return 204

    app().push_subscriptions = [Subscription("test", "events", (), take)]
    await app().start_deliveries()
    yield events
    await app().aclose()
    app.cache_clear()


@pytest.fixture
def budgets(told: list[dict[str, Any]]) -> Endpoint:
    return endpoint(create_asgi_app("budgets", str(SOURCE), "http"))  # type: ignore[no-untyped-call] # untyped there


def scheduled(published_at: datetime) -> dict[str, Any]:
    """What Pub/Sub posts of a command that Cloud Scheduler has published."""
    return {
        "message": {
            "data": base64.b64encode(b"{}").decode(),
            "attributes": {"type": "budgets.sweep"},
            "messageId": "7",
            "publishTime": published_at.isoformat(),
        },
        "subscription": "projects/p/subscriptions/commands-budgets",
    }


async def arranged(now: datetime) -> str:
    """A budget that is nearly spent, with an abandoned lease on it; the period."""
    budget = Budget("b", "acme", "org:acme", Calendar("month"), 100 * DOLLAR, "hard")
    period = budget.period_at(now)
    lease = Lease(
        id="l",
        instance="i",
        periods=(period.id,),
        amount=3 * DOLLAR,
        reported=0,
        seq=1,
        last_commit="c",
        state=LeaseState.OPEN,
        expires_at=now - timedelta(minutes=2),
        policy_epoch=0,
    )
    leased = period.to_data() | {"leased_nanos": 3 * DOLLAR, "open_leases": 1}
    writes: list[Write] = [
        Put(budget_ref("b"), budget.to_data()),
        Put(period_ref(period.id), leased),
        Put(lease_ref("l"), lease.to_data()),
    ]
    await app().documents.commit(writes)
    call = a_call(1, event_time=now, priced_nanos=81 * DOLLAR)
    await apply_events(app().documents, [call], app().clock)
    return period.id


async def test_obeys_what_a_schedule_publishes(
    budgets: Endpoint, told: list[dict[str, Any]]
) -> None:
    now = SystemClock().now()
    period = await arranged(now)

    statuses = [await budgets(scheduled(now)) for _ in range(3)]
    await app().local_bus.drain(30)

    assert statuses == [204] * 3
    assert sorted((event["type"], event.get("percent", 0)) for event in told) == [
        ("budget.threshold_crossed", 50),
        ("budget.threshold_crossed", 80),
        ("lease.written_off", 0),
    ]
    [document] = await app().documents.get_many([period_ref(period)])
    assert document is not None
    assert document.data["unproven_nanos"] == 3 * DOLLAR


async def test_acknowledges_a_command_that_is_too_old(
    budgets: Endpoint, told: list[dict[str, Any]]
) -> None:
    now = SystemClock().now()
    await arranged(now)

    assert await budgets(scheduled(now - timedelta(minutes=2))) == 204
    await app().local_bus.drain(30)

    assert told == []


async def test_releases_what_a_bill_proves_unspent(
    budgets: Endpoint, told: list[dict[str, Any]]
) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    period = replace(
        Budget("b", "acme", "org:acme", Calendar("total"), 100 * DOLLAR, "hard").period_at(noon),
        settled=7 * DOLLAR,
        unproven=3 * DOLLAR,
    )
    lease = Lease("l", "i", (period.id,), 0, 7 * DOLLAR, 2, "c", LeaseState.CLOSED, noon, 0)
    await app().documents.commit(
        [Put(period_ref(period.id), period.to_data()), Put(lease_ref("l"), lease.to_data())]
    )
    call = a_call(
        1,
        event_time=noon,
        started_at=noon,
        priced_nanos=4 * DOLLAR,
        unproven_nanos=3 * DOLLAR,
        settlements=(Settlement(lease="l", nanos=7 * DOLLAR),),
    )
    row = json.loads(call.payload()) | {"message_id": "1", "publish_time": noon.isoformat()}
    await app().warehouse.append("usage_raw", [row])
    bill = {"message": {"data": base64.b64encode(BILL.read_bytes()).decode(), "messageId": "8"}}
    push = {**bill, "subscription": "projects/p/subscriptions/events-budgets"}

    statuses = [await budgets(push) for _ in range(2)]
    await budgets(scheduled(SystemClock().now()))
    await app().local_bus.drain(30)

    [document] = await app().documents.get_many([period_ref(period.id)])
    assert statuses == [204, 204]
    assert document is not None
    assert (document.data["settled_nanos"], document.data["unproven_nanos"]) == (4 * DOLLAR, 0)
    assert [(event["type"], event["call_id"]) for event in told] == [
        ("lease.corrected", "call-00001")
    ]


async def test_sends_back_what_it_could_not_do(budgets: Endpoint) -> None:
    await app().documents.aclose()

    assert await budgets(scheduled(SystemClock().now())) >= 500
