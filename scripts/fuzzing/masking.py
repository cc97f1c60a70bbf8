"""Laws of errors that echo the installation's own key: nobody gets to see it.

An input is a reply's body, in which a byte 1 stands for the key.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from common.adapters.system_clock import SystemClock
from common.core.secrets import Secret
from common.gateway.answer import Answer
from common.gateway.call import Call
from common.gateway.deadlines import Deadlines
from common.gateway.incoming import Message
from common.gateway.relay import relay
from common.llm.paths import Endpoint, resolve
from common.llm.price_book import bundled_book
from common.llm.protocol import PROTOCOLS
from scripts.fuzzing.target import Target, hold, pieces_of

KEY = b"sk-the-installation-s-own-key"
_CALL_S = 60.0
_SEEDS = (
    b'{"error":{"message":"Incorrect API key provided: \x01."}}',
    b"\x01\x01sk-the-installation-s-own-\x01key",
    b"data: \x01\n\n",
)


def masking_target() -> Target:
    return Target("masking", _check_masking, _SEEDS)


class _Reply:
    """An error in pieces."""

    status = 401

    def __init__(self, body: bytes) -> None:
        self.headers = [(b"content-type", b"application/json")]
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in pieces_of(self._body):
            yield piece

    async def aclose(self) -> None: ...


def _check_masking(data: bytes) -> None:
    body = data.replace(b"\x01", KEY)
    for path in ("/openai/v1/chat/completions", "/gemini/v1beta/models"):
        answered = asyncio.run(_answered(path, body))
        hold("the key is not answered", holds=KEY not in answered)
        if KEY not in body:
            hold("nothing else is masked", holds=answered == body)


async def _answered(path: str, body: bytes) -> bytes:
    endpoint = resolve("POST" if path.startswith("/openai") else "GET", path, {})
    hold("the path is forwarded", holds=isinstance(endpoint, Endpoint))
    assert endpoint is not None
    call = Call(
        id="call",
        started_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        arrived_s=0.0,
        protocol=PROTOCOLS[endpoint.protocol],
        endpoint=endpoint,
        book=bundled_book(),
    )
    passed: list[Any] = []

    async def send(message: Message) -> None:
        passed.append(message.get("body", b""))

    with Deadlines(_CALL_S) as deadlines:
        await relay(
            call,
            _Reply(body),
            Answer(send),
            deadlines,
            idle_s=_CALL_S,
            clock=SystemClock(),
            strip=False,
            masked=Secret(KEY.decode()),
        )
    return b"".join(passed)
