"""TLS to providers: the chain and the name are checked, and what is asked is said by SNI."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from common.adapters.upstream import HttpUpstream, MakeTransport
from common.gateway.upstream import UpstreamDisconnected, UpstreamRequest, UpstreamUnreachable
from scripts.benchmark.tls import Certificates, make_certificates
from tests.upstream.conformance.scripted import DEADLINE_S, Line, Server, answers

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(Path(tmp_path_factory.mktemp("tls")) / "made")


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is among the system's, as far as OpenSSL is told."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))


@pytest.fixture
def names() -> list[str | None]:
    """What clients asked for by SNI."""
    return []


@pytest.fixture
def tls(certificates: Certificates, names: list[str | None]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.provider)
    context.sni_callback = lambda _, name, __: names.append(name)
    return context


def request(host: str, port: int, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest("POST", f"https://{host}:{port}/v1/x", [], body, allow_private=True)


async def body_of(upstream: HttpUpstream, asked: UpstreamRequest) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        reply = await upstream.send(asked)
        body = b"".join([chunk async for chunk in reply.chunks()])
        await reply.aclose()
    return body


@pytest.mark.usefixtures("trusted")
async def test_speaks_to_a_provider_it_knows_by_name(
    make: MakeTransport, tls: ssl.SSLContext, names: list[str | None]
) -> None:
    server, upstream = Server(answers(OK), tls=tls), HttpUpstream(make=make)

    async with server.running() as port:
        for _ in range(3):
            assert await body_of(upstream, request("localhost", port)) == b"{}"
        await upstream.aclose()

    assert names == ["localhost"]
    assert len(server.lines[0].heads) == 3


@pytest.mark.usefixtures("trusted")
async def test_sends_and_reads_what_is_large(make: MakeTransport, tls: ssl.SSLContext) -> None:
    answer = b"a" * 3_000_000
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
    server, upstream = Server(answers(large), tls=tls), HttpUpstream(make=make)
    sent = bytes(range(256)) * 3_900

    async with server.running() as port:
        for _ in range(2):
            assert await body_of(upstream, request("localhost", port, sent)) == answer
        await upstream.aclose()

    assert server.lines[0].bodies == [sent, sent]


async def test_trusts_no_authority_that_nobody_named(
    make: MakeTransport, tls: ssl.SSLContext
) -> None:
    server, upstream = Server(answers(OK), tls=tls), HttpUpstream(make=make)

    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("localhost", port))
        await upstream.aclose()

    assert [line.heads for line in server.lines] in ([], [[]])


@pytest.mark.usefixtures("trusted")
async def test_trusts_no_certificate_of_another_name(
    make: MakeTransport, tls: ssl.SSLContext
) -> None:
    server, upstream = Server(answers(OK), tls=tls), HttpUpstream(make=make)

    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("127.0.0.2", port))
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("ip6-localhost", port))
        await upstream.aclose()

    assert not any(line.heads for line in server.lines)


async def test_sends_nothing_to_what_speaks_no_tls(make: MakeTransport) -> None:
    upstream = HttpUpstream(make=make)

    async def plain(line: Line) -> None:
        await line.reader.read(1)
        await line.send(OK)

    server = Server(plain)
    async with server.running() as port:
        with pytest.raises(UpstreamUnreachable):
            await body_of(upstream, request("localhost", port))
        await upstream.aclose()


@pytest.mark.usefixtures("trusted")
async def test_speaks_tls_with_the_provider_behind_a_proxy(
    kind: str, make: MakeTransport, tls: ssl.SSLContext, names: list[str | None]
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

    proxy = Server(passes_on)
    async with provider.running() as port, proxy.running() as proxy_port:
        # aiohttp tells that the way in which httpx-aiohttp names a user is going away.
        user = "user:word@" if kind == "lean" else ""
        upstream = HttpUpstream(f"http://{user}127.0.0.1:{proxy_port}", make)
        asked = replace(request("localhost", port), headers=[(b"authorization", b"Bearer k")])
        for _ in range(2):
            assert await body_of(upstream, asked) == b"{}"
        await upstream.aclose()

    [head] = proxy.lines[0].heads
    assert head.startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % port)
    assert (b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n" in head) is (kind == "lean")
    assert b"Bearer" not in head
    assert names == ["localhost"]
    assert len(provider.lines) == 1


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
    kind: str, make: MakeTransport, answer: bytes
) -> None:
    async def refuses(line: Line) -> None:
        await line.head()
        await line.send(answer)

    # aiohttp cannot tell a proxy that hangs up from a call that broke: that is the careful side.
    careful = kind == "aiohttp" and not answer.startswith(b"HTTP")
    proxy = Server(refuses)
    async with proxy.running() as port:
        upstream = HttpUpstream(f"http://127.0.0.1:{port}", make)
        with pytest.raises(UpstreamDisconnected if careful else UpstreamUnreachable):
            await body_of(upstream, request("api.provider.invalid", 443))
        await upstream.aclose()


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
