"""Portkey's gateway on node before the same provider: its published package, without its console.

Its version is exact, npm checks the integrity of each package that it brings along, and none runs
code while it is installed.
"""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.peers.litellm import ENVIRONMENTS
from scripts.benchmark.processes import Running, free_port, running
from scripts.benchmark.shapes import PATH, Front

WANTED = Path(__file__).with_name("package.json")

_NAME = "@portkey-ai/gateway"
_PACKAGE = f"node_modules/{_NAME}"
_UNREACHABLE = re.compile(r"\b(ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|E404|E403)\b")


class CannotInstall(Exception):
    """Node, npm or a registry is missing; the text says which."""


@dataclass(frozen=True, slots=True)
class Portkey:
    """An installed gateway."""

    node: Path
    folder: Path
    name: str = "Portkey"

    @property
    def version(self) -> str:
        version = json.loads(WANTED.read_text())["dependencies"][_NAME]
        return f"portkey=={version}"

    @contextmanager
    def served(
        self, provider: str, folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        """Serve it before the provider at this address, until the block ends.

        `authority` is a certificate that it trusts, of a provider that is reached by TLS.

        Raises:
            processes.NotStarted: it does not start; the text says why.
        """
        folder.mkdir(parents=True)
        port = free_port()
        script = self.folder / _PACKAGE / "build/start-server.js"
        variables = {
            "HOME": str(folder),
            "NODE_ENV": "production",
            "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost",
        }
        if authority is not None:
            variables["NODE_EXTRA_CA_CERTS"] = str(authority)
        with running(
            [self.node, script, "--headless", f"--port={port}"],
            ready=port,
            folder=folder,
            log=folder / "log",
            variables=variables,
            cpu=cpu,
        ) as process:
            headers = {
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"{provider}/openai/v1",
            }
            yield process, Front(PATH.removeprefix("/openai"), headers)


def installed() -> Portkey:
    """The gateway, installed if it is not yet. Safe when two ask at once.

    Raises:
        CannotInstall: it is not installed yet and cannot be.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise CannotInstall("node and npm are not installed")
    folder = ENVIRONMENTS / f"node-{hashlib.sha256(WANTED.read_bytes()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.copy(WANTED, folder)
            _install(npm, folder)
            complete.touch()
    return Portkey(Path(node), folder)


def _install(npm: str, folder: Path) -> None:
    done = subprocess.run(
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    if _UNREACHABLE.search(done.stderr):
        raise CannotInstall("no package registry of node's answers")
    raise RuntimeError(f"{WANTED} cannot be installed:\n{done.stderr}")
