"""A policy is tried on the calls of the last days over HTTP, and changes nothing."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from common.core.ports import Documents, Query
from common.usage.apply_events import apply_events
from tests.api.brownout_scenes import a_policy
from tests.api.conftest import NOW, SetClock, a_call

PATH = "/api/v1/brownout:replay"
FAILED = {"outcome": "upstream_error", "error_code": "upstream_503", "upstream_status": 503}
BURST = NOW - timedelta(hours=20)


def text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


async def tried(client: httpx.AsyncClient, hours: int = 24, **fields: Any) -> dict[str, Any]:
    body = {"from": text(NOW - timedelta(hours=hours)), **fields}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


@pytest.fixture
async def burst(documents: Documents, clock: SetClock) -> None:
    """A minute in which 60 of 100 calls failed."""
    events = [
        a_call(number, event_time=BURST, agent=f"a-{number}", **(FAILED if number < 60 else {}))
        for number in range(100)
    ]
    await apply_events(documents, events, clock)


@pytest.mark.usefixtures("burst")
async def test_tells_what_would_have_happened(client: httpx.AsyncClient) -> None:
    answer = await tried(client)

    data = answer["data"]
    scopes = ["global", "model:gpt-x", "org:acme", "provider:openai", "team:acme/search"]
    assert [each["scope"] for each in data["episodes"]] == scopes
    assert data["episodes"][0] == {
        "scope": "global",
        "opened_at": text(BURST + timedelta(minutes=1)),
        "closed_at": text(BURST + timedelta(minutes=1, seconds=180 + 240 + 330 * 2)),
        "peak": "emergency",
        "seconds": {"emergency": 420, "hard": 330, "soft": 330},
        "about": ["errors"],
    }
    assert (data["policy_version"], data["minutes"], data["count"]) == (0, 1, 5)
    assert answer["answer"] == (
        "5 episodes, up to emergency; global would have been off normal for 18 minutes."
    )


@pytest.mark.usefixtures("burst")
async def test_tries_the_policy_that_is_sent(client: httpx.AsyncClient) -> None:
    lax = a_policy(thresholds={"emergency": {"error_rate": "90%"}})

    answer = await tried(client, policy=lax)

    assert (answer["data"]["policy_version"], answer["data"]["episodes"]) == (None, [])
    assert answer["answer"] == "No scope would have left normal."


@pytest.mark.usefixtures("burst")
async def test_tries_the_span_alone(client: httpx.AsyncClient) -> None:
    before = await tried(client, to=text(BURST))
    within = await tried(client, to=text(BURST + timedelta(minutes=1, seconds=59)))

    assert before["answer"] == "There were no calls."
    assert {each["closed_at"] for each in within["data"]["episodes"]} == {None}
    assert within["answer"].startswith("5 episodes, 5 of them not back by 2026-10-31T16:01Z, up to")


async def test_compares_costs_with_those_of_the_weeks_before(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    """$60 within a minute of this hour, and as much in the same hour one and two weeks ago."""
    costs = {"priced_nanos": 60_000_000_000, "cost_nanos": 60_000_000_000}
    await apply_events(documents, [a_call(0, event_time=BURST, **costs)], clock)
    alone = await tried(client)

    weeks = [BURST - timedelta(days=7 * week) for week in (1, 2)]
    past = [
        a_call(week, event_time=at, priced_nanos=10**13, cost_nanos=10**13)
        for week, at in enumerate(weeks, 1)
    ]
    await apply_events(documents, past, clock)

    usual = await tried(client)
    assert {each["about"][0] for each in alone["data"]["episodes"]} == {"cost"}
    assert usual["answer"] == "No scope would have left normal."


@pytest.mark.usefixtures("burst")
async def test_changes_nothing(client: httpx.AsyncClient, documents: Documents) -> None:
    await tried(client)

    for collection in ("brownout_signals", "brownout_state", "brownout_changes", "audit"):
        assert await documents.query(Query(collection)) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"from": "7d"}, "from"),
        ({"from": text(NOW)}, "from"),
        ({"from": text(NOW - timedelta(days=9))}, "from"),
        ({"from": text(NOW - timedelta(days=7, hours=2))}, "from"),
        ({"from": text(NOW - timedelta(days=1)), "to": text(NOW - timedelta(days=2))}, "from"),
        ({"from": text(NOW - timedelta(days=1)), "policy": {"version": 1}}, "thresholds"),
        ({"from": text(NOW - timedelta(days=1)), "since": "1d"}, "since"),
    ],
)
async def test_refuses_what_cannot_be_tried(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post(PATH, json=body)

    assert answer.status_code == 422
    problem = answer.json()
    assert field in (problem["field"] or problem["detail"])


async def test_takes_a_week_by_the_clock_of_whoever_asks(client: httpx.AsyncClient) -> None:
    answer = await tried(client, hours=7 * 24, to=text(NOW + timedelta(minutes=3)))

    assert answer["data"]["until"] == text(NOW)
