"""Names and their addresses, as the system resolves them, kept for a short time.

Each name is asked for once, however many calls wait for it. What is kept are answers, never whether
one may be called: that is judged at each connection.
"""

import asyncio
import ipaddress
import socket
from typing import Any, Final, TypeAlias

KEPT_S: Final = 10.0
"""How long an answer serves new connections. A kept one outlives it until it has idled for long."""
_MOST = 1_000

Place: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
"""An address as sockets take it."""


class Names:
    """The names of one client."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._known: dict[tuple[str, int], tuple[float, asyncio.Task[list[Place]]]] = {}

    async def places(self, host: str, port: int) -> list[Place]:
        """The addresses of a host. An address that is given as text is not asked for.

        Raises:
            OSError, UnicodeError: there is no such name, or nobody can tell.
        """
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return await asyncio.shield(self._asked(host, port))
        if literal.version == 4:
            return [(socket.AF_INET, (host, port))]
        return [(socket.AF_INET6, (host, port, 0, 0))]

    async def aclose(self) -> None:
        tasks = [task for _, task in self._known.values()]
        self._known.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, host: str, port: int) -> asyncio.Task[list[Place]]:
        now = asyncio.get_running_loop().time()
        ends_at, task = self._known.get((host, port), (now, None))
        if task is None or (task.done() and ends_at <= now):
            # Names come from users: the oldest go first.
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known.pop((host, port), None)
            task = asyncio.create_task(_resolved(host, port))
            self._known[host, port] = now + self._kept_s, task
            task.add_done_callback(lambda done: self._forget_failure(host, port, done))
        return task

    def _forget_failure(self, host: str, port: int, done: asyncio.Task[list[Place]]) -> None:
        if done.cancelled() or done.exception() is not None:
            _, task = self._known.get((host, port), (0.0, None))
            if task is done:
                del self._known[host, port]


async def _resolved(host: str, port: int) -> list[Place]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]
