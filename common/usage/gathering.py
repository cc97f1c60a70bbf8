"""Gather events that arrive together, so that one commit counts them all.

Every caller waits until its own event is counted and hears of that event alone. Commits follow one
another: while one is under way the next gathers, so the busier the store, the larger they get, and
no two of one process meet at the same documents. Events that come alone wait WINDOW_S at most.

Nothing is left running without a caller: a commit is a task that all its callers wait for, and one
of them leaving does not stop it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from common.core.errors import StoreUnavailable
from common.core.events import CountedEvent
from common.core.transactions import Sleep
from common.usage.apply_events import Applied

WINDOW_S = 0.05
"""Seconds to wait for company."""

AT_ONCE = 80
"""Events that one instance is given at once (its `concurrency`): when all wait, none can join."""

Apply: TypeAlias = Callable[[Sequence[CountedEvent]], Awaitable[Applied]]


@dataclass(slots=True)
class _Batch:
    """Events of one commit, in order of arrival, the same one perhaps twice."""

    events: list[CountedEvent] = field(default_factory=list)
    full: asyncio.Event = field(default_factory=asyncio.Event)


class Gathering:
    """Hands events to `apply` in batches."""

    def __init__(
        self,
        apply: Apply,
        *,
        window_s: float = WINDOW_S,
        most: int = AT_ONCE,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._apply = apply
        self._window_s = window_s
        self._most = most
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._open: tuple[_Batch, asyncio.Task[Applied]] | None = None

    async def add(self, event: CountedEvent) -> None:
        """Return when the event is counted, now or long ago.

        Raises:
            StoreUnavailable: it is not, as far as is known; it has to come again.
        """
        if self._open is None:
            batch = _Batch()
            self._open = batch, asyncio.create_task(self._count(batch))
        batch, counting = self._open
        batch.events.append(event)
        if len(batch.events) == self._most:
            batch.full.set()
            self._open = None
        cause = (await asyncio.shield(counting)).failed.get(event.id)
        if cause is not None:
            raise StoreUnavailable(cause)

    async def _count(self, batch: _Batch) -> Applied:
        await self._filled(batch)
        async with self._turn:
            if self._open is not None and self._open[0] is batch:
                self._open = None
            return await self._apply(batch.events)

    async def _filled(self, batch: _Batch) -> None:
        waits = {
            asyncio.ensure_future(batch.full.wait()),
            asyncio.ensure_future(self._sleep(self._window_s)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
