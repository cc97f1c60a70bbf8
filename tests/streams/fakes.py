"""Both ends of the gateway, scripted: a provider that says what it is told, and a client."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from common.core.events import Event, UsageEvent
from common.gateway.gateway import Gateway
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from tests.gateway.making import START, key_text

TINY_S = 0.03
PATIENCE_S = 60.0
"""How long a test waits for something that must happen."""

EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]

Step: TypeAlias = bytes | asyncio.Event | Exception


class LoopClock:
    """The event loop's own time, on a fixed day."""

    def now(self) -> datetime:
        return START

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


async def wait_for(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await event.wait()


@dataclass(slots=True)
class ScriptedReply:
    """Chunks to send, events to wait for, failures to end with."""

    steps: Sequence[Step] = ()
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: list(EVENT_STREAM))
    closed: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for step in self.steps:
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Exception):
                raise step
            else:
                await step.wait()

    async def aclose(self) -> None:
        self.closed += 1


@dataclass(slots=True)
class ScriptedUpstream:
    """Answers every request with `reply`, after `before`."""

    reply: ScriptedReply = field(default_factory=ScriptedReply)
    before: Sequence[asyncio.Event | Exception] = ()
    requests: list[UpstreamRequest] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        self.asked.set()
        for step in self.before:
            if isinstance(step, Exception):
                raise step
            await step.wait()
        return self.reply


@dataclass(slots=True)
class KeepingBus:
    """Keeps what is published on `topics`; `gate` makes it wait, `failure` makes it fail."""

    events: list[Event] = field(default_factory=list)
    gate: asyncio.Event | None = None
    failure: Exception | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    topics: tuple[str, ...] = ("usage",)

    async def publish(self, topic: str, event: Event) -> None:
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        assert topic == event.topic
        assert topic in self.topics
        self.events.append(event)

    @property
    def only(self) -> UsageEvent:
        """The one event; fails if there are none or several."""
        [event] = self.events
        assert isinstance(event, UsageEvent)
        return event


@dataclass(slots=True)
class Exchange:
    """One request of a client, and what it got for it.

    After `stops_after` messages it reads no further until `reading` is set or its connection is
    closed by `leave`.
    """

    body: Sequence[Step]
    messages: list[dict[str, Any]] = field(default_factory=list)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    blocked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    """The gateway has begun to look whether the client leaves."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    stops_after: int | None = None

    def leave(self) -> None:
        self.gone.set()

    async def receive(self) -> dict[str, Any]:
        while self.sent < len(self.body):
            step = self.body[self.sent]
            self.sent += 1
            if isinstance(step, bytes):
                more = self.sent < len(self.body)
                return {"type": "http.request", "body": step, "more_body": more}
            assert isinstance(step, asyncio.Event)
            waits = [asyncio.create_task(step.wait()), asyncio.create_task(self.gone.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if self.gone.is_set():
                return {"type": "http.disconnect"}
        self.watched.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.stops_after == len(self.messages):
            self.blocked.set()
            await self.reading.wait()
        if not self.gone.is_set():
            self.messages.append(dict(message))
        self.changed.set()

    async def until_received(self, text: bytes) -> None:
        """Until the client has these bytes."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.content:
                self.changed.clear()
                await self.changed.wait()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def complete(self) -> bool:
        last = self.messages[-1] if self.messages else {}
        return last.get("more_body") is False


@dataclass(slots=True)
class Client:
    """Calls the gateway with a key that it knows."""

    gateway: Gateway
    key: str = key_text()

    def start(
        self,
        path: str = "/openai/v1/chat/completions",
        body: bytes | Sequence[Step] = b'{"model":"gpt-4o-mini","stream":true}',
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        query: bytes = b"",
    ) -> tuple[Exchange, asyncio.Task[None]]:
        exchange = Exchange([body] if isinstance(body, bytes) else body)
        shown = {"x-gateway-key": self.key, "authorization": "Bearer sk-of-the-caller"}
        named = {**shown, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(name.encode(), value.encode()) for name, value in named.items() if value],
        }
        running = self.gateway(scope, exchange.receive, exchange.send)
        return exchange, asyncio.create_task(_completed(running))

    async def call(self, *arguments: Any, **options: Any) -> Exchange:
        exchange, task = self.start(*arguments, **options)
        await task
        return exchange


async def _completed(running: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await running


def openai_chunk(text: str) -> bytes:
    return (
        b'data: {"id":"c","model":"gpt-4o-mini-2024-07-18",'
        b'"choices":[{"index":0,"delta":{"content":"'
        + text.encode()
        + b'"},"finish_reason":null}]}\n\n'
    )


OPENAI_END = (
    b'data: {"id":"c","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{},'
    b'"finish_reason":"stop"}]}\n\n'
)
OPENAI_USAGE = (
    b'data: {"id":"c","model":"gpt-4o-mini-2024-07-18","choices":[],'
    b'"usage":{"prompt_tokens":100,"completion_tokens":20}}\n\n'
)
DONE = b"data: [DONE]\n\n"
OPENAI_STREAM = [openai_chunk("Hel"), openai_chunk("lo é"), OPENAI_END, OPENAI_USAGE, DONE]
OPENAI_NANOS = 100 * 150 + 20 * 600
"""gpt-4o-mini: $0.15 and $0.60 per million tokens."""

ASKING = b'{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}'
"""A client that wants the usage chunk itself: its stream is not edited."""

ANTHROPIC_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-4-5",'
    b'"usage":{"input_tokens":100,"output_tokens":1}}}\n\n'
)
ANTHROPIC_TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Hello"}}\n\n'
)
ANTHROPIC_END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":20}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
ANTHROPIC_STREAM = [ANTHROPIC_START, ANTHROPIC_TEXT, ANTHROPIC_END]
ANTHROPIC_NANOS = 100 * 3_000 + 20 * 15_000
"""claude-sonnet-4-5: $3 and $15 per million tokens."""

ANTHROPIC_REQUEST = b'{"model":"claude-sonnet-4-5","max_tokens":100,"stream":true}'
OPENAI_REPLY = (
    b'{"model":"gpt-4o-mini-2024-07-18", "choices":[{"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":100,"completion_tokens":20}}'
)
