"""A webhook over SQLite documents, called in process as Datadog calls it."""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from common.adapters.document_rules import check_refs, check_writes
from common.api.webhooks import BODY_S, DATADOG_PATH, Webhooks
from common.brownout.deliveries import DELIVERIES
from common.brownout.policy import Meaning, SignalRules
from common.brownout.receiving import EVENTS, Fold, Folded
from common.brownout.signals import SIGNALS, Signal
from common.brownout.state import State
from common.brownout.trajectory import ScopeState
from common.core.errors import StoreUnavailable
from common.core.ports import (
    Committed,
    Document,
    Documents,
    Outcome,
    Query,
    Ref,
    Unknown,
    Write,
)
from common.core.secrets import Secret
from tests.brownout.scenes import LEASE, T0, at
from tests.brownout.test_folding import KeepingBus
from tests.chosen_engines import state_of

TOKEN = "a-token-of-the-test-1"
OTHER_TOKEN = "another-token-of-the-test"


@dataclass(frozen=True, slots=True)
class FoldedState:
    state: State
    elsewhere: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class SetClock:
    time: datetime = T0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - T0).total_seconds()


class FailingDocuments:
    """Documents that are out of reach, or of which the writes to a collection are lost."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.lost: str | None = None
        self.down = False

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        if self.down:
            raise StoreUnavailable("no answer in time")
        return await self._inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        if self.down or any(write.ref.collection == self.lost for write in writes):
            return Unknown("no answer in time")
        return await self._inner.commit(writes)


class EmptyDocuments:
    """Documents that are always empty, and refuse what no engine takes."""

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        check_refs(refs)
        return [None for _ in refs]

    async def query(self, query: Query) -> list[Document]:  # noqa: ARG002 - there are none
        return []

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        check_writes(writes)
        return Committed()


@dataclass(slots=True)
class Webhook:
    """The webhook, who calls it, and what is behind it. What fails is what a test sets."""

    client: httpx.AsyncClient
    clock: SetClock
    documents: FailingDocuments
    rules: SignalRules
    folds: int = 0
    fold_failure: Exception | None = None
    bus: KeepingBus = field(default_factory=KeepingBus)
    folding: Fold | None = None
    """What folds instead of the scene's own short way."""

    async def fold(self) -> Folded:
        self.folds += 1
        if self.fold_failure is not None:
            raise self.fold_failure
        if self.folding is not None:
            return await self.folding()
        now = self.clock.now()
        scopes: dict[str, ScopeState] = {}
        for signal in await self.signals():
            if signal.lease_until > now:
                level = signal.level
                scopes[signal.scope] = ScopeState(level, now, now, now, level, (signal.lease,))
        return FoldedState(State(scopes=scopes))

    async def rules_now(self) -> SignalRules:
        return self.rules

    async def posts(self, body: object = None, token: str = TOKEN, **changed: Any) -> Any:
        """Post a payload as the module for Datadog sets it up, and answer what came back."""
        data = a_payload(**changed) if body is None else body
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        headers = {"content-type": "application/json", "x-brownout-token": token}
        return await self.client.post(DATADOG_PATH, content=content, headers=headers)

    async def told(self, body: object = None, **changed: Any) -> dict[str, Any]:
        """The answer to a payload that is understood."""
        response = await self.posts(body, **changed)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def signals(self) -> list[Signal]:
        return [Signal.from_document(each) for each in await self.all_of(SIGNALS)]

    async def signal(self) -> Signal:
        """The only one there is."""
        [signal] = await self.signals()
        return signal

    async def deliveries(self) -> list[Mapping[str, Any]]:
        """The newest first."""
        return [each.data for each in await self.all_of(DELIVERIES)]

    async def events(self) -> list[str]:
        return [each.ref.id for each in await self.all_of(EVENTS)]

    async def all_of(self, collection: str) -> list[Document]:
        return await self.documents.query(Query(collection))


@asynccontextmanager
async def a_webhook(
    folder: Path, *, tokens: Sequence[str] = (TOKEN, OTHER_TOKEN)
) -> AsyncIterator[Webhook]:
    """A webhook whose state is in this folder."""
    engine = state_of(folder)
    async with a_webhook_over(engine, tokens) as webhook:
        yield webhook
    await engine.aclose()


@asynccontextmanager
async def a_webhook_over(
    documents: Documents, tokens: Sequence[str], *, body_s: float = BODY_S
) -> AsyncIterator[Webhook]:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        response = await program.answer(Request(scope, receive))
        await response(scope, receive, send)

    transport = httpx.ASGITransport(app=serve)
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks.test") as client:
        webhook = Webhook(client, SetClock(), FailingDocuments(documents), the_rules())
        program = Webhooks(
            documents=webhook.documents,
            bus=webhook.bus,
            clock=webhook.clock,
            entropy=os.urandom,
            tokens=[Secret(token) for token in tokens],
            default_org="acme",
            rules=webhook.rules_now,
            fold=webhook.fold,
            body_s=body_s,
        )
        yield webhook


def the_rules(lease: timedelta = LEASE, **monitors: Meaning) -> SignalRules:
    """What a policy says of signals: `m17=Meaning(...)` for a monitor."""
    by_id = {f"monitor:{name.removeprefix('m')}": meaning for name, meaning in monitors.items()}
    return SignalRules(lease, lease, lease, lease, by_id)


def a_payload(**changed: Any) -> dict[str, Any]:
    """What the module for Datadog sets up, filled in: an alert at T0 that a monitor calls hard."""
    seen: datetime = changed.pop("at", T0)
    milliseconds = str(int(seen.timestamp() * 1000))
    return {
        "v": 1,
        "id": "7211111111111111111",
        "cycle": "9bd4ac313a4d1e8fae2482df7b77628",
        "monitor": "1234567",
        "transition": "Triggered",
        "type": "error",
        "priority": "P1",
        "scope": "service:chat,env:prod",
        "tags": "monitor,brownout:hard,brownout_scope:team:search",
        "date": milliseconds,
        "updated": milliseconds,
        "org": "42",
        "link": "https://app.datadoghq.com/event/event?id=7211111111111111111",
        "aggreg": "9bd4ac313a4d1e8fae2482df7b77628",
    } | changed


def a_default_body(**changed: Any) -> dict[str, Any]:
    """Datadog's own form."""
    milliseconds = str(int(at(0).timestamp() * 1000))
    return {
        "id": "7211111111111111112",
        "last_updated": milliseconds,
        "event_type": "query_alert_monitor",
        "title": "[Triggered on {service:chat,env:prod}] Chat is slow",
        "date": milliseconds,
        "org": {"id": "42", "name": "Acme"},
        "body": "%%%\nChat is slow\n[Monitor Status](https://app.datadoghq.com/monitors/1234567?x=1)",
    } | changed
