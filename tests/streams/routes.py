"""Rules for tests of calls, and vendors that answer them in turn."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.control import CONTROL
from common.gateway.route_book import ROUTES_CHANGED, routes_ref
from common.gateway.upstream import UpstreamDisconnected, UpstreamRequest
from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, OPENAI_REPLY, Client, ScriptedReply

BODY = b'{"model": "gpt-4o",  "messages":[{"role":"user","content":"Hi"}],"max_tokens":100}'
SOLD = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
NO_KEY = {"authorization": ""}
KEYS = {name: Secret(f"sk-{name}") for name in ("openai", "anthropic", "gemini")}
Turn = ScriptedReply | Exception | asyncio.Event
Rules = Callable[..., Awaitable[None]]


def ok(model: str = "gpt-4o") -> ScriptedReply:
    """OpenAI's form, as every vendor answers it, with the name of one that it sells."""
    told = {**json.loads(OPENAI_REPLY), "model": model}
    return ScriptedReply([json.dumps(told).encode()], headers=list(JSON))


def fails(status: int) -> ScriptedReply:
    return ScriptedReply([b'{"error":{"message":"no"}}'], status, list(JSON))


@dataclass(slots=True)
class ByHost:
    """Answers by the host that is asked: the next of its turns, and the last one from then on.

    One that is an event says nothing until it is set.
    """

    turns: dict[str, list[Turn]] = field(default_factory=dict)
    requests: list[UpstreamRequest] = field(default_factory=list)
    replies: list[ScriptedReply] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> ScriptedReply:
        self.requests.append(request)
        turns = self.turns.get(self.vendor(request), [ok(SOLD[self.vendor(request)])])
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, asyncio.Event):
            await turn.wait()
            turn = UpstreamDisconnected("x")
        if isinstance(turn, Exception):
            raise turn
        self.replies.append(turn)
        return turn

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Vendor and model of each request."""
        return [(self.vendor(each), json.loads(each.body)["model"]) for each in self.requests]

    @staticmethod
    def vendor(request: UpstreamRequest) -> str:
        host = request.host
        return {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}.get(host, "gemini")


@pytest.fixture
async def upstream() -> ByHost:
    return ByHost()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(managed_keys=KEYS)


@pytest.fixture
def rules(documents: SqliteDocuments) -> Rules:
    """Writes the rules of the organisation, as a change of them does."""
    written = 0

    async def write(*given: dict[str, Any]) -> None:
        nonlocal written
        written += 1
        named = [{"name": f"r{number}", **rule} for number, rule in enumerate(given)]
        table = Put(routes_ref("acme"), {"rules": json.dumps(named)})
        await documents.commit([table, Put(CONTROL, {ROUTES_CHANGED: written})])

    return write


def use(model: str, *fallbacks: str, **rule: Any) -> dict[str, Any]:
    return {"use": {"fixed": model}, "fallbacks": list(fallbacks), **rule}


def key_of(request: UpstreamRequest) -> set[str]:
    return {value.decode() for _, value in request.headers if b"sk-" in value}
