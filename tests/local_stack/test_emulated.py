"""`scripts/dev` on the engines of the cloud, which emulators stand for."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from scripts.local_stack.cloud_engines import INSTALL
from tests.chosen_engines import urls
from tests.emulators import a_project
from tests.local_stack.process import ROOT, Stack

URLS = {
    "STATE_URL": "firestore://project/state",
    "BUS_URL": "pubsub://project/prefix",
    "WAREHOUSE_URL": "bigquery://project/dataset",
}
EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")

WITHOUT_GOOGLE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("google.cloud.", "google.pubsub_v1", "google.api_core", "grpc")):
            if not name.startswith("google.cloud.functions"):
                raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from scripts.commands.dev import main
main()
"""


@pytest.fixture
def settings(
    firestore_emulator: str, pubsub_emulator: str, bigquery_server: str
) -> Mapping[str, str]:
    """Settings of engines that nothing else uses."""
    addresses = (firestore_emulator, pubsub_emulator, bigquery_server)
    return {
        **urls(a_project()),
        **dict(zip(EMULATORS, addresses, strict=True)),
    }


@pytest.mark.slow
def test_accounts_a_call_over_a_restart(tmp_path: Path, settings: Mapping[str, str]) -> None:
    """In the sums of the state, and as a row of the warehouse."""
    with Stack(tmp_path / "data", env=settings) as first:
        _call(first)
        first.stop()

    with Stack(tmp_path / "data", env=settings) as second:
        assert second.keys == first.keys
        _call(second)
        total, rows = _told(second, calls=2)
        ledger = httpx.get(f"{second.address}/simulated/simulated/ledger").raise_for_status().json()

    assert total["calls"] == 2
    assert total["cost_nanos"] == ledger["total_nanos"] == sum(row["cost_nanos"] for row in rows)
    assert {path.name for path in (tmp_path / "data").glob("*.sqlite")} == {
        "simulated-ledger.sqlite"
    }


@pytest.mark.slow
def test_makes_other_demo_keys_when_the_emulators_are_others(
    tmp_path: Path, settings: Mapping[str, str]
) -> None:
    """Emulators forget everything when they end, and the folder keeps the texts of the keys."""
    with Stack(tmp_path / "data", env=settings) as first:
        first.stop()
    another = {**settings, "STATE_URL": f"firestore://{a_project()}/state"}

    with Stack(tmp_path / "data", env=another) as second:
        assert second.keys.keys() == first.keys.keys()
        _call(second)


def test_refuses_engines_of_the_cloud_without_emulators(tmp_path: Path) -> None:
    ended = _started(tmp_path, URLS)

    assert ended.returncode == 1
    assert [name for name in (*URLS, *EMULATORS) if name not in ended.stderr] == []
    assert "Traceback" not in ended.stderr


def test_names_the_emulators_that_do_not_listen(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(EMULATORS, "127.0.0.1:1")

    ended = _started(tmp_path, {**URLS, **nowhere})

    assert ended.returncode == 1
    assert [name for name in EMULATORS if f"{name}=127.0.0.1:1" not in ended.stderr] == []
    assert "Traceback" not in ended.stderr


def test_says_what_to_start_when_the_clients_are_not_installed(tmp_path: Path) -> None:
    ended = _started(tmp_path, URLS, "-c", WITHOUT_GOOGLE)

    assert ended.returncode == 1
    assert INSTALL in ended.stderr
    assert [
        name
        for name in ("firestore", "pubsub", "bigquery")
        if f"google-cloud-{name} is not installed" not in ended.stderr
    ] == []
    assert "Traceback" not in ended.stderr


def _started(data: Path, env: Mapping[str, str], *run: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in EMULATORS}
    return subprocess.run(
        [
            *(sys.executable, "-P"),
            *(run or ("-m", "scripts.commands.dev")),
            *("--port", "0", "--data", str(data)),
        ],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _call(stack: Stack) -> None:
    httpx.post(
        f"{stack.address}/openai/v1/chat/completions",
        json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"authorization": f"Bearer {stack.key}"},
        timeout=30,
    ).raise_for_status()


def _told(stack: Stack, calls: int) -> tuple[dict[str, int], list[dict[str, int]]]:
    """Total and rows, asked until both have as many calls as must be, for 30 s at most."""
    ends_at = time.monotonic() + 30
    asked = {"since": "2026-01-01T00:00:00Z"}
    with httpx.Client(base_url=f"{stack.address}/api/v1/usage", timeout=30) as api:
        while True:
            total = api.get("/summary", params=asked).raise_for_status().json()["total"]
            rows = api.get("/calls", params=asked).raise_for_status().json()["data"]
            has_all = total["calls"] >= calls and len(rows) >= calls
            if has_all or time.monotonic() > ends_at:
                return total, rows
