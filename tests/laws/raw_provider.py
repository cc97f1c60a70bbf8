"""A provider of bytes: it notes what it was sent, and answers with as much as it gets rid of."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

STILL_S = 0.5
"""Bytes that nobody takes for so long are held back."""
_SEND_BUFFER_BYTES = 128 * 1024


@dataclass(slots=True)
class RawProvider:
    """`reply` is a head and the pieces of a body. It starts when `wanted` requests are there."""

    reply_head: bytes
    pieces: Iterable[bytes] = ()
    wanted: int = 1
    address: str = ""
    requests: list[tuple[bytes, int]] = field(default_factory=list)
    """The head of each request, and the bytes of its body."""
    sent_bytes: int = 0
    at_rest: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is held back, or has sent all."""
    _all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            body = await reader.readexactly(next(lengths, 0))
            self.requests.append((head, len(body)))
            if len(self.requests) == self.wanted:
                self._all_there.set()
            await self._all_there.wait()
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            writer.transport.set_write_buffer_limits(0)
            await self._send(writer, self.reply_head)
            for piece in self.pieces:
                await self._send(writer, piece)
                self.sent_bytes += len(piece)
        self.at_rest.set()
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        try:
            async with asyncio.timeout(STILL_S):
                await writer.drain()
        except TimeoutError:
            self.at_rest.set()
            await writer.drain()


@asynccontextmanager
async def raw_provider(provider: RawProvider) -> AsyncIterator[RawProvider]:
    """Serve it on a free port, until the block ends."""
    server = await asyncio.start_server(provider.answer, "127.0.0.1", 0, backlog=1024)
    provider.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.close()
