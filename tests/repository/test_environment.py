"""The bootstrap makes the environment once, brings it up to date, and says what a machine lacks.

A Python of our own stands in for the system's: it notes what it is asked to do in a log.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.repository.sources import ROOT

TOOLS = ("awk", "cat", "cmp", "cp", "dirname", "grep", "mkdir", "rm", "sh", "sleep", "touch")

SYSTEM_PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) [ ! -e "$OLD" ] ;;
  *ensurepip*) echo check >>"$LOG"; [ ! -e "$NO_VENV" ] ;;
  *fcntl*) exec "$PYTHON" "$@" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$INNER" "$3/bin/python" ;;
esac
"""
ENVIRONMENT_PYTHON = """#!/bin/sh
case "$*" in
  "-m pip install"*)
    until [ "$(grep -c check "$LOG")" -ge "$STARTED" ]; do sleep 0.01; done
    [ ! -e "$BROKEN" ] || exit 1
    echo install >>"$LOG" ;;
  *) echo "ran $* in $PWD, path $PYTHONPATH" ;;
esac
"""


class Machine:
    """A machine with a checkout in a folder whose name holds a space."""

    def __init__(self, home: Path) -> None:
        self.root = home / "a checkout"
        self.bin = home / "bin"
        self.log = home / "log"
        self.switches = home / "switches"
        for folder in (self.root / "scripts", self.bin, self.switches):
            folder.mkdir(parents=True)
        self.log.touch()
        shutil.copy(ROOT / "scripts/environment", self.root / "scripts")
        self.require("idna==3.10\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self._script(self.bin / "python3", SYSTEM_PYTHON)
        self._script(home / "inner", ENVIRONMENT_PYTHON)
        self.variables = {
            "PATH": str(self.bin),
            "PYTHON": sys.executable,
            "INNER": str(home / "inner"),
            "LOG": str(self.log),
            "STARTED": "1",
            **{name: str(self.switches / name) for name in ("OLD", "NO_VENV", "BROKEN")},
        }

    @staticmethod
    def _script(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def require(self, text: str) -> None:
        (self.root / "scripts/requirements.txt").write_text(text)

    def switch(self, name: str) -> None:
        (self.switches / name).touch()

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "scripts/environment", "some.module", "an argument"],
            cwd=self.bin,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = self.start()
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def installs(self) -> int:
        return self.log.read_text().count("install")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PROGRESS = "Setting up the environment (about a minute, once) ...\n"


def test_sets_up_and_runs_the_module_from_any_folder(machine: Machine) -> None:
    ran = f"ran -P -m some.module an argument in {machine.bin}, path {machine.root}\n"

    assert machine.run() == (0, ran, PROGRESS)


def test_sets_up_once(machine: Machine) -> None:
    machine.run()

    assert machine.run()[2] == ""
    assert machine.installs() == 1


def test_sets_up_again_when_the_requirements_change(machine: Machine) -> None:
    machine.run()
    machine.require("idna==3.11\n")

    assert machine.run()[2] == PROGRESS
    assert machine.installs() == 2


def test_tries_again_after_an_installation_that_broke(machine: Machine) -> None:
    machine.switch("BROKEN")

    assert machine.run()[0] == 1
    (machine.switches / "BROKEN").unlink()
    assert machine.run()[0] == 0
    assert machine.installs() == 1


def test_sets_up_once_when_two_start_at_the_same_time(machine: Machine) -> None:
    """The first installation waits until the second process has found the environment missing."""
    machine.variables["STARTED"] = "2"

    processes = [machine.start(), machine.start()]

    assert [process.communicate(timeout=30)[1] for process in processes].count(PROGRESS) == 1
    assert [process.returncode for process in processes] == [0, 0]
    assert machine.installs() == 1


def _without_python(machine: Machine) -> None:
    (machine.bin / "python3").unlink()


def _with_old_python(machine: Machine) -> None:
    machine.switch("OLD")


def _without_venv(machine: Machine) -> None:
    machine.switch("NO_VENV")


@pytest.mark.parametrize(
    ("lack", "says"),
    [
        (_without_python, "There is no python3."),
        (_with_old_python, "python3 is older than 3.11."),
        (_without_venv, "python3 has no venv."),
    ],
)
def test_says_what_the_machine_lacks_and_how_to_get_it(
    machine: Machine, lack: Callable[[Machine], None], says: str
) -> None:
    lack(machine)

    status, out, err = machine.run()

    assert (status, out) == (1, "")
    assert says in err
    assert "sudo apt install python3 python3-venv" in err
