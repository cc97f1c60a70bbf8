"""Clients that hang up leave nothing behind: no connection, no task, no memory; one event each."""

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from common.gateway.keys import OnDisconnect
from scripts.benchmark.surroundings import usage_events
from tests.laws.traffic import Planned, plan
from tests.laws.watched_proxy import KEYS, PATIENCE_S, WatchedProxy, proxy_serving, until
from tests.local_stack.process import Simulator

CALLS = 1_000
AT_ONCE = 32
SEED = 20261122
MOMENTS = ("head", "body", "wait", "reply", "end")
LATENCY_MS = 60
INTERVAL_MS = 2
LAST_WORDS = (b"[DONE]", b"message_stop", b"response.completed", b"\r\n0\r\n\r\n")
GROWTH_BYTES = 12 * 1024 * 1024
"""Allocators keep some; a thousand bodies, taps or connections would be more than this."""


@dataclass(frozen=True, slots=True)
class Leaver:
    """A client that hangs up: when, how far it gets by then, and whether it resets or closes."""

    call: Planned
    policy: OnDisconnect
    moment: str
    share: float
    resets: bool

    def request(self) -> tuple[bytes, bytes]:
        """Head and body."""
        body = json.dumps(self.call.body).encode()
        headers = {
            "host": "gateway",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "anthropic-version": "2023-06-01",
            "x-gateway-key": KEYS[self.policy],
            "x-gateway-tags": f"call={self.call.number}",
            **_provider_key(self.call.path),
            "x-simulated-latency-ms": str(LATENCY_MS),
            "x-simulated-chunk-interval-ms": str(INTERVAL_MS),
            **({"x-simulated-fault": self.call.fault} if self.call.fault else {}),
        }
        lines = [f"POST {self.call.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode(), body

    @property
    def arrives(self) -> bool:
        """Whether the gateway gets a complete head from it."""
        return self.moment != "head"


def _provider_key(path: str) -> Mapping[str, str]:
    if path.startswith("/openai"):
        return {"authorization": "Bearer sim"}
    return {"x-api-key" if path.startswith("/anthropic") else "x-goog-api-key": "sim"}


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path) as running:
        yield running


@pytest.fixture
async def proxy(tmp_path: Path, simulator: Simulator) -> AsyncIterator[WatchedProxy]:
    async with proxy_serving(tmp_path / "data", simulator.address) as running:
        yield running


@pytest.mark.slow
async def test_a_thousand_disconnects_leave_nothing_behind(
    tmp_path: Path, simulator: Simulator, proxy: WatchedProxy
) -> None:
    warming = [
        Leaver(call, "stop", "end", 1.0, resets=False) for call in plan(CALLS + 64, SEED)[CALLS:]
    ]
    await _all(proxy, warming)
    await _idle(proxy, simulator)
    before, memory_before = await proxy.alive(), proxy.memory_bytes()
    leavers = _leavers()

    await _all(proxy, leavers)

    arrived = Counter(each.call.number for each in (*leavers, *warming) if each.arrives)
    await until(lambda: _events_by_call(tmp_path) >= arrived)
    await _idle(proxy, simulator)
    found = _events_by_call(tmp_path)
    assert (found - arrived, arrived - found) == (Counter(), Counter())
    assert await proxy.alive() == before
    assert proxy.memory_bytes() - memory_before < GROWTH_BYTES
    assert _told(proxy) == []
    _show_every_moment(_events(tmp_path), leavers)


def _leavers() -> list[Leaver]:
    draw = random.Random(SEED)
    return [
        Leaver(
            call,
            draw.choice(tuple(KEYS)),
            MOMENTS[call.number % len(MOMENTS)],
            draw.random(),
            resets=draw.random() < 0.5,
        )
        for call in plan(CALLS, SEED)
    ]


