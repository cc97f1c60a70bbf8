"""A gateway before the simulated vendors, called as one endpoint in OpenAI's format."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from common.adapters.upstream import HttpUpstream
from common.core.events import UsageEvent
from common.core.ports import Documents, Put
from common.core.secrets import Secret
from common.gateway.destinations import Simulated
from common.gateway.upstream import Upstream, UpstreamReply, UpstreamRequest
from common.gateway.upstream_records import upstream_ref
from scripts.simulated.server import create_app
from tests.chosen_engines import state_of
from tests.front.upstreams import VARIABLES, VENDORS, Vendor
from tests.gateway.building import build_gateway
from tests.gateway.making import START, SetClock, a_key, store
from tests.simulated.conftest import Served, serve
from tests.streams.fakes import Client, Exchange, KeepingBus

CHAT = "/openai/v1/chat/completions"


@pytest.fixture(scope="session")
def provider() -> Iterator[Served]:
    """The simulated vendors, at the gateway's date: both price by it."""
    yield from serve(create_app(now=lambda: START))


@dataclass(slots=True)
class KeptReply:
    """A reply, and what of it has passed."""

    reply: UpstreamReply
    status: int
    headers: list[tuple[bytes, bytes]]
    passed: list[bytes] = field(default_factory=list)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self.reply.chunks():
            self.passed.append(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self.reply.aclose()


@dataclass(slots=True)
class KeepingUpstream:
    """Sends on, and keeps every request and reply."""

    inner: Upstream
    requests: list[UpstreamRequest] = field(default_factory=list)
    replies: list[KeptReply] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        reply = await self.inner.send(request)
        self.replies.append(KeptReply(reply, reply.status, reply.headers))
        return self.replies[-1]


@dataclass(slots=True)
class StaticIdentity:
    """The function's own identity; its token opens the simulated provider."""

    async def token(self) -> Secret:
        return Secret("sim")


make_gateway = partial(build_gateway, identity=StaticIdentity())


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway, from its caller's side and from its vendors'."""

    client: Client
    upstream: KeepingUpstream
    bus: KeepingBus
    clock: SetClock
    documents: Documents
    provider: Served
    tag: str

    async def call(
        self, body: bytes | Mapping[str, Any], path: str = CHAT, **knobs: str
    ) -> Exchange:
        """A call that the installation pays for."""
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {f"x-simulated-{name.replace('_', '-')}": text for name, text in knobs.items()}
        headers = {"authorization": "", "x-simulated-tag": self.tag, **named}
        return await self.client.call(path, sent, headers=headers)

    async def direct(self, vendor: Vendor, body: Mapping[str, Any], **knobs: str) -> bytes:
        """What the vendor itself answers; nothing of it is on the bill of this test."""
        named = {f"x-simulated-{name.replace('_', '-')}": text for name, text in knobs.items()}
        address = f"{self.provider.url}{vendor.simulated}/chat/completions"
        async with httpx.AsyncClient() as http:
            headers = {"authorization": "Bearer sim", **named}
            return (await http.post(address, json=dict(body), headers=headers)).content

    @property
    def event(self) -> UsageEvent:
        """The event of the last call."""
        last = self.bus.events[-1]
        assert isinstance(last, UsageEvent)
        return last

    async def bill(self) -> list[dict[str, Any]]:
        """The rows of the vendors' ledger for this test's calls, in order."""
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"{self.provider.url}/simulated/ledger")).json()
        return [row for row in page["rows"] if row["tag"] == self.tag]


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    """One key, and every upstream of the table."""
    state = state_of(tmp_path)
    await store(state, a_key())
    records = [vendor.record for vendor in VENDORS.values() if vendor.record is not None]
    await state.commit([Put(upstream_ref(record.name), record.to_data()) for record in records])
    yield state
    await state.aclose()


@pytest.fixture
async def front(documents: Documents, provider: Served) -> AsyncIterator[Front]:
    http = HttpUpstream()
    upstream, bus, clock = KeepingUpstream(http), KeepingBus(), SetClock()
    keys = dict.fromkeys(VARIABLES, Secret("sim"))
    gateway = make_gateway(documents, upstream, bus, clock, keys, simulated=Simulated(provider.url))
    yield Front(Client(gateway), upstream, bus, clock, documents, provider, uuid4().hex)
    await http.aclose()
