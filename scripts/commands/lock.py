"""Pin every dependency: one resolution for development, and of it what each function needs.

``tests/requirements.txt`` holds everything (all extras and groups of ``pyproject.toml``). At the
same versions ``scripts/requirements.txt`` has what a laptop serves and operates with, so that a
first start does not wait for what only tests need, and ``functions/<name>/requirements.txt`` the
extras that ``functions.yaml`` names for that function. Clients of the gateway that cannot stand
beside the newest SDKs are resolved apart, in ``tests/clients/requirements.txt``. Files carry hashes
and no index address. A release younger than a week is not taken: a poisoned one is usually found
and withdrawn by then.

The first line of each file is a digest of what was asked for, so that ``--check`` tells without a
network whether the files still belong to ``pyproject.toml`` and ``functions.yaml``.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.functions_table import read_functions

ROOT = Path(__file__).resolve().parents[2]
COOLDOWN = "1 week"
DEVELOPMENT = Path("tests/requirements.txt")
LAPTOP = Path("scripts/requirements.txt")
LAPTOP_EXTRAS = (
    "web",
    "upstream",
    "google-identity",
    "warehouse-local",
    "compile-prices",
    "cli",
    "telemetry",
)
CLIENTS = Path("tests/clients/requirements.txt")
CLIENTS_GROUP = "clients"


@dataclass(frozen=True, slots=True)
class Lock:
    """One requirement file: its path, the options that select its inputs, and the inputs."""

    path: Path
    selection: tuple[str, ...]
    asked_for: dict[str, Any]

    def first_line(self) -> str:
        inputs = json.dumps(self.asked_for, sort_keys=True).encode()
        return f"# Written by scripts/lock. Inputs: sha256 {hashlib.sha256(inputs).hexdigest()}\n"


def locks(root: Path) -> Iterator[Lock]:
    """The development file first, since the others take their versions from it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    clients = groups.pop(CLIENTS_GROUP)
    options = ["--all-extras", *(part for group in groups for part in ("--group", group))]
    yield Lock(DEVELOPMENT, tuple(options), {**extras, **groups})
    yield Lock(CLIENTS, ("--group", CLIENTS_GROUP), {CLIENTS_GROUP: clients})

    chosen = {LAPTOP: LAPTOP_EXTRAS} | {
        Path("functions", name, "requirements.txt"): function.extras
        for name, function in read_functions(root).items()
    }
    for path, names in chosen.items():
        options = [part for name in names for part in ("--extra", name)]
        yield Lock(path, tuple(options), {name: extras[name] for name in names})


def pins(text: str) -> dict[str, str]:
    """Each requirement with its hashes, by name: ``{"idna": "idna==3.10 --hash=..."}``."""
    joined = re.sub(r" \\\n +", " ", text)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[=; ]", line, maxsplit=1)[0]: line for line in lines}


def findings(root: Path) -> list[str]:
    """What is out of step, one sentence each; reads files only."""
    found = []
    all_pins = pins((root / DEVELOPMENT).read_text())
    for lock in locks(root):
        path = root / lock.path
        text = path.read_text() if path.exists() else ""
        if not text.startswith(lock.first_line()):
            found.append(f"{lock.path} was not made from what pyproject.toml asks for now.")
        found.extend(
            f"{lock.path} pins {name} otherwise than {DEVELOPMENT}."
            for name, pin in pins(text).items()
            if lock.path != CLIENTS and pin != all_pins.get(name)
        )
    return found


def compile_lock(root: Path, lock: Lock, *, upgrade: bool) -> None:
    """Resolve one file; keeps the versions it has unless `upgrade` is set."""
    common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    rest = ["--no-annotate", "--quiet", "--output-file", str(lock.path)]
    if lock.path in (DEVELOPMENT, CLIENTS):
        rest += ["--exclude-newer", COOLDOWN, *(["--upgrade"] if upgrade else [])]
    else:
        rest += ["--constraints", str(DEVELOPMENT)]
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *lock.selection]
    subprocess.run([*command, *common, *rest], cwd=root, check=True, stdout=subprocess.DEVNULL)
    path = root / lock.path
    path.write_text(lock.first_line() + path.read_text())


def main(
    *,
    check: Annotated[bool, typer.Option(help="Only say what is out of step.")] = False,
    upgrade: Annotated[bool, typer.Option(help="Take newer versions where allowed.")] = False,
) -> None:
    """Write the requirement files from pyproject.toml and functions/functions.yaml."""
    if check:
        found = findings(ROOT)
        for finding in found:
            typer.echo(f"{finding} Run scripts/lock.", err=True)
        raise typer.Exit(code=1 if found else 0)
    for lock in locks(ROOT):
        compile_lock(ROOT, lock, upgrade=upgrade)
        typer.echo(lock.path)


if __name__ == "__main__":
    typer.run(main)
