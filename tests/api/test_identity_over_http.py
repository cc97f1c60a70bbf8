"""Organisations, teams, agents, projects and keys over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.core.ports import Documents, Query
from tests.api.conftest import KeepingBus, SetClock, made, pages
from tests.api.test_budgets_over_http import ANY, make


async def test_is_read_where_it_was_made(client: httpx.AsyncClient, acme: None) -> None:
    agent = await client.get("/api/v1/agents/acme/crawler")

    assert agent.status_code == 200
    data = agent.json()["data"]
    assert agent.headers["etag"] == f'"{data.pop("version")}"'
    assert data == {
        "org": "acme",
        "id": "crawler",
        "team": "search",
        "name": "crawler",
        "tags": {"env": "prod"},
    }


async def test_lists_all_pages_with_the_whole_count(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await made(client, "orgs", id=f"org-{number}")

    answers = await pages(client, "orgs", limit=2)

    assert [[org["id"] for org in answer["data"]] for answer in answers] == [
        ["org-0", "org-1"],
        ["org-2", "org-3"],
        ["org-4"],
    ]
    assert [answer["total"] for answer in answers] == [{"count": 5}] * 3


async def test_has_no_next_page_behind_a_full_last_one(client: httpx.AsyncClient) -> None:
    await made(client, "orgs", id="acme")

    assert (await client.get("/api/v1/orgs", params={"limit": 1})).json()["next"] is None


async def test_lists_one_organisation(client: httpx.AsyncClient, acme: None) -> None:
    await made(client, "orgs", id="beta")
    await made(client, "teams", org="beta", id="search")

    teams = (await client.get("/api/v1/teams", params={"org": "beta"})).json()

    assert [(team["org"], team["id"]) for team in teams["data"]] == [("beta", "search")]
    assert teams["total"] == {"count": 1}


async def test_is_changed_by_whoever_saw_it_last(client: httpx.AsyncClient, acme: None) -> None:
    path = "/api/v1/teams/acme/ops"
    etag = (await client.get(path)).headers["etag"]

    first = await client.put(path, json={"name": "Operations"}, headers={"if-match": etag})
    second = await client.put(path, json={"name": "Others"}, headers={"if-match": etag})
    third = await client.put(
        path, json={"name": "Others"}, headers={"if-match": first.headers["etag"]}
    )

    assert [first.status_code, second.status_code, third.status_code] == [200, 412, 200]
    assert second.json()["code"] == "version_conflict"
    assert (await client.get(path)).json()["data"]["name"] == "Others"


async def test_is_changed_by_one_of_many_at_once(client: httpx.AsyncClient, acme: None) -> None:
    path = "/api/v1/teams/acme/ops"
    etag = (await client.get(path)).headers["etag"]

    answers = await asyncio.gather(
        *(
            client.put(path, json={"name": f"name {n}"}, headers={"if-match": etag})
            for n in range(10)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_is_not_changed_unseen(client: httpx.AsyncClient, acme: None) -> None:
    answer = await client.put("/api/v1/teams/acme/ops", json={"name": "x"})

    assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")


async def test_moves_an_agent_with_its_keys(client: httpx.AsyncClient, acme: None) -> None:
    key = await made(client, "keys", org="acme", agent="crawler", name="ci")
    etag = (await client.get("/api/v1/agents/acme/crawler")).headers["etag"]

    await client.put(
        "/api/v1/agents/acme/crawler", json={"team": "ops"}, headers={"if-match": etag}
    )

    moved = (await client.get(f"/api/v1/keys/{key['key_id']}")).json()["data"]
    assert (moved["team"], moved["tags"]) == ("ops", {})


async def test_shows_a_secret_once(client: httpx.AsyncClient, acme: None) -> None:
    key = await made(client, "keys", org="acme", agent="crawler", name="ci", team="search")

    read = await client.get(f"/api/v1/keys/{key['key_id']}")
    listed = await client.get("/api/v1/keys")

    assert key["secret"].startswith("ocg_")
    assert key["secret_shown"] is False
    assert key["secret"] not in read.text + listed.text
    assert read.json()["data"] == {
        name: value for name, value in key.items() if not name.startswith("secret")
    }


async def test_rotates_and_revokes(client: httpx.AsyncClient, acme: None, clock: SetClock) -> None:
    old = await made(client, "keys", org="acme", agent="crawler", name="ci")
    new = await made(client, f"keys/{old['key_id']}:rotate", overlap_s=60)
    clock.advance(timedelta(seconds=60))
    revoked = await client.post(f"/api/v1/keys/{new['key_id']}:revoke")

    states = {key["key_id"]: key["state"] for key in (await pages(client, "keys"))[0]["data"]}
    assert revoked.status_code == 200
    assert states == {old["key_id"]: "expired", new["key_id"]: "revoked"}
    assert new["line"] == old["line"]


async def test_pages_keys(client: httpx.AsyncClient, acme: None) -> None:
    names = [f"key {number}" for number in range(5)]
    for name in names:
        await made(client, "keys", org="acme", agent="crawler", name=name)

    answers = await pages(client, "keys", limit=2, agent="crawler")

    assert sorted(key["name"] for answer in answers for key in answer["data"]) == names
    assert [len(answer["data"]) for answer in answers] == [2, 2, 1]


KEY = {"org": "acme", "agent": "crawler", "name": "ci"}


def limited(**limits: object) -> dict[str, Any]:
    return {**KEY, "policy": {"limits": limits}}


async def test_shows_a_key_s_limits_and_keeps_them_in_rotation(
    client: httpx.AsyncClient, acme: None
) -> None:
    created = await client.post("/api/v1/keys", json=limited(rpm=60, concurrency=4))
    path = f"/api/v1/keys/{created.json()['data']['key_id']}"
    rotated = await client.post(f"{path}:rotate", json={})
    shown = await client.get(path)

    limits = [answer.json()["data"]["policy"]["limits"] for answer in (created, rotated, shown)]
    assert limits == [{"rpm": 60, "tpm": None, "concurrency": 4}] * 3


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("orgs", {"id": "Acme"}, 422, "invalid_input", "id"),
        ("orgs", {"id": "x", "colour": "red"}, 422, "invalid_input", "colour"),
        ("orgs", {}, 422, "invalid_input", "id"),
        ("orgs", {"id": "acme"}, 409, "name_taken", "id"),
        ("teams", {"org": "nowhere", "id": "x"}, 422, "invalid_input", "org"),
        ("agents", {"org": "acme", "id": "x", "team": "no"}, 422, "invalid_input", "team"),
        ("keys", {**KEY, "agent": "nobody"}, 422, "invalid_input", "agent"),
        ("keys", {**KEY, "team": "ops"}, 422, "invalid_input", "team"),
        ("keys", {**KEY, "tags": {"a": 1}}, 422, "invalid_input", "tags.a"),
        ("keys", {**KEY, "policy": {"model": []}}, 422, "invalid_input", "policy.model"),
        ("keys", limited(rpm=0), 422, "invalid_input", "policy.limits.rpm"),
        ("keys", limited(tpm="many"), 422, "invalid_input", "policy.limits.tpm"),
        ("keys", limited(concurrency=10**13), 422, "invalid_input", "policy.limits.concurrency"),
        ("keys", limited(rps=1), 422, "invalid_input", "policy.limits.rps"),
        ("keys", {**KEY, "expires_at": "2020-01-01T00:00:00Z"}, 422, "invalid_input", "expires_at"),
        ("keys/0123456789ab:rotate", {}, 404, "not_found", None),
        ("keys/0123456789ab:rotate", {"overlap_s": -1}, 422, "invalid_input", "overlap_s"),
        ("keys/0123456789ab:revoke", {}, 404, "not_found", None),
        ("keys/0123456789ab:revoke", {"cut": True}, 422, "invalid_input", "cut"),
    ],
)
async def test_refuses_by_name(  # noqa: PLR0917 - fixtures and the columns of the table
    client: httpx.AsyncClient,
    acme: None,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
    field: str | None,
) -> None:
    answer = await client.post(f"/api/v1/{path}", json=body)

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"], problem["field"]) == (
        status,
        status,
        code,
        field,
    )
    assert problem["request_id"] == answer.headers["x-request-id"]


class TestIdempotencyKey:
    @pytest.mark.usefixtures("acme")
    async def test_makes_one_of_many_at_once(
        self, client: httpx.AsyncClient, documents: Documents, bus: KeepingBus
    ) -> None:
        headers = {"idempotency-key": "once"}
        answers = await asyncio.gather(
            *(client.post("/api/v1/keys", json=KEY, headers=headers) for _ in range(20))
        )

        shown = [a.json()["data"]["secret"] for a in answers if a.json()["data"]["secret"]]
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["data"]["key_id"] for answer in answers}) == 1
        assert len(shown) == 1
        assert len(await documents.query(Query("keys"))) == 1
        assert len(bus.events) == 1

    @pytest.mark.usefixtures("acme")
    async def test_answers_again_without_the_secret(
        self, client: httpx.AsyncClient, clock: SetClock
    ) -> None:
        headers = {"idempotency-key": "once"}
        first = await client.post("/api/v1/keys", json=KEY, headers=headers)
        clock.advance(timedelta(hours=23))
        again = await client.post("/api/v1/keys", json=KEY, headers=headers)

        data = first.json()["data"]
        assert again.status_code == first.status_code == 201
        assert again.json()["data"] == {**data, "secret": None, "secret_shown": True}
        assert data["secret"] not in again.text

    async def test_repeats_the_very_answer(self, client: httpx.AsyncClient) -> None:
        headers = {"idempotency-key": "once"}
        first = await client.post("/api/v1/orgs", json={"id": "acme"}, headers=headers)
        again = await client.post("/api/v1/orgs", json={"id": "acme"}, headers=headers)

        assert (again.text, again.headers["etag"]) == (first.text, first.headers["etag"])

    @pytest.mark.parametrize(
        ("path", "body"), [("orgs", {"id": "beta"}), ("teams", {"org": "acme", "id": "acme"})]
    )
    async def test_is_for_one_request(
        self, client: httpx.AsyncClient, path: str, body: dict[str, str]
    ) -> None:
        headers = {"idempotency-key": "once"}
        await client.post("/api/v1/orgs", json={"id": "acme"}, headers=headers)
        other = await client.post(f"/api/v1/{path}", json=body, headers=headers)

        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    async def test_counts_for_24_hours(self, client: httpx.AsyncClient, clock: SetClock) -> None:
        headers = {"idempotency-key": "once"}
        await client.post("/api/v1/orgs", json={"id": "acme"}, headers=headers)
        clock.advance(timedelta(hours=24))
        other = await client.post("/api/v1/orgs", json={"id": "beta"}, headers=headers)

        assert other.status_code == 201

    async def test_remembers_no_refusal(self, client: httpx.AsyncClient) -> None:
        headers = {"idempotency-key": "once"}
        body = {"org": "acme", "id": "search"}
        refused = await client.post("/api/v1/teams", json=body, headers=headers)
        await made(client, "orgs", id="acme")
        answer = await client.post("/api/v1/teams", json=body, headers=headers)

        assert (refused.status_code, answer.status_code) == (422, 201)

    @pytest.mark.parametrize("key", ["a b", "x" * 256])
    async def test_has_a_form(self, client: httpx.AsyncClient, key: str) -> None:
        answer = await client.post(
            "/api/v1/orgs", json={"id": "acme"}, headers={"idempotency-key": key}
        )

        assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")

    async def test_empty_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(
            "/api/v1/orgs", json={"id": "acme"}, headers={"idempotency-key": ""}
        )

        assert answer.status_code == 422


async def test_an_agent_does_not_move_to_where_a_thirteenth_would_apply(
    client: httpx.AsyncClient, acme: None
) -> None:
    for number in range(11):
        await make(client, f"org-{number}")
    await make(client, "of-agent", scope="agent:acme/crawler")
    await make(client, "of-ops", scope="team:acme/ops")
    path = "/api/v1/agents/acme/crawler"

    refused = await client.put(path, json={"team": "ops"}, headers=ANY)
    await client.delete("/api/v1/budgets/of-agent", headers=ANY)
    moved = await client.put(path, json={"team": "ops"}, headers=ANY)

    problem = refused.json()
    assert (refused.status_code, problem["field"]) == (422, "team")
    assert "of-agent, of-ops, org-0" in problem["detail"]
    assert (moved.status_code, moved.json()["data"]["team"]) == (200, "ops")
