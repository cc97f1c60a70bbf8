"""Rules for which model serves a call, over HTTP: replaced, told to the proxy, kept, and tried."""

import json
from typing import Any

import httpx
import pytest

from common.core.events import RoutesChanged
from common.core.ports import Documents, Query
from common.gateway.control import CONTROL, KEYS_CHANGED
from common.gateway.route_book import ROUTES_CHANGED, routes_ref, table_of
from tests.api.conftest import KeepingBus, SetClock

PATH = "/api/v1/routes/acme"
FIRST: dict[str, Any] = {"rules": [{"name": "a", "use": {"fixed": "gpt-5-mini"}}]}
SECOND: dict[str, Any] = {
    "rules": [
        {
            "name": "b",
            "match": {"team": "search", "has": ["tools"]},
            "use": {"cheapest": ["gpt-5", "gemini/gemini-2.5-flash"]},
            "fallbacks": ["anthropic/claude-haiku-4-5"],
        }
    ]
}
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
async def acme(client: httpx.AsyncClient) -> None:
    for path, body in (
        ("orgs", {"id": "acme"}),
        ("teams", {"org": "acme", "id": "search"}),
        ("agents", {"org": "acme", "id": "crawler", "team": "search"}),
    ):
        answer = await client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text


async def put(client: httpx.AsyncClient, body: dict[str, Any], version: int) -> httpx.Response:
    return await client.put(PATH, json=body, headers={"if-match": f'"{version}"'})


