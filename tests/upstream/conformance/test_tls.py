"""TLS to providers: the chain and the name are checked, and what is asked is said by SNI."""

import asyncio
import gc
import ssl
from dataclasses import replace

import httpx
import pytest

import common.adapters.upstream as upstream_adapter
from common.adapters.lean_client import Patience
from common.adapters.lean_connection import Connection
from common.adapters.lean_transport import lean_transport
from common.adapters.upstream import HttpUpstream
from common.gateway.upstream import (
    ProxyFailed,
    Upstream,
    UpstreamDisconnected,
    UpstreamRequest,
    UpstreamUnreachable,
)
from tests.upstream.conformance.conftest import MakeUpstream
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


@pytest.fixture
def names() -> list[str | None]:
    """What clients asked for by SNI."""
    return []


@pytest.fixture
def tls(tls: ssl.SSLContext, names: list[str | None]) -> ssl.SSLContext:
    tls.sni_callback = lambda _, name, __: names.append(name)
    return tls


def request(host: str, port: int, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest("POST", f"https://{host}:{port}/v1/x", [], body, allow_private=True)


def outside(host: str, port: int) -> UpstreamRequest:
    """What is reached through the proxy."""
    return replace(request(host, port), allow_private=False)


async def body_of(upstream: Upstream, asked: UpstreamRequest) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        reply = await upstream.send(asked)
        body = b"".join([chunk async for chunk in reply.chunks()])
        await reply.aclose()
    return body


@pytest.mark.usefixtures("trusted")
async def test_speaks_to_a_provider_it_knows_by_name(
    connects: MakeUpstream, tls: ssl.SSLContext, names: list[str | None]
) -> None:
    server, upstream = Server(answers(OK), tls=tls), connects()

    async with server.running() as port:
        for _ in range(3):
            assert await body_of(upstream, request("localhost", port)) == b"{}"
        await upstream.aclose()

    assert names == ["localhost"]
    assert len(server.lines[0].heads) == 3


@pytest.mark.usefixtures("trusted")
async def test_sends_and_reads_what_is_large(connects: MakeUpstream, tls: ssl.SSLContext) -> None:
    answer = b"a" * 3_000_000
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
    server, upstream = Server(answers(large), tls=tls), connects()
    sent = bytes(range(256)) * 3_900

    async with server.running() as port:
        for _ in range(2):
            assert await body_of(upstream, request("localhost", port, sent)) == answer
        await upstream.aclose()

    assert server.lines[0].bodies == [sent, sent]


async def test_trusts_no_authority_that_nobody_named(
    connects: MakeUpstream, tls: ssl.SSLContext
) -> None:
    server, upstream = Server(answers(OK), tls=tls), connects()

    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("localhost", port))
        await upstream.aclose()

    assert [line.heads for line in server.lines] in ([], [[]])


@pytest.mark.usefixtures("trusted")
async def test_trusts_no_certificate_of_another_name(
    connects: MakeUpstream, tls: ssl.SSLContext
) -> None:
    server, upstream = Server(answers(OK), tls=tls), connects()

    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("127.0.0.2", port))
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("ip6-localhost", port))
        await upstream.aclose()

    assert not any(line.heads for line in server.lines)


