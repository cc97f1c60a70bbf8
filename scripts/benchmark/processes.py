"""Processes that are measured: started on one CPU, read from /proc, ended with their children.

Each gets a session of its own. So whatever it forks is found by the session's number, is counted
with it and ends with it, and nothing else on the machine is touched.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

READY_S = 120.0
END_S = 10.0
_POLL_S = 0.002
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""What CPU time of a process is counted in."""


class NotStarted(Exception):
    """The process ended, or said nothing, before it was ready. The text is what it wrote."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process and all it started. `address` is `http://HOST:PORT`."""

    pid: int
    address: str
    started_s: float
    """`time.monotonic()` just before the start."""

    def cpu_s(self) -> float:
        """User and system time of all processes so far, in seconds."""
        return sum(_cpu_s(fields) for fields in _session(self.pid).values())

    def pss_bytes(self) -> int:
        """Memory of all processes; what several share counts by its part in each."""
        return sum(_pss_bytes(pid) for pid in _session(self.pid))


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: str | int,
    folder: Path,
    log: Path,
    variables: Mapping[str, str],
    cpu: int | None = None,
) -> Iterator[Running]:
    """Run `command` in `folder` with no environment but `variables`, until the block ends.

    `ready` is a regular expression, whose first group in what the process writes is the address,
    or a port of this machine that the process accepts connections on.

    Raises:
        NotStarted: it is not ready within READY_S.
    """
    with log.open("wb") as output, on_cpu(cpu):
        started_s = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(process.pid, _address(process, log, ready), started_s)
    finally:
        _end(process)


@contextmanager
def on_cpu(cpu: int | None) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, on one CPU; None leaves them free."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port free a moment ago: not every server chooses one itself and says which it has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _address(process: subprocess.Popen[bytes], log: Path, ready: str | int) -> str:
    give_up = time.monotonic() + READY_S
    while True:
        written = log.read_text(errors="replace")
        found = re.search(ready, written) if isinstance(ready, str) else None
        if found is not None:
            return found[1]
        if isinstance(ready, int) and _accepts(ready):
            return f"http://127.0.0.1:{ready}"
        if process.poll() is not None or time.monotonic() > give_up:
            raise NotStarted(f"{process.args!r} is not ready:\n{written}")
        time.sleep(_POLL_S)


def _accepts(port: int) -> bool:
    # From another address: one of many attempts from the same would meet itself, since the system
    # may give it the very port that it asks for.
    try:
        with socket.create_connection(("127.0.0.1", port), 1, source_address=("127.0.0.2", 0)):
            return True
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        give_up = time.monotonic() + END_S
        while _session(process.pid) and time.monotonic() < give_up:
            time.sleep(_POLL_S)  # its children are not ours to wait for


def _session(number: int) -> dict[int, list[str]]:
    """The living processes of a session, each with the fields of /proc/PID/stat behind the name."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
            if int(fields[3]) == number and fields[0] != "Z":
                found[int(folder.name)] = fields
    return found


def _cpu_s(fields: Sequence[str]) -> float:
    user, system = fields[11:13]
    return (int(user) + int(system)) * TICK_S


def _pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
