"""No key and no prompt is found in anything that was written."""

import itertools
import json
import random
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from scripts.local_stack.demo import KEYS_FILE
from tests.local_stack.process import Stack

CANARY = "canary-7f3a9b"
PROMPT = f"{CANARY}-prompt"
PROVIDER_KEY = f"sk-{CANARY}-provider-key"
MANAGED_KEY = f"sk-{CANARY}-managed-key"
USER = f"{CANARY}-user@example.com"
PATHS = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/anthropic/v1/messages",
    "gemini": "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
}
CALLERS = 32
FAULTS = ("status-400", "status-401", "status-500", "garbage", "reset", "cut", "error-event")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    names = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    managed = dict.fromkeys(names, MANAGED_KEY)
    with Stack(tmp_path / "data", env=managed) as running:
        yield running


def test_finds_a_canary_where_there_is_one(tmp_path: Path) -> None:
    """The search itself can fail."""
    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.execute("CREATE TABLE t (v TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", [PROMPT])
    connection.close()
    with duckdb.connect(str(tmp_path / "y.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE t AS SELECT ? AS v FROM range(5000)", [PROMPT])

    assert _found(tmp_path, [CANARY]) == ["x.sqlite", "y.duckdb: t"]


@pytest.mark.slow
def test_writes_no_key_and_no_prompt_anywhere(stack: Stack, tmp_path: Path) -> None:
    secrets = _make_keys(stack)

    statuses = _call_in_every_way(stack, secrets[0])

    assert {200, 400, 401, 502} <= statuses
    assert stack.stop() == 0
    assert PROMPT not in stack.printed
    assert _found(tmp_path, [CANARY, *secrets]) == []


def _make_keys(stack: Stack) -> list[str]:
    """A key made twice under one Idempotency-Key, and its replacement."""
    body = {"org": "demo", "agent": "assistant", "name": "canary", "policy": {"tags": ["x"]}}
    with httpx.Client(base_url=f"{stack.address}/api/v1") as api:
        once = {"Idempotency-Key": "same"}
        made = api.post("/keys", json=body, headers=once).raise_for_status().json()["data"]
        again = api.post("/keys", json=body, headers=once).raise_for_status().json()["data"]
        assert again["secret"] is None
        rotated = api.post(f"/keys/{made['key_id']}:rotate", json={}).raise_for_status()
    return [made["secret"], rotated.json()["data"]["secret"]]


def _call_in_every_way(stack: Stack, key: str) -> set[int]:
    draw = random.Random(7)
    faults = [{}, *({"x-simulated-fault": fault} for fault in FAULTS)]
    ways = itertools.product(PATHS, (False, True), _credentials(key), faults)
    with (
        httpx.Client(base_url=stack.address, timeout=60) as client,
        ThreadPoolExecutor(CALLERS) as callers,  # most of the time is waiting for slow faults
    ):
        requests = [
            _request(client, draw, key, protocol, stream=stream, headers={**shown, **fault})
            for protocol, stream, shown, fault in ways
        ]
        return {answer.status_code for answer in callers.map(client.send, requests)}


def _request(
    client: httpx.Client,
    draw: random.Random,
    key: str,
    protocol: str,
    *,
    stream: bool,
    headers: dict[str, str],
) -> httpx.Request:
    content = json.dumps(_body(protocol, stream))
    if draw.random() < 0.1:
        content = content[:-1]  # broken JSON
    return client.build_request(
        "POST",
        PATHS[protocol],
        content=content,
        params={"key": draw.choice([key, PROVIDER_KEY])} if draw.random() < 0.1 else None,
        headers={
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "x-gateway-user": USER,
            "x-gateway-session": USER,
            "x-gateway-agent": USER,
            f"x-gateway-{CANARY}": CANARY,
            "x-gateway-tags": f"y={CANARY}",
            **headers,
        },
    )


def _credentials(key: str) -> list[dict[str, str]]:
    """Ours beside the simulator's key, beside a real-looking one, alone; and wrong ones."""
    return [
        {"x-gateway-key": key, "authorization": "Bearer sim", "x-api-key": "sim"},
        {"x-gateway-key": key, "x-goog-api-key": "sim"},
        {"x-gateway-key": key, "x-goog-api-key": PROVIDER_KEY},
        {"x-gateway-key": key, "authorization": f"Bearer {PROVIDER_KEY}"},
        {"x-gateway-key": key, "x-api-key": PROVIDER_KEY},
        {"authorization": f"Bearer {key}"},
        {"x-gateway-key": f"ocg_{CANARY}", "authorization": f"Bearer {PROVIDER_KEY}"},
        {"authorization": f"Bearer {PROVIDER_KEY}", "cookie": CANARY},
    ]


def _body(protocol: str, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    if protocol == "openai":
        return {"model": "gpt-4o-mini", "messages": messages, "user": USER, "stream": stream}
    if protocol == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 50,
        "system": PROMPT,
        "messages": messages,
        "stream": stream,
    }


def _found(folder: Path, canaries: list[str]) -> list[str]:
    """Where any of the texts stands: files as they are, and tables as they read.

    The file of the demo keys is left out: the local stack keeps them to print them again.
    """
    wanted = [text.encode() for text in canaries]
    places = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != KEYS_FILE):
        content = path.read_bytes()
        if any(text in content for text in wanted) and path.suffix != ".duckdb":
            places.append(path.name)
        if path.suffix == ".duckdb":
            places += [f"{path.name}: {name}" for name in _tables_with(path, canaries)]
    return places


def _tables_with(path: Path, canaries: list[str]) -> list[str]:
    """Tables of a DuckDB file, which may be compressed, that hold any of the texts."""
    with duckdb.connect(str(path), read_only=True) as warehouse:
        tables = [name for (name,) in warehouse.execute("SHOW TABLES").fetchall()]
        return [
            name
            for name in tables
            for text in [str(warehouse.execute(f'FROM "{name}"').fetchall())]
            if any(canary in text for canary in canaries)
        ]
