"""The steps of the Dockerfile make a function that serves, without the tool that reads it.

Each step is carried out below a folder of this machine, in whose Python nothing is installed; the
image itself, its Linux and its user are not made here.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from scripts.benchmark.processes import Running, running
from scripts.commands.bundle import write_bundles
from tests.repository.sources import ROOT

FUNCTION = "proxy"
UNREACHABLE = "after connection broken by"
"""What pip writes each time it cannot reach an index."""

DIRECTORIES = re.compile(r"(?<![\w./-])/(?=(?:bundle\.zip|function|packages)\b)")
"""The root of the image before each path that the file names."""


@dataclass(slots=True)
class Stage:
    """One image: where it comes from, and its instructions in order."""

    image: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, kind: str) -> list[str]:
        return [text for each, text in self.instructions if each == kind]


def stages(text: str) -> list[Stage]:
    found: list[Stage] = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if kind == "FROM":
            image, _, name = rest.partition(" AS ")
            found.append(Stage(image, name))
        else:
            found[-1].instructions.append((kind, rest))
    return found


BUILT, FINAL = stages((ROOT / "Dockerfile").read_text())


def filled(text: str) -> str:
    return text.replace("${FUNCTION}", FUNCTION)


def environment(stage: Stage) -> dict[str, str]:
    pairs = [pair for text in stage.of("ENV") for pair in filled(text).split()]
    return dict(pair.split("=", 1) for pair in pairs)


def sent(context: Path) -> list[str]:
    """Files of a folder that reach the builder: exceptions to a rule that leaves out everything."""
    everything, *exceptions = (ROOT / ".dockerignore").read_text().splitlines()
    assert everything == "*"
    assert all(line.startswith("!") for line in exceptions)
    names = [path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()]
    return [name for name in names if any(fnmatch(name, line[1:]) for line in exceptions)]


def test_sends_bundles_to_the_builder_and_nothing_else(tmp_path: Path) -> None:
    for name in (".env", "dist/manifest.json", "dist/proxy-1.zip", "terraform/terraform.tfstate"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert sent(tmp_path) == ["dist/proxy-1.zip"]


def test_runs_on_the_python_that_the_cloud_has() -> None:
    variables = (ROOT / "terraform/variables.tf").read_text()
    [runtime] = re.findall(r'default += "python3(\d+)"', variables)

    assert {BUILT.image, FINAL.image} == {f"python:3.{runtime}-slim-bookworm"}


def test_runs_as_nobody_in_particular() -> None:
    """As a number, so that Kubernetes knows that it is not root."""
    [user] = FINAL.of("USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert FINAL.instructions[-1][0] == "CMD"


def test_holds_no_secret_and_is_asked_for_none() -> None:
    """Nothing but the function's name comes from outside, and no setting but the platform's."""
    assert [*BUILT.of("ARG"), *FINAL.of("ARG")] == ["FUNCTION", "FUNCTION"]
    assert environment(FINAL).keys() == {
        "FUNCTION_TARGET",
        "K_SERVICE",
        "LOG_EXECUTION_ID",
        "PORT",
        "XDG_RUNTIME_DIR",
    }
    assert [*BUILT.of("ADD"), *FINAL.of("ADD")] == []
    assert FINAL.of("RUN") == []


def test_installs_what_is_pinned_and_compiles_nothing() -> None:
    [install] = [step for step in BUILT.of("RUN") if " install " in step]

    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert install.endswith("--requirement /function/requirements.txt")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of what the steps make; skips where no index answers."""
    context, root = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("image")
    write_bundles(ROOT, [FUNCTION], context / "dist")
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    for kind, text in BUILT.instructions:
        step = filled(text)
        if kind == "COPY":
            pattern, target = step.split()
            [source] = [name for name in sent(context) if fnmatch(name, pattern)]
            shutil.copy(context / source, _below(root, target))
        elif kind == "RUN":
            _carried_out(root, step)
    for step in FINAL.of("COPY"):
        assert re.fullmatch(r"--from=built (/\w+) \1", step)
    return root


def _below(root: Path, text: str) -> str:
    return DIRECTORIES.sub(f"{root}/", text)


def _carried_out(root: Path, step: str) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        ["/bin/sh", "-c", _below(root, step)],
        cwd=root,
        env={**kept, "PATH": f"{root}/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if UNREACHABLE in done.stderr:
        pytest.skip("no package index answers, so the requirements cannot be installed")
    assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"


def command(root: Path) -> list[str]:
    """What the container runs, not passed through a shell, which would keep its signals."""
    [text] = FINAL.of("CMD")
    words = json.loads(text)
    return [_below(root, word) for word in words]


@pytest.fixture
def settings(image: Path, tmp_path: Path) -> Mapping[str, str]:
    """What the image sets, and engines that need no cloud."""
    return {
        **environment(FINAL),
        "PATH": "/usr/bin:/bin",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PORT": "0",
        "GUNICORN_LOG_LEVEL": "info",
        "STATE_URL": f"sqlite:///{tmp_path}/state.sqlite",
        "BUS_URL": f"local:///{tmp_path}/bus.sqlite",
        "FINGERPRINT_KEY": "0123456789abcdef",
    }


@pytest.fixture
def container(image: Path, settings: Mapping[str, str], tmp_path: Path) -> Iterator[Running]:
    [folder] = FINAL.of("WORKDIR")
    with running(
        command(image),
        ready=r"Listening at: (http://\S+)",
        folder=Path(_below(image, folder)),
        log=tmp_path / "log",
        variables=settings,
    ) as process:
        yield process


def health(container: Running) -> httpx.Response:
    address = container.address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - all of a container
    return httpx.get(f"{address}/gateway/v1/health", trust_env=False)


@pytest.mark.slow
def test_serves_the_function_at_the_port_it_is_given(container: Running) -> None:
    answer = health(container)

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert container.address.startswith("http://0.0.0.0:")
    assert not container.address.endswith(":8080")


@pytest.mark.slow
def test_ends_when_it_is_asked_to(container: Running) -> None:
    health(container)
    os.kill(container.pid, signal.SIGTERM)

    _, status = os.waitpid(container.pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.slow
def test_does_not_start_as_if_it_were_a_laptop(
    image: Path, settings: Mapping[str, str], tmp_path: Path
) -> None:
    bare = {name: value for name, value in settings.items() if name != "STATE_URL"}

    done = subprocess.run(
        command(image),
        cwd=_below(image, "/function"),
        env={**bare, "DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode != 0
    assert "STATE_URL" in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()
