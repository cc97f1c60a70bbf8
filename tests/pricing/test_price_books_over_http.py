"""Price books over HTTP: what is in force, what waits, and an operator's word."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.api.app import create_api
from common.api.callers import DevAuthenticator
from common.core.ports import Put, Query
from common.core.price_events import PriceBookPublished
from common.llm.price_book import PriceBook
from common.pricing.books import CONTROL, POINTER
from common.pricing.vetting import Used
from tests.chosen_engines import warehouse_of
from tests.pricing.conftest import Pricing
from tests.pricing.lists import RATES, card_text, changed, compiled, lab, model, without

OLD = lab()
DEAR = changed(OLD, "two", prices={**RATES, "input_mtok": 20})
NEWER = lab(*[model(name) for name in ("one", "two", "six", "ten", "new")])


@pytest.fixture
async def client(pricing: Pricing, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    warehouse = warehouse_of(tmp_path)
    api = create_api(
        documents=pricing.documents,
        bus=pricing.bus,
        warehouse=warehouse,
        clock=pricing.clock,
        entropy=os.urandom,
        price_book=PriceBook.load(pricing.shipped),
        authenticate=DevAuthenticator(in_cloud=False),
        version="0.1.0",
    )
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        yield client
    await warehouse.aclose()


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    response = await client.get(f"/api/v1/{path}", params=query)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def approve(client: httpx.AsyncClient, sha: str, *models: str) -> httpx.Response:
    return await client.post(f"/api/v1/price-books/{sha}:approve", json={"models": models})


async def usd_of_two(client: httpx.AsyncClient) -> str:
    [row] = (await get(client, "prices", q="lab/two"))["data"]
    return str(row["rates"][0]["usd"])


async def test_lists_no_book_while_the_one_in_the_code_is_in_force(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    answer = await get(client, "price-books")

    assert (answer["data"], answer["total"], answer["next"]) == ([], {"count": 0}, None)
    assert answer["answer"] == "The book that ships with the code is in force."
    book = (await get(client, "prices/book"))["data"]
    assert book["digest"] == PriceBook.load(pricing.shipped).digest


async def test_answers_prices_from_the_book_in_force(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    before = await usd_of_two(client)
    await pricing.refresh(changed(OLD, "two", prices={**RATES, "input_mtok": 2.5}))

    assert (before, await usd_of_two(client)) == ("2", "2.5")
    book = (await get(client, "prices/book"))["data"]
    assert book["digest"] == (await pricing.published()).sha


async def test_answers_prices_from_the_book_before_when_the_one_in_force_is_damaged(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    await pricing.refresh(changed(OLD, "two", prices={**RATES, "input_mtok": 2.5}))
    assert await usd_of_two(client) == "2.5"

    await pricing.documents.commit([Put(CONTROL, {POINTER: "f" * 64})])

    assert await usd_of_two(client) == "2.5"


async def test_lists_books_newest_first_page_by_page(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    for raw in (NEWER, OLD, DEAR, NEWER):
        pricing.clock.advance(timedelta(days=1))
        await pricing.refresh(raw)

    first = await get(client, "price-books", limit=2)
    second = await get(client, "price-books", limit=2, after=first["next"])

    numbers = [each["number"] for each in (*first["data"], *second["data"])]
    assert (numbers, second["next"], first["total"]) == ([3, 2, 1], None, {"count": 3})
    assert [each["state"] for each in first["data"]] == ["published", "superseded"]
    assert first["data"][0]["before"] == first["data"][1]["sha"]


async def test_shows_what_is_held_and_why(client: httpx.AsyncClient, pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    sha = (await pricing.published()).sha

    data = (await get(client, f"price-books/{sha}"))["data"]

    assert (data["sha"], data["held"], data["made_by"]) == (sha, 1, "pricing")
    assert data["cards"] == [
        {
            "card": "lab/two",
            "reason": "price",
            "told": "a price moves by more than 30 %; input_tokens per 1,000,000: 2 -> 20.",
            "figures": [
                {
                    "what": "input_tokens",
                    "per": 1_000_000,
                    "when": "",
                    "above": 0,
                    "old": "2",
                    "new": "20",
                }
            ],
        }
    ]


async def test_puts_an_approved_price_in_force(client: httpx.AsyncClient, pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    before = await pricing.published()

    response = await approve(client, before.sha, "lab/two")

    assert response.status_code == 201, response.text
    made = await pricing.published()
    assert response.json()["data"]["sha"] == made.sha
    assert (made.before, made.held, made.number) == (before.sha, (), 2)
    assert made.made_by == "operator@localhost"
    assert card_text(made.data, "two") == card_text(compiled(DEAR), "two")
    assert await usd_of_two(client) == "20"
    told = pricing.bus.events[-1]
    assert isinstance(told, PriceBookPublished)
    assert (told.book, told.before, told.actor) == (made.sha, before.sha, "operator@localhost")


async def test_audits_an_approval(client: httpx.AsyncClient, pricing: Pricing) -> None:
    await pricing.refresh(DEAR)
    before = await pricing.published()
    await approve(client, before.sha, "lab/two")

    [entry] = await pricing.documents.query(Query("audit"))

    assert (entry.data["who"], entry.data["what"]) == ("operator@localhost", "price_book.approve")
    assert entry.data["before"] == {"book": before.sha, "held": 1}
    sha = (await pricing.published()).sha
    assert entry.data["after"] == {"book": sha, "held": 0, "approved": ["lab/two"]}


async def test_holds_on_to_what_is_not_approved(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    pricing.in_use = {Used("lab", "one")}
    dear = changed(DEAR, "six", prices={**RATES, "output_mtok": 0})
    await pricing.refresh(without(dear, "one"))
    before = await pricing.published()

    await approve(client, before.sha, "lab/six")
    after = await pricing.published()
    await approve(client, after.sha, "lab/one", "lab/two")

    assert [each.model for each in before.held] == ["one", "six", "two"]
    assert [each.model for each in after.held] == ["one", "two"]
    last = await pricing.published()
    assert PriceBook.load(last.data).card("lab", "one") is None
    await pricing.refresh()
    assert (await pricing.published()).number == 3


async def test_takes_a_whole_list_that_was_held(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    pricing.in_use = {Used("lab", "one")}
    front = model("front", {"input_mtok": 9}, match={"contains": "n"})
    await pricing.refresh(lab(front, *OLD[0]["models"]))
    before = await pricing.published()

    response = await approve(client, before.sha, "lab/*")

    assert [(each.model, each.reason) for each in before.held] == [("*", "name")]
    assert response.status_code == 201, response.text
    card = PriceBook.load((await pricing.published()).data).card("lab", "one")
    assert card is not None
    assert card.model == "front"


async def test_holds_the_same_again_until_it_is_approved(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    dear = changed(DEAR, "six", prices={**RATES, "output_mtok": 80})
    await pricing.refresh(dear)
    await approve(client, (await pricing.published()).sha, "lab/six")
    after = await pricing.published()

    await pricing.refresh(dear)

    assert await pricing.published() == after


@pytest.mark.parametrize(
    ("models", "detail"),
    [
        (["lab/one"], "'lab/one' is not held: lab/two"),
        (["lab/two", "lab/x"], "'lab/x' is not held: lab/two"),
    ],
)
async def test_refuses_to_approve_what_is_not_held(
    client: httpx.AsyncClient, pricing: Pricing, models: list[str], detail: str
) -> None:
    await pricing.refresh(DEAR)
    sha = (await pricing.published()).sha

    response = await approve(client, sha, *models)

    assert (response.status_code, response.json()["detail"]) == (422, detail)
    assert (await pricing.published()).sha == sha


async def test_refuses_to_approve_a_book_that_is_in_force_no_more(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    await pricing.refresh(DEAR)
    sha = (await pricing.published()).sha
    await pricing.refresh(NEWER)

    assert (await approve(client, sha, "lab/two")).status_code == 422
    assert (await approve(client, "f" * 64, "lab/two")).status_code == 404


async def test_answers_a_repeated_approval_alike(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    await pricing.refresh(DEAR)
    path = f"/api/v1/price-books/{(await pricing.published()).sha}:approve"

    answers = [
        await client.post(path, json={"models": ["lab/two"]}, headers={"idempotency-key": "k"})
        for _ in range(2)
    ]

    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await pricing.published()).number == 2


async def test_tells_an_approval_later_when_the_bus_is_down(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    await pricing.refresh(DEAR)
    pricing.bus.down = True
    response = await approve(client, (await pricing.published()).sha, "lab/two")
    pricing.bus.down = False

    await pricing.refresh(DEAR)

    assert response.status_code == 201
    told = pricing.bus.events[-1]
    assert isinstance(told, PriceBookPublished)
    assert told.actor == "operator@localhost"


async def test_refuses_to_approve_where_nothing_is_held(
    client: httpx.AsyncClient, pricing: Pricing
) -> None:
    await pricing.refresh(NEWER)

    response = await approve(client, (await pricing.published()).sha, "lab/two")

    assert (response.status_code, response.json()["field"]) == (422, "models")
