"""Every bundle serves: unpacked into an empty folder, with its own requirements and no others.

It is served by the functions framework as on Cloud Run, with nothing on the path but the bundle.
"""

import asyncio
import json
import os
import signal
import subprocess
import time
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.adapters.bus_subscriptions import Subscription
from common.adapters.firestore_documents import FirestoreDocuments
from common.runtime.ending import FINISHES_WITHIN_S
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.surroundings import (
    charge_count,
    make_key,
    store_key,
    usage_events,
)
from scripts.commands.bundle import ROOT
from scripts.commands.lock import pins
from scripts.functions_table import read_functions
from scripts.local_stack.pulling import Deliveries
from tests.bundle.conftest import Deploy, Provider
from tests.emulators import a_project
from tests.usage.sums import stored

pytestmark = pytest.mark.slow

PROBE = Path(__file__).with_name("probe.py")
CHAT = "/openai/v1/chat/completions"
SIGKILL_AFTER_S = 10.0
"""https://cloud.google.com/run/docs/container-contract#instance-shutdown"""
BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
NEVER = {"duckdb", "genai_prices", "sqlglot", "typer"}
"""Modules of other functions and of development, of which a call loads none."""

HEALTH = {"api": "/api/v1/health", "proxy": "/gateway/v1/health"}
WEBHOOK_HEALTH = {"brownout_webhook": "/api/webhooks/health"}
"""What is open to anybody says that it is there, and no more."""
PUSHED = ("brownout_tick", "budgets", "incidents", "insights", "notifier", "pricing", "usage")
"""Functions that are asked by pushes alone."""


def chat_headers(data: Path) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "authorization": "Bearer sim",
        "x-gateway-key": make_key(data),
    }


