"""What a function must not import, because it would pay for it at every cold start.

The function is imported, and its application made, in a fresh process that notes for each forbidden
module the chain of imports that reached it. That is tried on the local engines, on those of the
cloud, and on one of the cloud's at a time: an engine's client belongs to nobody else.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from common.runtime.function_settings import SETTINGS
from scripts.functions_table import read_functions
from tests.repository.sources import ROOT

FORBIDDEN = {
    "proxy": (
        "boto3",
        "c7n",
        "duckdb",
        "genai_prices",
        "google.cloud.bigquery",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "usage": (
        "boto3",
        "c7n",
        "duckdb",
        "genai_prices",
        "google.cloud.bigquery",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "budgets": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "sqlglot",
        "typer",
    ),
    "pricing": (
        "boto3",
        "duckdb",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "insights": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "brownout_tick": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "incidents": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "sqlglot",
        "typer",
    ),
    "brownout_webhook": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "notifier": (
        "boto3",
        "duckdb",
        "genai_prices",
        "kubernetes",
        "sqlglot",
        "typer",
    ),
    "api": ("boto3", "genai_prices", "kubernetes", "opentelemetry.sdk", "typer"),
}

APPLICATION = {
    "proxy": "app().gateway",
    "usage": "app().usage, main.app().documents",
    "budgets": "app().sweeper",
    "pricing": "app().refresher",
    "insights": "app().insights, main.app().reconciliation",
    "brownout_tick": "app().ticker",
    "brownout_webhook": "_webhooks()",
    "incidents": "app().incidents",
    "notifier": "app().notifier",
    "api": "_application()",
}
"""What makes each function load all that it serves with."""

NOBODY = ("aiohttp", "httpx")
"""What our own transport stands in for: an import of 0.1 s at each cold start."""

GOOGLE = (
    "google.api_core",
    "google.auth",
    "google.cloud.bigquery",
    "google.cloud.firestore_v1",
    "google.protobuf",
    "google.pubsub_v1",
    "grpc",
    "opentelemetry",
)
"""What the engines of the cloud are asked with; google.api_core takes the API of OpenTelemetry."""

CLIENTS = {
    "STATE_URL": "google.cloud.firestore_v1",
    "BUS_URL": "google.pubsub_v1",
    "WAREHOUSE_URL": "google.cloud.bigquery",
}
URLS = {
    "STATE_URL": "firestore://project/state",
    "BUS_URL": "pubsub://project/prefix",
    "WAREHOUSE_URL": "bigquery://project/dataset",
}
LOCAL_ENGINES = ("duckdb", "sqlglot", "sqlite3")

WATCH = """
import json, sys, traceback

forbidden, found = sys.argv[2:], {}

class Watcher:
    def find_spec(self, name, path=None, target=None):
        if name in forbidden and name not in found:
            stack = traceback.extract_stack()[:-1]
            frames = [f"{f.filename}:{f.lineno}" for f in stack if "<" not in f.filename]
            found[name] = frames
        return None

sys.meta_path.insert(0, Watcher())
exec(sys.argv[1])
print(json.dumps(found))
"""


def chains(
    code: str,
    forbidden: Collection[str],
    root: Path,
    data_dir: Path,
    urls: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """For each forbidden module that running `code` reaches: the files and lines on the way."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCH, code, *forbidden],
        cwd=root,
        env={"PYTHONPATH": str(root), "DATA_DIR": str(data_dir), **(urls or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: [_short(frame, root) for frame in chain] for name, chain in found.items()}


def _short(frame: str, root: Path) -> str:
    return frame.removeprefix(f"{root}/").rpartition("site-packages/")[2]


def application(function: str) -> str:
    return f"from functions.{function} import main; main.{APPLICATION[function]}"


@pytest.mark.parametrize("function", FORBIDDEN)
def test_imports_none_of_what_the_function_does_not_need(function: str, tmp_path: Path) -> None:
    forbidden = {*FORBIDDEN[function], *NOBODY, *GOOGLE}

    assert chains(application(function), forbidden, ROOT, tmp_path) == {}


@pytest.mark.parametrize("function", FORBIDDEN)
def test_imports_no_more_than_its_clients_on_the_engines_of_the_cloud(
    function: str, tmp_path: Path
) -> None:
    used = {CLIENTS[url] for url in URLS if url.lower() in SETTINGS[function].model_fields}
    forbidden = {*FORBIDDEN[function], *NOBODY, *LOCAL_ENGINES, *CLIENTS.values()} - used

    assert chains(application(function), forbidden, ROOT, tmp_path, URLS) == {}


@pytest.mark.parametrize(
    ("function", "chosen"),
    [("proxy", "STATE_URL"), ("proxy", "BUS_URL"), ("api", "WAREHOUSE_URL")],
)
def test_imports_the_client_of_an_engine_only_where_it_is_chosen(
    function: str, chosen: str, tmp_path: Path
) -> None:
    urls = {chosen: URLS[chosen]}

    found = chains(application(function), CLIENTS.values(), ROOT, tmp_path, urls)

    assert set(found) == {CLIENTS[chosen]}


@pytest.mark.parametrize(
    ("function", "found"), [("usage", True), ("brownout_tick", True), ("proxy", False)]
)
def test_imports_opentelemetry_only_where_it_has_something_to_send(
    function: str, tmp_path: Path, *, found: bool
) -> None:
    urls = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

    reached = chains(application(function), ["opentelemetry.sdk"], ROOT, tmp_path, urls)

    assert bool(reached) is found


def test_checks_every_function() -> None:
    assert set(FORBIDDEN) == set(read_functions(ROOT))


def test_names_the_chain_that_reached_a_forbidden_module(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text("\nimport inner\n")
    (tmp_path / "inner.py").write_text("import sqlglot.errors\n")

    found = chains("import outer", ("sqlglot", "duckdb"), tmp_path, tmp_path)

    assert found == {"sqlglot": ["outer.py:2", "inner.py:1"]}
