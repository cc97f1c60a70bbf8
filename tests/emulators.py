"""Google's Firestore and Pub/Sub emulators, one of each for a whole run of pytest.

A folder that needs one imports the fixture in its conftest.py. Whoever asks first starts the
emulator, all workers of the run share it, and it ends when the last of them does
(`tests/emulator_process.py`). Tests keep out of each other's way by project names of their own:
`a_project()`.

The emulators are programs in Java that come with the Google Cloud SDK; they are run without
`gcloud` itself, so that neither an account nor a network is asked for.
"""

import fcntl
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[1]
STARTING_S = 120.0
PORTS_TRIED = 3
"""A port that is free when it is looked for may be taken before Java gets to it."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A program of the Google Cloud SDK.

    `jar` is a pattern below the SDK's folder, `arguments` follow the class path, `ready` is in the
    line it prints when it listens. Java then loads most of it for the first call, which takes
    seconds on a busy machine: the path and body of `first_call` are for that one.
    """

    component: str
    jar: str
    arguments: tuple[str, ...]
    ready: str
    first_call: tuple[str, bytes] | None = None


FIRESTORE = Emulator(
    "cloud-firestore-emulator",
    "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
    ("com.google.cloud.datastore.emulator.firestore.CloudFirestore",),
    "Dev App Server is now running",
    (
        "v1/projects/first/databases/call/documents:commit",
        b'{"writes":[{"update":{"name":"projects/first/databases/call/documents/a/b"}}]}',
    ),
)
PUBSUB = Emulator(
    "pubsub-emulator",
    "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    ("com.google.cloud.pubsub.testing.v1.Main",),
    "Server started, listening on",
)


@pytest.fixture(scope="session")
def firestore_emulator(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of a Firestore emulator."""
    with running(FIRESTORE, shared_folder(request)) as address:
        yield address


@pytest.fixture(scope="session")
def pubsub_emulator(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of a Pub/Sub emulator. It ignores filters of subscriptions."""
    with running(PUBSUB, shared_folder(request)) as address:
        yield address


def a_project() -> str:
    """A project that nothing else uses; emulators know every project there could be."""
    return f"test-{uuid4().hex[:20]}"


def shared_folder(request: pytest.FixtureRequest) -> Path:
    """A folder that all workers of this run share, and no other run."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    base = factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@contextmanager
def running(emulator: Emulator, folder: Path) -> Iterator[str]:
    """The address of the emulator that all who name this folder share; it lasts for the block."""
    command = _command(emulator)
    with shared(emulator.component, folder, lambda held: _start(emulator, held, command)) as it:
        yield it


@contextmanager
def shared(name: str, folder: Path, start: Callable[[Path], str]) -> Iterator[str]:
    """The address of a program that all who name this folder share; it lasts for the block.

    `start` runs it with `tests.emulator_process`, which it tells the file that is held.
    """
    path = folder / f"{name}.address"
    with path.open("a+") as held:
        with (folder / f"{name}.starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(held, fcntl.LOCK_SH)  # waits while one that nobody held is being stopped
            if not path.read_text():
                path.write_text(start(path))
        yield path.read_text()


def _command(emulator: Emulator) -> list[str]:
    java, gcloud = shutil.which("java"), shutil.which("gcloud")
    if java is None:
        pytest.skip("java is not installed: Google's emulators need it")
    sdk = Path(gcloud).resolve().parents[1] if gcloud else None
    jars = sorted(sdk.glob(emulator.jar)) if sdk else []
    if not jars:
        pytest.skip(
            f"{emulator.component} is not installed: gcloud components install {emulator.component}"
        )
    return [java, "-Xmx1g", "-Duser.language=en", "-cp", str(jars[-1]), *emulator.arguments]


def _start(emulator: Emulator, path: Path, command: list[str]) -> str:
    """Start it beside this process, to end when nobody holds `path` any more; its address."""
    output = ""
    for _ in range(PORTS_TRIED):
        address = f"127.0.0.1:{_free_port()}"
        host, _, port = address.partition(":")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.emulator_process",
                path,
                emulator.ready,
                *command,
                f"--host={host}",
                f"--port={port}",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=STARTING_S,
            check=True,
        )
        output = done.stdout + done.stderr
        if emulator.ready in output:
            _make_first_call(emulator, address)
            return address
    raise AssertionError(f"{emulator.component} does not start: {output[-2000:]}")


def _make_first_call(emulator: Emulator, address: str) -> None:
    if emulator.first_call is not None:
        path, body = emulator.first_call
        request = Request(f"http://{address}/{path}", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=STARTING_S) as answer:  # noqa: S310 -- the same
            answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
