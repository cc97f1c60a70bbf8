"""The import contracts of pyproject.toml hold, cover every package, and catch what they forbid.

The second half seeds violations into a copy of the tree: a contract that catches nothing protects
nothing.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.repository.sources import ROOT

LINT = "import sys; from importlinter.cli import lint_imports as lint; sys.exit(lint(no_logo=True))"
LAYERS = [
    "common.core",
    "common.llm",
    "common.usage",
    "common.gateway",
    "common.adapters",
    "common.runtime",
    "common.api",
]
CLIENTS = [
    "aiohttp",
    "duckdb",
    "google",
    "grpc",
    "httpx",
    "opentelemetry",
    "sqlglot",
    "sqlite3",
]


def lint_imports(root: Path) -> str:
    command = [sys.executable, "-P", "-c", LINT]
    environment = {"PYTHONPATH": str(root), "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    return f"{done.stdout}{done.stderr}\nexit {done.returncode}\n"


def append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{line}\n")


@pytest.fixture(scope="module")
def report_on_seeded_violations(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy in which every layer imports the one above and a client."""
    root = tmp_path_factory.mktemp("seeded")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "common", root / "common", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    append(root / "functions/seeded/main.py", "import duckdb")
    for layer, above in zip(LAYERS, [*LAYERS[1:], "functions.seeded.main"], strict=True):
        append(root / layer.replace(".", "/") / "__init__.py", f"import {above}")
    append(root / "common/warehouse/__init__.py", "import common.usage")
    for client in CLIENTS:
        append(root / "common/llm/__init__.py", f"import {client}")
    return lint_imports(root)


def test_keeps_every_import_contract() -> None:
    report = lint_imports(ROOT)

    assert report.endswith("exit 0\n"), report


def test_gives_every_package_its_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    packages = {f"common.{init.parent.name}" for init in ROOT.glob("common/*/__init__.py")}

    assert named == packages | {"functions"}


def test_guards_every_package_but_the_adapters_against_clients() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    guarded = contracts["contracts"][1]["source_modules"]
    packages = {f"common.{init.parent.name}" for init in ROOT.glob("common/*/__init__.py")}

    assert set(guarded) == packages - {"common.adapters"} | {"functions"}


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        *zip(LAYERS, [*LAYERS[1:], "functions"], strict=True),
        ("common.warehouse", "common.usage"),
        *(("common.llm", client) for client in CLIENTS),
        ("functions", "duckdb"),
    ],
)
def test_catches(report_on_seeded_violations: str, importer: str, imported: str) -> None:
    assert f"{importer} is not allowed to import {imported}:" in report_on_seeded_violations
