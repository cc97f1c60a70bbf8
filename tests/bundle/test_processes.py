"""A measured process is counted and ended with all it started."""

import socket
import sys
from pathlib import Path

import pytest

from scripts.benchmark.processes import NotStarted, Running, free_port, running

STUBBORN_CHILD = """
import os, signal, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    print("ready http://127.0.0.1:1", flush=True)
signal.pause()
"""
READY = r"ready (http://\S+)"


def start(code: str, folder: Path) -> list[Running]:
    """Run code until it is ready and end it at once; the process as it was."""
    seen = []
    command = [sys.executable, "-c", code]
    with running(command, ready=READY, folder=folder, log=folder / "log", variables={}) as process:
        seen.append(process)
        assert process.cpu_s() >= 0.2
        assert process.pss_bytes() > 1_000_000
    return seen


def test_counts_and_ends_a_child_that_ignores_the_signal(tmp_path: Path) -> None:
    [process] = start(STUBBORN_CHILD, tmp_path)

    assert process.address == "http://127.0.0.1:1"
    assert (process.cpu_s(), process.pss_bytes()) == (0, 0)


def test_ends_everything_when_the_block_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUBBORN_CHILD]
    seen = []

    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117, PT012 - the inner block is what fails
        with running(
            command, ready=READY, folder=tmp_path, log=tmp_path / "log", variables={}
        ) as process:
            seen.append(process)
            raise KeyboardInterrupt

    assert seen[0].cpu_s() == 0


def test_says_what_a_process_wrote_that_did_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('a setting is missing')"]

    with (
        pytest.raises(NotStarted, match="a setting is missing"),
        running(command, ready=READY, folder=tmp_path, log=tmp_path / "log", variables={}),
    ):
        pass


def test_hands_on_no_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    code = "import os; print('ready', 'http://' + os.environ.get('PYTHONPATH', 'none')); input()"
    command = [sys.executable, "-c", code]

    with pytest.raises(NotStarted) as raised:  # input() ends at once: there is nothing to read
        start_and_wait(command, tmp_path)

    assert "http://none" in str(raised.value)


LISTENER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        listener.accept()
"""


def test_waits_until_a_port_accepts(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", LISTENER, str(port)]

    with running(
        command, ready=port, folder=tmp_path, log=tmp_path / "log", variables={}
    ) as process:
        socket.create_connection(("127.0.0.1", port)).close()

    assert process.address == f"http://127.0.0.1:{port}"


def test_does_not_take_a_port_that_nobody_listens_at_for_ready(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no port')"]
    log = tmp_path / "log"

    with (
        pytest.raises(NotStarted, match="no port"),
        running(command, ready=free_port(), folder=tmp_path, log=log, variables={}),
    ):
        pass


def start_and_wait(command: list[str], folder: Path) -> None:
    with running(command, ready="never", folder=folder, log=folder / "log", variables={}):
        pass
