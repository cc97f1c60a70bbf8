"""Insights over HTTP: found by what they are, and given a state by people."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.core.ports import Documents, Put
from common.insights.findings import Finding, Insight, Window, insight_ref
from tests.api.conftest import NOW, SetClock, pages

SAVING = Finding(
    kind="cheaper_model",
    org="acme",
    scope="agent:acme/crawler model:openai/gpt-4o",
    window=Window.month_of(NOW),
    told="Another model would have cost less.",
    evidence={"candidate": "openai/gpt-4o-mini", "nanos": 9},
    stake=12_500_000_000,
    confidence="low",
    rows={"agent": "crawler"},
)
SPIKE = replace(SAVING, kind="spike", stake=99_000_000_000, over=True)
LOOP = replace(SAVING, kind="loop", scope="agent:acme/other", stake=12_500_000_000)


def insight(finding: Finding) -> Insight:
    return Insight(finding, "open", found_at=NOW, changed_at=NOW)


@pytest.fixture
async def stored(documents: Documents) -> None:
    older = replace(insight(LOOP), latest=False, state="done")
    for each in (insight(SAVING), insight(SPIKE), older):
        await documents.commit([Put(insight_ref(each.id), each.to_data())])


async def shown(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/insights", params=query)
    assert answer.status_code == 200, answer.text
    return [each["kind"] for each in answer.json()["data"]]


async def act(client: httpx.AsyncClient, name: str, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/insights/{SAVING.id}:{name}", json=body)


@pytest.mark.usefixtures("stored")
async def test_lists_those_with_most_at_stake_first(client: httpx.AsyncClient) -> None:
    kinds = await shown(client)

    assert kinds[0] == "spike"
    assert sorted(kinds[1:]) == ["cheaper_model", "loop"]
    found = await pages(client, "insights", limit=1)
    assert [each["data"][0]["kind"] for each in found] == kinds
    assert found[0]["total"] == {"count": 3}


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"kind": "loop"}, ["loop"]),
        ({"scope": "agent:acme/other"}, ["loop"]),
        ({"org": "umbrella"}, []),
        ({"state": "open"}, ["spike", "cheaper_model"]),
        ({"latest": "false"}, ["loop"]),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_lists_what_is_asked_for(
    client: httpx.AsyncClient, query: dict[str, str], kinds: list[str]
) -> None:
    assert await shown(client, **query) == kinds


@pytest.mark.usefixtures("stored")
async def test_shows_one(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/api/v1/insights/{SAVING.id}")).json()

    assert answer["answer"] == "Another model would have cost less."
    assert answer["data"]["stake_usd"] == "12.500000000"
    assert answer["data"]["evidence"] == {"candidate": "openai/gpt-4o-mini", "nanos": 9}
    assert answer["data"]["rows"] == {"agent": "crawler"}


@pytest.mark.parametrize(("name", "state"), [("dismiss", "dismissed"), ("done", "done")])
@pytest.mark.usefixtures("stored")
async def test_is_given_a_state_and_opened_again(
    client: httpx.AsyncClient, name: str, state: str
) -> None:
    given = (await act(client, name)).json()["data"]
    opened = (await act(client, "reopen")).json()["data"]

    assert (given["state"], opened["state"]) == (state, "open")
    assert given["changed_by"] is not None


@pytest.mark.usefixtures("stored")
async def test_is_snoozed_until_a_time(client: httpx.AsyncClient, clock: SetClock) -> None:
    until = (NOW + timedelta(days=1)).isoformat()

    snoozed = (await act(client, "snooze", until=until)).json()["data"]
    clock.advance(timedelta(days=1))
    awake = (await client.get(f"/api/v1/insights/{SAVING.id}")).json()["data"]

    assert snoozed["state"] == "snoozed"
    assert (awake["state"], awake["snoozed_until"]) == ("open", None)


@pytest.mark.usefixtures("stored")
async def test_refuses_to_snooze_into_the_past(client: httpx.AsyncClient) -> None:
    refused = await act(client, "snooze", until=NOW.isoformat())

    assert (refused.status_code, refused.json()["field"]) == (422, "until")


async def test_knows_no_other(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/api/v1/insights/{SAVING.id}")).status_code == 404
    assert (await act(client, "dismiss")).status_code == 404
