"""A demo organisation, made through the API like any other, and what to paste first.

The texts of the demo keys are kept in the data folder, readable by its owner only, because the
state holds nothing but their digests and a restart must print the same keys again.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx

ORG = "demo"
AGENTS = {"search": "assistant", "support": "helpdesk"}
"""Team and agent."""

KEYS_FILE = "demo-keys.json"
BROWNOUT_TOKEN = "demo-brownout-token"  # noqa: S105 - of a stack that only this machine reaches
"""What senders of alerts show, unless the environment names another one."""
SIMULATED_UPSTREAM = "simulated"
SIMULATED_VARIABLE = "SIMULATED_API_KEY"
"""The upstream of tests, and what holds its key."""


async def seed(address: str, data: Path) -> dict[str, str]:
    """Make what is missing of the demo organisation; its keys by ``<team>/<agent>``.

    The first of them is also what `POST /api/test-llm` calls with, unless the environment has one.
    """
    keys = _kept(data / KEYS_FILE)
    async with httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=30, trust_env=False) as api:
        await _create(api, "orgs", {"id": ORG})
        for team, agent in AGENTS.items():
            await _create(api, "teams", {"org": ORG, "id": team})
            await _create(api, "agents", {"org": ORG, "id": agent, "team": team})
            name = f"{team}/{agent}"
            if name not in keys or not await _usable(api, agent):  # the state may be another one
                keys[name] = await _key(api, agent)
                _keep(data / KEYS_FILE, keys)
        await _enforce(api)
        await _simulated_upstream(api, address)
    os.environ.setdefault("TEST_LLM_KEY", next(iter(keys.values())))
    return keys


def print_welcome(
    address: str, keys: dict[str, str], managed: dict[str, bool], brownout_token: str
) -> None:
    """What a newcomer does next."""
    for name, key in keys.items():
        print(f"gateway key ({name}): {key}")
    key = next(iter(keys.values()))
    real = [name for name, is_real in managed.items() if is_real]
    note = f" but {' and '.join(real)} is real: those calls cost money" if real else ""
    prices = "Prices are those of this release, unless PRICE_SOURCE_URL says where a list is"
    if os.environ.get("PRICE_SOURCE_URL"):
        prices = "The price list of PRICE_SOURCE_URL is fetched each night at 03:17 UTC"
    url = "" if address.endswith(":3000") else f" --url {address}"
    print(
        f"""
Answers come from a simulated provider (provider key: sim){note}. Paste:

{_first_call(address, key)}
  scripts/cloudops{url} spend --by team,model --since 1h
  scripts/cloudops{url} calls

With an SDK, set base_url to {address}/openai/v1, {address}/anthropic or {address}/gemini and
use a gateway key as API key. Your own provider key: as API key, with x-gateway-key beside it.

An alert that asks for less of every call, for half an hour or until you pin normal mode:

{_first_alert(address, brownout_token)}
  scripts/cloudops{url} brownout status
  scripts/cloudops{url} brownout pin global normal --reason "enough seen"

{prices}.
Ctrl+C stops; data stay.""",
        flush=True,
    )


def _first_call(address: str, key: str) -> str:
    """A command that makes a call, with what this machine has."""
    if shutil.which("curl"):
        return f"""\
  curl -s {address}/openai/v1/chat/completions \\
    -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\
    -d '{{"model":"gpt-5-mini","messages":[{{"role":"user","content":"Hello"}}]}}'"""
    return f"""\
  .venv/bin/python -c 'import openai; \\
    client = openai.OpenAI(base_url="{address}/openai/v1", api_key="{key}"); \\
    print(client.chat.completions.create(model="gpt-5-mini", \\
      messages=[{{"role": "user", "content": "Hello"}}]).to_json())'"""


def _first_alert(address: str, token: str) -> str:
    """A command that sends what a monitor would send, with what this machine has.

    An alert of the same id is the same alert: each time it is pasted it is another one.
    """
    target = f"{address}/api/webhooks/datadog/brownout"
    alert = '"monitor":"demo","transition":"Triggered","tags":"brownout:soft"'
    if shutil.which("curl"):
        return f"""\
  curl -s {target} \\
    -H 'x-brownout-token: {token}' -H 'content-type: application/json' \\
    -d '{{"id":"'$(date +%s)'",{alert}}}'"""
    return f"""\
  .venv/bin/python -c 'import httpx, time; \\
    print(httpx.post("{target}", headers={{"x-brownout-token": "{token}"}}, \\
      json={{"id": str(time.time()),{alert}}}).text)'"""


async def _enforce(api: httpx.AsyncClient) -> None:
    """Where nobody has saved a policy, the one that ships with the code, enforced."""
    found = await api.get("/brownout/policies/current")
    current = found.raise_for_status().json()["data"]
    if current["version"] == 0:
        policy = {**current["policy"], "enforcement": "enforce"}
        answer = await api.post(
            "/brownout/policies",
            json={"policy": policy, "note": "the demo enforces what ships with the code"},
            headers={"if-match": '"0"'},
        )
        answer.raise_for_status()


async def _simulated_upstream(api: httpx.AsyncClient, address: str) -> None:
    """An upstream apart for tests: the simulated provider, at the prices of OpenAI's models."""
    body = {
        "base_url": f"{address}/simulated/u/{SIMULATED_UPSTREAM}",
        "provider": "openai",
        "allow_private": True,
        "credentials": [{"name": "main", "env": SIMULATED_VARIABLE}],
    }
    path = f"/upstreams/{SIMULATED_UPSTREAM}"
    answer = await api.put(path, json=body, headers={"if-none-match": "*"})
    if answer.status_code != httpx.codes.PRECONDITION_FAILED:
        answer.raise_for_status()


async def _create(api: httpx.AsyncClient, collection: str, body: dict[str, str]) -> None:
    answer = await api.post(f"/{collection}", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()


async def _key(api: httpx.AsyncClient, agent: str) -> str:
    """A new key, or, when only its text was lost, a replacement."""
    answer = await api.post("/keys", json={"org": ORG, "agent": agent, "name": f"demo-{agent}"})
    if answer.status_code == httpx.codes.CONFLICT:
        usable = await _usable(api, agent)
        answer = await api.post(f"/keys/{usable[-1]['key_id']}:rotate", json={"overlap_s": 0})
    answer.raise_for_status()
    return str(answer.json()["data"]["secret"])


async def _usable(api: httpx.AsyncClient, agent: str) -> list[dict[str, Any]]:
    listed = await api.get("/keys", params={"org": ORG, "agent": agent})
    return [each for each in listed.json()["data"] if each["state"] == "usable"]


def _kept(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _keep(path: Path, keys: dict[str, str]) -> None:
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(keys, file)
    temporary.replace(path)
