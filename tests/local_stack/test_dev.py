"""`scripts/dev` as a newcomer uses it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.chosen_engines import ON_A_LAPTOP
from tests.local_stack.process import ROOT, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data") as running:
        yield running


def test_shows_the_exact_cost_of_a_pasted_call(stack: Stack) -> None:
    environment = {**os.environ, "HOME": str(ROOT)}
    commands = re.search(r"Paste:\n\n(.*?)\n\nWith", stack.printed, re.DOTALL)
    assert commands is not None
    curl, spend, calls = re.split(r"\n  (?=scripts/)", commands[1].strip())

    answered = subprocess.run(
        ["sh", "-c", curl], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert _spent(stack, calls=1)["calls"] == 1
    shown = subprocess.run(
        ["sh", "-c", spend], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
    )
    listed = subprocess.run(
        ["sh", "-c", calls], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
    )

    assert b"[simulated] " in answered.stdout
    assert _billed_usd(stack) in shown.stdout
    assert "simulated" in shown.stdout
    assert "search" in shown.stdout
    assert "gpt-5-mini" in listed.stdout


def test_keeps_keys_and_spend_over_a_restart(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as first:
        _call(first)
        before = _spent(first, calls=1)
        assert first.stop() == 0

    with Stack(tmp_path / "data") as second:
        assert second.keys == first.keys
        assert _spent(second, calls=1) == before
        assert _call(second) == 200


@ON_A_LAPTOP
def test_keeps_its_data_for_its_owner_alone(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        _call(stack)
        _spent(stack, calls=1)

        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}

    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert {"state.sqlite", "bus.sqlite-wal", "warehouse.duckdb", "lock"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_lets_listed_paths_through(tmp_path: Path) -> None:
    listed = {"UNMETERED_PATHS": "POST /openai/v1/vector_stores, GET /openai/v1/vector_stores/*"}
    with Stack(tmp_path / "data", env=listed) as stack:
        headers = {"authorization": f"Bearer {stack.key}"}

        through = httpx.post(f"{stack.address}/openai/v1/vector_stores", headers=headers)
        other = httpx.get(f"{stack.address}/openai/v1/vector_stores", headers=headers)

    assert (through.status_code, through.headers["x-simulated"]) == (404, "true")
    assert (other.status_code, other.headers["x-gateway-error"]) == (501, "endpoint_not_supported")


def test_loses_no_call_when_it_is_killed(tmp_path: Path) -> None:
    """A call that has ended is accounted: its event is on the disk."""
    with Stack(tmp_path / "data") as first:
        with httpx.Client() as client:
            for _ in range(20):
                _call(first, client=client)
            # The connection takes its next request when the call before has ended.
            client.get(f"{first.address}/gateway/v1/health").raise_for_status()
        first.stop(signal.SIGKILL)

    with Stack(tmp_path / "data") as second:
        assert _spent(second, calls=20)["calls"] == 20


def test_runs_beside_another_in_another_folder(tmp_path: Path) -> None:
    with Stack(tmp_path / "one") as one, Stack(tmp_path / "two") as two:
        _call(one)

        assert _spent(one, calls=1)["calls"] == 1
        assert _spent(two, calls=0)["calls"] == 0
        assert _call(two, key=one.key) == 401


def test_refuses_a_folder_in_use_and_says_what_to_do(stack: Stack, tmp_path: Path) -> None:
    second = _started("--port", "0", "--data", str(tmp_path / "data"))

    assert second.returncode == 1
    assert f"in use by process {stack.process.pid}" in second.stderr
    assert "--data FOLDER" in second.stderr


def test_refuses_a_port_in_use_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        second = _started("--port", str(taken.getsockname()[1]), "--data", str(tmp_path))

    assert second.returncode == 1
    assert "--port 0" in second.stderr


@ON_A_LAPTOP
@pytest.mark.parametrize("name", ["state.sqlite", "warehouse.duckdb", "bus.sqlite"])
def test_says_which_file_is_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no database" * 1000)

    ended = _started("--port", "0", "--data", str(tmp_path))

    assert ended.returncode == 1
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_refuses_a_file_as_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = _started("--port", "0", "--data", str(tmp_path / "file"))

    assert ended.returncode == 1
    assert "--data FOLDER" in ended.stderr


def test_refuses_a_port_that_is_no_number(tmp_path: Path) -> None:
    ended = _started("--data", str(tmp_path), env={"PORT": "abc"})

    assert ended.returncode == 2
    assert "--port" in ended.stderr


def test_replaces_demo_keys_whose_texts_are_lost(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as first:
        first.stop()
    (tmp_path / "data" / "demo-keys.json").write_text("not JSON")

    with Stack(tmp_path / "data") as second:
        assert set(second.keys) == set(first.keys)
        assert _call(second) == 200
        assert _call(second, key=first.key) == 401


def test_names_every_wrong_setting_at_once(tmp_path: Path) -> None:
    paths = "POST /openai/v1/vector_stores, GET /openai/v1/organization/costs"
    wrong = {"IDLE_TIMEOUT_S": "soon", "KEY_MAX_STALE_S": "0", "UNMETERED_PATHS": paths}

    ended = _started("--port", "0", "--data", str(tmp_path), env=wrong)

    assert ended.returncode == 1
    assert "IDLE_TIMEOUT_S" in ended.stderr
    assert "KEY_MAX_STALE_S" in ended.stderr
    assert "UNMETERED_PATHS: Value error, entry 2 is never let through" in ended.stderr
    assert "Traceback" not in ended.stderr


def _started(
    *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "scripts.commands.dev", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _call(stack: Stack, key: str | None = None, client: httpx.Client | None = None) -> int:
    answer = (client or httpx).post(
        f"{stack.address}/openai/v1/chat/completions",
        json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"authorization": f"Bearer {key or stack.key}"},
    )
    return answer.status_code


def _spent(stack: Stack, calls: int) -> dict[str, int]:
    """Calls and cost, asked until as many calls are there as must be, for 10 s at most."""
    ends_at = time.monotonic() + 10
    while True:
        asked = {"since": "2026-01-01T00:00:00Z"}
        answer = httpx.get(f"{stack.address}/api/v1/usage/summary", params=asked)
        total = answer.raise_for_status().json()["total"]
        if total["calls"] >= calls or time.monotonic() > ends_at:
            return {"calls": total["calls"], "cost_nanos": total["cost_nanos"]}


def _billed_usd(stack: Stack) -> str:
    ledger = httpx.get(f"{stack.address}/simulated/simulated/ledger").raise_for_status().json()
    return f"0.{ledger['total_nanos']:09d}"
