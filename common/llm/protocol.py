"""The wire protocols the gateway speaks, each as one value.

A protocol knows the form of requests, replies and errors; the provider decides the price. To add
one, write its module in `protocols/` and add it to `PROTOCOLS`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from common.llm.facts import CallFacts
from common.llm.metered import Metered
from common.llm.paths import ProtocolName
from common.llm.protocols import anthropic, openai_chat


class UsageTap(Protocol):
    """Looks at a stream while it passes. Chunks are given out in the call that takes them in."""

    done: bool
    """The provider's own end of the stream was seen."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def result(self) -> Metered: ...


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An error of the gateway itself, before it takes a provider's form."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WireProtocol:
    """What the pipeline needs to know of a provider's API.

    `prepare` answers the body to send and whether the stream's usage chunk must be taken out.
    """

    name: ProtocolName
    provider: str
    default_url: str
    read_facts: Callable[[bytes], CallFacts]
    prepare: Callable[[bytes, CallFacts], tuple[bytes, bool]]
    read_reply: Callable[[bytes], Metered]
    stream_tap: Callable[[bool], UsageTap]
    error_body: Callable[[ErrorText, str], bytes]
    error_event: Callable[[ErrorText, str], bytes]


_OPENAI_TYPES = {429: "rate_limit_exceeded", 402: "insufficient_quota"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_SERVER_ERROR = 500


def _openai_error(error: ErrorText, _request_id: str) -> bytes:
    fallback = "server_error" if error.status >= _SERVER_ERROR else "invalid_request_error"
    return _json(
        {
            "error": {
                "message": error.message,
                "type": _OPENAI_TYPES.get(error.status, fallback),
                "param": None,
                "code": error.code,
            }
        }
    )


def _anthropic_error(error: ErrorText, request_id: str) -> bytes:
    fallback = "api_error" if error.status >= _SERVER_ERROR else "invalid_request_error"
    return _json(
        {
            "type": "error",
            "error": {
                "type": _ANTHROPIC_TYPES.get(error.status, fallback),
                "message": error.message,
            },
            "request_id": request_id,
        }
    )


def _openai_event(error: ErrorText, request_id: str) -> bytes:
    return b"data: " + _openai_error(error, request_id) + b"\n\n"


def _anthropic_event(error: ErrorText, request_id: str) -> bytes:
    return b"event: error\ndata: " + _anthropic_error(error, request_id) + b"\n\n"


def _ask_for_usage(body: bytes, facts: CallFacts) -> tuple[bytes, bool]:
    edited = openai_chat.ask_for_usage(body, facts)
    return (body, False) if edited is None else (edited, True)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


PROTOCOLS: dict[ProtocolName, WireProtocol] = {
    "openai": WireProtocol(
        name="openai",
        provider="openai",
        default_url="https://api.openai.com",
        read_facts=openai_chat.read_facts,
        prepare=_ask_for_usage,
        read_reply=openai_chat.read_reply,
        stream_tap=lambda strip: openai_chat.StreamTap(strip=strip),
        error_body=_openai_error,
        error_event=_openai_event,
    ),
    "anthropic": WireProtocol(
        name="anthropic",
        provider="anthropic",
        default_url="https://api.anthropic.com",
        read_facts=anthropic.read_facts,
        prepare=lambda body, _facts: (body, False),
        read_reply=anthropic.read_reply,
        stream_tap=lambda _strip: anthropic.StreamTap(),
        error_body=_anthropic_error,
        error_event=_anthropic_event,
    ),
}
