"""Our transport: HTTP/1.1 over kept connections, and no more than a gateway needs.

httpx's own pool rescans all connections at each request (encode/httpx#3215), and clients that do
everything pay for it at each call. This one sends a request as it is written and hands the reply on
as it arrives: no redirect, no cookie, no decoding, no environment. A request is tried once; only
where nothing of it was sent is another connection taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from common.adapters.lean_connection import Exchange
from common.adapters.lean_framing import request_head
from common.adapters.lean_opening import Reach, open_connection
from common.adapters.lean_pool import MOST_CONNECTIONS, Pool
from common.adapters.lean_urls import Address


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, a call waits for each of its steps; None is for ever."""

    connect_s: float | None = None
    pool_s: float | None = None
    write_s: float | None = None
    read_s: float | None = None


class LeanClient:
    """All kept connections of one reach. `most_connections` is for each origin."""

    def __init__(
        self, reach: Reach, *, keep_alive_s: float, most_connections: int = MOST_CONNECTIONS
    ) -> None:
        self._names = reach.names
        self.pool = Pool(
            partial(open_connection, reach), keep_alive_s=keep_alive_s, most=most_connections
        )

    async def send(
        self,
        method: str,
        address: Address,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        patience: Patience,
    ) -> Exchange:
        """Send, and answer when the reply's head is there.

        Raises:
            UpstreamUnreachable: nothing of it was sent.
            UpstreamDisconnected: it may have been sent, and no reply came.
        """
        head = request_head(method, address, headers, len(body))
        connection = await self.pool.acquire(
            address.origin, connect_s=patience.connect_s, pool_s=patience.pool_s
        )
        exchange = Exchange(connection, to_head=method == "HEAD", read_s=patience.read_s)
        connection.begin(exchange, head, body)
        await exchange.reply(patience.write_s)
        return exchange

    async def aclose(self) -> None:
        await self.pool.aclose()
        await self._names.aclose()