async def test_sends_nothing_to_what_speaks_no_tls(connects: MakeUpstream) -> None:
    upstream = connects()

    async def plain(line: Line) -> None:
        await line.reader.read(1)
        await line.send(OK)

    server = Server(plain)
    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("localhost", port))
        await upstream.aclose()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_speaks_tls_with_the_provider_behind_a_proxy(
    kind: str, connects: MakeUpstream, tls: ssl.SSLContext, names: list[str | None], scheme: str
) -> None:
    provider = Server(answers(OK), tls=tls)

    async def passes_on(line: Line) -> None:
        head = await line.head()
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()

        both = [
            asyncio.create_task(pump(line.reader, writer)),
            asyncio.create_task(pump(reader, line.writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.transport.abort()
            line.writer.transport.abort()
            await asyncio.gather(*both, return_exceptions=True)

    proxy = Server(passes_on, tls=tls if scheme == "https" else None)
    async with provider.running() as port, proxy.running() as proxy_port:
        # aiohttp tells that the way in which httpx-aiohttp names a user is going away.
        user = "user:word@" if kind == "lean" else ""
        upstream = connects(f"{scheme}://{user}localhost:{proxy_port}")
        asked = outside("localhost", port)
        asked.headers.append((b"authorization", b"Bearer k"))
        for _ in range(2):
            assert await body_of(upstream, asked) == b"{}"
        await upstream.aclose()

    [head] = proxy.lines[0].heads
    assert head.startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % port)
    assert (b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n" in head) is (kind == "lean")
    assert b"Bearer" not in head
    assert names == ["localhost"] * (2 if scheme == "https" else 1)
    assert len(provider.lines) == 1


async def test_asks_no_proxy_whose_certificate_nobody_signed(
    connects: MakeUpstream, tls: ssl.SSLContext
) -> None:
    proxy = Server(answers(OK), tls=tls)

    async with proxy.running() as port:
        upstream = connects(f"https://localhost:{port}")
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, outside("api.provider.invalid", 443))
        await upstream.aclose()

    assert not any(line.heads for line in proxy.lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
async def test_knows_that_a_proxy_refused_before_anything_was_sent(
    kind: str, connects: MakeUpstream, answer: bytes
) -> None:
    async def refuses(line: Line) -> None:
        await line.head()
        await line.send(answer)

    # aiohttp cannot tell a proxy that hangs up from a call that broke: that is the careful side.
    careful = kind == "aiohttp" and not answer.startswith(b"HTTP")
    proxy = Server(refuses)
    async with proxy.running() as port:
        upstream = connects(f"http://127.0.0.1:{port}")
        with pytest.raises(UpstreamDisconnected if careful else UpstreamUnreachable):
            await body_of(upstream, outside("api.provider.invalid", 443))
        await upstream.aclose()


def answers_connect(answer: bytes, *, closes: bool = False, more: bytes = b"") -> Script:
    async def script(line: Line) -> None:
        await line.head()
        await line.send(answer + more)
        if not closes:
            await line.hear_closing()

    return script


THROUGH = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (answers_connect(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), "with 407"),
        (answers_connect(b"", closes=True), "its answer to CONNECT: hung up"),
        (answers_connect(b"SSH-2.0-OpenSSH\r\n"), "its answer to CONNECT: not a reply"),
        (answers_connect(THROUGH, more=b"HTTP/1.1 200 OK\r\n\r\n"), "answer to CONNECT: "),
        (answers_connect(THROUGH, closes=True), "after its answer to CONNECT: "),
    ],
    ids=["407", "nothing", "SSH", "more bytes", "a closing"],
)
async def test_tells_that_the_own_proxy_failed_and_not_the_provider(
    script: Script, said: str
) -> None:
    proxy = Server(script)

    async with proxy.running() as port:
        upstream = HttpUpstream(f"http://user:word@127.0.0.1:{port}")
        with pytest.raises(ProxyFailed, match=said) as failed:
            await body_of(upstream, outside("api.provider.invalid", 443))
        await upstream.aclose()

    assert "word" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://127.0.0.1:{}", "ConnectionRefusedError"), ("http://proxy.invalid:{}", "gaierror")],
)
async def test_tells_that_the_own_proxy_was_not_reached(url: str, said: str) -> None:
    async with Server(answers(OK)).running() as port:
        pass
    upstream = HttpUpstream(url.format(port))

    with pytest.raises(ProxyFailed, match=said):
        await body_of(upstream, outside("api.provider.invalid", 443))
    await upstream.aclose()


async def test_tells_that_the_own_proxy_says_nothing_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_adapter, "_PATIENCE", Patience(connect_s=0.05))

    async def silent(line: Line) -> None:
        await line.hear_closing()

    async with Server(silent).running() as port:
        upstream = HttpUpstream(f"http://127.0.0.1:{port}")
        with pytest.raises(ProxyFailed, match="not in time"):
            await body_of(upstream, outside("api.provider.invalid", 443))
        await upstream.aclose()


async def test_tells_that_the_own_proxy_has_a_certificate_that_nobody_signed(
    tls: ssl.SSLContext,
) -> None:
    async with Server(answers(OK), tls=tls).running() as port:
        upstream = HttpUpstream(f"https://localhost:{port}")
        with pytest.raises(ProxyFailed, match="SSLCertVerificationError"):
            await body_of(upstream, outside("api.provider.invalid", 443))
        await upstream.aclose()


@pytest.mark.usefixtures("trusted")
async def test_asks_no_proxy_for_what_may_be_inside_the_own_network(
    connects: MakeUpstream, tls: ssl.SSLContext
) -> None:
    async def serves_nobody(line: Line) -> None:
        await line.hear_closing()

    provider, proxy = Server(answers(OK), tls=tls), Server(serves_nobody)
    async with provider.running() as port, proxy.running() as proxy_port:
        upstream = connects(f"http://localhost:{proxy_port}")
        assert await body_of(upstream, request("localhost", port)) == b"{}"
        await upstream.aclose()

    assert proxy.lines == []


async def test_a_limit_of_time_holds_while_tls_begins(make: MakeTransport) -> None:
    async def silent(line: Line) -> None:
        await line.hear_closing()

    server = Server(silent)
    transport = make(None, keep_alive_s=60, allow_private=True, to_metadata=False)
    async with server.running() as port:
        late = httpx.Request(
            "POST", f"https://localhost:{port}/", extensions={"timeout": {"connect": 0.05}}
        )
        if "aiohttp" in type(transport).__module__:
            late.extensions["timeout"]["pool"] = 0.05
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(httpx.TransportError):
                await transport.handle_async_request(late)
        await transport.aclose()


@pytest.mark.usefixtures("trusted")
async def test_leaves_nothing_of_callers_that_left_while_tls_began(tls: ssl.SSLContext) -> None:
    server = Server(answers(OK), tls=tls)
    transport = lean_transport(None, keep_alive_s=60, allow_private=True)

    async with server.running() as port:
        for turns in range(60):
            leaving = asyncio.create_task(whole(transport, call(port, scheme="https")))
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait([leaving])
        assert await whole(transport, call(port, scheme="https")) == (200, b"{}")
        await transport.aclose()

    assert transport.client.pool.places_taken == 0
    gc.collect()
    assert [each for each in gc.get_objects() if isinstance(each, Connection)] == []
