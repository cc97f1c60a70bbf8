"""Where a reply ends: told by its framing alone, the same however its bytes arrive."""

import aiohttp
import httpx
import pytest

from common.adapters.lean_transport import LeanTransport
from tests.upstream.conformance.scripted import (
    Server,
    answers,
    answers_and_closes,
    call,
    whole,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

GOOD = {
    "a length": (OK + b"content-length: 2\r\n\r\n{}", b"{}", True),
    "a length of none": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "chunks": (CHUNKED + b"2\r\n{}\r\n1\r\n \r\n0\r\n\r\n", b"{} ", True),
    "chunks in capitals": (
        OK + b"Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"0123456789",
        True,
    ),
    "a chunk's extension": (CHUNKED + b'2;a=b;c="d"\r\n{}\r\n0;e\r\n\r\n', b"{}", True),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n", b"{}", True),
    "an empty header": (OK + b"x-empty:\r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n{}", b"{}", True),
    "an interim reply": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\n{}",
        b"{}",
        True,
    ),
    "many interim replies": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 5 + OK + b"content-length: 1\r\n\r\n1",
        b"1",
        True,
    ),
    "it closes": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\n{}", b"{}", False),
    "until it closes": (OK + b"content-type: a/b\r\n\r\n{}", b"{}", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"{}", False),
}

BAD = {
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    "a length and chunks": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    "a signed length": OK + b"content-length: +2\r\n\r\n{}",
    "a negative length": OK + b"content-length: -2\r\n\r\n{}",
    "a length in words": OK + b"content-length: two\r\n\r\n{}",
    "a length of hexadecimal digits": OK + b"content-length: 0x2\r\n\r\n{}",
    "an empty length": OK + b"content-length:\r\n\r\n{}",
    "an endless length": OK + b"content-length: " + b"9" * 40 + b"\r\n\r\n{}",
    "a space in a header's name": OK + b"x y: 1\r\ncontent-length: 2\r\n\r\n{}",
    "a header without a name": OK + b": 1\r\ncontent-length: 2\r\n\r\n{}",
    "a NUL in a header": OK + b"x: a\0b\r\ncontent-length: 2\r\n\r\n{}",
    "a bare CR in a header": OK + b"x: a\rb: c\r\ncontent-length: 2\r\n\r\n{}",
    "a chunk's size in words": CHUNKED + b"xx\r\n{}\r\n0\r\n\r\n",
    "a chunk's size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "a version from elsewhere": b"ICY 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\n{}",
    "a header that is too long": OK + b"x: " + b"a" * 9_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    "a head without end": OK + b"x: a\r\n" * 100_000,
}

BAD_FOR_LEAN = {
    "a space before the colon": OK + b"content-length : 2\r\n\r\n{}",
    "the same length twice": OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "chunks twice": OK + b"transfer-encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an encoding that is not chunked": OK + b"transfer-encoding: gzip\r\n\r\n{}",
    "an encoding before chunks": OK
    + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a header on two lines": OK + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\n{}",
    "lines without CR": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "chunks in HTTP/1.0": CHUNKED.replace(b"/1.1", b"/1.0") + b"2\r\n{}\r\n0\r\n\r\n",
    "chunks without CR": CHUNKED + b"2\n{}\n0\n\n",
    "a space after a chunk's size": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a body with 204": b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n{}",
    "a body with an interim reply": b"HTTP/1.1 103 Early\r\ncontent-length: 2\r\n\r\n{}",
    "a status below all": b"HTTP/1.1 043 OK\r\ncontent-length: 0\r\n\r\n",
    "a status above all": b"HTTP/1.1 600 OK\r\ncontent-length: 2\r\n\r\n{}",
    "the highest status": b"HTTP/1.1 999 OK\r\ncontent-length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "HTTP/2 in words": b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "too many headers": OK + b"x: a\r\n" * 200 + b"content-length: 2\r\n\r\n{}",
    "interim replies without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    "an extension without end": CHUNKED + b"2;" + b"a" * 400_000,
    "trailers without end": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 100_000,
}
"""What aiohttp's parser takes in one way or another, or leaves to time-outs."""


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("named", GOOD)
async def test_reads_a_reply_with(
    transport: httpx.AsyncBaseTransport, named: str, pieces: str
) -> None:
    reply, body, kept = GOOD[named]
    sent = [reply] if pieces == "whole" else [bytes([byte]) for byte in reply]
    server = Server((answers if kept else answers_and_closes)(*sent))

    async with server.running() as port:
        assert await whole(transport, call(port)) == (200, body)
        assert await whole(transport, call(port)) == (200, body)

    assert len(server.lines) == (1 if kept else 2)


