"""A notifier over real documents, whose messages arrive at receivers of the test's own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common.adapters.channels import ChannelSender
from common.adapters.sqlite_documents import SqliteDocuments
from common.core.brownout_events import BrownoutModeChanged, SignalTold
from common.core.errors import PublishFailed
from common.core.events import BudgetExhausted, Event
from common.core.incident_events import IncidentEvent, IncidentType
from common.core.ports import Committed, Documents, Put, Query
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamError, UpstreamReply, UpstreamRequest
from common.incidents.channels import Channel, channel_ref
from common.incidents.notices import NOTICES
from common.incidents.notifying import Notifier
from tests.gateway.making import START, SetClock

SECRETS = {
    "CHANNEL_SLACK": "https://hooks.slack.com/services/T0/B0/slack-secret",
    "CHANNEL_TEAMS": "https://prod-1.example.com/workflows/x?api-version=1&sig=teams-secret",
    "CHANNEL_PAGER": "routing-key-secret",
    "CHANNEL_HOOK": "signing-key-secret",
}
SLACK = Channel("slack", "slack", "CHANNEL_SLACK")
TEAMS = Channel("teams", "teams", "CHANNEL_TEAMS")
PAGER = Channel("pager", "pagerduty", "CHANNEL_PAGER")
HOOK = Channel("hook", "webhook", "CHANNEL_HOOK", url="https://ops.example.com/hook")
DEADLINE_S = 10
FOUR = (SLACK, TEAMS, PAGER, HOOK)


@dataclass(slots=True)
class Reply:
    """A receiver's answer."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b"ok"
    is_closed: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 16_384):
            yield self.body[start : start + 16_384]

    async def aclose(self) -> None:
        self.is_closed = True


@dataclass(slots=True)
class Receivers:
    """Everything that is posted, in order. `replies` are given first, by host; then all is well."""

    posted: list[UpstreamRequest] = field(default_factory=list)
    replies: dict[str, list[Reply | UpstreamError]] = field(default_factory=dict)
    on_post: Callable[[UpstreamRequest], None] | None = None
    slow: asyncio.Event | None = None
    """What is posted while it is set is answered when that happens."""
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def reached(self, number: int) -> None:
        """Return when so many messages were posted."""
        async with asyncio.timeout(DEADLINE_S), self._more:
            await self._more.wait_for(lambda: len(self.posted) >= number)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.posted.append(request)
        slow = self.slow
        async with self._more:
            self._more.notify_all()
        if slow is not None:
            await slow.wait()
        if self.on_post is not None:
            self.on_post(request)
        waiting = self.replies.get(request.host, [])
        reply = waiting.pop(0) if waiting else Reply()
        if isinstance(reply, UpstreamError):
            raise reply
        return reply

    def hosts(self) -> list[str]:
        return sorted(request.host for request in self.posted)

    def bodies(self, host: str) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.posted if each.host == host]


@dataclass(slots=True)
class KeepingBus:
    """Keeps what is published; `down` refuses it."""

    published: list[Event] = field(default_factory=list)
    down: bool = False

    async def publish(self, _topic: str, event: Event) -> None:
        if self.down:
            raise PublishFailed("down")
        self.published.append(event)


@dataclass(slots=True)
class Scene:
    """A notifier and everything around it. Its sleeps move the clock, and wait for `awake`."""

    documents: Documents
    clock: SetClock = field(default_factory=SetClock)
    bus: KeepingBus = field(default_factory=KeepingBus)
    receivers: Receivers = field(default_factory=Receivers)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    incident_modes: frozenset[str] = frozenset()
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    def notifier(self) -> Notifier:
        return Notifier(
            documents=self.documents,
            bus=self.bus,
            clock=self.clock,
            entropy=os.urandom,
            sender=ChannelSender(self.receivers, self.clock),
            secret_of=self._secret,
            opens_incident=self._opens,
            console="https://console.example.com/",
            sleep=self._sleep,
        )

    async def add(self, *channels: Channel) -> None:
        for channel in channels:
            write = Put(channel_ref(channel.name), channel.to_data())
            assert await self.documents.commit([write]) == Committed()

    async def noted(self, number: int) -> None:
        """Return when so many messages are noted."""
        async with asyncio.timeout(DEADLINE_S):
            while len(await self.documents.query(Query(NOTICES))) < number:
                pass

    async def notices(self) -> dict[str, dict[str, Any]]:
        """Of one event at most, by channel."""
        found = await self.documents.query(Query(NOTICES))
        return {each.data["channel"]: dict(each.data) for each in found}

    def _secret(self, name: str) -> Secret | None:
        return Secret(self.secrets[name]) if name in self.secrets else None

    async def _opens(self, event: BrownoutModeChanged) -> bool:
        return event.after in self.incident_modes

    async def _sleep(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        async with asyncio.timeout(DEADLINE_S):
            await self.awake.wait()
        self.clock.advance(max(0.0, until - self.clock.monotonic()))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    documents = SqliteDocuments(tmp_path / "state.sqlite")
    scene = Scene(documents)
    scene.awake.set()
    yield scene
    await documents.aclose()


def an_incident(type_: IncidentType = "incident.opened", **fields: Any) -> IncidentEvent:
    defaults: dict[str, Any] = {
        "id": "event-1",
        "event_time": START,
        "type": type_,
        "incident_id": "2026-11-01-abc234",
        "seq": 1,
        "key": "brownout:team:acme/search",
        "scope": "team:acme/search",
        "title": "Brownout of team:acme/search",
        "severity": "error",
        "status": "open",
        "opened_at": START,
        "owner": None,
        "actor": None,
        "told": "team:acme/search goes from normal to hard.",
        "done": "Calls are answered as the policy says for hard.",
        "link": "https://app.datadoghq.com/monitors/1?a=1&b=2",
        "procedure": None,
    }
    return IncidentEvent(**{**defaults, **fields})


def a_mode_change(seq: int = 1, **fields: Any) -> BrownoutModeChanged:
    defaults: dict[str, Any] = {
        "id": f"change-{seq}",
        "event_time": START,
        "scope": f"team:acme/t{seq}",
        "seq": seq,
        "before": "normal",
        "after": "soft",
        "cause": "signal",
        "signals": (SignalTold(source="datadog", monitor="7", level="soft", link=None),),
        "episode": "e",
        "enforced": True,
        "policy_version": 1,
    }
    return BrownoutModeChanged(**{**defaults, **fields})


def an_exhausted_budget(**fields: Any) -> BudgetExhausted:
    defaults: dict[str, Any] = {
        "id": "event-2",
        "event_time": START,
        "budget_id": "search",
        "period": "2026-11",
        "settled_nanos": 19_990_000_000,
        "leased_nanos": 4_213_000,
        "limit_nanos": 20_000_000_000,
        "resets_at": None,
    }
    return BudgetExhausted(**{**defaults, **fields})
