"""An incident's numbers and report over HTTP, through real rollups and a real warehouse."""

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.app import create_api
from common.api.callers import DevAuthenticator
from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.ports import Documents, Put, Row
from common.incidents.incidents import Incident, Part, incident_ref
from common.incidents.timeline import Entry
from common.llm.price_book import bundled_book
from tests.api.conftest import NOW, KeepingBus, Record, SetClock, a_call
from tests.api.test_episodes import GAIN, an_episode, keep
from tests.incidents.test_escalation import an_incident

OPENED = NOW - timedelta(minutes=40)
ID = "2026-11-01-abcdef"
PATH = f"/api/v1/incidents/{ID}"
FREE = {"cost_nanos": 0, "priced_nanos": 0, "cost_source": "free", "units": {}}


def after(minutes: float) -> Any:
    return OPENED + timedelta(minutes=minutes)


def at_minute(number: int, minutes: float, **fields: Any) -> UsageEvent:
    """A call of team search that ended so many minutes after the opening, and took 3 s."""
    ended = after(minutes)
    began = {"event_time": ended, "started_at": ended - timedelta(seconds=3)}
    return a_call(number, **began | fields)


def failing(number: int, minutes: float, **fields: Any) -> UsageEvent:
    failed = {"outcome": "upstream_error", "error_code": "upstream_503", "upstream_status": 503}
    return at_minute(number, minutes, **failed | {"first_chunk_s": None} | FREE | fields)


def edited(*edits: tuple[str, str]) -> dict[str, Any]:
    """What a brownout's edits, by name and outcome, make of a call."""
    made = [{"name": n, "told": "x", "outcome": became, "reason": ""} for n, became in edits]
    return {"mode": "hard", "enforced": True, "episode": "e0", "arm": "degraded", "edits": made}


def incident(**fields: Any) -> Incident:
    members = {
        "id": ID,
        "key": "brownout:team:acme/search",
        "scope": "team:acme/search",
        "title": "Brownout of team:acme/search",
        "status": "resolved",
        "opened_at": OPENED,
        "raised_at": OPENED,
        "mitigated_at": after(20),
        "resolved_at": after(50),
        "episodes": ("e0",),
        "entries": 2,
    }
    return an_incident(**members | fields)


async def stored(documents: Documents, known: Incident) -> None:
    entries = [
        Entry(ID, 1, OPENED, "mode_change", "it goes *wrong*", details={"enforced": True}),
        Entry(ID, 2, after(2), "acknowledged", "seen", actor="ann@example.com"),
    ]
    await documents.commit(
        [Put(incident_ref(ID), known.to_data()), *(each.written() for each in entries)]
    )


@pytest.fixture
async def happened(documents: Documents, record: Record, clock: SetClock) -> None:
    """An incident of 20 minutes, read two hours after its opening."""
    opened_at = OPENED - timedelta(minutes=1)
    await stored(documents, incident())
    await keep(documents, an_episode(0, id="e0", opened_at=opened_at, savings=(GAIN,)))
    degraded = edited(("output_cap", "applied"), ("effort", "skipped_cache"))
    await record(
        at_minute(1, -30),
        at_minute(2, -20, first_chunk_s=0.25),
        failing(3, -4),
        at_minute(4, -3),
        failing(5, -1.5),
        failing(6, -0.5),
        *(at_minute(n, 5 + n / 100, **degraded) for n in range(10, 13)),
        at_minute(13, 6, first_chunk_s=9.0, **edited(("effort", "rejected"))),
        at_minute(14, 7, **edited(("hint", "skipped_unsafe"))),
        at_minute(15, 8, team="ops", outcome="shed", **edited() | FREE),
        at_minute(16, 8, team="ops"),  # neither its scope nor its episode
        at_minute(17, 9, outcome="gateway_error", error_code="gateway_stopped", **FREE),
        at_minute(18, 20),
        at_minute(19, 80, event_time=NOW),
    )
    clock.advance(timedelta(hours=2) - timedelta(minutes=40))


