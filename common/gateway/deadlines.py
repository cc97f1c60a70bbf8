"""One timer for everything a call waits for: the client's body, the first byte, the next chunk.

Moving a deadline costs two attribute writes, so it can be done at each chunk of a stream: the timer
is only re-armed when it fires early or a nearer deadline comes up. A client that leaves ends the
wait through the same exit.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, TypeAlias

Wait: TypeAlias = Literal["body", "first_byte", "next_chunk", "client"]


LOOK_AFTER_S = 0.02
"""How long a call runs before anybody looks whether its client has left."""


class Deadlines:
    """A context that raises TimeoutError inside when what is waited for does not come.

    Args:
        call_s: seconds for the whole call, whatever it waits for.

    `finish_within_s`, where set, lets a call go on that long without its client.
    """

    def __init__(self, call_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        now = self._loop.time()
        self._ends_at = self._due_at = now + call_s
        self._armed_for = now + LOOK_AFTER_S
        self._timer: asyncio.TimerHandle | None = None
        self._look: Callable[[], None] | None = None
        self._looked = self._expired = False
        self.waiting_for: Wait = "body"
        self.client_gone = False
        self.stopped = False
        self.finish_within_s: float | None = None

    def __enter__(self) -> Self:
        self._timer = self._loop.call_at(self._armed_for, self._fire)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # As `asyncio.timeout` tells its own cancellation from others (which costs twice as much).
        if self._expired and self._task is not None:
            others = self._task.uncancel()
            if kind is asyncio.CancelledError and not others:
                raise TimeoutError from error

    def look(self, look: Callable[[], None]) -> None:
        """Have `look` called, once the call runs for so long that its client may have left.

        A call that is answered at once is over before anybody looks: a task for each that waits
        for its client to leave would cost more than the rest of this.
        """
        if self._looked:
            look()
        else:
            self._look = look

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

    def stop(self) -> None:
        """End the wait now, because the process ends. Does nothing once the context is over."""
        if self._timer is not None:
            self.stopped = True
            self._expire()

    def _fire(self) -> None:
        self._looked = True
        if self._look is not None:
            self._look()
            self._look = None
        if self._loop.time() >= self._due_at:
            self._expire()
            return
        self._armed_for = self._due_at
        self._timer = self._loop.call_at(self._armed_for, self._fire)

    def _expire(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None and not self._expired:
            self._expired = True
            self._task.cancel()
