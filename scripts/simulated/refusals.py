"""Refusals in the providers' own shapes and words.

OpenAI: `{"error": {message, type, param, code}}`. Anthropic: `{"type": "error", "error": {type,
message}, "request_id"}`. A refused request is never billed. No message repeats any part of a key.
"""

from dataclasses import dataclass, field

import orjson


@dataclass(slots=True, eq=False)
class Refusal(Exception):
    """A request that is answered with an error. `kind` None is the usual one of the status."""

    status: int
    message: str
    kind: str | None = None
    param: str | None = None
    code: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


OPENAI_KINDS = {429: "requests"}
ANTHROPIC_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
SERVER_ERRORS = 500


def openai_error(refusal: Refusal) -> bytes:
    """The body OpenAI answers with; also the payload of its error in a stream."""
    by_status = "invalid_request_error" if refusal.status < SERVER_ERRORS else "server_error"
    return orjson.dumps(
        {
            "error": {
                "message": refusal.message,
                "type": refusal.kind or OPENAI_KINDS.get(refusal.status, by_status),
                "param": refusal.param,
                "code": refusal.code,
            }
        }
    )


def anthropic_error(refusal: Refusal, request_id: str) -> bytes:
    """The body Anthropic answers with."""
    by_status = "invalid_request_error" if refusal.status < SERVER_ERRORS else "api_error"
    kind = refusal.kind or ANTHROPIC_KINDS.get(refusal.status, by_status)
    return orjson.dumps(
        {
            "type": "error",
            "error": {"type": kind, "message": refusal.message},
            "request_id": request_id,
        }
    )


RETRY_AFTER: tuple[tuple[bytes, bytes], ...] = ((b"retry-after", b"1"),)
OPENAI_RETRY_AFTER: tuple[tuple[bytes, bytes], ...] = (
    (b"retry-after", b"1"),
    (b"retry-after-ms", b"1000"),
)
OPENAI_SORRY = "The server had an error while processing your request. Sorry about that!"

_OPENAI_FAULTS = (
    Refusal(400, "Invalid request. [simulated fault]"),
    Refusal(401, "Incorrect API key provided. [simulated fault]", code="invalid_api_key"),
    Refusal(
        403,
        "You are not allowed to sample from this model. [simulated fault]",
        code="model_not_allowed",
    ),
    Refusal(
        404,
        "The model does not exist or you do not have access to it. [simulated fault]",
        code="model_not_found",
    ),
    Refusal(408, "Request timed out. [simulated fault]"),
    Refusal(409, "Conflict with another request. [simulated fault]"),
    Refusal(413, "Request body is too large. [simulated fault]", code="payload_too_large"),
    Refusal(422, "The request could not be processed. [simulated fault]"),
    Refusal(
        429,
        "Rate limit reached in organization org-simulated on requests per min (RPM): "
        "Limit 500, Used 500, Requested 1. Please try again in 1s. [simulated fault]",
        code="rate_limit_exceeded",
        headers=OPENAI_RETRY_AFTER,
    ),
    Refusal(500, f"{OPENAI_SORRY} [simulated fault]"),
    Refusal(502, "Bad gateway. [simulated fault]"),
    Refusal(503, "The engine is currently overloaded, please try again later [simulated fault]"),
    Refusal(504, "Gateway timeout. [simulated fault]"),
    Refusal(529, "The engine is currently overloaded. [simulated fault]", headers=RETRY_AFTER),
)
_ANTHROPIC_FAULTS = (
    Refusal(400, "messages: Invalid request [simulated fault]"),
    Refusal(401, "invalid x-api-key [simulated fault]"),
    Refusal(403, "Your API key does not have permission to use it. [simulated fault]"),
    Refusal(404, "model: not found [simulated fault]"),
    Refusal(408, "Request timed out [simulated fault]"),
    Refusal(409, "Conflict [simulated fault]"),
    Refusal(413, "Request exceeds the maximum size [simulated fault]"),
    Refusal(422, "Unprocessable request [simulated fault]"),
    Refusal(
        429,
        "This request would exceed your organization's rate limit of 50 requests per minute. "
        "[simulated fault]",
        headers=RETRY_AFTER,
    ),
    Refusal(500, "Internal server error [simulated fault]"),
    Refusal(502, "Bad gateway [simulated fault]"),
    Refusal(503, "Service unavailable [simulated fault]"),
    Refusal(504, "Gateway timeout [simulated fault]"),
    Refusal(529, "Overloaded [simulated fault]", headers=RETRY_AFTER),
)
OPENAI_FAULTS = {f"status-{refusal.status}": refusal for refusal in _OPENAI_FAULTS}
ANTHROPIC_FAULTS = {f"status-{refusal.status}": refusal for refusal in _ANTHROPIC_FAULTS}
