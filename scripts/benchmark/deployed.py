"""A function as the cloud has it: unpacked, installed, compiled, served.

Its requirements are in an environment of their own with nothing beside them, bytecode is there, and
the functions framework serves it with one worker. Environments are kept between runs, one per
content of the requirements file.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.processes import Running, running
from scripts.commands.bundle import ROOT, write_bundles

ENVIRONMENTS = ROOT / ".venv/functions"
"""Where they are kept: beside the packages of development, and removed with them."""

_LISTENS = r"Listening at: (http://\S+)"
_NO_INDEX = "after connection broken by"
"""What pip writes each time it cannot reach an index."""


class IndexUnreachable(Exception):
    """The requirements cannot be installed because no package index answers."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """An unpacked bundle, and the Python that has what it requires."""

    function: str
    folder: Path
    python: Path


def deploy(function: str, folder: Path) -> Deployed:
    """Bundle a function and unpack it into `folder`, which is made.

    Raises:
        IndexUnreachable: its requirements are not installed yet and cannot be.
    """
    rows = write_bundles(ROOT, [function], folder / "dist")
    unpacked = folder / function
    with zipfile.ZipFile(folder / "dist" / rows[function]["file"]) as bundle:
        bundle.extractall(unpacked)
    python = _environment(unpacked / "requirements.txt")
    subprocess.run([python, "-m", "compileall", "-q", unpacked], env={}, check=True)
    return Deployed(function, unpacked, python)


@contextmanager
def served(
    deployed: Deployed, data: Path, settings: Mapping[str, str], *, cpu: int | None = None
) -> Iterator[Running]:
    """Serve a function on a free port until the block ends; local engines keep files in `data`.

    Raises:
        processes.NotStarted: it does not start; the text says why.
    """
    data.mkdir(parents=True, exist_ok=True)
    framework = deployed.python.parent / "functions-framework-python"
    variables = {
        "HOME": str(data),
        "DATA_DIR": str(data),
        "LOG_EXECUTION_ID": "false",
        "GUNICORN_LOG_LEVEL": "info",  # says the port; requests are not logged
        **settings,
    }
    options = ["--target", deployed.function, "--host", "127.0.0.1", "--port", "0"]
    with running(
        [str(framework), *options],
        ready=_LISTENS,
        folder=deployed.folder,
        log=data / "log",
        variables=variables,
        cpu=cpu,
    ) as process:
        yield process


def _environment(requirements: Path) -> Path:
    """The Python of an environment with exactly these requirements. Safe when two ask at once."""
    named = f"{sys.version}\n".encode() + requirements.read_bytes()
    folder = ENVIRONMENTS / hashlib.sha256(named).hexdigest()[:16]
    python, complete = folder / "bin/python", folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
            _install(python, requirements)
            complete.touch()
    return python


def _install(python: Path, requirements: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    options = ["--no-input", "--only-binary", ":all:", "--require-hashes", "--retries", "2"]
    done = subprocess.run(
        [*pip, "install", "--quiet", *options, "--requirement", str(requirements)],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    if _NO_INDEX in done.stderr:
        raise IndexUnreachable("no package index answers, so requirements cannot be installed")
    raise RuntimeError(f"{requirements} cannot be installed:\n{done.stderr}")
