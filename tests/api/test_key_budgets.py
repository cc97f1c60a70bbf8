"""A key and its budget in one request: both are made, or neither."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from common.api.callers import DevAuthenticator
from common.core.events import BudgetChanged, KeyEvent
from common.core.ports import Documents, Query
from common.gateway.control import CONTROL, POLICY_EPOCH
from tests.api.conftest import KeepingBus, MakeApi, made, pages
from tests.api.test_upstreams_over_http import KeepingDocuments

KEY: dict[str, Any] = {
    "org": "acme",
    "agent": "crawler",
    "name": "ci",
    "budget": {"limit_usd": "20", "period": "day"},
}


async def test_is_a_hard_budget_of_the_keys_line(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, acme: None
) -> None:
    answer = await client.post("/api/v1/keys", json=KEY)

    key = answer.json()["data"]
    [budget] = (await pages(client, "budgets"))[0]["data"]
    [control] = await documents.get_many([CONTROL])
    assert answer.json()["answer"].endswith(f" Its budget is key-{key['line']}.")
    assert (budget["id"], budget["scope"]) == (f"key-{key['line']}", f"key:{key['line']}")
    assert (budget["org"], budget["enforcement"], budget["period"]) == ("acme", "hard", "day")
    assert (budget["limit_usd"], budget["settled_nanos"]) == ("20.000000000", 0)
    assert control is not None
    assert control.data[POLICY_EPOCH] == 1
    assert [type(event) for event in bus.events] == [KeyEvent, BudgetChanged]


@pytest.fixture
def kept(documents: Documents) -> KeepingDocuments:
    return KeepingDocuments(documents)


@pytest.fixture
async def watched(make_api: MakeApi, kept: KeepingDocuments) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API over the store that keeps its commits."""
    api = make_api(DevAuthenticator(in_cloud=False), kept)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        yield client


async def test_is_made_in_the_keys_commit(
    acme: None, watched: httpx.AsyncClient, kept: KeepingDocuments
) -> None:
    await made(watched, "keys", **KEY)

    [commit] = kept.commits
    assert commit >= {"keys", "key_names", "budgets", "budget_periods", "gateway", "audit"}


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"limit_usd": 0}, "budget.limit_usd"),
        ({"period": "day"}, "budget.limit_usd"),
        ({"limit_usd": 1, "tz": "Mars"}, "budget.tz"),
        ({"limit_usd": 1, "scope": "org:acme"}, "budget.scope"),
    ],
)
async def test_makes_no_key_where_the_budget_is_wrong(
    client: httpx.AsyncClient, acme: None, budget: dict[str, Any], field: str
) -> None:
    answer = await client.post("/api/v1/keys", json={**KEY, "budget": budget})

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await pages(client, "keys"))[0]["data"] == []
    assert (await pages(client, "budgets"))[0]["data"] == []


async def test_makes_no_budget_where_the_name_is_taken(
    client: httpx.AsyncClient, acme: None
) -> None:
    await made(client, "keys", **{**KEY, "budget": None})

    answer = await client.post("/api/v1/keys", json=KEY)

    assert answer.status_code == 409
    assert (await pages(client, "budgets"))[0]["data"] == []


async def test_is_made_once_for_one_request(
    client: httpx.AsyncClient, documents: Documents, acme: None
) -> None:
    first, second = [
        await client.post("/api/v1/keys", json=KEY, headers={"idempotency-key": "once"})
        for _ in range(2)
    ]

    shown = first.json()["data"]
    assert second.json()["data"] == {**shown, "secret": None, "secret_shown": True}
    assert f"Its budget is key-{shown['line']}." in second.json()["answer"]
    assert len(await documents.query(Query("budgets"))) == 1
    reused = await client.post(
        "/api/v1/keys",
        json={**KEY, "budget": {"limit_usd": "30", "period": "day"}},
        headers={"idempotency-key": "once"},
    )
    assert reused.json()["code"] == "idempotency_key_reused"


async def test_stays_with_the_line_when_the_key_is_rotated(
    client: httpx.AsyncClient, acme: None
) -> None:
    key = await made(client, "keys", **KEY)
    new = await made(client, f"keys/{key['key_id']}:rotate")

    [budget] = (await pages(client, "budgets"))[0]["data"]
    assert new["key_id"] != key["key_id"]
    assert budget["scope"] == f"key:{new['line']}"


async def test_stands_in_the_keys_audit_entry(
    client: httpx.AsyncClient, documents: Documents, acme: None
) -> None:
    await made(client, "keys", **KEY)

    entries = [entry.data for entry in await documents.query(Query("audit"))]
    [entry] = [entry for entry in entries if entry["what"] == "key.create"]
    assert entry["after"]["budget"]["limit_nanos"] == 20 * 10**9
