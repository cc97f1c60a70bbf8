"""What a function must not import, because it would pay for it at every cold start.

The function is imported, and its application made, in a fresh process that notes for each forbidden
module the chain of imports that reached it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.functions_table import read_functions
from tests.repository.sources import ROOT

FORBIDDEN = {
    "proxy": (
        "boto3",
        "duckdb",
        "genai_prices",
        "google.cloud.bigquery",
        "kubernetes",
        "opentelemetry.sdk",
        "sqlglot",
        "typer",
    ),
    "api": ("boto3", "genai_prices", "kubernetes", "opentelemetry.sdk", "typer"),
}

APPLICATION = {"proxy": "app().gateway", "api": "_application()"}
"""What makes each function load all that it serves with."""

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
    code: str, forbidden: tuple[str, ...], root: Path, data_dir: Path
) -> dict[str, list[str]]:
    """For each forbidden module that running `code` reaches: the files and lines on the way."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCH, code, *forbidden],
        cwd=root,
        env={"PYTHONPATH": str(root), "DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: [_short(frame, root) for frame in chain] for name, chain in found.items()}


def _short(frame: str, root: Path) -> str:
    return frame.removeprefix(f"{root}/").rpartition("site-packages/")[2]


@pytest.mark.parametrize("function", FORBIDDEN)
def test_imports_none_of_what_the_function_does_not_need(function: str, tmp_path: Path) -> None:
    code = f"from functions.{function} import main; main.{APPLICATION[function]}"

    assert chains(code, FORBIDDEN[function], ROOT, tmp_path) == {}


def test_checks_every_function() -> None:
    assert set(FORBIDDEN) == set(read_functions(ROOT))


def test_names_the_chain_that_reached_a_forbidden_module(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text("\nimport inner\n")
    (tmp_path / "inner.py").write_text("import sqlglot.errors\n")

    found = chains("import outer", ("sqlglot", "duckdb"), tmp_path, tmp_path)

    assert found == {"sqlglot": ["outer.py:2", "inner.py:1"]}
