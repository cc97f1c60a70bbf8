"""The local stack and the simulated provider as processes of their own."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chosen_engines import chosen

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 60.0

_LOOPBACK_ONLY = {"HTTPS_PROXY": "http://127.0.0.1:9"}
"""A proxy that is not there: no test reaches a real provider."""

_READY = re.compile(r"^ready (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
_KEY = re.compile(r"^gateway key \(([^)]+)\): (\S+)$", re.MULTILINE)


class ServerProcess:
    """A Python module that prints `ready ADDRESS`. Its output is kept in `output`, both streams."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        log: Path,
        until: re.Pattern[str] = _READY,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._log = log
        self._file = log.open("ab")
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        before = log.stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=ROOT,
            env={**kept, **_LOOPBACK_ONLY, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._file,
        )
        try:
            self.printed = self._read_until(until)
        except BaseException:
            self.printed = ""
            self.stop(signal.SIGKILL)
            raise
        self.address = _READY.findall(self.printed)[0]
        self._errors_from = before

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return self._log.read_bytes()[self._errors_from :].decode()

    def _read_until(self, wanted: re.Pattern[str]) -> str:
        assert self.process.stdout is not None
        text, ends_at = "", time.monotonic() + START_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not wanted.search(text):
                left = ends_at - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise TimeoutError(f"not ready in time: {text}{self._log.read_text()}")
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    raise RuntimeError(f"it ended at once: {text}{self._log.read_text()}")
                text += piece.decode()
        return text

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and wait until it has; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(STOP_S)
        if self.process.stdout is not None:
            self.printed += self.process.stdout.read().decode()
            self.process.stdout.close()
        self._file.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)


class Stack(ServerProcess):
    """`scripts/dev`, on a free port if none is named, with its demo keys by ``<team>/<agent>``."""

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        module: str = "scripts.commands.dev",
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            module,
            "--port",
            str(port),
            "--data",
            str(data),
            log=data.with_suffix(".log"),
            until=re.compile(r"Ctrl\+C stops"),
            env={**chosen(data), **(env or {})},
        )
        self.keys = dict(_KEY.findall(self.printed))
        self.key = next(iter(self.keys.values()))


class Simulator(ServerProcess):
    """The simulated provider alone, with its ledger in `folder`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(
            "scripts.simulated",
            "--port",
            "0",
            "--ledger",
            str(folder / "ledger.sqlite"),
            *arguments,
            log=folder / "simulator.log",
        )
