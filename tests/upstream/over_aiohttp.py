"""The same port over aiohttp's client, which the suites hold our transport against.

A second engine, written by others, tells what a test asks of HTTP from what it asks of ours.
"""

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Protocol

import aiohttp
import httpx
from aiohttp.abc import ResolveResult
from httpx_aiohttp import AiohttpTransport

import common.adapters.upstream as upstream_adapter
from common.adapters.reachable import PrivateAddress, may_be_called
from common.gateway.upstream import (
    UpstreamDisconnected,
    UpstreamReply,
    UpstreamRequest,
    UpstreamUnreachable,
)
from common.gateway.upstream_records import is_of_metadata, is_public

_TIMEOUTS = {"connect": upstream_adapter.CONNECT_TIMEOUT_S}
_NEVER_CONNECTED_BY_AIOHTTP = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class MakeTransport(Protocol):
    """Makes a transport for one proxy and reach; `keep_alive_s` is for how long one may idle."""

    def __call__(
        self, proxy: str | None, *, keep_alive_s: float, allow_private: bool, to_metadata: bool
    ) -> httpx.AsyncBaseTransport: ...


def aiohttp_transport(
    proxy: str | None = None,
    *,
    keep_alive_s: float,
    allow_private: bool = False,
    to_metadata: bool = False,
) -> httpx.AsyncBaseTransport:
    """The transport for one proxy and reach. Made inside a running event loop."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=keep_alive_s,
            ssl=ssl.create_default_context(),
            resolver=None if to_metadata or proxy else JudgingResolver(allow_private=allow_private),
        ),
        # A provider's cookie belongs to one caller and must never travel with another's call.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        # It would ask a thread for ~/.netrc and the proxy variables at each call (a quarter of a
        # call's CPU), and a netrc entry would put a credential of its own into the request.
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    return AiohttpTransport(client=session, proxy=httpx.Proxy(proxy) if proxy else None)


class JudgingResolver(aiohttp.ThreadedResolver):
    """Resolves names as the system does, and leaves out addresses inside the own network.

    With `allow_private` only link-local ones are left out.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        super().__init__()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        open_to_calls = [
            each for each in found if may_be_called(each["host"], allow_private=self._allow_private)
        ]
        if not open_to_calls:
            raise PrivateAddress(f"{host} leads inside the own network")
        return open_to_calls


@lru_cache(1_000)
def _is_private_literal(host: str) -> bool:
    """Addresses that stand in a URL themselves are never resolved."""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return False


_is_of_metadata = lru_cache(1_000)(is_of_metadata)


class AiohttpUpstream:
    """`Upstream` over httpx transports, made on first use.

    `https_proxy` is the proxy that providers are reached through; what may be inside the own
    network is reached directly.
    """

    def __init__(
        self, https_proxy: str | None = None, make: MakeTransport = aiohttp_transport
    ) -> None:
        self._https_proxy = https_proxy
        self._make = make
        self._transports: dict[tuple[bool, bool, bool], httpx.AsyncBaseTransport] = {}

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        outgoing = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.body or None,
            extensions={"timeout": _TIMEOUTS},
        )
        host = outgoing.url.host
        inside = not request.allow_private and _is_private_literal(host)
        if inside or (not request.to_metadata and _is_of_metadata(host)):
            raise UpstreamUnreachable(PrivateAddress.__name__)
        transport = self._transport(request)
        try:
            response = await transport.handle_async_request(outgoing)
        except httpx.TransportError as error:
            raise _told_apart(error) from None
        except UnicodeError:
            raise UpstreamUnreachable("no such name") from None
        except aiohttp.ClientError as error:
            # A malformed reply, which httpx-aiohttp has no error for.
            raise UpstreamDisconnected(type(error).__name__) from None
        return AiohttpReply(response)

    def _transport(self, request: UpstreamRequest) -> httpx.AsyncBaseTransport:
        kind = request.url.startswith("https:"), request.allow_private, request.to_metadata
        if kind not in self._transports:
            by_https, allow_private, to_metadata = kind
            self._transports[kind] = self._make(
                self._https_proxy if by_https and not allow_private else None,
                keep_alive_s=upstream_adapter.PRIVATE_KEEP_ALIVE_S
                if allow_private
                else upstream_adapter.KEEP_ALIVE_S,
                allow_private=allow_private,
                to_metadata=to_metadata,
            )
        return self._transports[kind]

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()


class AiohttpReply:
    """A reply whose body is read as it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers.raw

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.stream:  # type: ignore[union-attr] # async by contract
                yield chunk
        except (httpx.TransportError, aiohttp.ClientError) as error:
            raise UpstreamDisconnected(type(error).__name__) from None

    async def aclose(self) -> None:
        await self._response.stream.aclose()  # type: ignore[union-attr] # async by contract


def _told_apart(error: httpx.TransportError) -> UpstreamUnreachable | UpstreamDisconnected:
    """Whether anything can have been sent: only a failed connection is known to cost nothing.

    httpx-aiohttp maps a server that hangs up to ConnectTimeout, so its cause decides.
    """
    cause = error.__cause__
    if isinstance(getattr(cause, "os_error", cause), PrivateAddress):
        return UpstreamUnreachable(PrivateAddress.__name__)
    if isinstance(cause, aiohttp.ClientError):
        never_connected = isinstance(cause, _NEVER_CONNECTED_BY_AIOHTTP)
    else:
        never_connected = isinstance(error, _NEVER_CONNECTED)
    kind = UpstreamUnreachable if never_connected else UpstreamDisconnected
    return kind(type(cause or error).__name__)