def probed(deployed: Deployed, data: Path, settings: dict[str, str], *request: str) -> Any:
    """What the probe prints for one request: method, path, headers, body."""
    done = subprocess.run(
        [deployed.python, "-P", PROBE, deployed.function, *request],
        cwd=deployed.folder,
        env={"DATA_DIR": str(data), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_knows_how_to_ask_every_function() -> None:
    assert {*HEALTH, *WEBHOOK_HEALTH, *PUSHED} == set(read_functions(ROOT))


@pytest.mark.parametrize("function", [*HEALTH, *WEBHOOK_HEALTH, *PUSHED])
def test_installs_what_is_pinned_and_nothing_else(deployed: Deploy, function: str) -> None:
    python = deployed(function).python
    pinned = pins((ROOT / f"functions/{function}/requirements.txt").read_text())
    packages = next((python.parents[1] / "lib").glob("python*/site-packages"))

    installed = {
        each.name.lower().replace("_", "-") for each in distributions(path=[str(packages)])
    }

    assert installed - set(pinned) == set()
    assert "functions-framework" in installed


@pytest.mark.parametrize("function", HEALTH)
def test_answers_with_the_version_it_was_made_from(
    deployed: Deploy, function: str, tmp_path: Path
) -> None:
    with served(deployed(function), tmp_path, {}) as running:
        answer = httpx.get(running.address + HEALTH[function], trust_env=False)

    assert answer.status_code == 200
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = answer.json()
    assert told.get("data", told)["version"] == project["version"]


@pytest.mark.parametrize("function", WEBHOOK_HEALTH)
def test_answers_anybody_that_it_is_there(deployed: Deploy, function: str, tmp_path: Path) -> None:
    with served(deployed(function), tmp_path, {}) as running:
        answer = httpx.get(running.address + WEBHOOK_HEALTH[function], trust_env=False)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("function", PUSHED)
def test_acknowledges_what_it_cannot_use(deployed: Deploy, function: str, tmp_path: Path) -> None:
    with served(deployed(function), tmp_path, {}) as running:
        answer = httpx.post(running.address, json={"no": "envelope"}, trust_env=False)

    assert answer.status_code == 204


def test_forwards_a_call_and_stores_its_event(
    deployed: Deploy, provider: Provider, tmp_path: Path
) -> None:
    settings = {"SIMULATED_PROVIDER_URL": provider.address}
    before = charge_count(provider.data)

    with served(deployed("proxy"), tmp_path, settings) as running:
        answer = httpx.post(
            running.address + CHAT, json=BODY, headers=chat_headers(tmp_path), trust_env=False
        )

    assert answer.status_code == 200, answer.text
    [event] = usage_events(tmp_path)
    told = answer.json()
    assert event["units"]["output_tokens"] == told["usage"]["completion_tokens"]
    assert (event["org"], event["model_asked"], event["status"]) == ("acme", "gpt-5-mini", 200)
    assert event["id"] == answer.headers["x-gateway-request-id"]
    assert event["cost_nanos"] > 0
    assert charge_count(provider.data) == before + 1


def test_accounts_for_a_stream_that_runs_when_the_platform_ends_it(
    deployed: Deploy, provider: Provider, tmp_path: Path
) -> None:
    settings = {"SIMULATED_PROVIDER_URL": provider.address}
    headers = {**chat_headers(tmp_path), "x-simulated-fault": "stall"}

    with served(deployed("proxy"), tmp_path, settings) as running:
        stream = httpx.stream(
            "POST",
            running.address + CHAT,
            json={**BODY, "stream": True},
            headers=headers,
            timeout=30,
            trust_env=False,
        )
        with stream as answer:
            chunks = answer.iter_bytes()
            first = next(chunks)
            os.kill(running.pid, signal.SIGTERM)
            asked_s = time.monotonic()
            rest = b"".join(chunks)
            ended_s = time.monotonic() - asked_s

    [event] = usage_events(tmp_path)
    assert first.startswith(b"data: ")
    assert b'"code":"gateway_stopped"' in rest
    assert (event["error_code"], event["status"]) == ("gateway_stopped", 200)
    assert event["cost_nanos"] > 0
    assert FINISHES_WITHIN_S - 1 < ended_s < SIGKILL_AFTER_S


def test_imports_nothing_that_its_requirements_do_not_name(
    deployed: Deploy, provider: Provider, tmp_path: Path
) -> None:
    settings = {"SIMULATED_PROVIDER_URL": provider.address}
    headers = json.dumps(chat_headers(tmp_path))

    found = probed(deployed("proxy"), tmp_path, settings, "POST", CHAT, headers, json.dumps(BODY))

    pinned = pins((ROOT / "functions/proxy/requirements.txt").read_text())
    undeclared = {m: d for m, d in found["owners"].items() if d not in pinned}
    assert found["status"] == 200
    assert undeclared == {}
    assert {module.partition(".")[0] for module in found["owners"]} & NEVER == set()
    assert {"httptools", "orjson", "pydantic"} <= set(found["owners"])


async def test_serves_on_the_engines_of_the_cloud(
    deployed: Deploy,
    provider: Provider,
    tmp_path: Path,
    firestore_emulator: str,
    pubsub_emulator: str,
) -> None:
    """What each bundle requires is enough there: a call becomes a message, a message a sum."""
    project = a_project()
    documents = FirestoreDocuments(project, "state", emulator=firestore_emulator)
    key = await store_key(documents)
    settings = {
        "STATE_URL": f"firestore://{project}/state",
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "BUS_URL": f"pubsub://{project}/bundle",
        "PUBSUB_EMULATOR_HOST": pubsub_emulator,
        "SIMULATED_PROVIDER_URL": provider.address,
    }
    envelopes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def keep(envelope: dict[str, Any]) -> int:
        envelopes.put_nowait(envelope)
        return 204

    kept = Subscription("kept", "usage", (), keep)
    deliveries = Deliveries(project, "bundle", pubsub_emulator, [kept])
    await deliveries.start()
    headers = {"authorization": "Bearer sim", "x-gateway-key": key}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        with served(deployed("proxy"), tmp_path / "proxy", settings) as proxy:
            answer = await http.post(proxy.address + CHAT, json=BODY, headers=headers)
            async with asyncio.timeout(30):
                envelope = await envelopes.get()
        with served(deployed("usage"), tmp_path / "usage", settings) as usage:
            pushed = await http.post(usage.address, json=envelope)
    await deliveries.aclose()
    sums = await stored(documents, "hour")
    await documents.aclose()

    assert (answer.status_code, pushed.status_code) == (200, 204)
    tokens = {measure: amount for (_, _, measure), amount in sums.items()}
    assert tokens["calls"] == 1
    assert tokens["unit:output_tokens"] == answer.json()["usage"]["completion_tokens"]
