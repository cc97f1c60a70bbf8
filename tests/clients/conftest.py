"""A served local stack, and the environment of the Python clients.

The clients want older SDKs than the tests have, so they run as programs of their own.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.environments import IndexUnreachable, environment
from tests.clients.accounts import Account, open_account
from tests.local_stack.process import ROOT, Stack

REQUIREMENTS = ROOT / "tests/clients/requirements.txt"
ENVIRONMENTS = ROOT / ".venv/clients"
PROGRAMS = ROOT / "tests/clients/programs"
PROGRAM_S = 180

RunProgram = Callable[..., Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture
def account(stack: Stack) -> Account:
    return open_account(stack)


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The Python that has the clients; skips where they cannot be installed."""
    try:
        return environment(REQUIREMENTS, ENVIRONMENTS)
    except IndexUnreachable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def run_program(clients_python: Path, tmp_path_factory: pytest.TempPathFactory) -> RunProgram:
    """Runs a program of `programs/` on files with these texts; gives out what it prints."""

    def run(name: str, *texts: str) -> Any:
        folder = tmp_path_factory.mktemp(name)
        files = [folder / f"settings_{number}.py" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        done = subprocess.run(
            [clients_python, "-I", PROGRAMS / f"{name}.py", *files],
            cwd=folder,
            env=on_this_machine(folder) | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            capture_output=True,
            text=True,
            timeout=PROGRAM_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def on_this_machine(home: Path) -> dict[str, str]:
    """Variables of a client that has nothing of its user's and reaches this machine only."""
    nowhere = "http://127.0.0.1:9"
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1",
    }
