"""HTTP/1.1 as bytes: the head of a request, the head of a reply, and where its body ends.

Framing is never guessed. What a reply says twice, in two ways, or not as RFC 9112 writes it is
refused, because two readers of one connection that disagree about where a reply ends hand one
caller's answer to another. httptools reads heads and chunks; what it lets pass is judged here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httptools

from common.adapters.lean_errors import Malformed, NotARequest
from common.adapters.lean_urls import Address

MOST_HEAD_BYTES: Final = 65_536
"""Of all heads before a body, interim ones included."""
MOST_LINE_BYTES: Final = 8_190
MOST_HEADERS: Final = 128
MOST_CHUNK_OVERHEAD_BYTES: Final = 16_384
"""Of sizes, extensions and trailers with no byte of a body between them."""
_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_LONGEST_LENGTH = 15
_STATUSES = range(100, 600)
"""RFC 9110, section 15: any other is invalid."""
_SWITCHES = 101
_OWN = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""What is said once, by us."""
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})
_OF_NAMES = b"!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CR, _LF, _NUL = b"\r\n\0"
_BARE_LINE_END = re.compile(rb"(?<!\r)\n")
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_END = re.compile(rb"[^\r\n]\r\n\r\n\Z")
"""Of a chunked body. httptools passes over line ends that come after it."""
_TAIL_BYTES = 5


@dataclass(slots=True)
class ReplyHead:
    """The first part of a reply.

    `length` is of the body in bytes; None where it ends with the connection, or with its last chunk
    if it is `chunked`. `keeps_open`: the connection may serve another call after this one.
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    keeps_open: bool

    @property
    def is_interim(self) -> bool:
        return self.status < 200


def request_head(
    method: str, address: Address, headers: Iterable[tuple[bytes, bytes]], body_bytes: int
) -> bytes:
    """The request line and the headers, as the caller wrote them, with host and length.

    Raises:
        NotARequest: a header would be read as something else on the other side, or states another
            length than the body's.
    """
    names: list[bytes] = [method.encode()]
    values: list[bytes] = []
    lines = [b"%b %b HTTP/1.1" % (names[0], address.target)]
    host, length = address.host, b"%d" % body_bytes
    for name, value in headers:
        lowered = name.lower()
        if lowered in _OWN:
            if lowered == b"host":
                host = value
            elif lowered == b"content-length" and value != length:
                raise NotARequest("another length is stated than the body has")
            continue
        names.append(name)
        values.append(value)
        lines.append(name + b": " + value)
    lines.insert(1, b"host: " + host)
    if body_bytes or method not in _WITHOUT_BODY:
        lines.append(b"content-length: " + length)
    values.append(host)
    said = b"".join(values)
    malformed = not all(names) or b"".join(names).translate(None, _OF_NAMES)
    if malformed or _CR in said or _LF in said or _NUL in said:
        raise NotARequest("a header is not written as HTTP/1.1")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def has_bare_line_end(data: bytes | bytearray, begin: int) -> bool:
    """Whether a line ends without CR from `begin` on, which some read as an end and some do not."""
    return _BARE_LINE_END.search(data, begin) is not None


def starts_like_a_reply(data: bytes | bytearray, begin: int = 0) -> bool:
    """Whether bytes can be the beginning of a reply's head from `begin` on, as far as they go."""
    if data.startswith(_VERSIONS, begin):
        return True
    start = bytes(data[begin : begin + len(_VERSIONS[0])])
    return any(each.startswith(start) for each in _VERSIONS)


def read_head(data: bytes, *, to_head: bool = False) -> ReplyHead:
    """Read a whole head, its empty line included. `to_head`: it answers a HEAD request.

    Raises:
        Malformed: it is malformed, conflicting, or over a limit.
    """
    if not starts_like_a_reply(data):
        raise Malformed("not a reply of HTTP/1.1")
    reading = _Head()
    parser = httptools.HttpResponseParser(reading)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # An offer that comes with an ordinary reply; 101 itself is refused below.
    except httptools.HttpParserError:
        raise Malformed("malformed head") from None
    if not reading.complete:
        raise Malformed("malformed head")
    return _framed(parser.get_status_code(), reading, data, to_head=to_head)


class _Head:
    """What httptools calls while it reads a head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.reason = b""
        self.complete = False

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _framed(status: int, head: _Head, data: bytes, *, to_head: bool) -> ReplyHead:
    if status not in _STATUSES or status == _SWITCHES:
        raise Malformed("a status that is none, or that nobody asked for")
    if len(head.headers) > MOST_HEADERS or len(head.reason) > MOST_LINE_BYTES:
        raise Malformed("too many headers")
    # No header of a head that is short can be too long.
    if len(data) > MOST_LINE_BYTES and any(
        len(name) + len(value) > MOST_LINE_BYTES for name, value in head.headers
    ):
        raise Malformed("a header is too long")
    named: dict[bytes, list[bytes]] = {}
    for name, value in head.headers:
        lowered = name.lower()
        if lowered in _FRAMING:
            named.setdefault(lowered, []).append(value)
    is_newest = data.startswith(_VERSIONS[0])
    length = _length(named.get(b"content-length"))
    chunked = _is_chunked(named.get(b"transfer-encoding"))
    if chunked and (length is not None or not is_newest):
        raise Malformed("two ways to tell the body's end")
    if status < 200 or status == 204:
        if chunked or length:
            raise Malformed("a body where none can be")
        length = 0
    elif status == 304 or to_head:
        length, chunked = 0, False
    said_to_close = b"close" in _tokens(named.get(b"connection", []))
    keeps_open = is_newest and not said_to_close and (chunked or length is not None)
    return ReplyHead(status, head.reason, head.headers, length, chunked, keeps_open)


def _tokens(values: list[bytes]) -> set[bytes]:
    return {each.strip().lower() for value in values for each in value.split(b",")}


def _length(values: list[bytes] | None) -> int | None:
    if not values:
        return None
    text = values[0].strip(b" \t")
    if len(values) > 1 or not text.isdigit() or len(text) > _LONGEST_LENGTH:
        raise Malformed("no one length")
    return int(text)


def _is_chunked(values: list[bytes] | None) -> bool:
    if not values:
        return False
    if [each.strip(b" \t").lower() for each in values] != [b"chunked"]:
        raise Malformed("a transfer encoding that is not chunked alone")
    return True


class Chunks:
    """The body of a chunked reply, as it arrives.

    `done` once its end was there; `too_much` if bytes came after it, which belong to no reply.
    `error` once a chunk is malformed, or there is more about chunks than chunks.
    """

    def __init__(self) -> None:
        self.done = False
        self.too_much = False
        self.error: Malformed | None = None
        self._taken: list[bytes] = []
        self._overhead = 0
        self._tail = b""
        # Primed with a head of our own, so that no header of the reply's reaches its framing.
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)

    def on_message_begin(self) -> None:
        self.too_much = self.done

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self._taken.append(data)

    def on_message_complete(self) -> None:
        self.done = True

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes off the connection and give what they hold of the body, up to an error."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.done:
                self.too_much = True
            else:
                self.error = Malformed("malformed chunk")
        taken, self._taken = self._taken, []
        longer = len(data) >= _TAIL_BYTES
        self._tail = data[-_TAIL_BYTES:] if longer else (self._tail + data)[-_TAIL_BYTES:]
        if self.done:
            self.too_much = self.too_much or _END.search(self._tail) is None
            return taken
        self._overhead = 0 if taken else self._overhead + len(data)
        if self._overhead > MOST_CHUNK_OVERHEAD_BYTES:
            self.error = Malformed("too much around chunks")
        return taken
