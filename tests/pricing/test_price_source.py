"""The public list, asked for over a real connection: what is taken of it, and what never is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import pytest
from genai_prices import data

from common.adapters.price_sources import MOST_BYTES, PRICE_SOURCE_URL, GenaiPrices
from common.adapters.upstream import HttpUpstream
from common.core.errors import InvalidInput
from common.pricing.book_lines import BookLines, same_content
from common.pricing.compiling import compile_listed
from common.pricing.sources import SourceFailed
from scripts.commands.price_book import BOOK
from tests.pricing.lists import NOW, as_sent, lab, model, text
from tests.streams.fakes import ScriptedReply, ScriptedUpstream

Reply: TypeAlias = Callable[[str], list[bytes]]
"""What is answered to a path, piece by piece."""


@asynccontextmanager
async def server(reply: Reply) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that closes each connection, its address, and the paths that were asked for."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1].decode())
        try:
            for piece in reply(asked[-1]):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", asked


def whole(body: bytes, status: str = "200 OK", *headers: str) -> list[bytes]:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return ["\r\n".join([*head, "", ""]).encode(), body]


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    connection = HttpUpstream()
    yield connection
    await connection.aclose()


async def test_reads_every_price_as_it_is_written(upstream: HttpUpstream) -> None:
    price = "0.123456789012345678"
    body = text(lab(model("one", {"input_mtok": 2}))).replace(b"2}", f"{price}}}".encode())
    async with server(lambda _: whole(body)) as (url, _):
        listed = await GenaiPrices(upstream, f"{url}/data.json").read()

    [provider] = listed.providers
    assert provider.models[0].prices.input_mtok == Decimal(price)
    assert listed.origin["url"] == f"{url}/data.json"
    assert len(listed.origin["sha256"]) == 64


async def test_compiles_the_list_of_the_package_into_the_book_that_ships() -> None:
    upstream = ScriptedUpstream(ScriptedReply([text(as_sent(data.providers))]))

    listed = await GenaiPrices(upstream).read()
    book = compile_listed(listed, NOW)

    assert upstream.requests[0].url == PRICE_SOURCE_URL
    assert upstream.requests[0].allow_private is False
    assert same_content(BookLines.read(book), BookLines.read(BOOK.read_bytes()))
    assert BookLines.read(book).head["sources"]["genai-prices"] == {
        **listed.origin,
        "read_at": "2026-11-22T12:00:00+00:00",
    }


async def test_goes_nowhere_else_when_it_is_sent_elsewhere(upstream: HttpUpstream) -> None:
    async with server(lambda _: whole(text(lab()))) as (elsewhere, asked):
        moved = whole(b"", "302 Found", f"location: {elsewhere}/data.json")
        async with server(lambda _: moved) as (url, _):
            with pytest.raises(SourceFailed, match="it answers 302"):
                await GenaiPrices(upstream, url).read()

    assert asked == []


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "204 No Content"])
async def test_says_what_it_was_answered(upstream: HttpUpstream, status: str) -> None:
    async with server(lambda _: whole(b"", status)) as (url, _):
        with pytest.raises(SourceFailed, match=f"it answers {status[:3]}"):
            await GenaiPrices(upstream, url).read()


async def test_stops_reading_what_is_too_large(upstream: HttpUpstream) -> None:
    piece = b" " * 1_000_000
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\nconnection: close\r\n\r\n"
    sent = [head, *[piece] * (MOST_BYTES // len(piece) + 2)]
    async with server(lambda _: sent) as (url, _):
        with pytest.raises(SourceFailed, match="more than 16,000,000 bytes"):
            await GenaiPrices(upstream, url).read()


async def test_takes_no_half_of_a_list(upstream: HttpUpstream) -> None:
    body = text(lab())
    cut = [whole(body)[0], body[: len(body) // 2]]
    async with server(lambda _: cut) as (url, _):
        with pytest.raises(SourceFailed, match="no answer"):
            await GenaiPrices(upstream, url).read()


async def test_waits_no_longer_than_its_deadline() -> None:
    never = ScriptedUpstream(ScriptedReply([asyncio.Event()]))

    with pytest.raises(SourceFailed, match=r"no whole answer within 0\.01 s"):
        await GenaiPrices(never, deadline_s=0.01).read()

    assert never.reply.closed == 1


async def test_says_that_nobody_answers(upstream: HttpUpstream) -> None:
    async with server(lambda _: []) as (url, _):
        pass

    with pytest.raises(SourceFailed, match="no answer"):
        await GenaiPrices(upstream, url).read()


@pytest.mark.parametrize(
    "url",
    [
        "http://prices.example.com/data.json",
        "http://127.0.0.1.example.com/",
        "http://localhost/",
        "https://",
        "https://user:secret@prices.example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "",
    ],
)
def test_asks_by_https_or_on_this_machine_only(url: str) -> None:
    with pytest.raises(InvalidInput, match="the price source needs an address"):
        GenaiPrices(ScriptedUpstream(), url)
