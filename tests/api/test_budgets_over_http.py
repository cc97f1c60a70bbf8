"""Budgets over HTTP: what they are asked to be, how they stand, and that nothing is lost."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.budgets.accounts import Lease, LeaseState, lease_ref, period_ref
from common.budgets.budgets import Budget, budget_ref
from common.core.events import BudgetChanged
from common.core.ports import Documents, Put, Query
from common.gateway.control import CONTROL, POLICY_EPOCH
from tests.api.conftest import NOW, KeepingBus, SetClock, made, pages

DOLLAR = 10**9
DAILY: dict[str, Any] = {"scope": "org:acme", "limit_usd": "20", "period": "day"}
PATH = "/api/v1/budgets/b"
ANY = {"if-match": "*"}
TODAY = "b:2026-11-01T00:00Z--2026-11-02T00:00Z"


async def make(client: httpx.AsyncClient, id_: str = "b", **fields: Any) -> dict[str, Any]:
    return await made(client, "budgets", id=id_, **{**DAILY, **fields})


async def read(client: httpx.AsyncClient, id_: str = "b") -> dict[str, Any]:
    data: dict[str, Any] = (await client.get(f"/api/v1/budgets/{id_}")).json()["data"]
    return data


async def set_period(documents: Documents, **fields: int) -> None:
    """Change the account of the budget's period of today."""
    [document] = await documents.get_many([period_ref(TODAY)])
    assert document is not None
    await documents.commit([Put(document.ref, {**document.data, **fields})])


def a_lease(id_: str = "1234", **fields: Any) -> Lease:
    defaults: dict[str, Any] = {
        "id": id_,
        "instance": "gone",
        "periods": (TODAY,),
        "amount": 0,
        "reported": DOLLAR,
        "seq": 3,
        "last_commit": "c",
        "state": LeaseState.WRITTEN_OFF,
        "expires_at": NOW - timedelta(hours=25),
        "policy_epoch": 1,
        "written_off": 5 * DOLLAR,
    }
    return Lease(**{**defaults, **fields})


async def put_lease(documents: Documents, lease: Lease) -> None:
    await documents.commit([Put(lease_ref(lease.id), lease.to_data())])


async def test_is_read_as_it_was_made(client: httpx.AsyncClient, acme: None) -> None:
    answer = await client.post("/api/v1/budgets", json={"id": "b", **DAILY})
    again = await client.get(PATH)

    data = again.json()["data"]
    assert (answer.status_code, again.status_code) == (201, 200)
    assert answer.json()["data"] == data
    assert again.headers["etag"] == answer.headers["etag"] == f'"{data.pop("version")}"'
    assert again.json()["answer"] == "Budget b is ok: $0.000000000 of $20.000000000 is spent."
    assert data == {
        "id": "b",
        "org": "acme",
        "scope": "org:acme",
        "limit_usd": "20.000000000",
        "limit_nanos": 20 * DOLLAR,
        "period": "day",
        "tz": "UTC",
        "anchor": 1,
        "enforcement": "hard",
        "models": [],
        "thresholds": [50, 80, 100],
        "fit": True,
        "tool_allowance_usd": None,
        "tool_allowance_nanos": None,
        "strict": False,
        "paused": False,
        "currency": "USD",
        "state": "ok",
        "arming": True,
        "resets_at": "2026-11-02T00:00:00Z",
        "top_ups_usd": "0.000000000",
        "top_ups_nanos": 0,
        "settled_usd": "0.000000000",
        "settled_nanos": 0,
        "leased_usd": "0.000000000",
        "leased_nanos": 0,
        "unproven_usd": "0.000000000",
        "unproven_nanos": 0,
        "remaining_usd": "20.000000000",
        "remaining_nanos": 20 * DOLLAR,
    }


