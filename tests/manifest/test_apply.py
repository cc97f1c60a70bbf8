"""A manifest applied: each object once, in order, and never unseen."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.callers import DevAuthenticator
from common.core.errors import StoreUnavailable
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from common.gateway.control import CONTROL, KEYS_CHANGED
from common.gateway.keys import KEYS, Key, key_digest
from tests.api.conftest import KeepingBus, MakeApi, SetClock, pages
from tests.manifest.conftest import actions, applied, apply_seen, changes, plan

EVERYTHING = [
    ("create", "org", "acme"),
    ("create", "team", "acme/search"),
    ("create", "team", "acme/ops"),
    ("create", "project", "acme/crawl"),
    ("create", "agent", "acme/crawler"),
    ("create", "agent", "acme/indexer"),
    ("create", "upstream", "groq"),
    ("create", "routes", "acme"),
    ("create", "key", "acme/ci"),
    ("create", "budget", "acme-month"),
    ("create", "budget", "search-day"),
]
SEVERAL = ("orgs", "teams", "projects", "agents", "upstreams", "keys", "budgets")


async def everything(documents: Documents) -> list[Document]:
    others = ("audit", "manifests", "budget_periods", "key_names", "agent_keys")
    collections = (*SEVERAL, "routes", "route_versions", *others)
    return [each for name in collections for each in await documents.query(Query(name))]


async def test_plans_everything_of_an_empty_installation_and_stores_nothing(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, whole: dict[str, Any]
) -> None:
    assert await actions(client, whole) == EVERYTHING
    assert await everything(documents) == []
    assert await documents.get_many([CONTROL]) == [None]
    assert bus.events == []


async def test_makes_what_it_planned(client: httpx.AsyncClient, whole: dict[str, Any]) -> None:
    done = await applied(client, whole)

    listed = {name: (await pages(client, name))[0]["data"] for name in SEVERAL}
    assert [(e["action"], e["kind"], e["id"]) for e in done["changes"]] == EVERYTHING
    assert done["failed"] is None
    assert [each["id"] for each in listed["agents"]] == ["crawler", "indexer"]
    [key] = listed["keys"]
    assert (key["agent"], key["project"], key["may_act_as"]) == ("crawler", "crawl", ["indexer"])
    assert key["tags"] == {"env": "prod", "cost-centre": "42"}
    assert (key["policy"]["models"], key["policy"]["limits"]["rpm"]) == (["gpt-*"], 60)
    limits = {each["id"]: each["limit_usd"] for each in listed["budgets"]}
    assert limits == {
        f"key-{key['line']}": "5.000000000",
        "acme-month": "300.000000000",
        "search-day": "20.500000000",
    }
    [made] = done["keys"]
    assert (made["org"], made["name"], made["key_id"]) == ("acme", "ci", key["key_id"])
    digest = key_digest(made["secret"])
    assert digest is not None
    assert digest.startswith(made["key_id"])


async def test_the_same_file_twice_changes_nothing(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    before, told = await everything(documents), list(bus.events)

    again = await applied(client, whole)

    assert (again["changes"], again["keys"]) == ([], [])
    assert await everything(documents) == before
    assert bus.events == told


async def test_stores_no_secret(
    client: httpx.AsyncClient, documents: Documents, whole: dict[str, Any]
) -> None:
    [made] = (await applied(client, whole))["keys"]

    stored = [*await everything(documents), *await documents.query(Query("idempotency"))]
    assert made["secret"] not in repr(stored)


@pytest.mark.parametrize(
    ("section", "member", "value", "changed"),
    [
        ("orgs", "name", "Acme Inc", [("org", "acme")]),
        ("agents", "tags", {"env": "dev"}, [("agent", "acme/crawler")]),
        ("upstreams", "provider", None, [("upstream", "groq")]),
        ("keys", "policy", {"models": ["gpt-5*"]}, [("key", "acme/ci")]),
        ("keys", "tags", {}, [("key", "acme/ci")]),
        ("keys", "project", None, [("key", "acme/ci")]),
        ("keys", "expires_at", "2027-01-01T00:00:00Z", [("key", "acme/ci")]),
        ("routes", "rules", [{"name": "a", "use": {"fixed": "o3"}}], [("routes", "acme")]),
        ("routes", "rules", [], [("routes", "acme")]),
        ("budgets", "limit_usd", "301", [("budget", "acme-month")]),
        ("budgets", "scope", "team:acme/ops", [("budget", "acme-month")]),
    ],
)
async def test_changes_what_the_file_changes_and_no_more(  # noqa: PLR0917 - a table's columns
    client: httpx.AsyncClient,
    whole: dict[str, Any],
    section: str,
    member: str,
    value: Any,
    changed: list[tuple[str, str]],
) -> None:
    await applied(client, whole)
    whole[section][0][member] = value

    done = await applied(client, whole)

    assert [(e["kind"], e["id"]) for e in done["changes"]] == changed
    assert {e["action"] for e in done["changes"]} == {"update"}
    assert await actions(client, whole) == []


async def test_changes_the_budget_of_a_key_that_exists(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    [key] = (await pages(client, "keys"))[0]["data"]
    whole["keys"][0]["budget"]["limit_usd"] = "6"

    done = await applied(client, whole)

    assert [(e["kind"], e["id"]) for e in done["changes"]] == [("budget", f"key-{key['line']}")]
    assert await actions(client, whole) == []


async def test_gives_a_budget_to_a_key_that_has_none(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    budget = whole["keys"][0].pop("budget")
    await applied(client, whole)
    whole["keys"][0]["budget"] = budget

    done = await applied(client, whole)

    assert [(e["action"], e["kind"]) for e in done["changes"]] == [("create", "budget")]
    assert await actions(client, whole) == []


async def test_moves_an_agent_and_its_keys_together(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    """A key's tags and team follow its agent, so the plan of the key sees the moved agent."""
    whole["keys"][0] |= {"tags": {"env": "prod"}, "may_act_as": []}
    await applied(client, whole)
    whole["agents"][0] |= {"team": "ops", "tags": {"env": "dev"}}
    whole["keys"][0]["team"] = "ops"

    done = await applied(client, whole)

    [key] = (await pages(client, "keys"))[0]["data"]
    assert [(e["kind"], e["id"]) for e in done["changes"]] == [
        ("agent", "acme/crawler"),
        ("key", "acme/ci"),
    ]
    assert (done["failed"], key["team"], key["tags"]) == (None, "ops", {"env": "prod"})
    assert await actions(client, whole) == []