@pytest.mark.parametrize("named", BAD)
async def test_refuses_a_reply_with(transport: httpx.AsyncBaseTransport, named: str) -> None:
    server = Server(answers(BAD[named]))

    async with server.running() as port:
        with pytest.raises((httpx.TransportError, aiohttp.ClientError)):
            await whole(transport, call(port))


@pytest.mark.parametrize("named", [*BAD, *BAD_FOR_LEAN])
async def test_refuses_as_malformed_and_closes_on(lean: LeanTransport, named: str) -> None:
    server = Server(answers({**BAD, **BAD_FOR_LEAN}[named]))

    async with server.running() as port:
        with pytest.raises(httpx.RemoteProtocolError):
            await whole(lean, call(port))
        await server.lines[0].closed.wait()

    assert len(server.lines) == 1


@pytest.mark.parametrize("status", [100, 103, 200, 299, 599])
async def test_every_status_that_is_one_is_read(lean: LeanTransport, status: int) -> None:
    first = b"HTTP/1.1 %d X\r\n" % status
    told = (first + b"\r\n" + OK if status < 200 else first) + b"content-length: 0\r\n\r\n"

    async with Server(answers(told)).running() as port:
        assert await whole(lean, call(port)) == (max(status, 200), b"")


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
async def test_gives_the_chunks_before_one_that_is_malformed(
    lean: LeanTransport, pieces: str
) -> None:
    reply = CHUNKED + b"2\r\nab\r\n1\r\nc\r\nzz\r\n"
    sent = [reply] if pieces == "whole" else [bytes([byte]) for byte in reply]
    received = []

    async with Server(answers(*sent)).running() as port:
        response = await lean.handle_async_request(call(port))
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - what came before counts
            async for chunk in response.aiter_raw():
                received.append(chunk)  # noqa: PERF401 - it raises
        await response.aclose()

    assert b"".join(received) == b"abc"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", OK + b"content-length: 5\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("POST", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    ],
)
async def test_waits_for_no_body_where_there_is_none(
    transport: httpx.AsyncBaseTransport, method: str, head: bytes
) -> None:
    server = Server(answers(head))

    async with server.running() as port:
        for _ in range(2):
            _, body = await whole(transport, call(port, b"", method=method))
            assert body == b""

    assert len(server.lines) == 1


@pytest.mark.parametrize(
    "reply",
    [OK + b"content-length: 2\r\n\r\n{}", CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"],
)
@pytest.mark.parametrize(
    "more", [b"\r\n", b"\n\r\n\r\n", b"x", b"0\r\n\r\n", OK + b"content-length: 6\r\n\r\nstolen"]
)
@pytest.mark.parametrize("together", [True, False])
async def test_takes_nothing_after_a_replys_end_for_the_next_reply(
    lean: LeanTransport, reply: bytes, more: bytes, *, together: bool
) -> None:
    server = Server(answers(reply + more) if together else answers(reply, more))

    async with server.running() as port:
        for _ in range(3):
            assert await whole(lean, call(port)) == (200, b"{}")

    assert len(server.lines) == 3


async def test_takes_an_offer_to_upgrade_for_what_it_is(
    transport: httpx.AsyncBaseTransport,
) -> None:
    offer = b"upgrade: h2,h2c\r\nconnection: Upgrade, Keep-Alive\r\n"
    server = Server(answers(OK + offer + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))

    async with server.running() as port:
        assert await whole(transport, call(port)) == (200, b"{}")


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200", OK + b"content-length: 9\r\n\r\n{}", CHUNKED + b"2\r\n{}\r\n"]
)
async def test_tells_what_ends_before_its_end(
    transport: httpx.AsyncBaseTransport, reply: bytes
) -> None:
    async with Server(answers_and_closes(reply)).running() as port:
        with pytest.raises(httpx.TransportError):
            await whole(transport, call(port))


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nb: c"),
        (b"x", b"a\rb: c"),
        (b"x", b"a\nb: c"),
        (b"x", b"\0"),
        (b"host", b"a\nb: c"),
        (b"x\r\ny", b"a"),
        (b"x y", b"a"),
        (b"", b"a"),
    ],
)
async def test_sends_no_header_that_reads_as_another(
    lean: LeanTransport, header: tuple[bytes, bytes]
) -> None:
    server = Server(answers(OK))

    async with server.running() as port:
        request = call(port)
        request.headers = httpx.Headers([*request.headers.raw, header])
        with pytest.raises(httpx.LocalProtocolError):
            await whole(lean, request)

    assert server.lines == []


@pytest.mark.parametrize("stated", [b"1", b"3"])
async def test_states_no_other_length_than_the_body_has(lean: LeanTransport, stated: bytes) -> None:
    request = call(1, b"{}")
    request.headers["content-length"] = stated.decode()

    with pytest.raises(httpx.LocalProtocolError):
        await whole(lean, request)
