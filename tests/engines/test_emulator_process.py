"""An emulator lives as long as a test process that uses it, and no longer."""

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.emulators import ROOT

DEADLINE_S = 30.0
PROGRAM = """
import os, sys, time
os.open(sys.argv[1], os.O_RDWR)  # whoever reads sees the end of this program
print("it is ready" if sys.argv[2] == "starts" else "it has failed", flush=True)
if sys.argv[2] == "starts":
    time.sleep(600)
"""


def start(file: Path, pipe: Path, how: str) -> str:
    """What is printed until the program is ready or has ended."""
    program: list[str | Path] = [sys.executable, "-c", PROGRAM, pipe, how]
    done = subprocess.run(
        [sys.executable, "-m", "tests.emulator_process", file, "ready", *program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def users(tmp_path: Path) -> Iterator[list[IO[str]]]:
    """Two processes that use the emulator, as far as the system can tell."""
    file = tmp_path / "address"
    file.write_text("127.0.0.1:1")
    files: list[IO[str]] = [file.open() for _ in range(2)]
    for each in files:
        fcntl.flock(each, fcntl.LOCK_SH)
    yield files
    for each in files:
        each.close()


def test_ends_with_the_last_that_uses_it(tmp_path: Path, pipe: Path, users: list[IO[str]]) -> None:
    file = tmp_path / "address"
    assert start(file, pipe, "starts") == "it is ready\n"
    descriptor = os.open(pipe, os.O_RDONLY)
    try:
        users[0].close()
        assert select.select([descriptor], [], [], 0)[0] == []
        assert file.read_text() == "127.0.0.1:1"

        users[1].close()
        assert select.select([descriptor], [], [], DEADLINE_S)[0] == [descriptor]
        assert os.read(descriptor, 1) == b""
        assert file.read_text() == ""
    finally:
        os.close(descriptor)


def test_says_what_a_program_printed_that_does_not_start(
    tmp_path: Path, pipe: Path, users: list[IO[str]]
) -> None:
    assert start(tmp_path / "address", pipe, "fails") == "it has failed\n"
