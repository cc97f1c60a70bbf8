"""Upstreams that are set while the local stack runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from common.gateway.directory import KEPT_FOR_S
from tests.laws.raw_provider import RawProvider, raw_provider
from tests.local_stack.process import Stack

PATIENCE_S = KEPT_FOR_S / 2
"""Less than the time after which the proxy reads its upstreams without being told."""
_POLL_S = 0.05
REPLY = (
    b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n" % len(REPLY)
)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
PATH = "/api/v1/upstreams/team"


@dataclass(frozen=True, slots=True)
class Running:
    """A running stack, and two providers that it does not know yet."""

    http: httpx.AsyncClient
    first: RawProvider
    second: RawProvider

    async def set(self, provider: RawProvider, condition: dict[str, str]) -> httpx.Response:
        body = {
            "base_url": f"{provider.address}/base",
            "allow_private": True,
            "credentials": [{"name": "main", "env": "TEAM_API_KEY"}],
        }
        return (await self.http.put(PATH, json=body, headers=condition)).raise_for_status()

    async def remove(self) -> None:
        (await self.http.delete(PATH, headers={"if-match": "*"})).raise_for_status()

    async def call(self) -> tuple[int, str | None]:
        answer = await self.http.post("/u/team/v1/chat/completions", json=CHAT)
        return answer.status_code, answer.headers.get("x-gateway-error")

    async def call_until(self, holds: Callable[[tuple[int, str | None]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if holds(await self.call()):
                    return
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def running_stack(folder: Path) -> AsyncIterator[Running]:
    providers = RawProvider(HEAD, [REPLY]), RawProvider(HEAD, [REPLY])
    with Stack(folder / "data", env={"TEAM_API_KEY": "sk-team"}) as stack:
        key = {"authorization": f"Bearer {stack.key}"}
        async with (
            raw_provider(providers[0]) as first,
            raw_provider(providers[1]) as second,
            httpx.AsyncClient(base_url=stack.address, headers=key, timeout=30) as http,
        ):
            yield Running(http, first, second)


async def test_are_used_changed_and_forgotten_without_a_restart(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as running:
        unknown = await running.call()
        made = await running.set(running.first, {"if-none-match": "*"})
        await running.call_until(lambda answer: answer == (200, None))
        await running.set(running.second, {"if-match": made.headers["etag"]})
        await running.call_until(lambda _: bool(running.second.requests))
        left = len(running.first.requests)
        await running.call()
        await running.remove()
        await running.call_until(lambda answer: answer == (404, "unknown_upstream"))

        asked = running.second.requests[0][0]
        assert unknown == (404, "unknown_upstream")
        assert asked.startswith(b"POST /base/chat/completions HTTP/1.1\r\n")
        assert b"authorization: bearer sk-team\r\n" in asked.lower()
        assert len(running.first.requests) == left
