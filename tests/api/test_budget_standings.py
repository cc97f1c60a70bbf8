"""How budgets stand: from their own account, or from what usage says."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.budgets.accounts import LeaseState
from common.core.ports import Documents
from tests.api.conftest import NOW, Record, SetClock, a_call, made, pages
from tests.api.test_budgets_over_http import (
    ANY,
    DAILY,
    DOLLAR,
    PATH,
    a_lease,
    make,
    put_lease,
    read,
    set_period,
)


@pytest.mark.parametrize(
    ("settled", "leased", "fields", "state", "remaining"),
    [
        (0, 0, {}, "ok", 20),
        (15, 5, {}, "blocked", 0),
        (16, 0, {}, "warning", 4),
        (20, 0, {}, "blocked", 0),
        (25, 0, {}, "blocked", 0),
        (25, 0, {"enforcement": "soft"}, "ok", 20),
    ],
)
async def test_says_how_it_stands(  # noqa: PLR0917 - fixtures and the columns of the table
    client: httpx.AsyncClient,
    documents: Documents,
    acme: None,
    settled: int,
    leased: int,
    fields: dict[str, Any],
    state: str,
    remaining: int,
) -> None:
    await make(client)
    await set_period(documents, settled_nanos=settled * DOLLAR, leased_nanos=leased * DOLLAR)
    await client.put(PATH, json={**DAILY, **fields}, headers=ANY)

    data = await read(client)
    assert (data["state"], data["remaining_nanos"]) == (state, remaining * DOLLAR)


async def test_opens_with_what_its_scope_has_spent_in_the_period(
    client: httpx.AsyncClient, record: Record, acme: None
) -> None:
    def spent(number: int, usd: int, **fields: Any) -> Any:
        return a_call(number, cost_nanos=usd * DOLLAR, priced_nanos=usd * DOLLAR, **fields)

    long_ago = {"event_time": NOW - timedelta(days=20)}
    before = {"event_time": NOW - timedelta(hours=13)}
    await record(
        spent(1, 1),
        spent(2, 2, team="ops", agent="pager"),
        spent(3, 4, line="ba9876543210", model_billed="claude-x"),
        spent(4, 8, **before),
        spent(5, 16, **long_ago),
        spent(6, 32, org="other"),
    )
    asked: dict[str, dict[str, Any]] = {
        "org": {},
        "team": {"scope": "team:acme/search"},
        "agent": {"scope": "agent:acme/crawler", "models": ["gpt-*"]},
        "model": {"models": ["claude-*"]},
        "week": {"period": "week"},
        "total": {"period": "total"},
    }

    opened = {name: await make(client, name, **fields) for name, fields in asked.items()}

    assert {name: data["settled_nanos"] // DOLLAR for name, data in opened.items()} == {
        "org": 7,
        "team": 5,
        "agent": 1,
        "model": 4,
        "week": 15,
        "total": 31,
    }
    assert opened["total"]["resets_at"] is None


async def test_shows_what_usage_says_of_a_soft_one(
    client: httpx.AsyncClient, record: Record, acme: None
) -> None:
    await make(client, enforcement="soft", limit_usd="0.005")
    await record(a_call(1))

    data = await read(client)
    listed = (await pages(client, "budgets"))[0]["data"]
    assert listed == [data]
    assert (data["settled_nanos"], data["state"]) == (4_200_000, "warning")
    assert data["remaining_nanos"] == 800_000
    await record(a_call(2))
    assert [
        (await read(client))[name] for name in ("settled_nanos", "remaining_nanos", "state")
    ] == [
        8_400_000,
        0,
        "warning",
    ]


async def test_is_arming_for_as_long_as_a_call_takes(
    client: httpx.AsyncClient, clock: SetClock, acme: None
) -> None:
    """Calls to which no hard budget applied have no lease."""
    seen = [(await make(client))["arming"]]
    clock.advance(timedelta(hours=1, microseconds=-1))
    seen.append((await read(client))["arming"])
    clock.advance(timedelta(microseconds=1))
    seen.append((await read(client))["arming"])

    assert seen == [True, True, False]


async def test_is_arming_while_older_leases_are_open(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock, acme: None
) -> None:
    await make(client, "older")
    older = ("older:2026-11-01T00:00Z--2026-11-02T00:00Z",)
    await put_lease(documents, a_lease("1", state=LeaseState.OPEN, periods=older, policy_epoch=1))
    await make(client)
    await put_lease(documents, a_lease("2", state=LeaseState.OPEN, policy_epoch=2))
    clock.advance(timedelta(hours=1))

    seen = [(await read(client))["arming"], (await read(client, "older"))["arming"]]
    await put_lease(documents, a_lease("1", state=LeaseState.CLOSED, periods=older))
    seen.append((await read(client))["arming"])

    assert seen == [True, False, False]


async def test_is_arming_while_leases_of_the_scope_before_are_open(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock, acme: None
) -> None:
    await make(client)
    await client.put(PATH, json={**DAILY, "models": ["gpt-*"]}, headers=ANY)
    await put_lease(documents, a_lease("1", state=LeaseState.OPEN, policy_epoch=1))
    clock.advance(timedelta(hours=1))

    seen = [(await read(client))["arming"]]
    await put_lease(documents, a_lease("1", state=LeaseState.CLOSED, policy_epoch=1))
    seen.append((await read(client))["arming"])

    assert seen == [True, False]


async def test_a_budget_that_is_made_with_its_key_is_armed_at_once(
    client: httpx.AsyncClient, acme: None
) -> None:
    """No call can be under way with a key that was not there."""
    key = await made(
        client, "keys", org="acme", agent="crawler", name="ci", budget={"limit_usd": "5"}
    )

    assert (await read(client, f"key-{key['line']}"))["arming"] is False
