"""A transport for httpx that does what a gateway needs and no more: HTTP/1.1, kept connections.

httpx's own pool rescans all connections at each request (encode/httpx#3215), and clients that do
everything pay for it at each call. This one sends a request as it is written and hands the reply on
as it arrives: no redirect, no cookie, no decoding, no environment. A request is tried once; only
where nothing of it was sent is another connection taken.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import partial

import httpx

from common.adapters.lean_connection import Exchange
from common.adapters.lean_framing import request_head
from common.adapters.lean_opening import Reach, open_connection
from common.adapters.lean_pool import MOST_CONNECTIONS, Pool

_PORTS = {"http": 80, "https": 443}


def lean_transport(
    proxy: str | None = None,
    *,
    keep_alive_s: float,
    allow_private: bool = False,
    to_metadata: bool = False,
) -> "LeanTransport":
    """The transport for one proxy and reach. Made inside a running event loop."""
    reach = Reach(
        ssl.create_default_context(),
        httpx.Proxy(proxy) if proxy else None,
        allow_private=allow_private,
        judged=not to_metadata,
    )
    return LeanTransport(reach, keep_alive_s=keep_alive_s)


class LeanTransport(httpx.AsyncBaseTransport):
    """Timeouts are those of httpx's `timeout` extension, in seconds; what is not given is none.

    `most_connections` is for each origin.
    """

    def __init__(
        self, reach: Reach, *, keep_alive_s: float, most_connections: int = MOST_CONNECTIONS
    ) -> None:
        self.pool = Pool(
            partial(open_connection, reach), keep_alive_s=keep_alive_s, most=most_connections
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and answer when the reply's head is there.

        Raises:
            httpx.TransportError: no reply. ConnectError, ConnectTimeout, PoolTimeout, ProxyError,
                UnsupportedProtocol and LocalProtocolError say that nothing was sent.
        """
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        body = await request.aread()
        head = request_head(request, len(body))
        connection = await self.pool.acquire(
            _origin(request.url),
            connect_s=timeouts.get("connect"),
            pool_s=timeouts.get("pool"),
        )
        exchange = Exchange(connection, to_head=request.method == "HEAD")
        connection.begin(exchange, head, body)
        read_s = timeouts.get("read")
        reply = await exchange.reply(read_s, timeouts.get("write"))
        return httpx.Response(
            reply.status,
            headers=reply.headers,
            stream=LeanStream(exchange, read_s),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reply.reason},
        )

    async def aclose(self) -> None:
        await self.pool.aclose()


class LeanStream(httpx.AsyncByteStream):
    """A reply's body, in the pieces in which it arrives."""

    def __init__(self, exchange: Exchange, read_s: float | None) -> None:
        self._exchange = exchange
        self._read_s = read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._exchange.read(self._read_s):
            yield data

    async def aclose(self) -> None:
        self._exchange.leave()


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    default = _PORTS.get(url.scheme)
    if default is None or not url.host:
        raise httpx.UnsupportedProtocol("neither http nor https to a host")
    return url.scheme, url.raw_host.decode("ascii"), url.port or default
