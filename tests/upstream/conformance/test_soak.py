"""Many calls beside each other to a provider that breaks in every way: nothing leaks or mixes.

`LAW_CALLS` sets how many; 100,000 is what a release is tried with.
"""

import asyncio
import gc
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import httpx
import pytest

from common.adapters.lean_connection import Connection, Exchange
from common.adapters.lean_transport import LeanTransport, lean_transport
from tests.upstream.conformance.scripted import Line, Server, call, whole
from tests.upstream.over_aiohttp import MakeTransport

CALLS = int(os.environ.get("LAW_CALLS", "3000"))
AT_ONCE = 50
FAULTS = 0.05
BY_TLS = 0.3
SEED = 20261122


@dataclass(frozen=True, slots=True)
class Providers:
    """The same provider at two origins, of which one speaks TLS."""

    port: int
    tls_port: int
    plain: Server
    secured: Server

    def call(self, body: bytes, *, by_tls: bool) -> httpx.Request:
        if by_tls:
            return call(self.tls_port, body, scheme="https")
        return call(self.port, body)


def pieces_of(reply: bytes, random: Random) -> list[bytes]:
    cuts = sorted(random.randrange(len(reply) + 1) for _ in range(random.randrange(4)))
    return [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]


def chunked(body: bytes, random: Random) -> bytes:
    size = random.randrange(1, len(body) + 1)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join([*(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces), b"0\r\n\r\n"])


def answer_to(body: bytes, random: Random) -> bytes:
    head = b"HTTP/1.1 200 OK\r\n"
    if random.random() < 0.2:
        head = b"HTTP/1.1 100 Continue\r\n\r\n" + head
    if random.random() < 0.5:
        return head + b"transfer-encoding: chunked\r\n\r\n" + chunked(body, random)
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


async def answer_badly(line: Line, body: bytes, random: Random) -> None:
    """Ends the connection in one of many ways, or answers and then says more."""
    reply = answer_to(body, random)
    fault = random.randrange(6)
    if fault == 0:
        await line.send(reply[: random.randrange(len(reply))])
    elif fault == 1:
        await line.send(random.randbytes(random.randrange(1, 2_000)))
    elif fault == 2:
        # At once: what comes when the next request is out cannot be told from its answer.
        await line.send(reply + answer_to(b"of nobody", random))
    elif fault == 3:
        await line.send(
            reply.replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n")
        )
    elif fault == 4:
        await line.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    raise ConnectionError


@asynccontextmanager
async def providers(random: Random, tls: ssl.SSLContext) -> AsyncIterator[Providers]:
    plain, secured = provider(random), provider(random, tls)
    async with plain.running() as port, secured.running() as tls_port:
        yield Providers(port, tls_port, plain, secured)


def provider(random: Random, tls: ssl.SSLContext | None = None) -> Server:
    async def script(line: Line) -> None:
        while True:
            body = await line.request()
            line.heads.clear()
            line.bodies.clear()
            if random.random() < FAULTS:
                await answer_badly(line, body, random)
            await line.send(*pieces_of(answer_to(body, random), random))

    return Server(script, tls=tls)


async def calls(
    transport: httpx.AsyncBaseTransport, asked_of: Providers, random: Random
) -> dict[str, int]:
    """How the calls ended. A call that is answered is answered with its own words."""
    ends = {"whole": 0, "broken": 0, "left": 0}
    numbers = iter(range(CALLS))

    async def one_after_another() -> None:
        for number in numbers:
            body = b"%d:" % number + b"x" * random.randrange(3_000)
            request = asked_of.call(body, by_tls=random.random() < BY_TLS)
            asked = asyncio.create_task(whole(transport, request))
            if random.random() < FAULTS:
                for _ in range(random.randrange(12)):
                    await asyncio.sleep(0)
                asked.cancel()
            try:
                status, answer = await asked
            except asyncio.CancelledError:
                ends["left"] += 1
            except (httpx.TransportError, httpx.StreamError, OSError):
                ends["broken"] += 1
            except Exception as error:
                if "aiohttp" not in type(error).__module__:
                    raise
                ends["broken"] += 1
            else:
                assert (status, answer) == (200, body)
                ends["whole"] += 1

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    return ends


@pytest.mark.usefixtures("trusted")
async def test_mixes_no_answers_up(make: MakeTransport, tls: ssl.SSLContext) -> None:
    random = Random(SEED)
    transport = make(None, keep_alive_s=60, allow_private=True, to_metadata=False)

    async with providers(random, tls) as asked_of:
        ends = await calls(transport, asked_of, random)
        await transport.aclose()

    assert sum(ends.values()) == CALLS
    assert ends["whole"] > 0.85 * CALLS
    assert min(ends.values()) > 0


@pytest.mark.usefixtures("trusted")
async def test_leaves_nothing_behind(tls: ssl.SSLContext) -> None:
    random = Random(SEED)
    transport: LeanTransport = lean_transport(None, keep_alive_s=60, allow_private=True)

    async with providers(random, tls) as asked_of:
        await calls(transport, asked_of, random)
        assert transport.client.pool.places_taken <= 2 * AT_ONCE
        assert min(len(each.lines) for each in (asked_of.plain, asked_of.secured)) > AT_ONCE
        await transport.aclose()

    assert transport.client.pool.places_taken == 0
    del asked_of
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, Connection | Exchange)]
    assert left == []
