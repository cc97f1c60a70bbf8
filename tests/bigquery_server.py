"""A BigQuery on this machine (bqemulator), one for a whole run of pytest, and datasets in it.

It is asked through Google's own client. A folder that needs it imports `bigquery_server` in its
conftest.py, together with `bigquery_datasets`; whoever asks first starts it, all workers share it,
and it ends when the last of them does.

It loads DuckDB's spatial extension when it starts and would download it; a home of its own with
that file in it keeps it off the network.
"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from common.warehouse.bigquery import create_statements
from common.warehouse.tables import Definitions
from tests.emulators import ROOT, STARTING_S, shared, shared_folder

PROJECT = "test-project"
DUCKDB = "v1.5.5"
"""The version of DuckDB, for which the extension is built."""

READY = '"event": "grpc.listen"'


@pytest.fixture(scope="session")
def bigquery_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of a local BigQuery."""
    with serving(shared_folder(request)) as address:
        yield address


@pytest.fixture(scope="session")
def bigquery_datasets(bigquery_server: str) -> "Datasets":
    """The datasets of this worker."""
    return Datasets(bigquery_server)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the BigQuery that all who name this folder share; it lasts for the block."""
    extension = _extension()
    with shared("bigquery-server", folder, lambda held: _start(held, extension)) as address:
        yield address


class Datasets:
    """One dataset for each set of definitions, because making tables takes a second."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._made: list[tuple[Definitions, str]] = []

    def empty(self, definitions: Definitions) -> str:
        """The name of a dataset that has these tables and views, and no rows."""
        made = next((name for known, name in self._made if known == definitions), None)
        with self._client() as client:
            if made is not None:
                for table in definitions.tables:
                    _run(client, f"DELETE FROM `{PROJECT}.{made}.{table}` WHERE TRUE")  # noqa: S608 -- names of our own definitions
                return made
            name = f"test_{uuid4().hex[:16]}"
            client.create_dataset(name)
            for statement in create_statements(definitions, PROJECT, name):
                _run(client, statement)
        self._made.append((definitions, name))
        return name

    def _client(self) -> bigquery.Client:
        return bigquery.Client(
            PROJECT,
            AnonymousCredentials(),  # type: ignore[no-untyped-call]  # it has no types
            client_options=ClientOptions(api_endpoint=f"http://{self.server}"),
        )


def _run(client: bigquery.Client, statement: str) -> None:
    client.query(statement, job_retry=None).result(job_retry=None)


def _extension() -> Path:
    for module in ("bqemulator", "duckdb_extension_spatial"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: it belongs to the dependency group `test`")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("duckdb_extension_spatial is used as built for Linux on x86-64")
    package = importlib.util.find_spec("duckdb_extension_spatial")
    assert package is not None
    [folder] = package.submodule_search_locations or []
    return Path(folder) / "extensions" / DUCKDB / "spatial.duckdb_extension"


def _start(held: Path, extension: Path) -> str:
    """Start it beside this process, to end when nobody holds the file any more; its address."""
    home = held.parent / "bigquery-home"
    extensions = home / ".duckdb" / "extensions" / DUCKDB / "linux_amd64"
    extensions.mkdir(parents=True)
    shutil.copy(extension, extensions)
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.emulator_process", held, READY),
            *(sys.executable, "-m", "bqemulator", "start", "--rest-port", "0", "--grpc-port", "0"),
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=STARTING_S,
        check=True,
    )
    for line in done.stdout.splitlines():
        if '"event": "rest.listen"' in line:
            told = json.loads(line)
            return f"{told['host']}:{told['port']}"
    raise AssertionError(f"bqemulator does not start: {(done.stdout + done.stderr)[-2000:]}")
