"""Keys, clocks and stores for tests of the gateway, with a default for every field."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from common.core.errors import StoreUnavailable
from common.core.ports import Document, Documents, Outcome, Put, Query, Ref, Write
from common.gateway.keys import Key, KeyPolicy, key_digest, key_id_of, key_ref, new_key_text

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def key_text(seed: str = "one") -> str:
    """The text of a gateway key, the same for the same seed."""
    return new_key_text(lambda size: hashlib.sha256(seed.encode()).digest()[:size])


def a_key(text: str = key_text(), **fields: Any) -> Key:
    digest = key_digest(text)
    assert digest is not None, f"{text} is not a gateway key"
    return Key(
        **{
            "digest": digest,
            "key_id": key_id_of(digest),
            "name": "crawler key",
            "line": "line-1",
            "org": "acme",
            "team": "search",
            "agent": "crawler",
            "project": None,
            "tags": {"env": "prod"},
            "may_act_as": ("indexer",),
            "policy": KeyPolicy(tags=("feature",)),
            "created_by": "admin@example.com",
            "created_at": START - timedelta(days=1),
            "expires_at": None,
            "revoked_at": None,
        }
        | fields
    )


async def store(documents: Documents, key: Key) -> None:
    await documents.commit([Put(key_ref(key.digest), key.to_data())])


@dataclass(slots=True)
class SetClock:
    """A clock that shows what it is set to."""

    seconds: float = 1_000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1_000.0)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(slots=True)
class WatchedDocuments:
    """Another store, with its reads counted; `down` makes it silent, `gate` makes it wait."""

    inner: Documents
    reads: list[Ref] = field(default_factory=list)
    down: bool = False
    gate: asyncio.Event | None = None
    gated: str = ""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        self.reads.extend(refs)
        if self.down:
            raise StoreUnavailable("state did not answer in time")
        found = await self.inner.get_many(refs)
        if self.gate is not None and any(ref.collection == self.gated for ref in refs):
            self.waiting.set()
            await self.gate.wait()
        return found

    async def query(self, query: Query) -> list[Document]:
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return await self.inner.commit(writes)

    def reads_of(self, collection: str) -> int:
        return sum(ref.collection == collection for ref in self.reads)
