"""The port to LLM providers: one request out, one reply in, as bytes.

The engine stands in `common/adapters/upstream.py`. It follows no redirect, keeps no cookie and
decodes nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

AMBIGUOUS_STATUSES = frozenset({502, 504, *range(520, 525)})
"""Answers of something in front of a provider, which may go on and bill (520 to 524 are
Cloudflare's). A provider's own errors carry no tokens."""


class UpstreamError(Exception):
    """A provider gave no whole reply. Its text holds no header and no body."""


class UpstreamUnreachable(UpstreamError):
    """No connection: nothing was sent, so nothing is billed."""


class ProxyFailed(UpstreamUnreachable):
    """The installation's own proxy made no connection: the provider is not to blame."""


class UpstreamDisconnected(UpstreamError):
    """The connection broke after the request was sent."""


class UpstreamMalformed(UpstreamDisconnected):
    """What came is no HTTP: the connection was closed, and the same request meets it again."""


@dataclass(slots=True)
class UpstreamRequest:
    """One request. Without `allow_private` it goes to no address inside the own network.

    `to_metadata`: it may go to the machine's metadata server, which no call of a client ever may.
    """

    method: str
    url: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    allow_private: bool = False
    to_metadata: bool = False

    @property
    def host(self) -> str:
        # Apart from the query, which may hold a key: urlsplit remembers what it has read.
        return urlsplit(self.url.partition("?")[0]).netloc


class UpstreamReply(Protocol):
    status: int
    headers: list[tuple[bytes, bytes]]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            UpstreamDisconnected: it ended before its end.
        """

    async def aclose(self) -> None:
        """Release the connection; an unfinished one is closed, so that generation stops."""


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send, and return when the reply's headers are there. The caller sets the deadline.

        Raises:
            UpstreamUnreachable: no connection could be made.
            UpstreamDisconnected: the connection broke before the reply's headers.
            ProxyFailed, UpstreamMalformed: kinds of these that say more.
        """
