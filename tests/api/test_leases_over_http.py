"""Leases over HTTP: those that are open or were written off, and their correction."""

from datetime import timedelta

import httpx
import pytest

from common.budgets.accounts import LeaseState
from common.core.ports import Documents
from tests.api.conftest import NOW, SetClock, pages
from tests.api.test_budgets_over_http import (
    DOLLAR,
    TODAY,
    a_lease,
    make,
    put_lease,
    read,
    set_period,
)

CORRECT = "/api/v1/leases/1234:correct"
BODY = {"refund_usd": "3", "reason": "the bill says so"}


@pytest.fixture
async def written_off(client: httpx.AsyncClient, documents: Documents, acme: None) -> None:
    """A lease of $5 on budget b, written off a day ago."""
    await make(client)
    await set_period(documents, settled_nanos=6 * DOLLAR, unproven_nanos=5 * DOLLAR)
    await put_lease(documents, a_lease())


async def test_lists_by_state_and_budget(client: httpx.AsyncClient, documents: Documents) -> None:
    other = (TODAY.replace("b:", "other:", 1),)
    for number in range(5):
        await put_lease(documents, a_lease(f"open-{number}", state=LeaseState.OPEN))
    await put_lease(documents, a_lease("x", state=LeaseState.OPEN, periods=other))
    await put_lease(documents, a_lease("y", state=LeaseState.CLOSED))
    await put_lease(documents, a_lease("z"))

    answers = await pages(client, "leases", limit=2, budget="b")
    everything = await pages(client, "leases")
    [gone] = await pages(client, "leases", state="written_off")

    assert [[each["id"] for each in answer["data"]] for answer in answers] == [
        ["open-0", "open-1"],
        ["open-2", "open-3"],
        ["open-4"],
    ]
    assert [answer["total"] for answer in answers] == [{"count": 5}] * 3
    assert everything[0]["total"] == {"count": 6}
    assert gone["answer"] == "1 lease written off."
    assert gone["data"] == [
        {
            "id": "z",
            "state": "written_off",
            "budgets": ["b"],
            "periods": [TODAY],
            "instance": "gone",
            "amount_usd": "0.000000000",
            "amount_nanos": 0,
            "reported_usd": "1.000000000",
            "reported_nanos": DOLLAR,
            "written_off_usd": "5.000000000",
            "written_off_nanos": 5 * DOLLAR,
            "currency": "USD",
            "expires_at": "2026-10-31T11:00:00Z",
            "correctable_at": "2026-11-01T11:01:00Z",
        }
    ]


async def test_corrects_a_write_off_once(client: httpx.AsyncClient, written_off: None) -> None:
    answer = await client.post(CORRECT, json=BODY)
    again = await client.post(CORRECT, json=BODY)

    data = await read(client)
    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "corrected")
    assert answer.json()["answer"] == (
        "Lease 1234 is corrected: of $5.000000000 $3.000000000 was not spent."
    )
    assert (again.status_code, again.json()["field"]) == (422, "lease")
    assert (data["settled_nanos"], data["unproven_nanos"]) == (3 * DOLLAR, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"refund_usd": "5.000000001", "reason": "x"}, "refund_usd"),
        ({"refund_usd": "-1", "reason": "x"}, "refund_usd"),
        ({"refund_usd": "1"}, "reason"),
        ({"refund_usd": "1", "reason": ""}, "reason"),
        ({"refund_usd": "1", "reason": "a\nb"}, "reason"),
        ({"reason": "x"}, "refund_usd"),
    ],
)
async def test_refuses_by_name(
    client: httpx.AsyncClient, written_off: None, body: dict[str, str], field: str
) -> None:
    answer = await client.post(CORRECT, json=body)

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await read(client))["unproven_nanos"] == 5 * DOLLAR


async def test_refuses_one_too_early(
    client: httpx.AsyncClient, clock: SetClock, written_off: None
) -> None:
    clock.time = NOW - timedelta(minutes=59, seconds=1)

    answer = await client.post(CORRECT, json=BODY)

    assert (answer.status_code, answer.json()["field"]) == (422, "lease")
    assert "from 2026-11-01T11:01:00Z on" in answer.json()["detail"]


async def test_knows_no_other_leases(client: httpx.AsyncClient, acme: None) -> None:
    assert (await client.post(CORRECT, json=BODY)).status_code == 404
