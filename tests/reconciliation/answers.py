"""A connection to a provider that answers reports from a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from common.gateway.upstream import UpstreamReply, UpstreamRequest

Answer: TypeAlias = tuple[int, bytes] | tuple[int, bytes, dict[str, str]] | Exception | None
"""Status, body and headers. None is no answer at all."""


@dataclass(slots=True)
class Reply:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    closed: list[bool]

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 65_536):
            yield self.body[start : start + 65_536]

    async def aclose(self) -> None:
        self.closed.append(True)


@dataclass(slots=True)
class Answers:
    """`Upstream`. `answer` decides by path and query; all requests are kept."""

    answer: Callable[[str, dict[str, list[str]]], Answer]
    requests: list[UpstreamRequest] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        target = urlsplit(request.url)
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(target.query):
            query.setdefault(name, []).append(value)
        answer = self.answer(target.path, query)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        headers = answer[2] if len(answer) > 2 else {}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return Reply(answer[0], raw, answer[1], self.closed)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def page(*buckets: Any, more: str | None = None) -> tuple[int, bytes]:
    """A page with these buckets, and the cursor of the next one if there is more."""
    body = {"data": list(buckets), "has_more": more is not None, "next_page": more}
    return 200, json.dumps(body).encode()
