"""Python environments with exactly what a requirements file pins, and nothing beside it.

They are kept between runs, one per content of the file and version of Python, and never changed.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

_NO_INDEX = "after connection broken by"
"""What pip writes each time it cannot reach an index."""


class IndexUnreachable(Exception):
    """The requirements cannot be installed because no package index answers."""


def environment(requirements: Path, kept_in: Path) -> Path:
    """The Python of an environment with these requirements. Safe when two ask at once.

    Raises:
        IndexUnreachable: they are not installed yet and cannot be.
    """
    named = f"{sys.version}\n".encode() + requirements.read_bytes()
    folder = kept_in / hashlib.sha256(named).hexdigest()[:16]
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
