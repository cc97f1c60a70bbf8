"""One timer for everything a call waits for: the client's body, the first byte, the next chunk.

Moving a deadline costs two attribute writes, so it can be done at each chunk of a stream: the timer
is only re-armed when it fires early or a nearer deadline comes up. A client that leaves ends the
wait through the same exit.
"""

import asyncio
from types import TracebackType
from typing import Literal, Self, TypeAlias

Wait: TypeAlias = Literal["body", "first_byte", "next_chunk", "client"]


class Deadlines:
    """An async context that raises TimeoutError inside when what is waited for does not come.

    Args:
        call_s: seconds for the whole call, whatever it waits for.

    `finish_within_s`, where set, lets a call go on that long without its client.
    """

    def __init__(self, call_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._ends_at = self._loop.time() + call_s
        self._due_at = self._ends_at
        self._armed_for = self._ends_at
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_for: Wait = "body"
        self.client_gone = False
        self.finish_within_s: float | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = self._loop.call_at(self._armed_for, self._fire)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._timeout.__aexit__(kind, error, trace)

    def expect(self, what: Wait, within_s: float) -> None:
        """From now on, `what` is due within so many seconds."""
        self.waiting_for = what
        self._due_at = min(self._ends_at, self._loop.time() + within_s)
        if self._due_at < self._armed_for and self._timer is not None:
            self._timer.cancel()
            self._armed_for = self._due_at
            self._timer = self._loop.call_at(self._armed_for, self._fire)

    def allow_client_time(self) -> None:
        """The client may read as slowly as the whole call allows."""
        self.waiting_for = "client"
        self._due_at = self._ends_at

    def client_left(self) -> None:
        """End the wait now, or `finish_within_s` later. Does nothing once the context is over."""
        if self._timer is None:
            return
        self.client_gone = True
        if self.finish_within_s is None:
            self._expire()
        else:
            self._ends_at = min(self._ends_at, self._loop.time() + self.finish_within_s)
            self.expect(self.waiting_for, self.finish_within_s)

    def _fire(self) -> None:
        if self._loop.time() >= self._due_at:
            self._expire()
            return
        self._armed_for = self._due_at
        self._timer = self._loop.call_at(self._armed_for, self._fire)

    def _expire(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timeout.reschedule(self._loop.time())
