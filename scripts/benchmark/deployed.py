"""A function as the cloud has it: unpacked, installed, compiled, served.

Its requirements are in an environment of their own with nothing beside them, bytecode is there, and
the functions framework serves it with one worker. Environments are kept between runs, one per
content of the requirements file.
"""

import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.processes import Running, running
from scripts.commands.bundle import ROOT, write_bundles
from scripts.environments import environment

ENVIRONMENTS = ROOT / ".venv/functions"
"""Where they are kept: beside the packages of development, and removed with them."""

_LISTENS = r"Listening at: (http://\S+)"


@dataclass(frozen=True, slots=True)
class Deployed:
    """An unpacked bundle, and the Python that has what it requires."""

    function: str
    folder: Path
    python: Path


def deploy(function: str, folder: Path) -> Deployed:
    """Bundle a function and unpack it into `folder`, which is made.

    Raises:
        environments.IndexUnreachable: its requirements are not installed yet and cannot be.
    """
    rows = write_bundles(ROOT, [function], folder / "dist")
    unpacked = folder / function
    with zipfile.ZipFile(folder / "dist" / rows[function]["file"]) as bundle:
        bundle.extractall(unpacked)
    python = environment(unpacked / "requirements.txt", ENVIRONMENTS)
    subprocess.run([python, "-m", "compileall", "-q", unpacked], env={}, check=True)
    return Deployed(function, unpacked, python)


@contextmanager
def served(
    deployed: Deployed,
    data: Path,
    settings: Mapping[str, str],
    *,
    cpu: int | None = None,
    source: str = "main.py",
) -> Iterator[Running]:
    """Serve a function on a free port until the block ends; local engines keep files in `data`.

    `source` is the file of the bundle that has the function.

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
    options = [
        "--target",
        deployed.function,
        "--source",
        source,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with running(
        [str(framework), *options],
        ready=_LISTENS,
        folder=deployed.folder,
        log=data / "log",
        variables=variables,
        cpu=cpu,
    ) as process:
        yield process
