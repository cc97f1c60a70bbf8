"""Manifests against an API over a real store."""

import copy
from typing import Any

import httpx
import pytest

from tests.api.conftest import api, bus, client, clock, documents, make_api, warehouse

__all__ = ["api", "bus", "client", "clock", "documents", "make_api", "warehouse"]

WHOLE: dict[str, Any] = {
    "name": "acme-platform",
    "orgs": [{"id": "acme", "name": "Acme"}],
    "teams": [{"org": "acme", "id": "search"}, {"org": "acme", "id": "ops"}],
    "projects": [{"org": "acme", "id": "crawl"}],
    "agents": [
        {"org": "acme", "id": "crawler", "team": "search", "tags": {"env": "prod"}},
        {"org": "acme", "id": "indexer", "team": "search"},
    ],
    "upstreams": [
        {
            "name": "groq",
            "base_url": "https://api.groq.com/openai/v1",
            "provider": "groq",
            "credentials": [{"name": "main", "env": "GROQ_API_KEY"}],
        }
    ],
    "routes": [
        {
            "org": "acme",
            "rules": [
                {
                    "name": "small",
                    "match": {"team": "search", "stream": False},
                    "use": {"weighted": {"gpt-5-mini": 3, "groq/llama-3.1-8b-instant": 1}},
                    "fallbacks": ["anthropic/claude-haiku-4-5"],
                }
            ],
        }
    ],
    "keys": [
        {
            "org": "acme",
            "name": "ci",
            "agent": "crawler",
            "team": "search",
            "project": "crawl",
            "tags": {"cost-centre": "42"},
            "may_act_as": ["indexer"],
            "policy": {"models": ["gpt-*"], "limits": {"rpm": 60}},
            "budget": {"limit_usd": "5", "period": "day"},
        }
    ],
    "budgets": [
        {"id": "acme-month", "scope": "org:acme", "limit_usd": 300},
        {"id": "search-day", "scope": "team:acme/search", "limit_usd": 20.5, "period": "day"},
    ],
}


@pytest.fixture
def whole() -> dict[str, Any]:
    """A manifest with one of everything."""
    return copy.deepcopy(WHOLE)


async def plan(
    client: httpx.AsyncClient, manifest: dict[str, Any], **options: Any
) -> httpx.Response:
    return await client.post("/api/v1/manifest:plan", json={"manifest": manifest, **options})


async def changes(
    client: httpx.AsyncClient, manifest: dict[str, Any], **options: Any
) -> list[dict[str, Any]]:
    answer = await plan(client, manifest, **options)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["changes"]
    return found


async def actions(
    client: httpx.AsyncClient, manifest: dict[str, Any], **options: Any
) -> list[tuple[str, str, str]]:
    """What would be done, without what is kept."""
    found = await changes(client, manifest, **options)
    return [(e["action"], e["kind"], e["id"]) for e in found if e["action"] != "keep"]


def seen(planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: e[name] for name in ("kind", "id", "action", "version")} for e in planned]


async def apply_seen(
    client: httpx.AsyncClient,
    manifest: dict[str, Any],
    planned: list[dict[str, Any]],
    **options: Any,
) -> httpx.Response:
    body = {"manifest": manifest, "plan": seen(planned), **options}
    return await client.post("/api/v1/manifest:apply", json=body)


async def applied(
    client: httpx.AsyncClient, manifest: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """Plan and apply; what was done."""
    planned = await changes(client, manifest, **options)
    answer = await apply_seen(client, manifest, planned, **options)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data
