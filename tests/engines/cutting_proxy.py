"""A proxy in front of a gRPC server that cuts connections at a chosen moment of a call.

It forwards HTTP/2 frames (RFC 9113, section 4.1: nine bytes of header, of which three are the
length, one the type, one flags, four the stream) and knows just enough of them to see where a call
begins, where its request ends, and where its answer begins. Calls meet the fates they were given,
one after another, and then are forwarded.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["forwarded", "lost", "silent", "late", "paused"]
"""lost: cut before the server sees the call. silent: cut when the answer comes. late: cut, and the
server sees the call when `let_late_ones_through` is called. paused: it waits for `resumed`."""

PREFACE_BYTES = 24
DATA, HEADERS = 0, 1
END_STREAM = 1
DEADLINE_S = 30.0

Frame: TypeAlias = tuple[int, int, bytes]
"""Type, flags, and all of its bytes."""


class _Cut(Exception):
    """This connection ends now."""


class CuttingProxy:
    """Listens at `address` while `running`."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._late: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]] = []
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.fates: deque[Fate] = deque()
        self.is_paused = asyncio.Event()
        self.resumed = asyncio.Event()
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield self
        server.close()
        self.resumed.set()
        serving = dict(self._serving)
        for writer in serving.values():
            writer.close()
        await asyncio.gather(*serving)
        for _, writer, _ in self._late:
            await _close(writer)

    async def let_late_ones_through(self) -> None:
        """Return when the server has answered each of them."""
        async with asyncio.timeout(DEADLINE_S):
            while self._late:
                reader, writer, call = self._late.pop(0)
                writer.write(call)
                kind = None
                while kind != HEADERS:
                    kind, _, _ = await _frame(reader)
                await _close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        host, _, port = self._target.partition(":")
        from_server, to_server = await asyncio.open_connection(host, int(port))
        connection = _Connection(self, from_server, to_server)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.requests(reader))
                group.create_task(connection.answers(writer))
        except* (_Cut, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            await _close(writer)
            if not connection.is_late:
                await _close(to_server)
            del self._serving[task]

    def keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: bytes) -> None:
        self._late.append((reader, writer, call))


class _Connection:
    """The two directions of one connection."""

    def __init__(
        self, proxy: CuttingProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_server = reader
        self._to_server = writer
        self._is_silent = False
        self.is_late = False

    async def requests(self, reader: asyncio.StreamReader) -> None:
        self._to_server.write(await reader.readexactly(PREFACE_BYTES))
        while True:
            kind, _, frame = await _frame(reader)
            if kind == HEADERS and self._proxy.fates:
                await self._meet(self._proxy.fates.popleft(), reader, frame)
            else:
                self._to_server.write(frame)

    async def answers(self, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, _, frame = await _frame(self._from_server)
            if kind == HEADERS and self._is_silent:
                raise _Cut
            writer.write(frame)

    async def _meet(self, fate: Fate, reader: asyncio.StreamReader, headers: bytes) -> None:
        match fate:
            case "lost":
                raise _Cut
            case "late":
                call = headers + await _rest(reader)
                self.is_late = True
                self._proxy.keep(self._from_server, self._to_server, call)
                raise _Cut
            case "paused":
                self._proxy.is_paused.set()
                await self._proxy.resumed.wait()
            case "silent":
                self._is_silent = True
            case "forwarded":
                pass
        self._to_server.write(headers)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """The frames of a call behind its headers, up to the end of its request."""
    frames = b""
    while True:
        kind, flags, frame = await _frame(reader)
        frames += frame
        if kind == DATA and flags & END_STREAM:
            return frames


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _frame(reader: asyncio.StreamReader) -> Frame:
    header = await reader.readexactly(9)
    body = await reader.readexactly(int.from_bytes(header[:3], "big"))
    return header[3], header[4], header + body