async def tried(client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    asked = {
        "org": "acme",
        "team": "search",
        "agent": "crawler",
        "path": "/openai/v1/chat/completions",
        "body": CHAT,
    }
    answer = await client.post("/api/v1/routes:dry-run", json={**asked, **members})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_has_none_until_somebody_writes_them(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)

    data = answer.json()["data"]
    assert (data["version"], data["rules"], data["author"]) == (0, [], None)
    assert answer.headers["etag"] == '"0"'


async def test_is_read_as_it_was_written(client: httpx.AsyncClient, clock: SetClock) -> None:
    written = await put(client, SECOND, 0)
    read = await client.get(PATH)

    assert written.status_code == 200
    assert read.json()["data"] == written.json()["data"]
    data = read.json()["data"]
    assert (data["version"], data["rules"]) == (1, SECOND["rules"])
    assert data["author"] is not None
    assert read.headers["etag"] == '"1"'


async def test_is_stored_and_told_as_the_proxy_reads_it(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, clock: SetClock
) -> None:
    await put(client, FIRST, 0)

    stored, control = await documents.get_many([routes_ref("acme"), CONTROL])
    assert stored is not None
    assert control is not None
    assert table_of(stored).rules[0].use.fixed == "gpt-5-mini"
    assert control.data[ROUTES_CHANGED] == clock.now()
    assert KEYS_CHANGED not in control.data
    [event] = [each for each in bus.events if isinstance(each, RoutesChanged)]
    assert (event.org, event.version) == ("acme", 1)
    [entry] = [
        each for each in await documents.query(Query("audit")) if each.data["what"] == "routes.put"
    ]
    assert entry.data["target"] == "routes/acme"


async def test_keeps_every_version(client: httpx.AsyncClient) -> None:
    await put(client, FIRST, 0)
    await put(client, SECOND, 1)

    kept = [await client.get(f"{PATH}/versions/{number}") for number in (1, 2)]

    assert [each.json()["data"]["rules"] for each in kept] == [FIRST["rules"], SECOND["rules"]]
    for number in ("0", "3", "x", "9" * 20):
        assert (await client.get(f"{PATH}/versions/{number}")).status_code == 404


async def test_writes_nothing_where_nothing_is_other(
    client: httpx.AsyncClient, bus: KeepingBus
) -> None:
    await put(client, FIRST, 0)
    told = len(bus.events)

    again = await put(client, FIRST, 1)

    assert again.json()["data"]["version"] == 1
    assert len(bus.events) == told


async def test_overwrites_nothing_that_was_not_read(client: httpx.AsyncClient) -> None:
    await put(client, FIRST, 0)

    stale = await put(client, SECOND, 0)
    blind = await client.put(PATH, json=SECOND)

    assert (stale.status_code, blind.status_code) == (412, 428)
    assert (await client.get(PATH)).json()["data"]["rules"] == FIRST["rules"]


async def test_refuses_rules_that_are_none_and_organisations_that_nobody_made(
    client: httpx.AsyncClient,
) -> None:
    wrong = await put(client, {"rules": [{"name": "A", "use": {}}]}, 0)
    unknown = await client.put("/api/v1/routes/nobody", json=FIRST, headers={"if-match": '"0"'})

    assert wrong.status_code == 422
    assert "rules[0].name" in wrong.text
    assert "exactly one of these ways" in wrong.text
    assert unknown.status_code == 404


async def test_tries_the_rules_in_force_and_others(client: httpx.AsyncClient) -> None:
    await put(client, FIRST, 0)

    in_force = await tried(client)
    others = await tried(client, rules=SECOND["rules"], body={**CHAT, "tools": [TOOL]})
    none = await tried(client, rules=SECOND["rules"])

    assert in_force["data"]["chain"] == [{"upstream": "openai", "model": "gpt-5-mini"}]
    assert in_force["answer"] == (
        "Rule a chooses gpt-5-mini (fixed). The call goes to gpt-5-mini at openai."
    )
    assert [hop["model"] for hop in others["data"]["chain"]] == [
        "gemini-2.5-flash",
        "gpt-5",
        "claude-haiku-4-5",
    ]
    assert (none["data"]["rule"], none["data"]["chain"]) == (
        None,
        [{"upstream": "openai", "model": "gpt-5"}],
    )


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def test_tries_what_a_ladder_does_as_a_budget_is_used(client: httpx.AsyncClient) -> None:
    steps = [{"model": "gpt-5", "until": 80}, {"model": "gpt-5-nano", "until": 100}]
    rules = [{"name": "down", "use": {"ladder": steps}}]

    found = [await tried(client, rules=rules, budget_used=used) for used in (0, 80)]

    assert [each["data"]["chain"][0]["model"] for each in found] == ["gpt-5", "gpt-5-nano"]


async def test_says_what_is_left_out_and_what_no_rule_is_for(client: httpx.AsyncClient) -> None:
    rules = [
        {
            "name": "a",
            "match": {"model": "gpt*"},
            "use": {"fixed": "nobody/x"},
            "fallbacks": ["gpt-5-mini"],
        }
    ]

    found = await tried(client, rules=rules)
    auto = await client.post(
        "/api/v1/routes:dry-run",
        json={
            "org": "acme",
            "team": "search",
            "agent": "crawler",
            "path": "/openai/v1/chat/completions",
            "body": {**CHAT, "model": "auto"},
            "rules": rules,
        },
    )

    assert found["data"]["left_out"] == ["rule a: nobody/x left out (unknown_upstream)"]
    assert auto.status_code == 422
    assert "No rule says" in auto.text
    assert auto.json()["field"] == "body.model"


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"org": "nobody"}, "there is no organisation 'nobody'"),
        ({"team": "serach"}, "there is no team 'serach' in acme"),
        ({"agent": "nobody"}, "there is no agent 'nobody' in acme"),
        ({"project": "nobody"}, "there is no project 'nobody' in acme"),
    ],
)
async def test_tries_nothing_for_somebody_whom_nobody_made(
    client: httpx.AsyncClient, who: dict[str, str], said: str
) -> None:
    asked = {"org": "acme", "team": "search", "agent": "crawler", **who}

    answer = await client.post(
        "/api/v1/routes:dry-run",
        json={
            **asked,
            "path": "/openai/v1/chat/completions",
            "body": CHAT,
            "rules": FIRST["rules"],
        },
    )

    assert answer.status_code == 404
    assert said in answer.text


async def test_refuses_over_json_what_could_not_be_read_again(client: httpx.AsyncClient) -> None:
    structural = {"small": "o3", "large": "gpt-5", "intercept": 0, "weights": {"size": 1}}
    for member, number in (("intercept", '"nan"'), ("intercept", "NaN"), ("intercept", "1e999")):
        rule = {"name": "a", "shadow": True, "use": {"structural": {**structural, member: "X"}}}
        sent = json.dumps({"rules": [rule]}).replace('"X"', number)
        headers = {"if-match": '"0"', "content-type": "application/json"}

        answer = await client.put(PATH, content=sent, headers=headers)

        assert answer.status_code in (400, 422), number
    assert (await client.get(PATH)).json()["data"]["rules"] == []
