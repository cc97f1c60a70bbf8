"""A request as ASGI hands it over: head and body under limits, and whether the client left."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from common.gateway.credentials import RawHeaders
from common.gateway.deadlines import Deadlines
from common.gateway.refusals import Refusal

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Scope: TypeAlias = MutableMapping[str, Any]

HEAD_BYTES = 64 * 1024
"""Most of all headers together, each counted as HTTP/2 does, with 32 bytes beside its text (RFC
9113, 6.5.2). uvicorn with httptools takes any number of headers of any length."""
_BESIDE_TEXT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request. `path` is decoded; `headers` have lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    raw_headers: RawHeaders
    receive: Receive

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> "Incoming":
        raw_headers = list(scope["headers"])
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=lower_case(raw_headers),
            raw_headers=raw_headers,
            receive=receive,
        )

    async def body(self, deadlines: Deadlines, most_bytes: int, within_s: float) -> bytes:
        """The whole body, due within so many seconds.

        Raises:
            Refusal: head_too_large, body_too_large, incomplete_request.
            TimeoutError: it was not there in time.
        """
        texts = chain.from_iterable(self.raw_headers)
        head_bytes = sum(map(len, texts)) + len(self.raw_headers) * _BESIDE_TEXT_BYTES
        if head_bytes > HEAD_BYTES:
            raise Refusal(
                "head_too_large",
                f"The request's headers are above {HEAD_BYTES // 1024} KiB, each counted with "
                f"{_BESIDE_TEXT_BYTES} bytes more. Send fewer or shorter ones.",
            )
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most_bytes:
            raise _too_large(most_bytes)
        deadlines.expect("body", within_s)
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                deadlines.client_gone = True
                raise Refusal("incomplete_request", "The request ended before its body did.")
            piece = message.get("body", b"")
            size += len(piece)
            if size > most_bytes:
                raise _too_large(most_bytes)
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    async def watch(self, left: Callable[[], None]) -> None:
        """Say when the client leaves, once the body is there."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        left()


def lower_case(raw: RawHeaders) -> dict[str, str]:
    """Headers by lower-case name. Of a repeated one the first counts."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(raw)
    }


def _too_large(limit: int) -> Refusal:
    return Refusal(
        "body_too_large",
        f"The request's body is above {limit // 1024 // 1024} MiB. Send less, or upload files to "
        "the provider and name them.",
    )
