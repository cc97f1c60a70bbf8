"""Laws of replies off a provider's connection: the same however they are cut, and never guessed.

An input is what a provider sends. It reaches a connection whole and in pieces, and beside that a
second reader, which knows RFC 9112's strict form alone and shares no code with the first.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence

from common.adapters.lean_connection import Connection, Exchange
from common.adapters.lean_framing import MOST_CHUNK_OVERHEAD_BYTES
from scripts.fuzzing.target import Target, hold, pieces_of

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"transfer-encoding: chunked\r\n\r\n"
_SEEDS = (
    _OK + b"content-length: 5\r\nx: y\r\n\r\nhello",
    _OK + b"content-length: 5\r\n\r\nhello" + _OK + b"content-length: 2\r\n\r\nno",
    _OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    _OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    _OK + b"connection: close\r\n\r\nuntil it ends",
    _CHUNKED + b"2\r\nab\r\nA;x=y\r\n0123456789\r\n0\r\nt: u\r\n\r\n",
    _CHUNKED + b"2\r\nab\r\n0\r\n\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\n"
    + _CHUNKED
    + b"0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw",
    b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n1",
)
_HEAD = re.compile(
    rb"HTTP/1\.([01]) (\d{3})(?: [^\r\n]*)?\r\n((?:[^\s:\0]+:[^\r\n\0]*\r\n)*)\r\n", re.DOTALL
)
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)[ \t]*\r$")
_CHUNKS = re.compile(rb"(?i)^transfer-encoding:[ \t]*chunked[ \t]*\r$", re.MULTILINE)
_SIZE = re.compile(rb"([0-9a-fA-F]+)(?:;[^\r\n]*)?\r\n")
_TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")


def reply_targets() -> Iterator[Target]:
    yield Target("reply", lambda data: _check(data, to_head=False), _SEEDS)
    yield Target("reply.head", lambda data: _check(data, to_head=True), _SEEDS)


class _Wire(asyncio.Transport):
    """A transport to nowhere, which keeps whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """What comes is fed to the connection all the same."""

    def resume_reading(self) -> None:
        """The other half of it."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0


class _Read:
    """What a connection made of its input."""

    def __init__(self, pieces: Sequence[bytes], *, to_head: bool) -> None:
        wire, connection, self.freed = _Wire(), Connection(), 0
        connection.connection_made(wire)
        connection.on_free = self._free
        self.exchange = Exchange(connection, to_head=to_head)
        connection.begin(self.exchange, b"")
        for piece in pieces:
            if not wire.closed:
                connection.data_received(piece)
        self.kept = self.freed == 1 and not wire.closed
        self.body = self.exchange.taken()
        hold("a connection is free once", holds=self.freed <= 1)
        hold("what broke is closed", holds=self.exchange.error is None or wire.closed)
        hold("whole or broken", holds=not (self.exchange.complete and self.exchange.error))

    def _free(self, _: Connection) -> None:
        self.freed += 1

    def told(self) -> tuple[object, ...]:
        exchange = self.exchange
        if exchange.error is not None:
            return ("broken",)
        return (exchange.head, exchange.complete, self.kept, self.body)


def _check(data: bytes, *, to_head: bool) -> None:
    read = _Read([data] if data else [], to_head=to_head)
    if len(data) <= MOST_CHUNK_OVERHEAD_BYTES:
        cut = _Read(pieces_of(data), to_head=to_head)
        hold("cuts change nothing", holds=read.told() == cut.told())
    if not read.exchange.complete:
        return
    found = _strict(data, to_head=to_head)
    hold("what is whole is so for a strict reader", holds=found is not None)
    if found is not None:
        body, rest = found
        hold("the body is the strict reader's", holds=body == read.body)
        hold("nothing is left on a kept connection", holds=not (read.kept and rest))


def _strict(data: bytes, *, to_head: bool) -> tuple[bytes, bytes] | None:
    """The body of the first final reply and what follows it, if both are beyond doubt."""
    head = _HEAD.match(data)
    while head is not None and head[2].startswith(b"1"):
        data = data[head.end() :]
        head = _HEAD.match(data)
    if head is None:
        return None
    rest = data[head.end() :]
    if to_head or head[2] in (b"204", b"304"):
        return b"", rest
    if _CHUNKS.search(head[3]):
        return _dechunked(rest)
    lengths = _LENGTH.findall(head[3])
    if len(lengths) != 1 or len(rest) < int(lengths[0]):
        return None
    return rest[: int(lengths[0])], rest[int(lengths[0]) :]


def _dechunked(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while (size := _SIZE.match(data)) is not None:
        data, length = data[size.end() :], int(size[1], 16)
        if length == 0:
            trailers = _TRAILERS.match(data)
            return None if trailers is None else (body, data[trailers.end() :])
        if data[length : length + 2] != b"\r\n":
            return None
        body, data = body + data[:length], data[length + 2 :]
    return None
