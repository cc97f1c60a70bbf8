"""Connections that are kept, by origin: the one used last is used first.

Each origin has so many places. A connection takes one from before it is opened until it is lost,
so that what leaks would show as places that never come back.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from common.adapters.lean_connection import Connection
from common.adapters.lean_errors import NoPlace, NotConnected
from common.adapters.lean_urls import Origin

MOST_CONNECTIONS: Final = 1_000
"""To one origin: above a full instance's calls, below a process's files."""

Open: TypeAlias = Callable[[Origin, float | None], Awaitable[Connection]]


class Pool:
    """All kept connections of one transport. `keep_alive_s`: how long one stays without a call."""

    def __init__(self, open_to: Open, *, keep_alive_s: float, most: int = MOST_CONNECTIONS) -> None:
        self._open_to = open_to
        self._keep_alive_s = keep_alive_s
        self._most = most
        self._shelves: dict[Origin, _Shelf] = {}
        self._closed = False

    @property
    def places_taken(self) -> int:
        """Connections there are, being opened or closed included."""
        return sum(shelf.taken for shelf in self._shelves.values())

    async def acquire(
        self, origin: Origin, *, connect_s: float | None, pool_s: float | None
    ) -> Connection:
        """A connection on which a request may be begun at once, with no await in between.

        Raises:
            NoPlace: all places were taken for so long.
            UpstreamUnreachable: none could be opened; nothing was sent.
        """
        shelf = self._shelves.get(origin)
        if shelf is None:
            shelf = self._shelves[origin] = _Shelf(self._keep_alive_s, self._most)
        while True:
            connection = shelf.kept()
            if connection is None and not shelf.take_place():
                connection = await shelf.wait(pool_s)
            if connection is None:
                break
            if connection.is_quiet:
                return connection
            connection.abort()
        if self._closed:
            self._give_back(origin, shelf)
            raise NotConnected("the transport is closed")
        try:
            connection = await self._open_to(origin, connect_s)
        except BaseException:
            self._give_back(origin, shelf)
            raise
        connection.on_free = shelf.free
        connection.on_lost = lambda lost: self._lost(origin, shelf, lost)
        shelf.connections.add(connection)
        if connection.lost:
            connection.on_lost(connection)
        if self._closed or not connection.is_open:
            connection.abort()
            raise NotConnected("closed at once")
        return connection

    async def aclose(self) -> None:
        """Close all; returns when the last one is lost."""
        self._closed = True
        for shelf in list(self._shelves.values()):
            await shelf.aclose()

    def _give_back(self, origin: Origin, shelf: "_Shelf") -> None:
        shelf.give_place()
        self._forget(origin, shelf)

    def _lost(self, origin: Origin, shelf: "_Shelf", connection: Connection) -> None:
        shelf.lost(connection)
        self._forget(origin, shelf)

    def _forget(self, origin: Origin, shelf: "_Shelf") -> None:
        """Origins come from users; those that nothing is connected to are not kept."""
        if shelf.taken == 0 and self._shelves.get(origin) is shelf:
            del self._shelves[origin]


class _Shelf:
    """One origin's connections and places."""

    def __init__(self, keep_alive_s: float, most: int) -> None:
        self.taken = 0
        self.connections: set[Connection] = set()
        self._keep_alive_s = keep_alive_s
        self._most = most
        self._idle: dict[Connection, float] = {}
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    def kept(self) -> Connection | None:
        """The idle connection that was used last."""
        return self._idle.popitem()[0] if self._idle else None

    def take_place(self) -> bool:
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    def give_place(self) -> None:
        """A place has come free: whoever waits longest has it."""
        if not self._hand_on(None):
            self.taken -= 1
            if self.taken == 0:
                self._empty.set()

    async def wait(self, pool_s: float | None) -> Connection | None:
        """A connection that came free, or None for the place of one that was lost.

        Raises:
            NoPlace: neither came in time.
        """
        waiting: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(pool_s):
                return await waiting
        except BaseException as error:
            self._leave(waiting)
            if isinstance(error, TimeoutError):
                raise NoPlace(f"all {self._most} connections are in use") from None
            raise

    def free(self, connection: Connection) -> None:
        """A connection's call is over and it may serve another one."""
        if self._hand_on(connection):
            return
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.time()
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep_alive_s, self._sweep)

    def lost(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self._idle.pop(connection, None)
            if not self._idle and self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            self.give_place()

    async def aclose(self) -> None:
        for connection in list(self.connections):
            connection.abort()
        while self.taken:
            self._empty.clear()
            await self._empty.wait()

    def _hand_on(self, connection: Connection | None) -> bool:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return True
        return False

    def _leave(self, waiting: "asyncio.Future[Connection | None]") -> None:
        """What was handed to a waiter that is gone goes to the next one."""
        if waiting.done() and not waiting.cancelled():
            handed = waiting.result()
            if handed is None:
                self.give_place()
            elif handed.is_open:
                self.free(handed)
        elif waiting in self._waiting:
            self._waiting.remove(waiting)

    def _sweep(self) -> None:
        """Close what was idle for long. The oldest come first in a dict."""
        loop = asyncio.get_running_loop()
        self._sweeping = None
        for connection, since in list(self._idle.items()):
            left_s = since + self._keep_alive_s - loop.time()
            if left_s > 0:
                self._sweeping = loop.call_later(left_s, self._sweep)
                return
            del self._idle[connection]
            connection.abort()