async def test_is_stored_as_the_proxy_reads_it(
    client: httpx.AsyncClient, documents: Documents, acme: None
) -> None:
    asked: dict[str, Any] = {
        "period": "month",
        "tz": "Europe/Zurich",
        "anchor": 5,
        "models": ["gpt-*"],
        "thresholds": [90, 50, 90],
        "fit": False,
        "tool_allowance_usd": "0.5",
        "strict": True,
    }
    await make(client, **asked)

    [document] = await documents.get_many([budget_ref("b")])
    assert document is not None
    budget = Budget.from_document(document)
    calendar = budget.calendar
    assert (calendar.kind, calendar.zone, calendar.anchor) == ("month", "Europe/Zurich", 5)
    assert (budget.models, budget.thresholds) == (("gpt-*",), (50, 90))
    assert (budget.fit, budget.strict, budget.tool_allowance) == (False, True, DOLLAR // 2)
    assert (budget.hard, budget.epoch) == (True, 1)


@pytest.mark.parametrize(
    ("sent", "nanos"),
    [
        ('"20"', 20 * DOLLAR),
        ("20", 20 * DOLLAR),
        ("0.1", DOLLAR // 10),
        ('"0.000000001"', 1),
        ("1e-9", 1),
        ("12345.123456789", 12_345_123_456_789),
        ('"999999999.123456789"', 999_999_999_123_456_789),
        ("999999999.123456789", None),
        ("100000000.000000001", None),
        ("0.1000000000000000055", None),
        ("1.0000000001", None),
        ('"0.0000000001"', None),
        ('"1e3"', None),
        ('"-1"', None),
        ("-1", None),
        ("1e400", None),
        ('"1000000000.000000001"', None),
        ("0", None),
        ('"0"', None),
        ("NaN", None),
        ("true", None),
        ("null", None),
        ("[1]", None),
        ('" 20"', None),
        ('"$20"', None),
        ('"\u0662"', None),
    ],
)
async def test_takes_exact_dollars_or_none(
    client: httpx.AsyncClient, acme: None, sent: str, nanos: int | None
) -> None:
    body = f'{{"id": "b", "scope": "org:acme", "period": "day", "limit_usd": {sent}}}'
    answer = await client.post(
        "/api/v1/budgets", content=body.encode(), headers={"content-type": "application/json"}
    )

    if nanos is None:
        assert answer.status_code == 422
        assert (await client.get(PATH)).status_code == 404
    else:
        assert (answer.status_code, (await read(client))["limit_nanos"]) == (201, nanos)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"limit_usd": 0}, "limit_usd", "above 0"),
        ({"limit_usd": None}, "limit_usd", "dollars"),
        ({"thresholds": [0]}, "thresholds", "1 to 200"),
        ({"thresholds": [201]}, "thresholds", "1 to 200"),
        ({"thresholds": ["80"]}, "thresholds.0", "integer"),
        ({"thresholds": list(range(1, 12))}, "thresholds", "at most 10"),
        ({"tz": "Europe/Zürich"}, "tz", "did you mean Europe/Zurich?"),
        ({"tz": "Europe/Zurch"}, "tz", "did you mean Europe/Zurich?"),
        ({"tz": "../../etc/passwd"}, "tz", "is no time zone"),
        ({"tz": ""}, "tz", "is no time zone"),
        ({"period": "year"}, "period", "'month'"),
        ({"period": "month", "anchor": 29}, "anchor", "1 to 28"),
        ({"period": "week", "anchor": 0}, "anchor", "1 to 7"),
        ({"anchor": 2}, "anchor", "1 to 1"),
        ({"enforcement": "firm"}, "enforcement", "'hard' or 'soft'"),
        ({"models": [""]}, "models", "1 to 256"),
        ({"tool_allowance_usd": 0}, "tool_allowance_usd", "above 0"),
        ({"limit": 20}, "limit", "no such field"),
        ({"id": "B"}, "id", "pattern"),
        ({"scope": "org:acne"}, "scope", "did you mean acme?"),
        ({"scope": "team:acme/serch"}, "scope", "did you mean acme:search?"),
        ({"scope": "agent:acme/crawlers"}, "scope", "did you mean acme:crawler?"),
        ({"scope": "agent:acme/search"}, "scope", "there is no agent acme:search"),
        ({"scope": "project:acme/q4"}, "scope", "there is no project acme:q4"),
        ({"scope": "teams:acme/search"}, "scope", "did you mean team?"),
        ({"scope": "acme"}, "scope", "org:ORG"),
        ({"scope": "team:acme"}, "scope", "team:ORG/TEAM"),
        ({"scope": "org:acme/search"}, "scope", "org:ORG"),
        ({"scope": "key:laptop"}, "scope", "key:LINE"),
        ({"scope": "key:0123456789ab"}, "scope", "there is no line of keys"),
    ],
)
async def test_refuses_by_name(  # noqa: PLR0917 - fixtures and the columns of the table
    client: httpx.AsyncClient,
    bus: KeepingBus,
    acme: None,
    change: dict[str, Any],
    field: str,
    said: str,
) -> None:
    answer = await client.post("/api/v1/budgets", json={"id": "b", **DAILY, **change})

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "invalid_input", field)
    assert said in problem["detail"]
    assert (await pages(client, "budgets"))[0]["data"] == []
    assert bus.events == []


