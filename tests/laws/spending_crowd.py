"""Processes of `proxy` and the callers who spend budgets through them, while processes die."""

import asyncio
import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.gateway.making import key_text
from tests.laws.drifting_proxy import CLOCK_OFF_S
from tests.laws.traffic import FAULTS
from tests.local_stack.process import ServerProcess

PLAIN, STRICT = "plain", "strict"
KEYS = {kind: key_text(f"never over {kind}") for kind in (PLAIN, STRICT)}
CLOCKS_OFF_S = (-2.5, 2.5, 0.0, -1.0)
FAULT_SHARE, HANG_UP_SHARE = 0.05, 0.15
REFUSED = 402
DEADLINE_S = 240.0
"""So that a call to a process that is frozen outlives the pause, and no law waits for ever."""

_MODELS = {
    "openai": ("gpt-4o-mini", "gpt-4.1", "gpt-4o"),
    "anthropic": ("claude-sonnet-5", "claude-haiku-5-5"),
    "gemini": ("gemini-2.5-flash", "gemini-2.5-pro"),
}
_KEY_HEADERS = {
    "openai": ("authorization", "Bearer sim"),
    "anthropic": ("x-api-key", "sim"),
    "gemini": ("x-goog-api-key", "sim"),
}


@dataclass(frozen=True, slots=True)
class Spending:
    """One call to make."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    hang_up_after: int | None


def spendings(count: int, seed: int) -> Iterator[Spending]:
    draw = random.Random(seed)
    return (_spending(number, draw) for number in range(count))


def _spending(number: int, draw: random.Random) -> Spending:
    protocol = draw.choice(list(_MODELS))
    kind, stream, cap = draw.choice((PLAIN, STRICT)), draw.random() < 0.6, draw.randrange(16, 900)
    text = f"{number} " + "Zürich 日本 why " * draw.choice((1, 3, 10, 200))
    path, body = _body(protocol, draw, text, stream=stream, cap=cap)
    chance = draw.random()
    name, value = _KEY_HEADERS[protocol]
    headers = {
        name: value,
        "anthropic-version": "2023-06-01",
        "x-gateway-key": KEYS[kind],
        "x-gateway-tags": f"call={number}",
        "x-gateway-fit": draw.choice(("on", "off")),
        "x-simulated-tag": f"{kind} {number}",
        "x-simulated-latency-ms": str(draw.choice((0, 0, 30, 200))),
        "x-simulated-chunk-interval-ms": str(draw.choice((0, 0, 2))),
        # Against a provider that goes on generating and billing only a strict budget holds.
        "x-simulated-bill-after-disconnect": "finish" if kind == STRICT else "stop",
    }
    if chance < FAULT_SHARE:
        headers["x-simulated-fault"] = draw.choice(FAULTS)
    hangs_up = FAULT_SHARE <= chance < FAULT_SHARE + HANG_UP_SHARE
    return Spending(path, body, headers, draw.randrange(12) if hangs_up else None)


def _body(
    protocol: str, draw: random.Random, text: str, *, stream: bool, cap: int
) -> tuple[str, dict[str, Any]]:
    model = draw.choice(_MODELS[protocol])
    messages = [{"role": "user", "content": text}]
    if protocol == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        config = {"maxOutputTokens": cap, "thinkingConfig": {"thinkingBudget": 128}}
        return f"/gemini/v1beta/models/{model}:{verb}", {
            "contents": [{"parts": [{"text": text}]}],
            "generationConfig": config,
        }
    if protocol == "anthropic":
        body = {"model": model, "max_tokens": cap, "messages": messages, "stream": stream}
        return "/anthropic/v1/messages", body
    if draw.random() < 0.2:
        body = {"model": "text-embedding-3-small", "input": [text, text]}
        return "/openai/v1/embeddings", body
    if draw.random() < 0.4:
        body = {"model": model, "input": messages, "stream": stream, "max_output_tokens": cap}
        return "/openai/v1/responses", body
    return "/openai/v1/chat/completions", {
        "model": model,
        "messages": messages,
        "stream": stream,
        "max_completion_tokens": cap,
    }


@dataclass(slots=True)
class Place:
    """Where one process serves, in succession: who is killed is followed by another."""

    number: int
    data: Path
    settings: Mapping[str, str]
    process: ServerProcess | None = None
    killed: int = 0
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it serves: callers of a place that is down wait, they do not use up the calls."""

    def start(self) -> None:
        off_s = CLOCKS_OFF_S[self.number % len(CLOCKS_OFF_S)]
        self.process = ServerProcess(
            "tests.laws.drifting_proxy",
            log=self.data / f"proxy-{self.number}-{self.killed}.log",
            env={**self.settings, "DATA_DIR": str(self.data), CLOCK_OFF_S: str(off_s)},
        )

    def send(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.process.send_signal(sign)

    def kill(self) -> None:
        assert self.process is not None
        self.process.stop(signal.SIGKILL)
        self.killed += 1

    async def open(self) -> None:
        await asyncio.to_thread(self.start)
        self.serving.set()

    async def die_and_open_again(self) -> None:
        self.serving.clear()
        await asyncio.to_thread(self.kill)
        await self.open()

    @property
    def address(self) -> str:
        return self.process.address if self.process is not None else ""


@dataclass(slots=True)
class Crowd:
    """Callers at several places, so many at each, until all calls are made."""

    places: Sequence[Place]
    calls: Iterator[Spending]
    made: int = 0
    refused: int = 0
    answered: int = 0
    broken: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    async def spend(self, callers: int) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(DEADLINE_S)
        session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        async with session, asyncio.TaskGroup() as tasks:
            for place in self.places:
                for _ in range(callers):
                    tasks.create_task(self._go_on(session, place))

    async def until_made(self, count: int, spending: "asyncio.Task[None]") -> None:
        while self.made < count and not spending.done():
            await asyncio.wait({spending}, timeout=0.01)

    async def _go_on(self, session: aiohttp.ClientSession, place: Place) -> None:
        for call in self.calls:
            await place.serving.wait()
            self.made += 1
            try:
                await self._make(session, place, call)
            except (aiohttp.ClientError, TimeoutError):
                self.broken += 1

    async def _make(self, session: aiohttp.ClientSession, place: Place, call: Spending) -> None:
        url = place.address + call.path
        async with session.post(url, json=call.body, headers=call.headers) as answer:
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            if answer.status == REFUSED:
                self.refused += 1
            chunks = 0
            async for _ in answer.content.iter_any():
                chunks += 1
                if call.hang_up_after is not None and chunks > call.hang_up_after:
                    answer.close()
                    return
            self.answered += 1
