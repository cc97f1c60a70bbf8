"""Price overrides over HTTP: made, replaced and removed by version, audited, told to proxies."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.api.app import create_api
from common.api.callers import DevAuthenticator
from common.core.ports import Query
from common.gateway.control import CONTROL
from common.llm.price_book import bundled_book
from common.pricing.overrides import OVERRIDE_VERSIONS, OVERRIDES_CHANGED, Override, version_ref
from tests.chosen_engines import warehouse_of
from tests.pricing.conftest import Pricing
from tests.pricing.lists import NOW

BODY: dict[str, Any] = {
    "org": "acme",
    "provider": "openai",
    "model": "gpt-4o",
    "kind": "negotiated",
    "rates": {"input_tokens": "2.000000000000000001", "output_tokens": 8},
}
MAKE = {"if-none-match": "*"}


@pytest.fixture
async def client(pricing: Pricing, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    warehouse = warehouse_of(tmp_path)
    api = create_api(
        documents=pricing.documents,
        bus=pricing.bus,
        warehouse=warehouse,
        clock=pricing.clock,
        entropy=os.urandom,
        price_book=bundled_book(),
        authenticate=DevAuthenticator(in_cloud=False),
        version="0.1.0",
    )
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        made = await client.post("/api/v1/orgs", json={"id": "acme", "name": "Acme"})
        assert made.status_code == 201, made.text
        yield client
    await warehouse.aclose()


async def put(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **members: Any
) -> httpx.Response:
    return await client.put(
        "/api/v1/price-overrides/acme-4o", json=BODY | members, headers=headers or MAKE
    )


async def stored(pricing: Pricing) -> list[Override]:
    found = await pricing.documents.query(Query("price_overrides"))
    return [Override.from_document(each) for each in found]


async def told(pricing: Pricing) -> Any:
    [control] = await pricing.documents.get_many([CONTROL])
    return None if control is None else control.data.get(OVERRIDES_CHANGED)


async def test_makes_an_override_and_tells_all_proxies(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    before = await told(pricing)

    response = await put(client)

    assert response.status_code == 201, response.text
    [override] = await stored(pricing)
    assert override.rates == {"input_tokens": 2 * 10**18 + 1, "output_tokens": 8 * 10**18}
    assert (override.valid_from, override.valid_until) == (NOW, None)
    assert (before, await told(pricing)) == (None, NOW)
    assert response.json()["data"]["rates"] == [
        {"unit": "input_tokens", "per": 1_000_000, "usd": "2.000000000000000001"},
        {"unit": "output_tokens", "per": 1_000_000, "usd": "8"},
    ]


async def test_answers_what_it_stored(client: httpx.AsyncClient) -> None:
    made = await put(client)

    read = await client.get("/api/v1/price-overrides/acme-4o")
    listed = (await client.get("/api/v1/price-overrides")).json()

    assert read.json()["data"] == made.json()["data"]
    assert read.headers["etag"] == f'"{made.json()["data"]["version"]}"'
    assert read.json()["answer"] == "Price override acme-4o counts now."
    assert (listed["data"], listed["total"]) == ([made.json()["data"]], {"count": 1})


async def test_replaces_only_what_was_read(client: httpx.AsyncClient, pricing: Pricing) -> None:
    version = (await put(client)).json()["data"]["version"]
    pricing.clock.advance(timedelta(seconds=1))

    without = await client.put("/api/v1/price-overrides/acme-4o", json=BODY)
    again = await put(client)
    stale = await put(client, {"if-match": '"0000"'})
    replaced = await put(client, {"if-match": f'"{version}"'}, model="gpt-4o*")

    assert [each.status_code for each in (without, again, stale)] == [428, 412, 412]
    assert replaced.status_code == 200, replaced.text
    assert [each.model for each in await stored(pricing)] == ["gpt-4o*"]
    assert await told(pricing) == NOW + timedelta(seconds=1)


async def test_keeps_every_version_that_calls_may_name(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    first = (await put(client)).json()["data"]
    second = (await put(client, {"if-match": "*"}, model="gpt-4o*")).json()["data"]
    await client.delete("/api/v1/price-overrides/acme-4o", headers={"if-match": "*"})
    third = (await put(client, model="gpt-4o*")).json()["data"]

    kept = await pricing.documents.query(Query(OVERRIDE_VERSIONS))
    assert {each.ref.id for each in kept} == {first["tag"], second["tag"]}
    assert third["tag"] == second["tag"]
    [version] = await pricing.documents.get_many([version_ref(first["tag"])])
    assert version is not None
    assert Override.from_document(version).tag == first["tag"]


async def test_removes_it_by_version(client: httpx.AsyncClient, pricing: Pricing) -> None:
    version = (await put(client)).json()["data"]["version"]
    path = "/api/v1/price-overrides/acme-4o"
    pricing.clock.advance(timedelta(seconds=1))

    refused = await client.delete(path, headers={"if-match": '"0000"'})
    removed = await client.delete(path, headers={"if-match": f'"{version}"'})
    gone = await client.get(path)

    assert [each.status_code for each in (refused, removed, gone)] == [412, 200, 404]
    assert await stored(pricing) == []
    assert await told(pricing) == NOW + timedelta(seconds=1)


async def test_audits_each_change(client: httpx.AsyncClient, pricing: Pricing) -> None:
    await put(client)
    await put(client, {"if-match": "*"}, model="gpt-4o*")
    await put(client, {"if-match": "*"}, model="gpt-4o*")
    await client.delete("/api/v1/price-overrides/acme-4o", headers={"if-match": "*"})

    entries = [
        each.data
        for each in await pricing.documents.query(Query("audit"))
        if each.data["target"] == "price_overrides/acme-4o"
    ]

    assert [each["what"] for each in sorted(entries, key=lambda each: each["what"])] == [
        "price_override.create",
        "price_override.remove",
        "price_override.update",
    ]
    [update] = [each for each in entries if each["what"] == "price_override.update"]
    assert (update["before"]["model"], update["after"]["model"]) == ("gpt-4o", "gpt-4o*")
    assert update["after"]["rates"]["output_tokens"] == str(8 * 10**18)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"rates": {"input_tokens": "-1"}}, "rates"),
        ({"rates": {"input_tokens": "10001"}}, "rates"),
        ({"rates": {"input_tokens": 1e-19}}, "rates"),
        ({"rates": {"tokens": "1"}}, "rates"),
        ({"org": "nobody"}, "org"),
        ({"provider": "openia"}, "provider"),
        ({"kind": "prepaid", "rates": {}}, "note"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"kind": "free"}, "kind"),
        ({"model": ""}, "model"),
    ],
)
async def test_refuses_what_cannot_be_meant(
    client: httpx.AsyncClient, pricing: Pricing, members: dict[str, Any], field: str
) -> None:
    response = await put(client, **members)

    assert response.status_code == 422, response.text
    assert response.json().get("field", "").split(".")[0] == field
    assert (await stored(pricing), await told(pricing)) == ([], None)


async def test_takes_it_for_all_organisations_and_for_an_upstream_without_a_list(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    response = await put(client, org=None, provider="u/ollama", model="*", kind="self_hosted")

    assert response.status_code == 201, response.text
    assert [each.org for each in await stored(pricing)] == [None]


async def test_a_dry_run_of_routes_reckons_with_own_rates(client: httpx.AsyncClient) -> None:
    """As calls do: the cheapest is another one then."""
    asked = {
        "org": "acme",
        "team": "search",
        "agent": "crawler",
        "path": "/openai/v1/chat/completions",
        "body": {"model": "gpt-4o", "max_tokens": 100, "messages": []},
        "rules": [{"name": "a", "use": {"cheapest": ["gpt-4o", "gpt-4o-mini"]}}],
    }
    await client.post("/api/v1/teams", json={"org": "acme", "id": "search"})
    crawler = {"org": "acme", "id": "crawler", "team": "search"}
    await client.post("/api/v1/agents", json=crawler)
    before = await client.post("/api/v1/routes:dry-run", json=asked)
    await put(client, rates={"input_tokens": "0.01", "output_tokens": "0.01"})
    after = await client.post("/api/v1/routes:dry-run", json=asked)

    assert before.status_code == 200, before.text
    chosen = [each.json()["data"]["model"] for each in (before, after)]
    assert chosen == ["gpt-4o-mini", "gpt-4o"]


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "says"),
    [
        (None, None, "counts from the next call on."),
        ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z",
         "counts from the next call on, until 2099-01-01T00:00:00Z."),
        ("2099-01-01T00:00:00Z", None, "counts for calls from 2099-01-01T00:00:00Z on."),
        ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z",
         "is over: it counts for no call to come, and for past ones where they are repriced."),
    ],
)  # fmt: skip
async def test_says_when_it_counts(
    client: httpx.AsyncClient, valid_from: str | None, valid_until: str | None, says: str
) -> None:
    response = await put(client, valid_from=valid_from, valid_until=valid_until)

    assert response.json()["answer"] == f"Price override acme-4o {says}"


async def test_says_what_it_overlaps_with_and_which_of_them_counts(
    client: httpx.AsyncClient,
) -> None:
    others: dict[str, dict[str, Any]] = {
        "acme-5": {},
        "later": {"valid_from": "2099-01-01T00:00:00Z"},
        "other-model": {"model": "gpt-4o*"},
        "everybody": {"org": None},
    }
    for id_, members in others.items():
        await client.put(f"/api/v1/price-overrides/{id_}", json=BODY | members, headers=MAKE)

    made = await put(client)
    again = await put(client, {"if-match": "*"}, valid_until="2098-01-01T00:00:00Z")
    alone = await put(client, {"if-match": "*"}, model="gpt-4o-mini")

    assert made.json()["answer"].endswith(
        "It overlaps with acme-5, later: where all of them hold, later counts."
    )
    assert again.json()["answer"].endswith(
        "It overlaps with acme-5: where all of them hold, acme-4o counts."
    )
    assert "overlaps" not in alone.json()["answer"]


async def test_says_what_becomes_of_calls_when_it_is_removed(client: httpx.AsyncClient) -> None:
    await put(client)

    removed = await client.delete("/api/v1/price-overrides/acme-4o", headers={"if-match": "*"})

    assert "scripts/reprice restates to that what it priced" in removed.json()["answer"]