async def test_a_changed_key_is_obeyed_at_once_and_so_is_the_one_it_replaced(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    [old] = (await pages(client, "keys"))[0]["data"]
    clock.advance(timedelta(seconds=1))
    rotated = await client.post(f"/api/v1/keys/{old['key_id']}:rotate", json={})
    assert rotated.status_code == 201
    clock.advance(timedelta(minutes=1))
    whole["keys"][0]["policy"] = {"models": ["gpt-5-nano"]}

    await applied(client, whole)

    keys = [Key.from_document(each) for each in await documents.query(Query(KEYS))]
    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert {key.policy.models for key in keys} == {("gpt-5-nano",)}
    told = {name for name, at in control.data[KEYS_CHANGED].items() if at == clock.now()}
    assert told == {key.key_id for key in keys}
    assert sorted(key.expires_at is None for key in keys) == [False, True]
    assert await actions(client, whole) == []


async def test_a_revoked_key_stays_so_and_is_warned_of(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    await applied(client, whole)
    [key] = (await pages(client, "keys"))[0]["data"]
    await client.post(f"/api/v1/keys/{key['key_id']}:revoke", json={})
    whole["keys"][0]["policy"] = {}

    answer = (await plan(client, whole)).json()["data"]

    assert answer["warnings"] == ["key acme/ci is revoked and stays so: choose another name"]
    assert {each["action"] for each in answer["changes"]} == {"keep"}


async def test_leaves_an_audit_entry_for_each_change(
    client: httpx.AsyncClient, documents: Documents, whole: dict[str, Any]
) -> None:
    await applied(client, whole)

    entries = await documents.query(Query("audit"))
    assert sorted(entry.data["what"] for entry in entries) == sorted(
        "routes.put" if kind == "routes" else f"{kind}.create" for _, kind, _ in EVERYTHING
    )


@pytest.mark.parametrize("change", ["create", "update", "file"])
async def test_a_plan_that_is_not_what_was_seen_is_stale(
    client: httpx.AsyncClient, documents: Documents, whole: dict[str, Any], change: str
) -> None:
    await applied(client, whole)
    whole["orgs"][0]["name"] = "Acme Inc"
    whole["teams"].append({"org": "acme", "id": "new"})
    planned = await changes(client, whole)
    if change == "create":
        await client.post("/api/v1/teams", json={"org": "acme", "id": "new"})
    elif change == "update":
        body = {"name": "Acme Ltd"}
        await client.put("/api/v1/orgs/acme", json=body, headers={"if-match": "*"})
    else:
        whole["teams"].append({"org": "acme", "id": "newer"})
    before = await everything(documents)

    answer = await apply_seen(client, whole, planned)

    assert (answer.status_code, answer.json()["code"]) == (412, "plan_stale")
    assert await everything(documents) == before


class Meddling:
    """A store in which something happens before a commit of one collection."""

    def __init__(self, inner: Documents, collection: str, before: Any) -> None:
        self._inner = inner
        self._collection = collection
        self._before = before

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        before = self._before
        if before is not None and any(each.ref.collection == self._collection for each in writes):
            self._before = None
            await before()
        return await self._inner.commit(writes)


async def test_a_change_in_the_middle_stops_there_and_applying_again_finishes(
    client: httpx.AsyncClient, documents: Documents, make_api: MakeApi, whole: dict[str, Any]
) -> None:
    async def meddle() -> None:
        body = {"base_url": "https://other.example.com/v1"}
        made = await client.put("/api/v1/upstreams/groq", json=body, headers={"if-none-match": "*"})
        assert made.status_code == 201

    api = make_api(DevAuthenticator(in_cloud=False), Meddling(documents, "upstreams", meddle))
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as meddled:
        stopped = await applied(meddled, whole)

    theirs = (await client.get("/api/v1/upstreams/groq")).json()["data"]
    assert [(e["kind"], e["id"]) for e in stopped["changes"]] == [e[1:] for e in EVERYTHING[:6]]
    assert (stopped["failed"]["kind"], stopped["failed"]["code"]) == ("upstream", "plan_stale")
    assert theirs["base_url"] == "https://other.example.com/v1"
    assert [e[:2] for e in await actions(client, whole)] == [
        ("update", "upstream"),
        ("create", "routes"),
        ("create", "key"),
        ("create", "budget"),
        ("create", "budget"),
    ]
    assert (await applied(client, whole))["failed"] is None
    assert await actions(client, whole) == []


@pytest.mark.parametrize("collection", ["orgs", "agents", "upstreams", "routes", "keys", "budgets"])
async def test_a_crash_at_any_object_is_finished_by_applying_again(
    client: httpx.AsyncClient,
    documents: Documents,
    make_api: MakeApi,
    whole: dict[str, Any],
    collection: str,
) -> None:
    async def crash() -> None:
        raise StoreUnavailable("gone")

    api = make_api(DevAuthenticator(in_cloud=False), Meddling(documents, collection, crash))
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as crashing:
        stopped = await applied(crashing, whole)
    finished = await applied(client, whole)

    assert stopped["failed"]["code"] == "store_unavailable"
    assert len(stopped["changes"]) + len(finished["changes"]) == len(EVERYTHING)
    assert len(stopped["keys"]) + len(finished["keys"]) == 1
    assert await actions(client, whole) == []


async def test_ends_in_time_to_answer_with_the_keys_it_has_made(
    client: httpx.AsyncClient,
    documents: Documents,
    make_api: MakeApi,
    clock: SetClock,
    whole: dict[str, Any],
) -> None:
    async def pass_time() -> None:
        clock.advance(timedelta(seconds=41))

    api = make_api(DevAuthenticator(in_cloud=False), Meddling(documents, "keys", pass_time))
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as slow:
        stopped = await applied(slow, whole)

    assert stopped["failed"]["code"] == "apply_unfinished"
    assert [key["name"] for key in stopped["keys"]] == ["ci"]
    assert await actions(client, whole) == EVERYTHING[9:]


async def test_makes_each_key_once_of_two_applies_at_once(
    client: httpx.AsyncClient, whole: dict[str, Any]
) -> None:
    planned = await changes(client, whole)

    answers = await asyncio.gather(*(apply_seen(client, whole, planned) for _ in range(4)))

    made = [
        key
        for answer in answers
        if answer.status_code == 200
        for key in answer.json()["data"]["keys"]
    ]
    assert {answer.status_code for answer in answers} <= {200, 412}
    assert len(made) <= 1
    finished = await applied(client, whole)
    assert len(made) + len(finished["keys"]) == 1
    assert len((await pages(client, "keys"))[0]["data"]) == 1
