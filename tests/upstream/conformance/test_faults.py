"""What goes wrong on the way: time, closings, slow readers, callers that leave."""

import asyncio
import os
import socket
import ssl

import httpx
import pytest

from common.adapters.lean_client import LeanClient
from common.adapters.lean_connection import MOST_BUFFERED_BYTES, Connection
from common.adapters.lean_names import Names
from common.adapters.lean_opening import Reach, connect_first
from common.adapters.lean_transport import LeanTransport
from tests.upstream.conformance.scripted import (
    DEADLINE_S,
    Line,
    Script,
    Server,
    answers,
    call,
    whole,
)
from tests.upstream.over_aiohttp import MakeTransport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def silent(line: Line) -> None:
    await line.request()
    await line.hear_closing()


async def begins(line: Line) -> None:
    """A stream that stays open after its first chunk."""
    await line.request()
    await line.send(CHUNKED + b"2\r\n{}\r\n")
    await line.hear_closing()


async def test_waits_no_longer_for_a_reply_than_it_may(transport: httpx.AsyncBaseTransport) -> None:
    server = Server(silent)

    async with server.running() as port:
        with pytest.raises(httpx.TimeoutException):
            await whole(transport, call(port, read=0.05))
        async with asyncio.timeout(DEADLINE_S):
            await server.lines[0].closed.wait()


async def test_waits_no_longer_for_the_next_chunk_than_it_may(
    transport: httpx.AsyncBaseTransport,
) -> None:
    server = Server(begins)

    async with server.running() as port:
        response = await transport.handle_async_request(call(port, read=0.05))
        with pytest.raises(httpx.TimeoutException):
            await response.aread()
        await response.aclose()
        async with asyncio.timeout(DEADLINE_S):
            await server.lines[0].closed.wait()


async def test_waits_no_longer_for_a_reader_than_it_may(lean: LeanTransport) -> None:
    async def reads_nothing(line: Line) -> None:
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
        await asyncio.Event().wait()

    server = Server(reads_nothing)
    async with server.running() as port:
        with pytest.raises(httpx.WriteTimeout):
            await whole(lean, call(port, bytes(30_000_000), write=0.05))
        server.lines[0].writer.transport.abort()
        server.lines[0].closed.set()


@pytest.mark.parametrize("script", [silent, begins])
async def test_closes_the_connection_of_a_caller_that_left(
    transport: httpx.AsyncBaseTransport, script: Script
) -> None:
    server = Server(script)

    async with server.running() as port:
        leaving = asyncio.create_task(whole(transport, call(port)))
        async with asyncio.timeout(DEADLINE_S):
            await server.asked.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await server.lines[0].closed.wait()


async def test_takes_another_connection_where_the_kept_one_was_closed(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """Closed between two calls, and nothing of the second one was sent to it."""
    server = Server(answers(OK))

    async with server.running() as port:
        for _ in range(3):
            assert await whole(transport, call(port)) == (200, b"{}")
            server.lines[-1].writer.close()
            await server.lines[-1].closed.wait()

    assert [len(line.heads) for line in server.lines] == [1, 1, 1]


async def test_sees_a_closing_that_the_event_loop_has_not_seen(lean: LeanTransport) -> None:
    server = Server(answers(OK))

    async with server.running() as port:
        assert await whole(lean, call(port)) == (200, b"{}")
        kept = server.lines[0].writer.get_extra_info("socket")
        # The closing is in the kernel before the loop can look.
        with socket.socket(fileno=os.dup(kept.fileno())) as same:
            same.shutdown(socket.SHUT_WR)
        assert await whole(lean, call(port)) == (200, b"{}")

    assert [len(line.heads) for line in server.lines] == [1, 1]


async def test_sends_no_call_twice(lean: LeanTransport) -> None:
    """A kept connection that breaks after the request was written may have carried it."""

    async def answers_once(line: Line) -> None:
        await line.request()
        await line.send(OK)
        await line.request()

    server = Server(answers_once)
    async with server.running() as port:
        assert await whole(lean, call(port)) == (200, b"{}")
        with pytest.raises(httpx.ReadError):
            await whole(lean, call(port))

    assert [len(line.heads) for line in server.lines] == [2]


async def test_holds_little_of_what_a_slow_reader_leaves(lean: LeanTransport) -> None:
    """The rest waits in the sockets, and the provider with it."""
    piece, sent = bytes(65_536), 0

    async def pours(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * 1_000))
        for _ in range(1_000):
            line.writer.write(piece)
            await line.writer.drain()
            sent += len(piece)
        await line.hear_closing()

    async with Server(pours).running() as port:
        response = await lean.handle_async_request(call(port))
        before = -1
        while before != sent:
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert sent < len(piece) * 500
        chunks = [chunk async for chunk in response.aiter_raw()]
        await response.aclose()

    assert sum(map(len, chunks)) == len(piece) * 1_000
    assert max(map(len, chunks)) <= MOST_BUFFERED_BYTES + 262_144


async def test_has_a_connection_of_its_own_for_each_call_under_way(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def echoes(line: Line) -> None:
        while True:
            body = await line.request()
            await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body)

    server = Server(echoes)
    async with server.running() as port:
        for _ in range(3):
            calls = [whole(transport, call(port, b"call %d" % n)) for n in range(40)]
            answered = await asyncio.gather(*calls)
            assert answered == [(200, b"call %d" % n) for n in range(40)]

    assert len(server.lines) <= 40


