"""The one small document every instance reads again and again: what has changed lately.

`gateway/control` says which keys to read again and when the upstreams last changed. It is read in
the background of calls when the copy is older than 2 s; a call never starts on a copy older than
`max_stale_s`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeAlias

from common.core.errors import StoreUnavailable
from common.core.ports import Clock, Create, Document, Documents, Put, Ref, Value, Write

logger = logging.getLogger(__name__)

CONTROL = Ref("gateway", "control")
KEYS_CHANGED = "keys_changed"
UPSTREAMS_CHANGED = "upstreams_changed"
POLICY_EPOCH = "policy_epoch"
"""Raised whenever other budgets apply to calls than before."""
REFRESH_AFTER_S = 2.0


def control_with(control: Document | None, members: Mapping[str, Value]) -> Write:
    """The control document with these members; all others stay as they are."""
    if control is None:
        return Create(CONTROL, members)
    return Put(CONTROL, {**control.data, **members}, if_version=control.version)


class Follower(Protocol):
    """Whoever wants another small document, read in the same breath."""

    @property
    def ref(self) -> Ref: ...

    async def learn(self, document: Document | None) -> None:
        """Take what was read.

        Raises:
            StoreUnavailable: what else it needs cannot be read now.
        """


Listener: TypeAlias = Callable[[Mapping[str, Value]], None]
"""Told each copy of the document, as soon as it is there; it must not wait."""


class Control:
    """This instance's copy of `gateway/control`. One per process."""

    def __init__(
        self,
        documents: Documents,
        clock: Clock,
        *,
        max_stale_s: float = 30.0,
        followers: Sequence[Follower] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._followers = followers
        self._listeners = listeners
        self._max_stale_s = max_stale_s
        self._data: Mapping[str, Value] = MappingProxyType({})
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._refresh: asyncio.Task[None] | None = None

    @property
    def data(self) -> Mapping[str, Value]:
        """The newest copy, empty before the first. A new object with each reading."""
        return self._data

    async def follow(self) -> None:
        """Have a copy that is fresh enough, waiting only for a stale one.

        While the store is down the last copy stays, and calls do not wait for the store each time.
        """
        now = self._clock.monotonic()
        if self._tried_at is not None and now - self._tried_at < REFRESH_AFTER_S:
            return
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._read())
        if self._read_at is None or now - self._read_at >= self._max_stale_s:
            await asyncio.shield(self._refresh)

    async def _read(self) -> None:
        started = self._clock.monotonic()
        try:
            refs = [CONTROL, *(follower.ref for follower in self._followers)]
            [document, *others] = await self._documents.get_many(refs)
            for follower, found in zip(self._followers, others, strict=True):
                await follower.learn(found)
        except StoreUnavailable:
            self._tried_at = self._clock.monotonic()
            logger.warning("control.unread")
            return
        self.learn(document, started)

    def learn(self, document: Document | None, read_at: float) -> None:
        """Take a copy that was read, unless it is older than the one there is."""
        if self._read_at is None or read_at >= self._read_at:
            self._data = dict(document.data) if document else {}
            self._read_at = self._tried_at = read_at
            for listener in self._listeners:
                listener(self._data)
