"""Incidents over HTTP: opened, acted on, listed and read, with whoever is to be told."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.brownout.modes import Mode
from common.core.incident_events import IncidentEvent
from common.core.ports import Documents, Put, Query
from common.incidents.incidents import INCIDENTS, Part, incident_ref
from tests.api.brownout_scenes import a_scope, begin
from tests.api.conftest import KeepingBus, SetClock, made
from tests.incidents.test_escalation import an_incident

ALL = "/api/v1/incidents"
SLOW = {"title": "Slow answers", "text": "Users say so."}


async def opened(client: httpx.AsyncClient, **body: Any) -> str:
    data = await made(client, "incidents", **SLOW | body)
    return str(data["id"])


async def act(client: httpx.AsyncClient, id_: str, action: str, **body: Any) -> httpx.Response:
    return await client.post(f"{ALL}/{id_}:{action}", json=body)


def told(bus: KeepingBus) -> list[str]:
    return [event.type for event in bus.events if isinstance(event, IncidentEvent)]


async def test_goes_from_open_to_reviewed(
    client: httpx.AsyncClient, bus: KeepingBus, clock: SetClock
) -> None:
    id_ = await opened(client, scope="provider:openai", severity="critical")
    statuses = []
    for action, body in (
        ("ack", {}),
        ("assign", {"owner": "ann@example.com"}),
        ("note", {"text": "it is the provider"}),
        ("resolve", {"text": "they mended it"}),
        ("review", {"summary": "a", "cause": "b", "actions": ["c"]}),
    ):
        clock.advance(timedelta(minutes=1))
        answer = await act(client, id_, action, **body)
        assert answer.status_code == 200, answer.text
        statuses.append(answer.json()["data"]["status"])

    read = (await client.get(f"{ALL}/{id_}")).json()

    assert statuses == ["acknowledged", "acknowledged", "acknowledged", "resolved", "reviewed"]
    assert told(bus) == [
        "incident.opened",
        "incident.acknowledged",
        "incident.resolved",
        "incident.reviewed",
    ]
    data = read["data"]
    assert read["answer"] == (
        f"Incident {id_} (critical) is reviewed since 2026-11-01T12:05:00Z: Slow answers."
    )
    assert (data["key"], data["owner"]) == ("brownout:provider:openai", "ann@example.com")
    review = data["review"]
    assert (review["summary"], review["cause"], review["actions"]) == ("a", "b", ["c"])
    assert [entry["kind"] for entry in data["timeline"]] == [
        "opened",
        "acknowledged",
        "assigned",
        "note",
        "resolved",
        "reviewed",
    ]
    assert {entry["actor"] for entry in data["timeline"]} == {"operator@localhost"}


async def test_names_what_can_be_done_instead(client: httpx.AsyncClient) -> None:
    id_ = await opened(client)
    await act(client, id_, "ack")

    again = await act(client, id_, "ack")
    review = await act(client, id_, "review", summary="a", cause="b")

    assert (again.status_code, again.json()["code"]) == (409, "wrong_transition")
    assert again.json()["detail"] == (
        f"incident {id_} is acknowledged: what can be done to it is assign, note, resolve"
    )
    assert review.status_code == 409


async def test_opens_one_at_a_time_for_a_scope(client: httpx.AsyncClient) -> None:
    id_ = await opened(client, scope="org:acme")

    refused = await client.post(ALL, json={**SLOW, "scope": "org:acme"})
    other = await opened(client, scope="org:other")
    await act(client, id_, "resolve", text="over")
    later = await opened(client, scope="org:acme")

    assert (refused.status_code, id_ in refused.json()["detail"]) == (409, True)
    assert len({id_, other, later}) == 3


async def test_repeats_nothing_for_the_same_idempotency_key(
    client: httpx.AsyncClient, bus: KeepingBus
) -> None:
    headers = {"idempotency-key": "k1"}
    first = await client.post(ALL, json=SLOW, headers=headers)
    again = await client.post(ALL, json=SLOW, headers=headers)

    assert (first.json(), first.status_code) == (again.json(), again.status_code)
    assert told(bus) == ["incident.opened"]


async def test_leaves_an_audit_entry(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    id_ = await opened(client)
    clock.advance(timedelta(minutes=1))
    await act(client, id_, "resolve", text="over")

    audit = await documents.query(Query("audit"))
    assert [entry.data["what"] for entry in audit] == ["incident.open", "incident.resolve"]
    assert {entry.data["target"] for entry in audit} == {f"{INCIDENTS}/{id_}"}
    assert (audit[1].data["before"]["status"], audit[1].data["after"]["status"]) == (
        "open",
        "resolved",
    )


async def stored(documents: Documents, clock: SetClock) -> None:
    """Five incidents, a day apart, the second and fourth of them resolved."""
    for number in range(1, 6):
        opened_at = clock.now() - timedelta(days=number)
        incident = an_incident(
            id=f"{opened_at:%Y-%m-%d}-aaaaa{number}",
            key=f"brownout:org:o{number}",
            severity="critical" if number == 5 else "error",
            status="resolved" if number in {2, 4} else "open",
            resolved_at=opened_at if number in {2, 4} else None,
            opened_at=opened_at,
            raised_at=opened_at,
        )
        await documents.commit([Put(incident_ref(incident.id), incident.to_data())])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"status": "resolved"}, [2, 4]),
        ({"closed": "false"}, [1, 3, 5]),
        ({"closed": "true"}, [2, 4]),
        ({"severity": "critical"}, [5]),
        ({"key": "brownout:org:o3"}, [3]),
        ({"status": "open", "severity": "error"}, [1, 3]),
    ],
)
async def test_lists_the_newest_first(
    client: httpx.AsyncClient,
    documents: Documents,
    clock: SetClock,
    query: dict[str, str],
    numbers: list[int],
) -> None:
    await stored(documents, clock)

    answer = (await client.get(ALL, params=query)).json()

    assert [int(row["id"][-1]) for row in answer["data"]] == numbers
    assert answer["total"] == {"count": len(numbers)}


async def test_pages(client: httpx.AsyncClient, documents: Documents, clock: SetClock) -> None:
    await stored(documents, clock)

    pages, after = [], None
    for _ in range(3):
        params = {"limit": "2"} | ({} if after is None else {"after": after})
        answer = (await client.get(ALL, params=params)).json()
        pages.append([int(row["id"][-1]) for row in answer["data"]])
        after = answer["next"]

    assert (pages, after) == ([[1, 2], [3, 4], [5]], None)


async def test_asks_for_a_review_after_three_days(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    await stored(documents, clock)

    rows = (await client.get(ALL)).json()["data"]

    assert [int(row["id"][-1]) for row in rows if row["review_wanted"]] == [4]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "", "text": "x"}, "title"),
        ({"title": "x\ny", "text": "x"}, "title"),
        ({"title": "x", "text": "x", "scope": "planet:earth"}, "scope"),
        ({"title": "x", "text": "x", "severity": "bad"}, "severity"),
        ({"title": "x", "text": "x", "colour": "red"}, "colour"),
    ],
)
async def test_refuses_what_it_cannot_read(
    client: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    answer = await client.post(ALL, json=body)

    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize("path", ["x", "x:ack", "x:resolve"])
async def test_knows_no_other_incident(client: httpx.AsyncClient, path: str) -> None:
    address = f"{ALL}/{path}"
    asked = client.get(address) if path == "x" else client.post(address, json=_body(path))

    assert (await asked).json()["detail"] == "there is no incident 'x'"


def _body(path: str) -> dict[str, str]:
    return {"text": "x"} if path.endswith("resolve") else {}


async def test_says_that_what_is_closed_goes_on(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    id_ = await opened(client, scope="provider:openai")
    other = await opened(client, scope="org:acme")
    await begin(documents, scopes={"provider:openai": a_scope(Mode.HARD, lease_s=60_000)})

    noted = await act(client, id_, "note", text="still looking")
    resolved = await act(client, id_, "resolve", text="over")
    reviewed = await act(client, id_, "review", summary="a", cause="b")
    elsewhere = await act(client, other, "resolve", text="over")

    hint = (
        "But provider:openai is hard: closing it does not change that, and it is open again if that"
        " gets worse; `cloudops brownout status` says what holds it."
    )
    assert resolved.status_code == 200
    assert resolved.json()["data"]["status"] == "resolved"
    said = [each.json()["answer"] for each in (noted, resolved, reviewed, elsewhere)]
    assert [each.partition(". ")[2] for each in said] == ["", hint, hint, ""]


async def test_names_all_who_are_affected(client: httpx.AsyncClient, documents: Documents) -> None:
    parts = tuple(Part(f"brownout:org:o{number}", f"org:o{number}", 1) for number in range(3))
    incident = an_incident(scope="org:o0", parts=parts)
    await documents.commit([Put(incident_ref(incident.id), incident.to_data())])

    [row] = (await client.get(ALL)).json()["data"]

    assert (row["scope"], row["scopes"]) == ("org:o0", ["org:o0", "org:o1", "org:o2"])