async def numbers(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(f"{PATH}/numbers")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.usefixtures("happened")
async def test_computes_the_numbers(client: httpx.AsyncClient) -> None:
    body = await numbers(client)

    assert body["answer"] == (
        "It lasted 20 min: 7 calls, 3 of them degraded, 1 refused and 1 failed."
    )
    data = body["data"]
    assert (data["since"], data["until"]) == ("2026-11-01T11:20:00Z", "2026-11-01T11:40:00Z")
    assert {name: took["seconds"] for name, took in data["times"].items()} == {
        "detect": 120,
        "enforce": 5 * 60 + 6 - 3,
        "acknowledge": 120,
        "mitigate": 1_200,
        "recover": 3_000,
    }
    names = ("org", "team", "calls", "degraded", "shed", "failed")
    assert [tuple(team[name] for name in names) for team in data["calls"]["teams"]] == [
        ("acme", "ops", 1, 0, 1, 0),
        ("acme", "search", 6, 3, 0, 1),
    ]
    assert data["edits"] == {
        "applied": 3,
        "skipped": 4,
        "rejected": 1,
        "recorded": 0,
        "by_name": {
            "effort": {"skipped_cache": 3, "rejected": 1},
            "hint": {"skipped_unsafe": 1},
            "output_cap": {"applied": 3},
        },
        "reason": None,
    }
    costs = {name: (cost["nanos"], cost["per_hour_usd"]) for name, cost in data["cost"].items()}
    assert costs == {
        "before": (3 * 4_200_000, "0.012600000"),
        "during": (5 * 4_200_000, "0.063000000"),
        "after": (2 * 4_200_000, "0.008400000"),
    }
    before, during = (data["latency"][name]["first_chunk_p95_s"] for name in ("before", "during"))
    assert before == pytest.approx(0.5, rel=0.14)
    assert during == pytest.approx(9.0, rel=0.14)
    assert (data["saved"]["usd"], data["saved"]["low_usd"], data["saved"]["method"]) == (
        "12.345678901",
        "10.000000000",
        "holdout",
    )
    assert [source["status"] for source in body["sources"]] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("scope", "calls"),
    [
        ("global", 8),
        ("org:acme", 8),
        ("org:other", 6),
        ("team:acme/ops", 7),
        ("agent:acme/crawler", 8),
        ("provider:openai", 8),
        ("provider:other", 6),
        ("model:gpt-x", 8),
        ("model:gpt-y", 6),
    ],
)
@pytest.mark.usefixtures("happened")
async def test_counts_the_calls_of_its_scope_and_of_its_episodes(
    client: httpx.AsyncClient, documents: Documents, scope: str, calls: int
) -> None:
    await documents.commit([Put(incident_ref(ID), incident(scope=scope).to_data())])

    assert (await numbers(client))["data"]["calls"]["calls"] == calls


