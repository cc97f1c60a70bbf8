"""What a file no longer holds: it stays, unless pruning is asked for and the file has made it."""

from datetime import timedelta
from typing import Any

import httpx

from tests.api.conftest import SetClock, pages
from tests.manifest.conftest import actions, applied


async def test_leaves_what_the_file_leaves_out(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)

    assert await actions(client, {"name": "acme-platform"}) == []


async def test_ends_what_the_file_has_dropped(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    for section in ("keys", "budgets", "upstreams", "routes", "teams", "orgs", "agents"):
        whole[section] = []
    whole["projects"] = []

    done = await applied(client, whole, prune=True)

    assert [(e["action"], e["kind"], e["id"]) for e in done["changes"]] == [
        ("absent", "budget", "acme-month"),
        ("absent", "budget", "search-day"),
        ("absent", "key", "acme/ci"),
        ("absent", "routes", "acme"),
        ("absent", "upstream", "groq"),
    ]
    [key] = (await pages(client, "keys"))[0]["data"]
    budgets = {e["id"]: e["paused"] for e in (await pages(client, "budgets"))[0]["data"]}
    assert key["state"] == "revoked"
    assert budgets == {f"key-{key['line']}": False, "acme-month": True, "search-day": True}
    assert (await pages(client, "upstreams"))[0]["data"] == []
    assert len((await pages(client, "teams"))[0]["data"]) == 2
    assert await actions(client, whole, prune=True) == []


async def test_revokes_the_key_that_a_rotation_left_working(
    client: httpx.AsyncClient, clock: SetClock, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    [old] = (await pages(client, "keys"))[0]["data"]
    clock.advance(timedelta(seconds=1))
    await client.post(f"/api/v1/keys/{old['key_id']}:rotate", json={})
    whole["keys"] = []

    await applied(client, whole, prune=True)

    states = [each["state"] for each in (await pages(client, "keys"))[0]["data"]]
    assert states == ["revoked", "revoked"]


async def test_ends_nothing_that_others_have_made(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    """By hand, or by a file of another name; and what was there before a file took it up."""
    body = {"base_url": "https://api.groq.com/openai/v1"}
    await client.put("/api/v1/upstreams/groq", json=body, headers={"if-none-match": "*"})
    await applied(client, whole)
    other = {"name": "other", "budgets": [{"id": "o", "scope": "org:acme", "limit_usd": 1}]}
    await applied(client, other)

    ended = await actions(client, {"name": "acme-platform"}, prune=True)

    assert [each[1:] for each in ended] == [
        ("budget", "acme-month"),
        ("budget", "search-day"),
        ("key", "acme/ci"),
        ("routes", "acme"),
    ]


async def test_removes_no_upstream_that_was_made_anew_by_hand(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    whole["upstreams"] = []
    await applied(client, whole, prune=True)
    body = {"base_url": "https://api.groq.com/openai/v1"}
    await client.put("/api/v1/upstreams/groq", json=body, headers={"if-none-match": "*"})

    assert await actions(client, whole, prune=True) == []


async def test_limits_again_what_comes_back(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    dropped = whole["budgets"].pop()
    await applied(client, whole, prune=True)
    whole["budgets"].append(dropped)

    back = await applied(client, whole, prune=True)
    whole["budgets"].pop()

    assert [e["action"] for e in back["changes"]] == ["update"]
    assert await actions(client, whole, prune=True) == [("absent", "budget", "search-day")]
