"""Memory does not grow with readers that do not read, nor beyond what large prompts need."""

import asyncio
import json
import socket
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.laws.raw_provider import RawProvider, raw_provider
from tests.laws.watched_proxy import KEYS, PATIENCE_S, WatchedProxy, proxy_serving

MIB = 1024 * 1024


def _kernel_bytes() -> int:
    """What the sockets of two connections may hold: that is the system's business, not ours."""
    limits = [Path(f"/proc/sys/net/ipv4/{name}").read_text() for name in ("tcp_rmem", "tcp_wmem")]
    return sum(int(limit.split()[2]) for limit in limits) + MIB


KERNEL_BYTES = _kernel_bytes()
REPLY_BYTES = max(50 * MIB, KERNEL_BYTES + 10 * MIB)
GATEWAY_BYTES = 20 * MIB
"""What the gateway may hold of one reply: 8 MiB of a JSON reply to read its usage, joined once."""
PROMPTS = 200
PROMPT_BYTES = 100_000
COPIES = 5
"""How often a prompt may be in memory: in pieces, whole, edited, on its way, and to spare."""

_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
_TEXT = b"x" * 16_000


@dataclass(frozen=True, slots=True)
class Case:
    """What is called, and what the provider sends over and over."""

    path: str
    body: bytes
    head: bytes
    piece: bytes
    method: str = "POST"


CASES = {
    "openai stream, re-cut": Case(
        "/openai/v1/chat/completions",
        b'{"model":"gpt-4o-mini","stream":true}',
        _EVENTS,
        b'data: {"choices":[{"index":0,"delta":{"content":"' + _TEXT + b'"}}]}\n\n',
    ),
    "openai responses": Case(
        "/openai/v1/responses",
        b'{"model":"gpt-4o-mini","stream":true}',
        _EVENTS,
        b'data: {"type":"response.output_text.delta","delta":"' + _TEXT + b'"}\n\n',
    ),
    "anthropic stream": Case(
        "/anthropic/v1/messages",
        b'{"model":"claude-sonnet-4-5","max_tokens":9,"stream":true}',
        _EVENTS,
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"' + _TEXT + b'"}}\n\n',
    ),
    "gemini array": Case(
        "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        b"{}",
        _JSON,
        b'{"candidates":[{"content":{"parts":[{"text":"' + _TEXT + b'"}]}}]},\n',
    ),
    "events without an end": Case(
        "/anthropic/v1/messages", b'{"stream":true}', _EVENTS, b"data: " + _TEXT
    ),
    "one JSON reply": Case("/openai/v1/chat/completions", b'{"model":"gpt-4o-mini"}', _JSON, _TEXT),
    "a file": Case("/openai/v1/files/file-1/content", b"", _JSON, _TEXT, method="GET"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
async def test_a_provider_is_held_back_while_its_reply_is_not_read(
    tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    provider = RawProvider(case.head, repeat(case.piece, REPLY_BYTES // len(case.piece)))
    async with (
        raw_provider(provider),
        proxy_serving(tmp_path / "data", provider.address) as proxy,
        asyncio.timeout(PATIENCE_S),
    ):
        before = await proxy.loaded_bytes()
        reader = await _asking(proxy, case)

        await provider.at_rest.wait()
        unread = (provider.sent_bytes, proxy.peak_bytes() - before)
        slowly = b"".join([await _received(reader, 1) for _ in range(1000)])
        slow = (provider.sent_bytes, proxy.peak_bytes() - before)
        rest = 0
        while piece := await _received(reader, MIB):
            rest += len(piece)
        reader.close()

    assert max(unread[0], slow[0]) < KERNEL_BYTES
    assert max(unread[1], slow[1]) < GATEWAY_BYTES
    assert slowly.startswith(b"HTTP/1.1 200")
    assert provider.sent_bytes > REPLY_BYTES - len(case.piece)
    assert len(slowly) + rest >= provider.sent_bytes


async def _asking(proxy: WatchedProxy, case: Case) -> socket.socket:
    """A connection that has asked, with a small buffer of its own."""
    connection = await _connected(proxy, buffer_bytes=256 * 1024)
    await asyncio.get_running_loop().sock_sendall(connection, _request(case))
    return connection


async def _connected(proxy: WatchedProxy, buffer_bytes: int) -> socket.socket:
    parts = urlsplit(proxy.address)
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (parts.hostname, parts.port))
    return connection


async def _received(connection: socket.socket, most_bytes: int) -> bytes:
    return await asyncio.get_running_loop().sock_recv(connection, most_bytes)


def _request(case: Case) -> bytes:
    headers = {
        "host": "gateway",
        "content-length": str(len(case.body)),
        "anthropic-version": "2023-06-01",
        "x-gateway-key": KEYS["stop"],
        "authorization": "Bearer sim",
    }
    lines = [f"{case.method} {case.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + case.body


@pytest.mark.slow
async def test_large_prompts_at_once_need_their_own_size_a_few_times(tmp_path: Path) -> None:
    content = json.dumps({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    head = _JSON + content.encode()
    message = {"role": "user", "content": "x" * PROMPT_BYTES}
    body = json.dumps({"model": "gpt-4o-mini", "stream": True, "messages": [message]}).encode()
    case = Case("/openai/v1/chat/completions", body, head, b"")
    provider = RawProvider(head, wanted=PROMPTS)
    async with (
        raw_provider(provider),
        proxy_serving(tmp_path / "data", provider.address) as proxy,
        asyncio.timeout(PATIENCE_S),
    ):
        before = await proxy.loaded_bytes()

        answers = await asyncio.gather(*(_whole_answer(proxy, case) for _ in range(PROMPTS)))

        grown = proxy.peak_bytes() - before
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}
    assert {size > PROMPT_BYTES for _, size in provider.requests} == {True}
    assert grown < COPIES * PROMPTS * len(body)


async def _whole_answer(proxy: WatchedProxy, case: Case) -> bytes:
    parts = urlsplit(proxy.address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(_request(case))
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head
