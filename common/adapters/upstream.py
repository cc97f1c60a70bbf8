"""The connection to LLM providers, and to whatever else is asked over HTTP: our own transport."""

import ssl
from functools import cache
from typing import TypeAlias

from common.adapters.lean_client import LeanClient, Patience
from common.adapters.lean_names import Names
from common.adapters.lean_opening import Reach
from common.adapters.lean_urls import read_proxy, read_url
from common.adapters.reachable import PrivateAddress
from common.gateway.upstream import UpstreamReply, UpstreamRequest, UpstreamUnreachable

CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 50.0
"""Below the 60 s and more of the load balancers in front of providers: a request that meets the
other side's closing may have been billed, for all that is known here."""
PRIVATE_KEEP_ALIVE_S = 4.0
"""Below the 5 s of uvicorn and Node, which model servers of one's own run on."""
_PATIENCE = Patience(connect_s=CONNECT_TIMEOUT_S)

_Kind: TypeAlias = tuple[bool, bool, bool]
"""Of a client: by https, to private addresses, to the metadata server."""


class HttpUpstream:
    """`Upstream` over clients of ours, made on first use, inside a running event loop.

    `https_proxy` is the proxy that providers are reached through. What may be inside the own
    network is reached directly: that is not behind the proxy.
    """

    def __init__(self, https_proxy: str | None = None) -> None:
        self._https_proxy = read_proxy(https_proxy) if https_proxy else None
        # Reads some hundred certificates: once, and only where TLS is spoken.
        self._tls = cache(ssl.create_default_context)
        self._clients: dict[_Kind, LeanClient] = {}

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        address = read_url(request.url)
        if (address.is_inside and not request.allow_private) or (
            address.is_of_metadata and not request.to_metadata
        ):
            raise UpstreamUnreachable(PrivateAddress.__name__)
        kind = address.origin[0] == "https", request.allow_private, request.to_metadata
        client = self._clients.get(kind)
        if client is None:
            client = self._clients[kind] = self._made(kind)
        return await client.send(request.method, address, request.headers, request.body, _PATIENCE)

    def _made(self, kind: _Kind) -> LeanClient:
        by_https, allow_private, to_metadata = kind
        reach = Reach(
            self._tls,
            Names(),
            self._https_proxy if by_https and not allow_private else None,
            allow_private=allow_private,
            judged=not to_metadata,
        )
        keep_alive_s = PRIVATE_KEEP_ALIVE_S if allow_private else KEEP_ALIVE_S
        return LeanClient(reach, keep_alive_s=keep_alive_s)

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
