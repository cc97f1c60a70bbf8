"""Strange requests over real sockets: what the server refuses, what the gateway does, what passes.

The parser is llhttp, strict as uvicorn uses it. What it refuses is answered with 400 in plain text
and has no event, because no call began. Only uvicorn could bound a head while it arrives, and does
not: the gateway refuses a long one when it is there, and forwards none of it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.gateway.incoming import HEAD_BYTES
from scripts.benchmark.surroundings import usage_events
from tests.laws.raw_provider import RawProvider, raw_provider
from tests.laws.watched_proxy import KEYS, PATIENCE_S, WatchedProxy, proxy_serving, until

MIB = 1024 * 1024
BODY = b'{"model":"gpt-4o-mini"}'
LENGTH = b"content-length: 23\r\n"
LINE = b"POST /openai/v1/chat/completions HTTP/1.1"
CHUNKED = b"transfer-encoding: chunked\r\n"
REPLY = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"
"""The provider's: an error costs nothing and is no business of these tests."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A proxy with a provider behind it."""

    proxy: WatchedProxy
    provider: RawProvider
    data: Path

    async def answer(self, request: bytes) -> bytes:
        """The first bytes of the answer; nothing where the connection just ends."""
        async with connection(self.proxy) as (reader, writer):
            writer.write(request)
            with suppress(ConnectionError):
                return await reader.read(4096)
        return b""

    def codes(self) -> list[str | None]:
        """Why each call failed that has an event."""
        with suppress(sqlite3.OperationalError):  # its file and table come with the first event
            return [event["error_code"] for event in usage_events(self.data)]
        return []


