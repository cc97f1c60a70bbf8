"""The providers' APIs the gateway speaks, each as one value.

What requests and replies of their endpoints look like stands in `forms.py`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from common.llm.paths import Endpoint, NotForwarded, ProtocolName


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An error of the gateway itself, before it takes a provider's form."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class WireProtocol:
    """A provider's API as a whole: how its errors look."""

    name: ProtocolName
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
_GEMINI_STATUSES = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
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


def _gemini_error(error: ErrorText, _request_id: str) -> bytes:
    fallback = "UNAVAILABLE" if error.status >= _SERVER_ERROR else "INVALID_ARGUMENT"
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": "gateway",
        "metadata": {},
    }
    return _json(
        {
            "error": {
                "code": error.status,
                "message": error.message,
                "status": _GEMINI_STATUSES.get(error.status, fallback),
                "details": [detail],
            }
        }
    )


def _gemini_event(error: ErrorText, request_id: str) -> bytes:
    return b"data: " + _gemini_error(error, request_id) + b"\n\n"


def _interactions_event(error: ErrorText, _request_id: str) -> bytes:
    told = {"code": error.code, "message": error.message}
    return b"event: error\ndata: " + _json({"error": told, "event_type": "error"}) + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


PROTOCOLS: dict[ProtocolName, WireProtocol] = {
    "openai": WireProtocol(
        name="openai",
        error_body=_openai_error,
        error_event=_openai_event,
    ),
    "anthropic": WireProtocol(
        name="anthropic",
        error_body=_anthropic_error,
        error_event=_anthropic_event,
    ),
    "gemini": WireProtocol(
        name="gemini",
        error_body=_gemini_error,
        error_event=_gemini_event,
    ),
}
_INTERACTIONS = replace(PROTOCOLS["gemini"], error_event=_interactions_event)


def protocol_of(endpoint: Endpoint | NotForwarded) -> WireProtocol:
    """The API of an endpoint. Streams of interactions tell errors by an event of their own kind."""
    form = endpoint.form if isinstance(endpoint, Endpoint) else None
    return _INTERACTIONS if form == "gemini_interactions" else PROTOCOLS[endpoint.protocol]
