"""One connection to a provider, which carries one call at a time.

What arrives belongs to the call under way or to nobody: bytes between calls close the connection.
A call's reply lives in its `Exchange`, so that a connection may serve the next one while the last
bytes of this one are still being read.
"""

import asyncio
import select
from typing import TYPE_CHECKING, Final, cast

from common.adapters.lean_errors import BrokeOff, Malformed, ReadTooLate, WrittenTooLate
from common.adapters.lean_framing import (
    MOST_HEAD_BYTES,
    Chunks,
    ReplyHead,
    has_bare_line_end,
    read_head,
    starts_like_a_reply,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from common.gateway.upstream import UpstreamError

MOST_BUFFERED_BYTES: Final = 65_536
"""Of a body, beyond which no more is read off the connection until the caller has read it."""
_PIECE_BYTES = 65_536
_END_OF_HEAD = b"\r\n\r\n"


class Exchange:
    """One request and its reply, an `UpstreamReply` once its head is there.

    `error` is set where the reply ends before its end. `read_s`: how long its next bytes may take.
    """

    __slots__ = (
        "_buffer",
        "_buffered",
        "_changed",
        "_connection",
        "_read_s",
        "complete",
        "error",
        "head",
        "headers",
        "status",
        "to_connect",
        "to_head",
    )

    def __init__(
        self,
        connection: "Connection",
        *,
        to_head: bool = False,
        to_connect: bool = False,
        read_s: float | None = None,
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.head: ReplyHead | None = None
        self.error: UpstreamError | None = None
        self.complete = False
        self.to_head = to_head
        self.to_connect = to_connect
        self._connection = connection
        self._read_s = read_s
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._changed: asyncio.Future[None] | None = None

    def told(self) -> None:
        """Something changed for whoever waits."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def failed(self, error: "UpstreamError") -> None:
        if not self.complete and self.error is None:
            self.error = error
            self.told()

    def took(self, pieces: list[bytes]) -> int:
        """Keep pieces of the body; answers how many bytes wait to be read."""
        self._buffer += pieces
        for piece in pieces:
            self._buffered += len(piece)
        return self._buffered

    async def reply(self, write_s: float | None = None) -> ReplyHead:
        """The reply's head.

        Raises:
            UpstreamError: the connection broke before it, or a limit of time passed.
        """
        while self.head is None:
            if self.error is not None:
                raise self.error
            if self._connection.unsent:
                await self._change(write_s, WrittenTooLate)
            else:
                await self._change(self._read_s, ReadTooLate)
        return self.head

    async def chunks(self) -> "AsyncIterator[bytes]":
        """The body, in the pieces in which it arrives.

        Raises:
            UpstreamDisconnected: it broke off; what came before has been given.
        """
        while data := await self.read():
            yield data

    async def aclose(self) -> None:
        """Nobody reads on: a reply that is not whole closes its connection."""
        self._connection.give_up(self)
        self._buffer = []

    async def read(self) -> bytes:
        """The next bytes of the body; none at its end.

        Raises:
            UpstreamError: it broke off; what came before has been read.
        """
        while not self._buffer:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._change(self._read_s, ReadTooLate)
        data = self.taken()
        self._connection.was_read(self)
        return data

    def taken(self) -> bytes:
        """What has arrived of the body and was not read yet."""
        buffer, self._buffer = self._buffer, []
        self._buffered = 0
        return buffer[0] if len(buffer) == 1 else b"".join(buffer)

    async def _change(self, most_s: float | None, late: "type[UpstreamError]") -> None:
        self._changed = asyncio.get_running_loop().create_future()
        try:
            if most_s is None:
                await self._changed
            else:
                async with asyncio.timeout(most_s):
                    await self._changed
        except TimeoutError:
            # A change in the same turn of the loop counts: the connection may serve another call.
            if not self._changed.done() or self._changed.cancelled():
                self._connection.give_up(self)
                raise late(f"nothing within {most_s:g} s") from None
        except asyncio.CancelledError:
            self._connection.give_up(self)
            raise
        finally:
            self._changed = None


class Connection(asyncio.Protocol):
    """`on_free` and `on_lost` tell the pool; each connection is lost once.

    What a provider sends beyond a reply is seen until the next request is written. Later it cannot
    be told from that request's reply, on any connection of HTTP/1.1.
    """

    def __init__(self) -> None:
        self.unsent = memoryview(b"")
        self.lost = False
        self.on_free: Callable[[Connection], None] | None = None
        self.on_lost: Callable[[Connection], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._layers: list[asyncio.Transport] = []
        self._exchange: Exchange | None = None
        self._head = bytearray()
        self._head_bytes = 0
        self._chunks: Chunks | None = None
        self._left: int | None = None
        self._writable = True
        self._reading = True
        self._readable: select.poll | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.runs_over(cast("asyncio.Transport", transport))

    def runs_over(self, transport: asyncio.Transport) -> None:
        """Speak through this one from now on. TLS writes to the one before, which buffers too."""
        self._transport = transport
        self._layers.append(transport)
        transport.set_write_buffer_limits(high=_PIECE_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._exchange is not None:
            text = "hung up" if exc is None else type(exc).__name__
            self._exchange.failed(BrokeOff(text))
        self._exchange = None
        if self.on_lost is not None:
            self.on_lost(self)

    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is not None and self._ends_with_connection(exchange):
            self._completed(exchange)
        return False

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        try:
            if exchange.head is None:
                self._take_head(exchange, data)
            else:
                self._take_body(exchange, data)
        except Malformed as error:
            exchange.failed(error)
            self.abort()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.unsent:
            # Not at once: a TLS transport is amid its own writing here.
            asyncio.get_running_loop().call_soon(self._send_on)

    # What the pool and the transport call.

    @property
    def is_open(self) -> bool:
        """Whether a request may be written, as far as the loop has seen."""
        return not self.lost and self._exchange is None and not self.transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether a kept connection is open and has nothing to read, which could be no reply.

        Looks at the socket, where a closing may wait that the loop has not seen.
        """
        if not self.is_open:
            return False
        if self._readable is None:
            self._readable = select.poll()
            socket = self.transport.get_extra_info("socket")
            self._readable.register(socket.fileno(), select.POLLIN)
        return not self._readable.poll(0)

    def begin(self, exchange: Exchange, head: bytes, body: bytes = b"") -> None:
        """Write a request and expect its reply. Only where the connection is open."""
        transport = self.transport
        self._exchange = exchange
        self._head_bytes = 0
        self._chunks = self._left = None
        if len(head) + len(body) <= _PIECE_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            self.unsent = memoryview(body)
            self._send_on()

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("not connected")
        return self._transport

    def was_read(self, exchange: Exchange) -> None:
        if self._exchange is exchange and not self._reading:
            self._read_on()

    def give_up(self, exchange: Exchange) -> None:
        """Close if the exchange is under way here; a whole one has left the connection already."""
        if self._exchange is exchange:
            self.abort()

    def abort(self) -> None:
        """Close now; whoever waits is told."""
        self.unsent = memoryview(b"")
        if self._exchange is not None:
            self._exchange.failed(BrokeOff("closed"))
            self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def _send_on(self) -> None:
        transport = self.transport
        while self.unsent and self._writable and not transport.is_closing():
            piece, self.unsent = self.unsent[:_PIECE_BYTES], self.unsent[_PIECE_BYTES:]
            transport.write(piece)
        if self._exchange is not None:
            self._exchange.told()

    def _read_on(self) -> None:
        if not self._reading and not self.transport.is_closing():
            self.transport.resume_reading()
        self._reading = True

    def _take_head(self, exchange: Exchange, data: bytes) -> None:
        begins = searched = 0
        seen: bytes | bytearray = data
        if self._head:
            searched = max(len(self._head) - len(_END_OF_HEAD) + 1, 0)
            self._head += data
            seen = self._head
        while True:
            if not starts_like_a_reply(seen, begins):
                raise Malformed("not a reply of HTTP/1.1")
            found = seen.find(_END_OF_HEAD, searched)
            ends = len(seen) if found < 0 else found + len(_END_OF_HEAD)
            if self._head_bytes + ends - begins > MOST_HEAD_BYTES:
                raise Malformed("the head is too long")
            if found < 0:
                if has_bare_line_end(seen, searched):
                    raise Malformed("a line ends without CR")
                if begins or seen is data:
                    self._head = bytearray(seen[begins:])
                return
            head = read_head(bytes(seen[begins:ends]), to_head=exchange.to_head)
            self._head_bytes += ends - begins
            begins = searched = ends
            if not head.is_interim:
                break
        if self._head:
            self._head = bytearray()
        self._begin_body(exchange, head, bytes(seen[ends:]))

    def _begin_body(self, exchange: Exchange, head: ReplyHead, rest: bytes) -> None:
        exchange.head, exchange.status, exchange.headers = head, head.status, head.headers
        if exchange.to_connect and 200 <= head.status < 300:
            self._tunnelled(exchange, rest)
            return
        self._left = head.length
        self._chunks = Chunks() if head.chunked else None
        exchange.told()
        if rest or self._left == 0:
            self._take_body(exchange, rest)

    def _tunnelled(self, exchange: Exchange, rest: bytes) -> None:
        """The proxy is through: from here on it is as if connected to the origin."""
        if rest:
            raise Malformed("bytes before anything was asked")
        exchange.complete = True
        self._exchange = None
        exchange.told()

    def _take_body(self, exchange: Exchange, data: bytes) -> None:
        ended = too_much = False
        error: Malformed | None = None
        if self._chunks is not None:
            pieces = self._chunks.feed(data)
            ended, too_much = self._chunks.done, self._chunks.too_much
            error = self._chunks.error
        elif self._left is not None:
            too_much = len(data) > self._left
            taken = data[: self._left] if too_much else data
            pieces = [taken] if taken else []
            self._left -= len(taken)
            ended = self._left == 0
        else:
            pieces = [data] if data else []
        if pieces and exchange.took(pieces) > MOST_BUFFERED_BYTES and not ended and self._reading:
            self.transport.pause_reading()
            self._reading = False
        if error is not None:
            raise error
        if ended:
            self._completed(exchange, too_much=too_much)
        elif pieces:
            exchange.told()

    def _ends_with_connection(self, exchange: Exchange) -> bool:
        return exchange.head is not None and self._chunks is None and self._left is None

    def _completed(self, exchange: Exchange, *, too_much: bool = False) -> None:
        """The reply is whole. The connection is kept only where its state is beyond doubt."""
        exchange.complete = True
        self._exchange = None
        head = exchange.head
        sure = head is not None and head.keeps_open and not too_much and not self.unsent
        for layer in self._layers:
            sure = sure and not layer.get_write_buffer_size()
        exchange.told()
        if sure and self.on_free is not None and not self.lost:
            self._read_on()
            self.on_free(self)
        else:
            self.abort()