@asynccontextmanager
async def connection(
    proxy: WatchedProxy,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(proxy.address)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    async with (
        raw_provider(RawProvider(REPLY)) as provider,
        proxy_serving(tmp_path / "data", provider.address, CALL_TIMEOUT_S="3") as proxy,
    ):
        yield Serving(proxy, provider, tmp_path / "data")


def head(extra: bytes = b"", *, line: bytes = LINE, length: bytes = LENGTH) -> bytes:
    """A request's head with our key and these lines, each with its end."""
    key = b"x-gateway-key: " + KEYS["stop"].encode()
    own = b"\r\nhost: gateway\r\nauthorization: Bearer sim\r\n" + key + b"\r\n"
    return line + own + length + extra + b"\r\n"


UNPARSABLE = {
    "control character in a value": head(b"x-a: a\x01b\r\n"),
    "NUL in a value": head(b"x-a: a\x00b\r\n"),
    "DEL in a value": head(b"x-a: a\x7fb\r\n"),
    "CR in a value": head(b"x-a: a\rb\r\n"),
    "LF as a line's end": head(b"x-a: a\nx-b: b\r\n"),
    "a folded line": head(b"x-a: a\r\n b\r\n"),
    "a space in a name": head(b"x a: b\r\n"),
    "a space behind a name": head(b"x-a : b\r\n"),
    "a byte above ASCII in a name": head(b"x-\xe9: b\r\n"),
    "no name": head(b": b\r\n"),
    "no colon": head(b"xyz\r\n"),
    "two lengths": head(b"content-length: 3\r\n"),
    "a length and chunks": head(CHUNKED),
    "a negative length": head(length=b"content-length: -5\r\n"),
    "a length beyond 64 bits": head(length=b"content-length: " + b"9" * 30 + b"\r\n"),
    "a URL above 64 KiB": head(line=b"POST /openai/v1/models?" + b"x" * 70_000 + b" HTTP/1.1"),
    "bytes above ASCII in a URL": head(line=b"POST /openai/v1/caf\xe9 HTTP/1.1"),
    "a method nobody knows": head(line=b"BREW /openai/v1/models HTTP/1.1"),
}


@pytest.mark.slow
async def test_what_does_not_parse_is_400_and_no_call(serving: Serving) -> None:
    answers = {name: await serving.answer(sent + BODY) for name, sent in UNPARSABLE.items()}

    assert {name: answer[:12] for name, answer in answers.items()} == dict.fromkeys(
        UNPARSABLE, b"HTTP/1.1 400"
    )
    assert {answer.rpartition(b"\r\n\r\n")[2] for answer in answers.values()} == {
        b"Invalid HTTP request received."
    }
    assert (serving.provider.requests, serving.codes()) == ([], [])


LIES = {
    "a body shorter than its chunk says": head(CHUNKED, length=b"") + b"zz\r\n" + BODY,
    "a chunk beyond 64 bits": head(CHUNKED, length=b"") + b"f" * 17 + b"\r\n" + BODY,
    "a body longer than its length": head(length=b"content-length: 5\r\n") + BODY + b"\r\n\r\n",
    "a coding that is not chunked": head(b"transfer-encoding: gzip\r\n", length=b"") + BODY,
    "a body without a length": head(length=b"") + BODY,
}


@pytest.mark.slow
async def test_a_body_that_lies_about_its_length_is_not_forwarded_whole(serving: Serving) -> None:
    for name, sent in LIES.items():
        assert (await serving.answer(sent))[:12] == b"HTTP/1.1 400", name

    await until(lambda: len(serving.codes()) == len(LIES))
    # The server ends such a connection. A provider may have judged by then what was sent of it.
    assert set(serving.codes()) <= {"client_disconnected", "upstream_400"}
    assert len(BODY) not in [size for _, size in serving.provider.requests]


def _long() -> dict[str, bytes]:
    each = b"x-a: v\r\n"
    return {
        "one long value": b"x-a: " + b"v" * HEAD_BYTES + b"\r\n",
        "10,000 headers": each * 10_000,
        "16 MiB": b"x-a: " + b"v" * 16 * MIB + b"\r\n",
    }


@pytest.mark.slow
async def test_a_head_above_64_kib_is_refused_and_not_forwarded(serving: Serving) -> None:
    for name, extra in _long().items():
        answer = await serving.answer(head(extra) + BODY)
        assert answer[:12] == b"HTTP/1.1 431", name
        assert b"\r\nx-gateway-error: head_too_large\r\n" in answer, name

    await until(lambda: len(serving.codes()) == len(_long()))
    assert (serving.provider.requests, serving.codes()) == ([], ["head_too_large"] * 3)


@pytest.mark.slow
async def test_a_head_below_64_kib_passes(serving: Serving) -> None:
    value = b"v" * (HEAD_BYTES - 1024)

    await serving.answer(head(b"x-a: " + value + b"\r\n") + BODY)

    [(forwarded, length)] = serving.provider.requests
    assert (value in forwarded, length) == (True, len(BODY))
    await until(lambda: serving.codes() != [])
    assert serving.codes() == ["upstream_400"]


PASSING = {
    "a tab": (b"x-a: a\tb", b"a\tb"),
    "nothing": (b"x-a:", b""),
    "UTF-8": ("x-a: café".encode(), "café".encode()),
    "every sign of a name": (b"x-!#$%&'*+.^_`|~: b", b"b"),
    "Latin-1": (b"x-a: caf\xe9", b"caf\xe9"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSING)
async def test_what_parses_reaches_the_provider(serving: Serving, name: str) -> None:
    sent, expected = PASSING[name]

    await serving.answer(head(sent + b"\r\n") + BODY)

    [(forwarded, _)] = serving.provider.requests
    lines = [line.partition(b":") for line in forwarded.split(b"\r\n")]
    values = [value.strip() for key, _, value in lines if key.lower() == sent.partition(b":")[0]]
    assert values == [expected]


@pytest.mark.slow
async def test_a_chunked_body_without_end_is_refused_at_32_mib(serving: Serving) -> None:
    piece = b"%x\r\n" % MIB + b"x" * MIB + b"\r\n"
    before, sent = await serving.proxy.loaded_bytes(), 0
    async with connection(serving.proxy) as (reader, writer):
        writer.write(head(CHUNKED, length=b""))
        answering = asyncio.create_task(reader.read(4096))
        while not answering.done():
            writer.write(piece)
            await writer.drain()
            sent += MIB
        answer = await answering

    assert answer[:12] == b"HTTP/1.1 413"
    assert sent < 48 * MIB
    assert serving.proxy.peak_bytes() - before < 128 * MIB
    await until(lambda: serving.codes() != [])
    assert (serving.provider.requests, serving.codes()) == ([], ["body_too_large"])


@pytest.mark.slow
async def test_a_body_that_trickles_in_is_refused_when_it_is_due(serving: Serving) -> None:
    async with connection(serving.proxy) as (reader, writer):
        writer.write(head(length=b"content-length: 1000000\r\n"))
        answering = asyncio.create_task(reader.read(4096))
        while not answering.done():
            writer.write(b" ")
            await asyncio.wait([answering], timeout=0.05)
        answer = await answering

    assert (answer[:12], b"\r\nx-gateway-error: incomplete_request\r\n" in answer) == (
        b"HTTP/1.1 400",
        True,
    )
    await until(lambda: serving.codes() != [])
    assert (serving.provider.requests, serving.codes()) == ([], ["incomplete_request"])


@pytest.mark.slow
async def test_a_body_that_ends_before_its_length_is_not_forwarded(serving: Serving) -> None:
    async with connection(serving.proxy) as (reader, writer):
        writer.write(head(length=b"content-length: 1000\r\n") + BODY)
        writer.write_eof()
        assert await reader.read() == b""

    await until(lambda: serving.codes() != [])
    assert (serving.provider.requests, serving.codes()) == ([], ["client_disconnected"])