async def test_uses_the_connection_again_that_was_used_last(lean: LeanTransport) -> None:
    server = Server(answers(OK))

    async with server.running() as port:
        await asyncio.gather(*(whole(lean, call(port)) for _ in range(5)))
        asked = [len(line.heads) for line in server.lines]
        for _ in range(7):
            await whole(lean, call(port))

    grown = [len(line.heads) - before for line, before in zip(server.lines, asked, strict=True)]
    assert sorted(grown) == [0, 0, 0, 0, 7]


async def test_closes_what_was_idle_for_long(make: MakeTransport) -> None:
    server = Server(answers(OK))
    transport = make(None, keep_alive_s=0.02, allow_private=True, to_metadata=False)

    async with server.running() as port:
        await asyncio.gather(*(whole(transport, call(port)) for _ in range(3)))
        async with asyncio.timeout(DEADLINE_S):
            for line in server.lines:
                await line.closed.wait()
        assert await whole(transport, call(port)) == (200, b"{}")
        await transport.aclose()


def limited(most: int) -> LeanTransport:
    reach = Reach(ssl.create_default_context, Names(), allow_private=True)
    return LeanTransport(LeanClient(reach, keep_alive_s=60, most_connections=most))


async def test_waits_for_a_place_and_takes_turns() -> None:
    transport, server = limited(2), Server(answers(OK))

    async with server.running() as port:
        answered = await asyncio.gather(*(whole(transport, call(port)) for _ in range(30)))
        await transport.aclose()

    assert answered == [(200, b"{}")] * 30
    assert len(server.lines) == 2
    assert transport.client.pool.places_taken == 0


async def test_waits_no_longer_for_a_place_than_it_may() -> None:
    transport, server = limited(1), Server(silent)

    async with server.running() as port:
        first = asyncio.create_task(whole(transport, call(port)))
        async with asyncio.timeout(DEADLINE_S):
            await server.asked.wait()
        with pytest.raises(httpx.PoolTimeout):
            await whole(transport, call(port, pool=0.02))
        leaving = asyncio.create_task(whole(transport, call(port)))
        waiting = asyncio.create_task(whole(transport, call(port, read=0.02)))
        for _ in range(20):
            await asyncio.sleep(0)
        leaving.cancel()
        first.cancel()
        with pytest.raises(httpx.ReadTimeout):
            await waiting
        await asyncio.gather(first, leaving, return_exceptions=True)
        await transport.aclose()

    assert transport.client.pool.places_taken == 0
    assert len(server.lines) == 2


@pytest.mark.parametrize("handed", ["a place", "a connection"])
async def test_hands_on_what_it_was_handed_when_it_had_left(handed: str) -> None:
    transport, server = limited(1), Server(answers(OK))

    async with server.running() as port:
        held = await transport.client.pool.acquire(
            ("http", "127.0.0.1", port), connect_s=None, pool_s=None
        )
        leaving, next_one = (asyncio.create_task(whole(transport, call(port))) for _ in range(2))
        for _ in range(5):
            await asyncio.sleep(0)
        if handed == "a place":
            lost = held.on_lost

            def is_lost(connection: Connection) -> None:
                assert lost is not None
                lost(connection)
                leaving.cancel()

            held.on_lost = is_lost
            held.abort()
        else:
            assert held.on_free is not None
            held.on_free(held)
            leaving.cancel()
        assert await next_one == (200, b"{}")
        assert leaving.cancelled()
        await transport.aclose()

    assert transport.client.pool.places_taken == 0
    assert len(server.lines) == (2 if handed == "a place" else 1)


async def test_keeps_the_place_of_no_connection_that_failed() -> None:
    transport, server = limited(1), Server(answers(OK))
    async with server.running() as port:
        pass

    for _ in range(5):
        with pytest.raises(httpx.ConnectError):
            await whole(transport, call(port))

    assert transport.client.pool.places_taken == 0
    await transport.aclose()


async def test_a_closed_transport_calls_nobody() -> None:
    transport, server = limited(1), Server(begins)

    async with server.running() as port:
        response = await transport.handle_async_request(call(port))
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await response.aread()
        with pytest.raises(httpx.ConnectError):
            await whole(transport, call(port))

    assert transport.client.pool.places_taken == 0


async def test_tries_the_next_address_beside_one_that_does_not_answer() -> None:
    server = Server(answers(OK))
    full = socket.socket()
    full.bind(("127.0.0.1", 0))

    async with server.running() as port:
        addresses = [
            (socket.AF_INET6, ("::1", port, 0, 0)),
            (socket.AF_INET, full.getsockname()),
            (socket.AF_INET, ("127.0.0.1", port)),
        ]
        async with asyncio.timeout(DEADLINE_S):
            connected = await connect_first(addresses, next_address_s=0.01)
        assert connected.getpeername() == ("127.0.0.1", port)
        connected.close()
        with pytest.raises(OSError, match=r"."):
            await connect_first(addresses[:2], next_address_s=0.01)
    full.close()
