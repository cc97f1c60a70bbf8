"""Sending messages to channels: by https, to public addresses alone, without following anything.

The connection is the one to providers: it judges every address that a name leads to, keeps no
cookie and decodes nothing. An answer is told by its status, and by its text only where that is one
plain word, as Slack's are (`invalid_blocks`): a receiver may repeat what it was sent.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from common.adapters.reachable import PrivateAddress
from common.core.errors import InvalidInput
from common.core.ports import Clock
from common.gateway.channel_changes import check_receiver, is_here
from common.gateway.upstream import (
    Upstream,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamReply,
    UpstreamRequest,
)
from common.incidents.outgoing import NotNow, Post, Refused, Result, Taken

SEND_S = 10.0
MOST_ANSWER_BYTES = 64 * 1024
_WORD = re.compile(rb"[a-z_]{1,60}")
_SECONDS = re.compile(r"\d{1,7}")
_OWN_HEADERS = ((b"content-type", b"application/json"), (b"user-agent", b"open-cloud-ops"))
_TRIED_AGAIN = frozenset({408, 425, 429})
_OF_A_MESSAGE = frozenset({400, 413, 422})
_SERVER_ERROR = 500
_TOO_MANY = 429


class ChannelSender:
    """`Sender` over the connection to providers. With `local` also to receivers on this machine."""

    def __init__(
        self, upstream: Upstream, clock: Clock, *, send_s: float = SEND_S, local: bool = False
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._send_s = send_s
        self._local = local

    async def send(self, post: Post) -> Result:
        url = post.url.reveal()
        try:
            check_receiver(url, local=self._local)
        except InvalidInput as error:
            return Refused(f"Its address must not be called: {error.detail}.")
        headers = [(name.encode(), value.encode()) for name, value in post.headers.items()]
        here = self._local and is_here(url)
        request = UpstreamRequest(
            "POST", url, [*_OWN_HEADERS, *headers], post.body, allow_private=here
        )
        try:
            async with asyncio.timeout(self._send_s):
                reply = await self._upstream.send(request)
                try:
                    text = await _beginning(reply)
                finally:
                    await reply.aclose()
        except TimeoutError:
            return NotNow(f"It did not answer within {self._send_s:g} s.", sent=True)
        except UpstreamDisconnected as error:
            return NotNow(f"The connection broke: {error}.", sent=True)
        except UpstreamError as error:
            if str(error) == PrivateAddress.__name__:
                return Refused("Its address must not be called: it leads inside the own network.")
            return NotNow(f"It could not be reached: {error}.")
        return self._told(reply, text)

    def _told(self, reply: UpstreamReply, text: bytes) -> Result:
        status = reply.status
        if 200 <= status < 300:
            return Taken()
        word = f" {text.decode()}" if _WORD.fullmatch(text) else ""
        reason = f"It answered {status}{word}."
        if status in _TRIED_AGAIN or status >= _SERVER_ERROR:
            after_s = self._retry_after_s(reply.headers)
            return NotNow(reason, after_s, sent=status != _TOO_MANY)
        return Refused(reason, may_be_its_form=status in _OF_A_MESSAGE)

    def _retry_after_s(self, headers: Sequence[tuple[bytes, bytes]]) -> float | None:
        """Seconds, or a date: https://httpwg.org/specs/rfc9110.html#field.retry-after."""
        given = [value for name, value in headers if name.lower() == b"retry-after"]
        text = given[0].decode("latin-1").strip() if given else ""
        if _SECONDS.fullmatch(text):
            return float(text)
        try:
            at: datetime = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0.0, (at - self._clock.now()).total_seconds())


async def _beginning(reply: UpstreamReply) -> bytes:
    """The answer as far as it is looked at; the connection is closed where there is more."""
    read = bytearray()
    async for chunk in reply.chunks():
        read += chunk
        if len(read) > MOST_ANSWER_BYTES:
            return b""
    return bytes(read)