def _show_every_moment(events: Mapping[int, dict[str, Any]], leavers: list[Leaver]) -> None:
    """The clients did leave, in every phase; and who lets calls finish has the provider's word."""
    asked = {each.call.number: each for each in leavers if each.arrives}
    gone = [number for number in asked if events[number]["client_gone"]]
    phases = Counter(_phase(events[number]) for number in gone)
    assert min(phases[name] for name in ("body", "wait", "reply")) > CALLS * 0.02, phases
    assert {(asked[n].policy, events[n]["protocol"], events[n]["streamed"]) for n in gone} == {
        (policy, protocol, streamed)
        for policy in KEYS
        for protocol in ("openai", "anthropic", "gemini")
        for streamed in (False, True)
    }
    unfinished = [
        (number, events[number]["cost_source"])
        for number, leaver in asked.items()
        if leaver.policy == "finish"
        and leaver.call.fault is None
        and events[number]["upstream_status"] == 200
        and events[number]["cost_source"] != "provider"
    ]
    assert unfinished == []


def _phase(event: Mapping[str, Any]) -> str:
    if event["upstream"] is None:
        return "body"
    return "wait" if event["status"] == 499 else "reply"


async def _all(proxy: WatchedProxy, leavers: list[Leaver]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(leaver: Leaver) -> None:
        async with slots:
            await _leave(proxy.address, leaver)

    async with asyncio.TaskGroup() as tasks:
        for leaver in leavers:
            tasks.create_task(one(leaver))


async def _leave(address: str, leaver: Leaver) -> None:
    head, body = leaver.request()
    async with _connection(address, resets=leaver.resets) as (reader, writer):
        if leaver.moment == "head":
            writer.write(head[: max(1, int(len(head) * leaver.share))])
        elif leaver.moment == "body":
            writer.write(head + body[: int(len(body) * leaver.share)])
        else:
            writer.write(head + body)
        await writer.drain()
        if leaver.moment == "wait":
            with suppress(TimeoutError):
                async with asyncio.timeout(leaver.share * LATENCY_MS / 1000):
                    await reader.read(1)
        elif leaver.moment == "reply":
            await _read(reader, 1 + int(leaver.share * 4_000))
        elif leaver.moment == "end":
            await _read(reader, 1 << 30)


async def _read(reader: asyncio.StreamReader, most_bytes: int) -> None:
    """Read so much of the answer, or to its end, whichever comes first."""
    got = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE_S):
            while len(got) < most_bytes and not _is_whole(got):
                piece = await reader.read(min(4096, most_bytes - len(got)))
                if not piece:
                    return
                got += piece


def _is_whole(got: bytes) -> bool:
    head, found, body = got.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    ]
    if lengths:
        return len(body) >= lengths[0]
    return any(words in body[-400:] for words in LAST_WORDS)


@asynccontextmanager
async def _connection(
    address: str, *, resets: bool
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(address)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        if resets:
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _idle(proxy: WatchedProxy, simulator: Simulator) -> None:
    """Until nobody calls: nothing in flight there, no task and no object of a call here.

    The provider closes what idles for 5 s. So a connection that stays, in whatever state, is one
    that the gateway does not know it has.
    """
    async with httpx.AsyncClient() as client:

        async def ended() -> bool:
            health = (await client.get(f"{simulator.address}/simulated/health")).json()
            return health["in_flight"] == 0 and not proxy.sockets()

        await until(ended)

    async def forgotten() -> bool:
        return not (await proxy.alive()).objects

    await until(forgotten)


def _events(folder: Path) -> dict[int, dict[str, Any]]:
    return {int(event["tags"]["call"]): event for event in usage_events(folder / "data")}


def _events_by_call(folder: Path) -> Counter[int]:
    """How many events each call has, by its number."""
    found = usage_events(folder / "data")
    return Counter(int(event["tags"].get("call", "-1")) for event in found)


def _told(proxy: WatchedProxy) -> list[str]:
    """What the process complained of: failed calls, and connections dropped by collection."""
    usual = ("usage.", "call.ended")
    return [line for line in proxy.errors.splitlines() if not any(each in line for each in usual)]
