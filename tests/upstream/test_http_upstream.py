"""The connection to providers, over real sockets: what is sent, what comes back, what breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import pytest
import uvicorn

import common.adapters.upstream as upstream_adapter
from common.adapters.reachable import PrivateAddress
from common.adapters.upstream import HttpUpstream
from common.gateway.upstream import (
    UpstreamDisconnected,
    UpstreamReply,
    UpstreamRequest,
    UpstreamUnreachable,
)
from tests.upstream.over_aiohttp import AiohttpUpstream, JudgingResolver

Connection: TypeAlias = HttpUpstream | AiohttpUpstream
MakeUpstream: TypeAlias = type[HttpUpstream] | type[AiohttpUpstream]
Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(params=[AiohttpUpstream, HttpUpstream])
def make(request: pytest.FixtureRequest) -> MakeUpstream:
    kind: MakeUpstream = request.param
    return kind


@pytest.fixture
async def upstream(make: MakeUpstream) -> AsyncIterator[Connection]:
    connection = make()
    yield connection
    await connection.aclose()


class Provider:
    """A server that answers each request with given bytes and keeps what it was sent."""

    def __init__(self, answer: bytes, *, hang_up: bool = False) -> None:
        self._answer = answer
        self._hang_up = hang_up
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                self.bodies.append(await reader.readexactly(length))
                writer.write(self._answer)
                await writer.drain()
                if self._hang_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}/v1/x"
            server.close()


def request(url: str, *headers: tuple[bytes, bytes], body: bytes = b'{"a":1}') -> UpstreamRequest:
    return UpstreamRequest("POST", url, list(headers), body, allow_private=True)


async def _body(reply: UpstreamReply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


async def test_sends_the_headers_it_is_given_and_no_others(upstream: Connection) -> None:
    provider = Provider(OK)

    async with provider.running() as url:
        reply = await upstream.send(request(url, (b"X-Custom", b"kept"), (b"accept", b"a/b")))
        assert await _body(reply) == b"{}"
        await reply.aclose()
        await upstream.aclose()

    [head] = provider.heads
    names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
    assert names == {b"host", b"x-custom", b"accept", b"content-length"}
    assert provider.bodies == [b'{"a":1}']


async def test_keeps_no_cookie_of_one_call_for_the_next(upstream: Connection) -> None:
    provider = Provider(OK.replace(b"\r\n\r\n", b"\r\nset-cookie: session=1; Path=/\r\n\r\n", 1))

    async with provider.running() as url:
        for _ in range(2):
            reply = await upstream.send(request(url))
            await _body(reply)
            await reply.aclose()
        await upstream.aclose()

    assert provider.connections == 1
    assert b"cookie" not in provider.heads[1].lower()


async def test_follows_no_redirect(upstream: Connection) -> None:
    provider = Provider(b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n")

    async with provider.running() as url:
        reply = await upstream.send(request(url))
        await reply.aclose()
        await upstream.aclose()

    assert (reply.status, len(provider.heads)) == (302, 1)


async def test_decodes_nothing(upstream: Connection) -> None:
    encoded = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8bxy"

    async with Provider(encoded).running() as url:
        reply = await upstream.send(request(url))
        body = await _body(reply)
        await reply.aclose()
        await upstream.aclose()

    assert body == b"\x1f\x8bxy"
    assert (b"content-encoding", b"gzip") in reply.headers


async def test_knows_that_nothing_was_sent_where_nobody_listens(upstream: Connection) -> None:
    server = await asyncio.start_server(Provider(OK).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    with pytest.raises(UpstreamUnreachable):
        await upstream.send(request(f"http://127.0.0.1:{port}/"))


async def test_knows_that_nothing_was_sent_where_the_name_is_unknown(
    upstream: Connection,
) -> None:
    with pytest.raises(UpstreamUnreachable):
        await upstream.send(request("http://no-such-host.invalid/"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"ICY 200 OK\r\n\r\n"])
async def test_tells_a_provider_that_hangs_up_before_its_answer(
    upstream: Connection, answer: bytes
) -> None:
    async with Provider(answer, hang_up=True).running() as url:
        with pytest.raises(UpstreamDisconnected):
            await upstream.send(request(url))
        await upstream.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
async def test_gives_what_came_and_tells_that_it_broke_off(
    upstream: Connection, answer: bytes
) -> None:
    received = []

    async with Provider(answer, hang_up=True).running() as url:
        reply = await upstream.send(request(url))
        with pytest.raises(UpstreamDisconnected):  # noqa: PT012 - what came before counts too
            async for chunk in reply.chunks():
                received.append(chunk)  # noqa: PERF401 - it raises
        await reply.aclose()
        await upstream.aclose()

    assert b"".join(received) == b"{}"


async def test_closes_the_connection_of_a_reply_that_was_left(upstream: Connection) -> None:
    """So that the provider stops generating."""
    provider = Provider(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")

    async with provider.running() as url:
        reply = await upstream.send(request(url))
        chunks = reply.chunks()
        assert await anext(chunks) == b"{}"

        await reply.aclose()

        async with asyncio.timeout(5):
            await provider.closed.wait()
        await upstream.aclose()


async def test_speaks_to_https_providers_through_the_proxy_alone(make: MakeUpstream) -> None:
    proxy = Provider(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")

    async with proxy.running() as url:
        upstream = make(url.removesuffix("/v1/x"))
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(
                replace(request("https://api.provider.invalid/v1/x"), allow_private=False)
            )
        await upstream.aclose()

    assert proxy.heads[0].startswith(b"CONNECT api.provider.invalid:443 ")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_reaches_no_address_inside_the_own_network(upstream: Connection, host: str) -> None:
    """Also not by a name that leads there."""
    provider = Provider(OK)
    async with provider.running() as url:
        inside = replace(request(url.replace("127.0.0.1", host)), allow_private=False)

        with pytest.raises(UpstreamUnreachable):
            await upstream.send(inside)

    assert provider.connections == 0


async def test_reaches_it_where_that_is_meant(upstream: Connection) -> None:
    provider = Provider(OK)
    async with provider.running() as url:
        reply = await upstream.send(request(url.replace("127.0.0.1", "localhost")))
        assert await _body(reply) == b"{}"
        await reply.aclose()


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "[fe80::1]", "[fe80::1%25lo]", "metadata.google.internal"],
)
async def test_reaches_no_metadata_server_even_where_private_addresses_are_meant(
    upstream: Connection, host: str
) -> None:
    with pytest.raises(UpstreamUnreachable, match="PrivateAddress"):
        await upstream.send(request(f"http://{host}/v1/x"))


@pytest.mark.parametrize("allow_private", [True, False])
async def test_a_name_that_leads_to_the_metadata_server_is_not_resolved(
    *, allow_private: bool
) -> None:
    resolver = JudgingResolver(allow_private=allow_private)

    with pytest.raises(PrivateAddress):
        await resolver.resolve("169.254.169.254", 80)


def test_leaves_a_server_of_ones_own_before_that_server_closes() -> None:
    kept_by_uvicorn_s = uvicorn.Config("never:run").timeout_keep_alive

    assert kept_by_uvicorn_s > upstream_adapter.PRIVATE_KEEP_ALIVE_S


async def test_closes_what_is_idle_at_a_server_of_ones_own(
    upstream: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_adapter, "PRIVATE_KEEP_ALIVE_S", 0.01)
    provider = Provider(OK)

    async with provider.running() as url:
        await _body(await upstream.send(request(url)))
        async with asyncio.timeout(10):
            await provider.closed.wait()
