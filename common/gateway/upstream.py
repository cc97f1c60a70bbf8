"""The port to LLM providers: one request out, one reply in, as bytes.

The engine stands in `common/adapters/upstream.py`. It follows no redirect, keeps no cookie and
decodes nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


class UpstreamError(Exception):
    """A provider gave no whole reply. Its text holds no header and no body."""


class UpstreamUnreachable(UpstreamError):
    """No connection: nothing was sent, so nothing is billed."""


class UpstreamDisconnected(UpstreamError):
    """The connection broke after the request was sent."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    method: str
    url: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


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
        """
