"""An answer that comes before its request was written whole."""

import asyncio
import socket
import ssl
from typing import cast

import httpx
import pytest

from common.adapters.lean_connection import Connection, Exchange
from common.adapters.lean_transport import LeanTransport
from tests.upstream.conformance.scripted import DEADLINE_S, Line, Server, call, whole

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_gives_an_answer_that_comes_before_the_request_is_whole(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def refuses(line: Line) -> None:
        await line.head()
        await line.send(
            b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"
        )
        await line.hear_closing()

    server = Server(refuses)
    async with server.running() as port:
        assert await whole(transport, call(port, bytes(900_000))) == (413, b"no")
        assert await whole(transport, call(port, bytes(900_000))) == (413, b"no")

    assert len(server.lines) == 2


async def test_uses_no_connection_again_on_which_a_request_is_not_whole(
    lean: LeanTransport,
) -> None:
    async def answers_early(line: Line) -> None:
        await line.head()
        await line.send(OK)
        await line.hear_closing()

    server = Server(answers_early)
    async with server.running() as port:
        for _ in range(2):
            assert await whole(lean, call(port, bytes(30_000_000))) == (200, b"{}")

    assert [len(line.heads) for line in server.lines] == [1, 1]


def narrow_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection whose sockets hold little."""
    listening, ours = socket.socket(), socket.socket()
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        ours.connect(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@pytest.mark.parametrize("layer", ["TCP", "TLS"])
@pytest.mark.usefixtures("trusted")
async def test_keeps_no_connection_whose_transport_still_writes_the_request(
    tls: ssl.SSLContext, layer: str
) -> None:
    """All of it was handed to the transport; what the other side left unread waits there."""
    ours, theirs = narrow_pair()
    loop, connected = asyncio.get_running_loop(), asyncio.Event()
    freed: list[Connection] = []
    taking: list[asyncio.Transport] = []

    class Unread(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taking.append(cast("asyncio.Transport", transport))
            connected.set()

    _, connection = await loop.create_connection(Connection, sock=ours)
    if layer == "TLS":
        serving = asyncio.create_task(loop.connect_accepted_socket(Unread, theirs, ssl=tls))
        secured = await loop.start_tls(
            connection.transport,
            connection,
            ssl.create_default_context(),
            server_hostname="localhost",
        )
        assert secured is not None
        connection.runs_over(secured)
        await serving
    else:
        await loop.connect_accepted_socket(Unread, theirs)
    async with asyncio.timeout(DEADLINE_S):
        await connected.wait()
    taking[0].pause_reading()
    connection.on_free = freed.append

    exchange = Exchange(connection)
    connection.begin(exchange, b"POST / HTTP/1.1\r\n\r\n", bytes(60_000))
    assert not connection.unsent
    taking[0].write(OK)
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await exchange.read() == b"{}"
        assert exchange.complete
        assert freed == []
        assert connection.transport.is_closing()
    finally:
        connection.abort()
        taking[0].abort()


async def test_sends_on_while_an_early_answer_is_read(lean: LeanTransport) -> None:
    async def answers_early(line: Line) -> None:
        await line.head()
        await line.send(CHUNKED + b"2\r\nab\r\n")
        line.bodies.append(await line.reader.readexactly(20_000_000))
        await line.send(b"2\r\ncd\r\n0\r\n\r\n")

    server, sent = Server(answers_early), bytes(range(250)) * 80_000
    async with server.running() as port:
        assert await whole(lean, call(port, sent)) == (200, b"abcd")

    assert server.lines[0].bodies == [sent]
