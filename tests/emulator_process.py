"""Runs an emulator for as long as a test process holds its lock.

    python -m tests.emulator_process FILE READY COMMAND...

prints what the command prints until a line with READY comes, then closes its output and goes on in
the background. FILE holds the address; test processes that use it hold a shared lock on it. The
system drops the lock of a process that ends, however it ends; when nobody holds one any more, this
process gets the lock, empties the file, ends the command and then itself. So a run that was killed
leaves nothing behind, and no test process needs to know that it is the last.
"""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

STOPPING_S = 10.0


def main(file: str, ready: str, *command: str) -> None:
    if os.fork():
        os._exit(0)
    os.setsid()  # an interrupted run must not take away the emulator while its tests clean up
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    if _started(process.stdout, ready):
        _close_output()
        threading.Thread(target=_drain, args=[process.stdout], daemon=True).start()
        with Path(file).open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            held.truncate()
            _stop(process)
    else:
        _stop(process)


def _started(output: IO[bytes], ready: str) -> bool:
    """Whether the line came; what comes before it is passed on."""
    for line in output:
        sys.stdout.write(line.decode(errors="replace"))
        sys.stdout.flush()
        if ready.encode() in line:
            return True
    return False


def _close_output() -> None:
    """Let go of the pipes, for whose end the caller waits."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _drain(output: IO[bytes]) -> None:
    for _ in output:
        pass


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