@pytest.mark.usefixtures("happened")
async def test_counts_a_call_of_several_of_its_scopes_once(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    others = ("team:acme/ops", "agent:acme/crawler", "budget:search")
    parts = tuple(Part(f"brownout:{scope}", scope) for scope in others)
    await documents.commit([Put(incident_ref(ID), incident(parts=parts).to_data())])

    data = (await numbers(client))["data"]

    assert data["calls"]["calls"] == 8
    assert data["cost"]["during"]["nanos"] == 6 * 4_200_000


async def test_tells_nothing_of_calls_where_it_is_about_none(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await stored(documents, incident(scope="budget:search", key="budget:search", episodes=()))

    body = await numbers(client)

    why = "it is not about a part of the calls"
    data = body["data"]
    assert data["calls"]["reason"] == data["cost"]["before"]["reason"] == why
    assert (data["edits"]["applied"], data["latency"]["during"]["reason"]) == (None, why)
    assert data["times"]["acknowledge"]["seconds"] == 120
    assert data["saved"]["reason"] == "no brownout has ended"
    assert [source["name"] for source in body["sources"]] == ["state"]


class Silent:
    """A warehouse that does not answer."""

    async def query(self, *_: Any, **__: Any) -> list[Row]:
        raise StoreUnavailable("no answer")

    async def append(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("no answer")


@pytest.mark.usefixtures("happened")
async def test_tells_what_is_known_when_the_warehouse_is_silent(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    api = create_api(
        documents=documents,
        bus=KeepingBus(),
        warehouse=Silent(),
        clock=clock,
        entropy=os.urandom,
        price_book=bundled_book(),
        authenticate=DevAuthenticator(in_cloud=False),
        version="0.1.0",
    )
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as silent:
        await reviewed(silent)
        body = await numbers(silent)

    why = "the warehouse does not tell: no answer"
    assert body["data"]["calls"]["reason"] == body["data"]["times"]["enforce"]["reason"] == why
    assert body["data"]["cost"]["during"]["nanos"] == 5 * 4_200_000
    assert [source["status"] for source in body["sources"]] == ["ok", "failed"]
    assert (await numbers(client))["data"]["calls"]["calls"] == 7


async def test_says_that_minutes_are_gone(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    await stored(documents, incident())
    clock.advance(timedelta(days=9))

    data = (await numbers(client))["data"]

    assert data["cost"]["during"]["reason"] == "minutes are kept for 8 days"
    assert data["calls"]["calls"] == 0


REVIEW = {"summary": "a_b", "cause": "<b>c</b>", "actions": ["1. more | less"]}


async def reviewed(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{PATH}:review", json=REVIEW)
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("happened")
async def test_keeps_the_numbers_with_the_review(
    client: httpx.AsyncClient, clock: SetClock
) -> None:
    before = (await client.get(PATH)).json()["data"]["review"]
    await reviewed(client)
    read = (await client.get(PATH)).json()["data"]["review"]["numbers"]
    clock.advance(timedelta(days=30))

    later = (await numbers(client))["data"]

    assert before is None
    assert (later["computed_at"], later["cost"]["during"]["nanos"]) == (
        "2026-11-01T13:20:00Z",
        21_000_000,
    )
    assert later == read == (await client.get(PATH)).json()["data"]["review"]["numbers"]


@pytest.mark.usefixtures("happened")
async def test_keeps_no_numbers_that_will_change(
    client: httpx.AsyncClient, clock: SetClock
) -> None:
    clock.time = after(79)
    await reviewed(client)
    early = (await client.get(PATH)).json()["data"]["review"]["numbers"]
    clock.advance(timedelta(hours=1))

    later = (await numbers(client))["data"]

    assert (early["cost"]["after"]["nanos"], later["cost"]["after"]["nanos"]) == (None, 8_400_000)


@pytest.mark.usefixtures("happened")
async def test_computes_them_anew_for_another_review(
    client: httpx.AsyncClient, clock: SetClock
) -> None:
    await reviewed(client)
    await numbers(client)
    clock.advance(timedelta(minutes=5))
    await reviewed(client)

    assert (await numbers(client))["data"]["computed_at"] == "2026-11-01T13:25:00Z"


@pytest.mark.usefixtures("happened")
async def test_reports_in_markdown(client: httpx.AsyncClient, documents: Documents) -> None:
    link = "https://dd.example/monitors/1_2"
    known = replace(incident(), link=link, title="Slow # <b>")
    await documents.commit([Put(incident_ref(ID), known.to_data())])
    await reviewed(client)

    answer = await client.get(f"{PATH}/report")

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[:6] == [
        "# Slow # \\<b\\>",
        "",
        f"Incident {ID}, error",
        "",
        "- Status: reviewed",
        "- Scope: team:acme/search",
    ]
    for line in (
        f"- Alert: <{link}>",
        "a\\_b",
        "Cause: \\<b\\>c\\</b\\>",
        "- 1\\. more \\| less",
        "- From when calls went wrong to the opening: 2 min",
        "- To the first call that was treated: 5 min 3 s",
        "- Until it was over: 50 min",
        "| team | calls | degraded | refused | failed |",
        "| --- | --: | --: | --: | --: |",
        "| acme/ops | 1 | 0 | 1 | 0 |",
        "| all | 7 | 3 | 1 | 1 |",
        "| effort | 0 | 1 | 3 | 0 |",
        "- While it lasted: 0.021000000 USD, 0.063000000 an hour",
        "- Saved: 12.345678901 USD, between 10.000000000 and 14.691357802, by holdout",
        "- 2026-11-01 11:20:00 UTC it goes \\*wrong\\*",
        "- 2026-11-01 11:22:00 UTC ann@example.com: seen",
    ):
        assert line in lines


@pytest.mark.usefixtures("happened")
async def test_reports_in_json(client: httpx.AsyncClient) -> None:
    body = (await client.get(f"{PATH}/report", params={"format": "json"})).json()

    assert body["data"]["incident"]["id"] == ID
    assert [entry["told"] for entry in body["data"]["incident"]["timeline"]] == [
        "it goes *wrong*",
        "seen",
    ]
    assert body["data"]["numbers"] == (await numbers(client))["data"]


async def test_reports_what_is_unknown(client: httpx.AsyncClient, documents: Documents) -> None:
    open_ = {"status": "open", "mitigated_at": None, "resolved_at": None, "episodes": ()}
    await stored(documents, incident(scope="budget:search", **open_))

    lines = (await client.get(f"{PATH}/report")).text.splitlines()

    assert "Not written yet." in lines
    assert lines.count("Unknown: it is not about a part of the calls.") == 2
    assert "- Until its cause was gone: unknown (its cause is not gone)" in lines
    assert "- Saved: unknown (no brownout has ended)" in lines


@pytest.mark.parametrize("path", ["numbers", "report", "report?format=json"])
async def test_knows_no_other_incident(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/api/v1/incidents/x/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_refuses_another_format(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PATH}/report", params={"format": "pdf"})

    assert (answer.status_code, answer.json()["field"]) == (422, "format")
