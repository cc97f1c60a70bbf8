"""Our transport as one of httpx's, for whoever speaks to it in httpx's words.

The gateway does not: its port is bytes, and httpx's objects and import cost it more than the call.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Final

import httpx

from common.adapters.lean_client import LeanClient, Patience
from common.adapters.lean_connection import Exchange
from common.adapters.lean_errors import (
    BrokeOff,
    ConnectedTooLate,
    Malformed,
    NoPlace,
    NotARequest,
    NotConnected,
    NotProxied,
    ReadTooLate,
    WrittenTooLate,
)
from common.adapters.lean_names import Names
from common.adapters.lean_opening import Reach
from common.adapters.lean_urls import read_proxy, read_url
from common.gateway.upstream import UpstreamError

_IN_HTTPX: Final[Mapping[type[UpstreamError], type[httpx.TransportError]]] = {
    NotConnected: httpx.ConnectError,
    ConnectedTooLate: httpx.ConnectTimeout,
    NoPlace: httpx.PoolTimeout,
    NotProxied: httpx.ProxyError,
    NotARequest: httpx.LocalProtocolError,
    BrokeOff: httpx.ReadError,
    Malformed: httpx.RemoteProtocolError,
    ReadTooLate: httpx.ReadTimeout,
    WrittenTooLate: httpx.WriteTimeout,
}


def lean_transport(
    proxy: str | None = None,
    *,
    keep_alive_s: float,
    allow_private: bool = False,
    to_metadata: bool = False,
) -> "LeanTransport":
    """The transport for one proxy and reach. Made inside a running event loop."""
    reach = Reach(
        cache(ssl.create_default_context),
        Names(),
        read_proxy(proxy) if proxy else None,
        allow_private=allow_private,
        judged=not to_metadata,
    )
    return LeanTransport(LeanClient(reach, keep_alive_s=keep_alive_s))


class LeanTransport(httpx.AsyncBaseTransport):
    """Timeouts are those of httpx's `timeout` extension, in seconds; what is not given is none."""

    def __init__(self, client: LeanClient) -> None:
        self.client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and answer when the reply's head is there.

        Raises:
            httpx.TransportError: no reply. ConnectError, ConnectTimeout, PoolTimeout, ProxyError
                and LocalProtocolError say that nothing was sent.
        """
        given: Mapping[str, float | None] = request.extensions.get("timeout", {})
        patience = Patience(*(given.get(each) for each in ("connect", "pool", "write", "read")))
        body = await request.aread()
        try:
            exchange = await self.client.send(
                request.method, read_url(str(request.url)), request.headers.raw, body, patience
            )
        except UpstreamError as error:
            raise _IN_HTTPX[type(error)](str(error)) from None
        reason = b"" if exchange.head is None else exchange.head.reason
        return httpx.Response(
            exchange.status,
            headers=exchange.headers,
            stream=LeanStream(exchange),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )

    async def aclose(self) -> None:
        await self.client.aclose()


class LeanStream(httpx.AsyncByteStream):
    """A reply's body, in the pieces in which it arrives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._exchange.chunks():
                yield chunk
        except UpstreamError as error:
            raise _IN_HTTPX[type(error)](str(error)) from None

    async def aclose(self) -> None:
        await self._exchange.aclose()
