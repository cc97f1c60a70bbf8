"""Reconciliations over HTTP: days by provider, one with its models, and who does not answer."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from common.core.ports import Documents, Put
from common.reconciliation.comparing import Cause, Drift
from common.reconciliation.records import (
    Answering,
    Sums,
    day_data,
    day_ref,
    source_data,
    source_ref,
)
from common.reconciliation.rows import Bill, Called, Tokens, Used
from tests.api.conftest import NOW, pages

DOLLAR = 10**9
TODAY = NOW.date()


async def keep(documents: Documents, provider: str, days_ago: int, *drifts: Drift) -> None:
    day = TODAY - timedelta(days=days_ago)
    rows = [Called("k", True, f"{provider}/m", Tokens(100, output=7), 2 * DOLLAR)]
    bill = Bill(day, (Used("key_1", f"{provider}/m", Tokens(90, output=7)),))
    data = {
        "provider": provider,
        "account": "organization",
        "standing": "drift" if drifts else "agrees",
        "withheld": None,
        "told": [],
        "found_at": NOW,
        **day_data(bill, rows, Sums.of(rows), drifts),
    }
    await documents.commit([Put(day_ref(provider, "organization", day), data)])


@pytest.fixture
async def kept(documents: Documents) -> None:
    sources: tuple[tuple[str, Answering, str | None], ...] = (
        ("openai", "answers", None),
        ("anthropic", "silent", "no answer"),
    )
    for provider, standing, cause in sources:
        data = source_data(provider, "organization", standing, cause, NOW)
        await documents.commit([Put(source_ref(provider, "organization"), data)])
    await keep(documents, "openai", 1)
    drift = Drift(Cause.PRICE_OFF, -DOLLAR, ("openai/m",), ("key_1",))
    await keep(documents, "openai", 2, drift)
    await keep(documents, "anthropic", 2)
    await keep(documents, "openai", 31)


async def shown(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/reconciliations", params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


def named(provider: str, days_ago: int) -> str:
    return f"{provider}-organization-{TODAY - timedelta(days=days_ago)}"


ALL = [named("openai", 1), named("anthropic", 2), named("openai", 2)]


@pytest.mark.usefixtures("kept")
async def test_lists_the_newest_days_first(client: httpx.AsyncClient) -> None:
    assert await shown(client) == ALL
    found = await pages(client, "reconciliations", limit=1)
    assert [each["data"][0]["id"] for each in found] == ALL
    assert {each["total"]["count"] for each in found} == {3}


@pytest.mark.usefixtures("kept")
async def test_says_how_providers_stand(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/reconciliations")).json()

    assert answer["answer"] == (
        "3 days, 1 with a drift. anthropic (organization) is silent: no answer."
    )
    assert answer["total"]["drifts"] == 1
    sources = {each["provider"]: each for each in answer["total"]["sources"]}
    assert (sources["openai"]["standing"], sources["openai"]["cause"]) == ("answers", None)
    assert sources["anthropic"]["asked_at"] == "2026-11-01T12:00:00Z"


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"provider": "anthropic"}, ALL[1:2]),
        ({"account": "other"}, []),
        ({"standing": "drift"}, ALL[2:]),
        ({"since": TODAY - timedelta(days=1)}, ALL[:1]),
        ({"until": TODAY - timedelta(days=2)}, [*ALL[1:], named("openai", 31)]),
        ({"since": TODAY - timedelta(days=31), "until": TODAY - timedelta(days=30)}, None),
    ],
)
async def test_finds_days(
    client: httpx.AsyncClient, query: dict[str, Any], ids: list[str] | None
) -> None:
    asked = {name: str(value) for name, value in query.items()}

    assert await shown(client, **asked) == ([named("openai", 31)] if ids is None else ids)


@pytest.mark.usefixtures("kept")
async def test_shows_a_day_with_its_models(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/api/v1/reconciliations/{ALL[2]}")).json()

    day = TODAY - timedelta(days=2)
    assert answer["answer"] == f"openai (organization) on {day}: drift (price_off)."
    data = answer["data"]
    assert (data["ours_usd"], data["theirs_usd"]) == ("2.000000000", "0.000000000")
    assert data["drifts"] == [
        {
            "cause": "price_off",
            "usd": "-1.000000000",
            "models": ["openai/m"],
            "keys": ["key_1"],
        }
    ]
    [model] = data["models"]
    assert (model["ours"]["input"], model["theirs"]["input"]) == (100, 90)


async def test_knows_none_of_another_day(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/reconciliations/openai-organization-2026-01-01")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("since", "until"),
    [(TODAY, TODAY - timedelta(days=1)), (date(2025, 10, 31), date(2026, 11, 1))],
)
async def test_refuses_days_without_an_order_or_too_many(
    client: httpx.AsyncClient, since: date, until: date
) -> None:
    query = {"since": str(since), "until": str(until)}
    answer = await client.get("/api/v1/reconciliations", params=query)

    assert (answer.status_code, answer.json()["field"]) == (422, "since")


async def test_says_that_nothing_is_known(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/reconciliations")).json()

    assert (answer["answer"], answer["total"]["sources"]) == ("0 days, 0 with a drift.", [])
