"""The rules of an organisation in a manifest: one object, there while it has any."""

from typing import Any

import httpx

from tests.manifest.conftest import actions, applied, apply_seen, changes

RULES = "/api/v1/routes/acme"


async def by_hand(client: httpx.AsyncClient, *rules: dict[str, Any]) -> None:
    answer = await client.put(RULES, json={"rules": list(rules)}, headers={"if-match": "*"})
    assert answer.status_code == 200, answer.text


async def in_force(client: httpx.AsyncClient) -> tuple[int, list[str]]:
    data = (await client.get(RULES)).json()["data"]
    return data["version"], [rule["name"] for rule in data["rules"]]


async def test_puts_the_rules_in_force_as_they_are_written(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)

    data = (await client.get(RULES)).json()["data"]
    assert data["rules"] == whole["routes"][0]["rules"]
    assert data["version"] == 1


async def test_shows_what_would_change_as_rules(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    rules = [{"name": "a", "use": {"fixed": "o3"}}]
    before = whole["routes"][0]["rules"]
    whole["routes"][0]["rules"] = rules

    [change] = [each for each in await changes(client, whole) if each["action"] == "update"]

    assert change["before"] == {"org": "acme", "rules": before}
    assert change["after"] == {"org": "acme", "rules": rules}


async def test_applies_nothing_over_rules_that_nobody_has_seen(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    whole["routes"][0]["rules"] = []
    planned = await changes(client, whole)
    await by_hand(client, {"name": "theirs", "use": {"fixed": "o3"}})

    answer = await apply_seen(client, whole, planned)

    assert (answer.status_code, answer.json()["code"]) == (412, "plan_stale")
    assert await in_force(client) == (2, ["theirs"])


async def test_prunes_the_rules_that_it_has_made(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    held = whole.pop("routes")

    done = await applied(client, whole, prune=True)

    [change] = done["changes"]
    assert (change["action"], change["kind"], change["id"]) == ("absent", "routes", "acme")
    assert await in_force(client) == (2, [])
    assert await actions(client, whole, prune=True) == []
    whole["routes"] = held
    assert await actions(client, whole) == [("create", "routes", "acme")]
    await applied(client, whole)
    del whole["routes"]
    assert await actions(client, whole, prune=True) == [("absent", "routes", "acme")]


async def test_prunes_no_rules_that_were_there_before(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    held = whole.pop("routes")
    await applied(client, whole)
    await by_hand(client, {"name": "theirs", "use": {"fixed": "o3"}})
    whole["routes"] = held
    await applied(client, whole)
    del whole["routes"]

    assert await actions(client, whole, prune=True) == []
    assert await in_force(client) == (2, ["small"])
