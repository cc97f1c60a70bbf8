"""The simulated provider as the gateway's upstream, in the same process and without a socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from common.gateway.upstream import UpstreamReply, UpstreamRequest
from scripts.simulated.server import SimulatedProvider, create_app

ADDRESS = "http://provider.test"


@dataclass(slots=True)
class Answered:
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None:
        """Nothing is kept open."""


@dataclass(slots=True)
class ServedProvider:
    """Sends to the application, and keeps what was sent since `requests` was cleared."""

    app: SimulatedProvider = field(default_factory=create_app)
    requests: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        return await self.answer(request)

    async def ask(self, path: str, body: bytes) -> Answered:
        """What it answers to a client of its own."""
        raw = [(name.encode(), value.encode()) for name, value in own_key(path).items() if value]
        return await self.answer(UpstreamRequest("POST", ADDRESS + path, raw, body))

    async def answer(self, request: UpstreamRequest) -> Answered:
        """What the application answers; nothing is kept of it."""
        sent: list[Any] = []
        left = [{"type": "http.request", "body": request.body, "more_body": False}]
        never = asyncio.Event()

        async def receive() -> Any:
            if not left:
                await never.wait()
            return left.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        url = urlsplit(request.url)
        scope = {
            "type": "http",
            "method": request.method,
            "path": url.path,
            "query_string": url.query.encode(),
            "headers": request.headers,
        }
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answered(sent[0]["status"], list(sent[0]["headers"]), body)


def own_key(path: str) -> dict[str, str]:
    """The provider's key where its clients send it."""
    if path.startswith("/anthropic"):
        return {"authorization": "", "x-api-key": "sim", "anthropic-version": "2023-06-01"}
    if path.startswith("/gemini"):
        return {"authorization": "", "x-goog-api-key": "sim"}
    return {"authorization": "Bearer sim"}
