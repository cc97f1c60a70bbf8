"""Mixed calls at a gateway: all protocols, streams, faults and callers who hang up."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

OPENAI_MODELS = ("gpt-4o-mini", "gpt-4.1", "gpt-4.1-nano", "gpt-4o")
ANTHROPIC_MODELS = ("claude-sonnet-5", "claude-haiku-5-5", "claude-opus-4-6")
GEMINI_MODELS = ("gemini-2.5-flash", "gemini-2.0-flash", "gemini-2.5-pro")
FRONT_MODELS = ("anthropic/claude-sonnet-5", "gemini/gemini-2.5-flash")
COMPATIBLE_MODELS = (
    *("mistral/mistral-large-latest", "deepseek/deepseek-reasoner", "xai/grok-4"),
    *("groq/openai/gpt-oss-120b", "openrouter/anthropic/claude-sonnet-4.5"),
)
"""Models of upstreams that a gateway knows only where they are configured."""
COMPATIBLE_LISTS = {
    **{name: name for name in ("mistral", "deepseek", "groq", "openrouter")},
    "xai": "x-ai",
}
"""Those upstreams, and whose prices apply there."""
FAULTS = (
    *("status-400", "status-429", "status-500", "status-503"),
    *("garbage", "reset", "cut", "no-usage", "error-event"),
)
_STREAMING = ("streamGenerateContent?alt=sse", "streamGenerateContent")
FAULT_SHARE = 0.05
HANG_UP_SHARE = 0.05
_SCHEMES = {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}


@dataclass(frozen=True, slots=True)
class Planned:
    """One call to make. `hang_up_after` is a number of chunks."""

    number: int
    path: str
    body: dict[str, Any]
    fault: str | None
    hang_up_after: int | None

    @property
    def disturbed(self) -> bool:
        return self.fault is not None or self.hang_up_after is not None


@dataclass(slots=True)
class Done:
    """What the caller saw of each call, by its number."""

    answered: set[int] = field(default_factory=set)
    hung_up: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)


def plan(count: int, seed: int, *, compatible: Sequence[str] = ()) -> list[Planned]:
    """Calls drawn at random; `compatible` are prefixed models to be called among others."""
    draw = random.Random(seed)
    models = (*FRONT_MODELS, *compatible)
    return [_planned(number, draw, models) for number in range(count)]


def _planned(number: int, draw: random.Random, prefixed: Sequence[str]) -> Planned:
    stream = draw.random() < 0.6
    text = " ".join(draw.choice(("ledger", "Zürich", "日本", "cost", "why")) for _ in range(9))
    messages = [{"role": "user", "content": f"{number} {text}"}]
    protocol = draw.choice(("openai", "anthropic", "gemini"))
    body: dict[str, Any]
    if protocol == "gemini":
        verb = draw.choice(_STREAMING) if stream else "generateContent"
        path = f"/gemini/v1beta/models/{draw.choice(GEMINI_MODELS)}:{verb}"
        body = {"contents": [{"parts": [{"text": f"{number} {text}"}]}]}
        if draw.random() < 0.4:
            path = "/gemini/v1beta/interactions"
            model = draw.choice(GEMINI_MODELS)
            body = {"model": model, "input": f"{number} {text}", "stream": stream}
    elif protocol == "openai":
        path = "/openai/v1/chat/completions"
        body = {"model": draw.choice(OPENAI_MODELS), "messages": messages, "stream": stream}
        if stream and draw.random() < 0.5:
            body["stream_options"] = {"include_usage": True}
        if draw.random() < 0.4:
            path = "/openai/v1/responses"
            body = {"model": body["model"], "input": messages, "stream": stream}
        elif draw.random() < 0.2:
            path = "/openai/v1/embeddings"
            body = {"model": "text-embedding-3-small", "input": [f"{number} {text}", text]}
        elif draw.random() < 0.5:
            body["model"] = draw.choice(prefixed)
    else:
        path = "/anthropic/v1/messages"
        model = draw.choice(ANTHROPIC_MODELS)
        body = {"model": model, "max_tokens": 300, "messages": messages, "stream": stream}
    disturbance = draw.random()
    fault = draw.choice(FAULTS) if disturbance < FAULT_SHARE else None
    hangs_up = FAULT_SHARE <= disturbance < FAULT_SHARE + HANG_UP_SHARE
    return Planned(number, path, body, fault, draw.randrange(12) if hangs_up else None)


class Traffic:
    """Makes planned calls, so many at a time, and waits where the gateway is being restarted."""

    def __init__(self, address: str, key: str, concurrency: int = 32) -> None:
        self._address = address
        self._headers = {"x-gateway-key": key, "anthropic-version": "2023-06-01"}
        self._slots = asyncio.Semaphore(concurrency)
        self._serving = asyncio.Event()
        self._serving.set()
        self.done = Done()

    def pause(self) -> None:
        """The gateway is about to stop: calls that fail from now on are made again later."""
        self._serving.clear()

    def resume(self) -> None:
        self._serving.set()

    async def run(self, calls: list[Planned]) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        session = aiohttp.ClientSession(connector=connector)
        async with session, asyncio.TaskGroup() as tasks:
            for call in calls:
                await self._slots.acquire()
                tasks.create_task(self._make(session, call))

    async def _make(self, session: aiohttp.ClientSession, call: Planned) -> None:
        try:
            while not await self._tried(session, call):
                await self._serving.wait()
        finally:
            self._slots.release()

    async def _tried(self, session: aiohttp.ClientSession, call: Planned) -> bool:
        """Whether the call reached the gateway; a refused connection did not."""
        try:
            async with session.post(
                self._address + call.path, json=call.body, headers=self._headers_of(call)
            ) as answer:
                await self._read(answer, call)
        except aiohttp.ClientConnectorError:
            return False
        except aiohttp.ClientError:
            self.done.broken.add(call.number)
        return True

    async def _read(self, answer: aiohttp.ClientResponse, call: Planned) -> None:
        chunks = 0
        async for _ in answer.content.iter_any():
            chunks += 1
            if call.hang_up_after is not None and chunks > call.hang_up_after:
                self.done.hung_up.add(call.number)
                answer.close()
                return
        self.done.answered.add(call.number)

    def _headers_of(self, call: Planned) -> Mapping[str, str]:
        scheme = _SCHEMES[call.path.split("/")[1]]
        headers = {
            **self._headers,
            scheme: "Bearer sim" if scheme == "authorization" else "sim",
            "x-gateway-tags": f"call={call.number}",
            "x-simulated-tag": str(call.number),
        }
        if call.fault is not None:
            headers["x-simulated-fault"] = call.fault
        return headers
