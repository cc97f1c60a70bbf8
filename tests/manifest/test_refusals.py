"""What a manifest is refused for: with the place, the nearest right word, and nothing stored."""

from typing import Any

import httpx
import pytest

from common.core.ports import Documents
from tests.api.conftest import KeepingBus
from tests.manifest.conftest import WHOLE, applied, apply_seen, plan
from tests.manifest.test_apply import everything


def changed(section: str, at: int = 0, **members: Any) -> dict[str, Any]:
    """The whole manifest with some members of one object changed."""
    rows = [dict(row) for row in WHOLE[section]]
    rows[at] |= members
    return {**WHOLE, section: rows}


def added(section: str, **row: Any) -> dict[str, Any]:
    return {**WHOLE, section: [*WHOLE[section], row]}


@pytest.mark.parametrize(
    ("manifest", "field", "said"),
    [
        ({}, "name", "required"),
        ({"name": "A B"}, "name", "pattern"),
        ({**WHOLE, "buckets": []}, "buckets", "did you mean budgets?"),
        ({**WHOLE, "colours": []}, "colours", "there are name, orgs, teams,"),
        (
            added("routes", org="acme", rules=[{"name": "a", "usse": {"fixed": "o3"}}]),
            "routes.1.rules.0.usse",
            "did you mean use?",
        ),
        (changed("routes", rules=[{"name": "a", "use": {}}]), "routes.0.rules.0.use", "exactly"),
        (changed("routes", org="acmee"), "routes.0.org", "did you mean acme?"),
        (added("routes", org="acme"), "routes.1", "stands at routes.0 already"),
        (changed("keys", polcy={}), "keys.0.polcy", "did you mean policy?"),
        (
            changed("keys", policy={"modles": ["gpt-*"]}),
            "keys.0.policy.modles",
            "did you mean models?",
        ),
        (
            changed("keys", budget={"limit_usd": 1, "tresholds": []}),
            "keys.0.budget.tresholds",
            "did you mean thresholds?",
        ),
        (
            changed("upstreams", credentials=[{"name": "a", "enf": "GROQ_API_KEY"}]),
            "upstreams.0.credentials.0.enf",
            "did you mean env?",
        ),
        (changed("teams", at=1, org="acmee"), "teams.1.org", "did you mean acme?"),
        (changed("agents", at=1, team="serch"), "agents.1.team", "did you mean search?"),
        (changed("keys", agent="crawlr"), "keys.0.agent", "did you mean crawler?"),
        (changed("keys", project="crawll"), "keys.0.project", "did you mean crawl?"),
        (changed("keys", team="ops"), "keys.0.team", "agent crawler is in team search, not ops"),
        (changed("budgets", scope="team:acme/serch"), "budgets.0.scope", "search"),
        (changed("budgets", scope="tem:acme/search"), "budgets.0.scope", "team"),
        (changed("upstreams", provider="gorq"), "upstreams.0.provider", "did you mean groq?"),
        (changed("budgets", limit_usd="1.0000000001"), "budgets.0.limit_usd", "9 decimals"),
        (changed("budgets", limit_usd=0), "budgets.0.limit_usd", "above 0"),
        (
            changed("keys", budget={"limit_usd": 0}),
            "keys.0.budget.limit_usd",
            "above 0",
        ),
        (changed("keys", may_act_as=["crawler"]), "keys.0.may_act_as", "each other agent once"),
        (
            changed("upstreams", base_url="http://10.0.0.1"),
            "upstreams.0.base_url",
            "begins with https://",
        ),
        (added("teams", org="acme", id="search"), "teams.2", "team acme/search stands at teams.0"),
        (
            added("keys", org="acme", name="ci", agent="indexer"),
            "keys.1",
            "key acme/ci stands at keys.0 already",
        ),
        ({**WHOLE, "orgs": [{"id": f"o-{n}"} for n in range(201)]}, None, "at most 200"),
        (added("orgs", id="acme"), "orgs.1", "org acme stands at orgs.0 already"),
    ],
)
async def test_names_the_place_and_what_is_right(  # noqa: PLR0917 - fixtures and columns
    client: httpx.AsyncClient,
    documents: Documents,
    bus: KeepingBus,
    manifest: dict[str, Any],
    field: str | None,
    said: str,
) -> None:
    planned = await plan(client, manifest)
    sent = await apply_seen(client, manifest, [])

    for answer in (planned, sent):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["field"]) == (
            422,
            "invalid_input",
            field,
        )
        assert said in problem["detail"]
    assert (await everything(documents), bus.events) == ([], [])


@pytest.mark.parametrize(
    "secret",
    [
        "ocg_dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z_0Me025n4Gg",
        "sk-proj-0123456789abcdefghij",
        "sk-ant-api03-abcdefghijklmnop-AA",
        "AIzaSyA0123456789abcdefghijklmnop",
        "gsk_0123456789abcdefghij",
        "xai-0123456789abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----",
        "0123456789abcdef0123456789abcdef",
        "Bearer sk-proj-0123456789abcdefghij",
    ],
)
@pytest.mark.parametrize(
    ("place", "field"),
    [("env", "upstreams.0.credentials.0.env"), ("name", "orgs.0.name"), ("member", "teams.0")],
)
async def test_holds_no_secret_and_repeats_none(
    client: httpx.AsyncClient, documents: Documents, secret: str, place: str, field: str
) -> None:
    manifest = {
        "env": changed("upstreams", credentials=[{"name": "main", "env": secret}]),
        "name": changed("orgs", name=secret),
        "member": changed("teams", **{secret: 1}),
    }[place]

    answer = await plan(client, manifest)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "secret_in_manifest")
    assert problem["field"] == field
    assert secret not in answer.text
    assert await everything(documents) == []


@pytest.mark.parametrize(
    "name",
    [
        "task-force-for-everything-else",
        "sk-marketing-and-communication",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "ThisIsTheVeryLongNameOfTheWholeOrganisation",
        "https://generativelanguage.googleapis.com/v1beta",
    ],
)
async def test_takes_long_names_for_names(client: httpx.AsyncClient, name: str) -> None:
    assert (await plan(client, changed("orgs", name=name))).status_code == 200


async def test_refuses_the_thirteenth_hard_budget_before_anything_is_made(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    row = {"scope": "org:acme", "limit_usd": 1}
    many = [{"id": f"b-{n}", **row} for n in range(13)]

    problem = (await plan(client, {**WHOLE, "keys": [], "budgets": many})).json()

    assert (problem["status"], problem["field"]) == (422, "budgets.12.enforcement")
    assert "at most 12 hard budgets" in problem["detail"]
    assert await everything(documents) == []


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("agent", "indexer", "belongs to agent crawler and stays there"),
        ("may_act_as", [], "may act as indexer, and that stays"),
        ("expires_at", "2020-01-01T00:00:00Z", "must expire in the future"),
        ("project", "nothing", "there is no project acme:nothing"),
    ],
)
async def test_refuses_what_a_key_cannot_become(
    client: httpx.AsyncClient, member: str, value: Any, said: str
) -> None:
    await applied(client, WHOLE)
    manifest = changed("keys", **{"budget": None, "team": None, member: value})
    if member == "agent":
        manifest["keys"][0]["may_act_as"] = []

    problem = (await plan(client, manifest)).json()

    assert (problem["status"], problem["field"]) == (422, f"keys.0.{member}")
    assert said in problem["detail"]


async def test_is_read_once_and_has_no_idempotency_key(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/v1/openapi.json")).json()["paths"]

    for name in ("plan", "apply"):
        described = paths[f"/api/v1/manifest:{name}"]["post"]
        assert described.get("parameters", []) == []
