"""A provider that is a raw socket: it does what a script says, byte by byte, and keeps the log."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx

DEADLINE_S = 20

Script: TypeAlias = Callable[["Line"], Awaitable[None]]


class Line:
    """One connection, seen from the server."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: asyncio.Event,
    ) -> None:
        self.asked = asked
        self.reader = reader
        self.writer = writer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.closed = asyncio.Event()

    async def request(self) -> bytes:
        """Read one request; answers its body."""
        head = await self.head()
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        self.bodies.append(await self.reader.readexactly(length))
        self.asked.set()
        return self.bodies[-1]

    async def head(self) -> bytes:
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def send(self, *pieces: bytes) -> None:
        """Each piece goes out by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def hear_closing(self) -> None:
        """Wait until the other side closes, whatever it still sends."""
        while await self.reader.read(65_536):
            pass


class Server:
    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self.lines: list[Line] = []
        self.asked = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer, self.asked)
        self.lines.append(line)
        try:
            await self._script(line)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()
            line.closed.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Serves on the port it answers."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            async with asyncio.timeout(DEADLINE_S):
                for line in self.lines:
                    line.writer.transport.abort()
                    await line.closed.wait()


def answers(*pieces: bytes) -> Script:
    """Answers every request with the same pieces, and stays."""

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await line.send(*pieces)

    return script


def answers_and_closes(*pieces: bytes) -> Script:
    async def script(line: Line) -> None:
        await line.request()
        await line.send(*pieces)
        line.writer.close()
        await line.writer.wait_closed()

    return script


def call(
    port: int, body: bytes = b"{}", *, method: str = "POST", scheme: str = "http", **timeout: float
) -> httpx.Request:
    return httpx.Request(
        method,
        f"{scheme}://127.0.0.1:{port}/v1/x?q=1",
        content=body,
        extensions={"timeout": timeout},
    )


async def whole(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> tuple[int, bytes]:
    """The status and the body of a call."""
    async with asyncio.timeout(DEADLINE_S):
        response = await transport.handle_async_request(request)
        try:
            return response.status_code, await response.aread()
        finally:
            await response.aclose()