async def test_names_the_line_of_a_key(client: httpx.AsyncClient, acme: None) -> None:
    old = await made(client, "keys", org="acme", agent="crawler", name="ci")
    new = await made(client, f"keys/{old['key_id']}:rotate")

    budget = await make(client, scope=f"key:{old['line']}")
    answer = await client.post(
        "/api/v1/budgets", json={"id": "c", **DAILY, "scope": f"key:{new['key_id']}"}
    )

    assert budget["org"] == "acme"
    assert f"did you mean key:{old['line']}?" in answer.json()["detail"]


async def test_refuses_the_thirteenth_that_applies_to_one_call(
    client: httpx.AsyncClient, acme: None
) -> None:
    for number in range(12):
        await make(client, f"b{number}")

    body = {"id": "b", **DAILY, "scope": "agent:acme/crawler"}
    hard = await client.post("/api/v1/budgets", json=body)
    soft = await client.post("/api/v1/budgets", json={**body, "enforcement": "soft"})

    assert (hard.status_code, hard.json()["field"]) == (422, "enforcement")
    assert soft.status_code == 201


@pytest.mark.parametrize(
    ("method", "id_", "headers", "status", "code"),
    [
        ("PUT", "b", {}, 428, "precondition_required"),
        ("PUT", "b", {"if-match": '"0123456789abcdef"'}, 412, "version_conflict"),
        ("PUT", "none", ANY, 404, "not_found"),
        ("DELETE", "b", {}, 428, "precondition_required"),
        ("DELETE", "b", {"if-match": '"0123456789abcdef"'}, 412, "version_conflict"),
        ("DELETE", "none", ANY, 404, "not_found"),
        ("GET", "none", {}, 404, "not_found"),
        ("POST", "none/top-ups", {}, 404, "not_found"),
        ("GET", "none/periods", {}, 404, "not_found"),
    ],
)
async def test_is_not_changed_unseen(  # noqa: PLR0917 - a fixture and the columns of the table
    client: httpx.AsyncClient,
    acme: None,
    method: str,
    id_: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    before = await make(client)
    body = {"PUT": {**DAILY, "limit_usd": 1}, "POST": {"usd": 1, "reason": "x"}}.get(method)

    answer = await client.request(method, f"/api/v1/budgets/{id_}", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await pages(client, "budgets"))[0]["data"] == [before]


async def test_is_replaced_whole(client: httpx.AsyncClient, acme: None) -> None:
    version = (await make(client, models=["gpt-*"], strict=True))["version"]

    body = {"scope": "team:acme/search", "limit_usd": "30", "period": "day"}
    answer = await client.put(PATH, json=body, headers={"if-match": f'"{version}"'})

    data = await read(client)
    assert (answer.status_code, answer.json()["data"]) == (200, data)
    assert (data["scope"], data["limit_nanos"]) == ("team:acme/search", 30 * DOLLAR)
    assert (data["models"], data["strict"]) == ([], False)


async def test_is_paused_and_limits_again(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, acme: None
) -> None:
    await make(client)
    paused = await client.delete(PATH, headers=ANY)
    resumed = await client.put(PATH, json=DAILY, headers=ANY)

    [control] = await documents.get_many([CONTROL])
    assert [answer.json()["data"]["paused"] for answer in (paused, resumed)] == [True, False]
    assert paused.json()["answer"].startswith("Budget b is paused: ")
    assert control is not None
    assert control.data[POLICY_EPOCH] == 3
    told = [event.action for event in bus.events if isinstance(event, BudgetChanged)]
    assert told == ["create", "pause", "update"]


async def test_is_topped_up_once_for_one_request(client: httpx.AsyncClient, acme: None) -> None:
    await make(client)
    body = {"usd": "2.5", "reason": "launch", "expires_at": "2026-11-01T18:00:00Z"}
    headers = {"idempotency-key": "once"}

    answers = [await client.post(f"{PATH}/top-ups", json=body, headers=headers) for _ in range(2)]

    [period] = (await pages(client, "budgets/b/periods"))[0]["data"]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    data = await read(client)
    assert (data["limit_usd"], data["top_ups_usd"]) == ("20.000000000", "2.500000000")
    assert data["remaining_usd"] == "22.500000000"
    assert period["top_ups"] == [
        {
            "usd": "2.500000000",
            "nanos": 2_500_000_000,
            "reason": "launch",
            "actor": "operator@localhost",
            "expires_at": "2026-11-01T18:00:00Z",
        }
    ]


async def test_lists_all_pages_with_the_whole_count(client: httpx.AsyncClient, acme: None) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await make(client, name)
    await make(client, "team", scope="team:acme/search")

    answers = await pages(client, "budgets", limit=2, scope="org:acme")

    assert [[each["id"] for each in answer["data"]] for answer in answers] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert [answer["total"] for answer in answers] == [{"count": 5}] * 3


async def test_lists_the_periods_of_one_budget(
    client: httpx.AsyncClient, clock: SetClock, acme: None
) -> None:
    await make(client, "other")
    await make(client)
    for _ in range(4):
        clock.advance(timedelta(days=1))
        await client.post(f"{PATH}/top-ups", json={"usd": 1, "reason": "x"})

    answers = await pages(client, "budgets/b/periods", limit=2)
    elsewhere = await client.get(
        "/api/v1/budgets/other/periods", params={"limit": 2, "after": answers[0]["next"]}
    )

    assert [len(answer["data"]) for answer in answers] == [2, 2, 1]
    assert [answer["total"] for answer in answers] == [{"count": 5}] * 3
    assert [period["starts_at"][:10] for answer in answers for period in answer["data"]] == [
        f"2026-11-0{day}" for day in range(1, 6)
    ]
    assert elsewhere.status_code == 422


async def test_leaves_an_audit_entry(
    client: httpx.AsyncClient, documents: Documents, acme: None
) -> None:
    await make(client)
    await client.put(PATH, json={**DAILY, "limit_usd": "30"}, headers=ANY)

    entries = [entry.data for entry in await documents.query(Query("audit"))]
    [changed] = [entry for entry in entries if entry["what"] == "budget.update"]
    assert (changed["target"], changed["who"]) == ("budgets/b", "operator@localhost")
    assert [changed[side]["limit_nanos"] for side in ("before", "after")] == [
        20 * DOLLAR,
        30 * DOLLAR,
    ]
