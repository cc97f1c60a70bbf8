"""A load of HTTP/1.1 calls over kept-alive connections, cheap enough not to be what is measured.

Each connection sends its next call when the answer to the one before is complete. An HTTP client
library would cost several times what the gateway does, so this is a socket and llhttp's parser.
Answers are kept as they came, and read when the load is over (`answers`): reading costs CPU time
that the provider needs meanwhile.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

DEADLINE_S = 1800.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Load:
    """Calls to make: all alike, `calls` of them in all over `connections`.

    `per_second` spreads their beginnings evenly; None: each connection makes the next at once.
    """

    request: bytes
    connections: int
    calls: int
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a load. `latencies_s` are seconds from request to end of answer, sorted.

    A call that finds no free connection when it is due counts from then. `answers` are whole, from
    the status line on, as they came.
    """

    latencies_s: tuple[float, ...]
    answers: Sequence[bytes]
    elapsed_s: float

    def latency_s(self, share: float) -> float:
        """The latency that `share` of the calls (0 to 1) kept below."""
        return self.latencies_s[min(int(len(self.latencies_s) * share), len(self.latencies_s) - 1)]


class CallFailed(Exception):
    """An answer other than 200, one that is no whole answer to its call, or none."""


def post(address: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a POST request."""
    named = {"host": urlsplit(address).netloc, "content-length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run_load(address: str, load: Load) -> Result:
    """Make all calls.

    Raises:
        CallFailed: one of them was not answered with 200; the others are cut off.
        TimeoutError: they take longer than DEADLINE_S.
    """
    return uvloop.run(_run(address, load))


async def _run(address: str, load: Load) -> Result:
    parts = urlsplit(address)
    loop = asyncio.get_running_loop()
    left = iter(range(load.calls))
    done: list[tuple[float, bytes]] = []
    connections: list[Connection] = []
    async with asyncio.timeout(DEADLINE_S):
        try:
            for _ in range(load.connections):
                _, connection = await loop.create_connection(
                    Connection, parts.hostname or "", parts.port or 0
                )
                connections.append(connection)
            started_s = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for connection in connections:
                    tasks.create_task(_call_on(connection, load, started_s, left, done))
            elapsed_s = time.perf_counter() - started_s
        except OSError as error:
            raise CallFailed(f"no connection: {error}") from None
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            for connection in connections:
                connection.close()
    latencies_s = sorted(latency_s for latency_s, _ in done)
    return Result(tuple(latencies_s), [answer for _, answer in done], elapsed_s)


async def _call_on(
    connection: "Connection",
    load: Load,
    began_s: float,
    left: Iterator[int],
    done: list[tuple[float, bytes]],
) -> None:
    for number in left:
        started_s = await begin(load, began_s, number)
        status = await connection.call(load.request)
        latency_s = time.perf_counter() - started_s
        if status != _OK:
            raise CallFailed(f"answered with {status}: {connection.told()}")
        done.append((latency_s, connection.answer))


async def begin(load: Load, began_s: float, number: int) -> float:
    """When a call counts as begun, once it is due: timers are late, which is no target's doing."""
    now_s = time.perf_counter()
    if load.per_second is None:
        return now_s
    due_s = began_s + number / load.per_second
    if due_s <= now_s:
        return due_s
    await asyncio.sleep(due_s - now_s)
    return time.perf_counter()


class Connection(asyncio.Protocol):
    """One connection; one call at a time. `answer` is the last one, whole."""

    def __init__(self) -> None:
        self.answer = b""
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[int] | None = None

    def call(self, request: bytes) -> "asyncio.Future[int]":
        """Send a request; the status when its answer is complete."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def told(self) -> str:
        """The body of the answer, for whoever reports it."""
        return self.answer.partition(b"\r\n\r\n")[2].decode(errors="replace")

    def close(self) -> None:
        self._answered = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is none

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(CallFailed(f"the connection was lost: {exc}"))

    def on_message_complete(self) -> None:
        self.answer = b"".join(self._pieces)
        self._pieces.clear()
        # Nobody waits any more where another call has failed.
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(self._parser.get_status_code())
