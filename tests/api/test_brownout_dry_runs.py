"""What a mode would do to a request, with nothing sent."""

from typing import Any

import httpx
import pytest

from common.core.ports import Documents, Query
from tests.api.brownout_scenes import a_policy, saved

PATH = "/api/v1/brownout:dry-run"
CHAT = {
    "model": "gpt-5",
    "service_tier": "priority",
    "messages": [{"role": "user", "content": "Hi"}],
}
TALK = {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "Yes?"}]}


async def tried(client: httpx.AsyncClient, mode: str = "hard", **fields: Any) -> dict[str, Any]:
    asked = {"path": "/openai/v1/chat/completions", "body": CHAT, "mode": mode, **fields}
    answer = await client.post(PATH, json=asked)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def outcomes(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["name"]: (each["outcome"], each["reason"]) for each in answer["data"]["edits"]}


async def test_shows_the_edited_request(client: httpx.AsyncClient) -> None:
    answer = await tried(client)

    data = answer["data"]
    assert (data["strategy"], data["model"], data["refusal"]) == ("default", "gpt-5-mini", None)
    assert (data["policy_version"], data["let_in"]) == (0, 1.0)
    assert (data["body"]["model"], data["body"]["reasoning_effort"]) == ("gpt-5-mini", "low")
    assert "service_tier" not in data["body"]
    assert outcomes(answer)["model"] == ("applied", "")
    assert "model=gpt-5-mini" in answer["answer"]


async def test_changes_nothing_in_normal_mode(client: httpx.AsyncClient) -> None:
    data = (await tried(client, "normal"))["data"]

    assert (data["body"], data["edits"], data["strategy"]) == (CHAT, [], None)


async def test_says_what_is_left_alone_and_why(client: httpx.AsyncClient) -> None:
    running = await tried(client, body=TALK)
    failing = await tried(client, body=TALK, failing=True)

    assert outcomes(running)["model"] == ("skipped_cache", "not_fresh")
    assert running["data"]["body"]["model"] == "gpt-5"
    assert outcomes(failing)["model"] == ("applied", "")


async def test_shows_a_refusal(client: httpx.AsyncClient) -> None:
    answer = await tried(client, "emergency", priority="batch")

    data = answer["data"]
    assert (data["refusal"]["code"], data["refusal"]["status"]) == ("brownout_shed", 429)
    assert (data["body"], data["path"], data["let_in"]) == (None, None, 0.0)
    assert answer["answer"].startswith("In emergency this call is refused: ")


async def test_tells_which_share_of_such_calls_is_served(client: httpx.AsyncClient) -> None:
    batch = await tried(client, priority="batch")

    assert batch["data"]["let_in"] == 0.5
    assert batch["data"]["body"]["model"] == "gpt-5-mini"
    assert batch["answer"].endswith("50% of such calls are served.")


async def test_goes_by_the_policy_in_force_and_the_strategy_of_who_calls(
    client: httpx.AsyncClient,
) -> None:
    await saved(client, assign=[{"scope": "team:acme/support", "strategy": "support"}])

    of_team = (await tried(client, scope="team:acme/support"))["data"]
    of_other = (await tried(client, scope="team:acme/search"))["data"]

    assert (of_team["strategy"], of_team["policy_version"]) == ("support", 1)
    assert of_other["strategy"] == "default"


async def test_names_the_model_in_the_path_where_it_stands_there(client: httpx.AsyncClient) -> None:
    maps = {"cheaper": {"*pro": "gemini-2.5-flash"}}
    await saved(client, maps=maps)
    path = "/gemini/v1beta/models/gemini-2.5-pro:generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}

    data = (await tried(client, path=path, body=body))["data"]

    assert data["path"] == "/v1beta/models/gemini-2.5-flash:generateContent"


async def test_knows_configured_upstreams(client: httpx.AsyncClient) -> None:
    body = {"base_url": "https://api.groq.com/openai/v1", "provider": "groq"}
    made = await client.put("/api/v1/upstreams/groq", json=body, headers={"if-none-match": "*"})
    assert made.status_code == 201, made.text

    data = (await tried(client, path="/u/groq/v1/chat/completions"))["data"]

    assert (data["path"], data["strategy"]) == ("/chat/completions", "default")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"path": "/nowhere"}, "path"),
        ({"path": "/openai/v1/organization/costs"}, "path"),
        ({"path": "/u/nobody/v1/chat/completions"}, "path"),
        ({"mode": "off"}, "mode"),
        ({"priority": "high"}, "priority"),
        ({"scope": "provider:openai"}, "scope"),
        ({"body": []}, "body"),
    ],
)
async def test_says_what_is_wrong(
    client: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    asked = {"path": "/openai/v1/chat/completions", "body": CHAT, "mode": "hard", **wrong}

    answer = await client.post(PATH, json=asked)

    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_stores_nothing(client: httpx.AsyncClient, documents: Documents) -> None:
    await tried(client, "emergency")

    for collection in ("audit", "brownout_state", "brownout_changes", "idempotency"):
        assert await documents.query(Query(collection)) == []


async def test_does_what_an_enforced_policy_would_do(client: httpx.AsyncClient) -> None:
    """The policy that ships with the code only records; its trial shows what it would do."""
    assert a_policy()["enforcement"] == "shadow"

    assert outcomes(await tried(client, "soft"))["tier"] == ("applied", "")
