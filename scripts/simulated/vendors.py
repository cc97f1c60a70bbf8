"""What differs between the two vendors at the border: routes, keys, headers, error shapes, faults.

A request is checked in the order of the real APIs: route and method, key, body.
"""

import re
import time
from dataclasses import dataclass, replace
from typing import Any

import orjson

from scripts.simulated import gemini_border
from scripts.simulated.anthropic_requests import VERSIONS
from scripts.simulated.delivery import Headers
from scripts.simulated.models import Vendor
from scripts.simulated.refusals import (
    ANTHROPIC_FAULTS,
    OPENAI_FAULTS,
    OPENAI_SORRY,
    Refusal,
    anthropic_error,
    openai_error,
)
from scripts.simulated.replies import Exchange

KEY = b"sim"
MODELS = "/v1/models"
RESPONSES = "/v1/responses"
_ROUTES: dict[Vendor, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "openai": (
        (r"/v1/chat/completions", ("POST",)),
        (r"/v1/embeddings", ("POST",)),
        (r"/v1/moderations", ("POST",)),
        (r"/v1/files", ("GET", "POST")),
        (r"/v1/files/[^/]+", ("GET", "DELETE")),
        (r"/v1/files/[^/]+/content", ("GET",)),
        (r"/v1/batches", ("GET", "POST")),
        (r"/v1/batches/[^/]+", ("GET",)),
        (r"/v1/batches/[^/]+/cancel", ("POST",)),
        (r"/v1/responses(/input_tokens)?", ("POST",)),
        (r"/v1/responses/[^/]+", ("GET", "DELETE")),
        (r"/v1/responses/[^/]+/cancel", ("POST",)),
        (r"/v1/responses/[^/]+/input_items", ("GET",)),
        (r"/v1/models(/.*)?", ("GET",)),
    ),
    "anthropic": ((r"/v1/messages", ("POST",)), (r"/v1/models(/.*)?", ("GET",))),
    "gemini": gemini_border.ROUTES,
}
"""Patterns of paths, and the methods served there."""

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
SIMULATED = (b"x-simulated", b"true")

_OPENAI_HEADERS: Headers = [
    SIMULATED,
    (b"openai-processing-ms", b"1"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"500"),
    (b"x-ratelimit-limit-tokens", b"500000"),
    (b"x-ratelimit-remaining-requests", b"499"),
    (b"x-ratelimit-remaining-tokens", b"499995"),
    (b"x-ratelimit-reset-requests", b"120ms"),
    (b"x-ratelimit-reset-tokens", b"0s"),
]
_ANTHROPIC_LIMITS = (
    (b"requests", b"4000", b"3999"),
    (b"tokens", b"480000", b"478000"),
    (b"input-tokens", b"400000", b"399000"),
    (b"output-tokens", b"80000", b"79000"),
)
_OPENAI_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_OPENAI_WRONG_KEY = (
    "Incorrect API key provided: ***. You can find your API key at "
    "https://platform.openai.com/account/api-keys."
)
_OPENAI_BAD_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
    "valid JSON.)"
)
_BAD_JSON: dict[Vendor, str] = {
    "openai": _OPENAI_BAD_JSON,
    "anthropic": "The request body is not valid JSON",
    "gemini": gemini_border.BAD_JSON,
}
_FAULTS = {"openai": OPENAI_FAULTS, "anthropic": ANTHROPIC_FAULTS, "gemini": gemini_border.FAULTS}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a vendor's API. The path begins with `/v1/`, the query is as it came."""

    vendor: Vendor
    method: str
    path: str
    headers: dict[bytes, bytes]
    exchange: Exchange
    query: bytes = b""


def check_route(call: Call) -> None:
    """Both vendors serve what their routes say.

    Raises:
        Refusal: nothing is served there (404), or not with that method (405).
    """
    routes = _ROUTES[call.vendor]
    methods = next((found for path, found in routes if re.fullmatch(path, call.path)), ())
    if not methods:
        if call.vendor == "openai":
            raise Refusal(404, f"Invalid URL ({call.method} {call.path})")
        raise Refusal(404, "Not Found")
    if call.method not in methods:
        headers = ((b"allow", ", ".join(methods).encode()),)
        if call.vendor == "openai":
            message = f"Not allowed to {call.method} on {call.path}."
            raise Refusal(405, message, code="method_not_supported", headers=headers)
        raise Refusal(405, "Method Not Allowed", headers=headers)


def check_key(call: Call) -> None:
    """The key is `sim`; Anthropic takes it in either of two headers.

    Raises:
        Refusal: no key or a wrong one (401), or no `anthropic-version` (400).
    """
    if call.vendor == "gemini":
        gemini_border.check_key(call.headers, call.query, KEY)
        return
    given = call.headers.get(b"authorization", b"")
    bearer = given[7:].strip() if given[:7].lower() == b"bearer " else None
    if call.vendor == "openai":
        if bearer is None:
            raise Refusal(401, _OPENAI_NO_KEY)
        if bearer != KEY:
            raise Refusal(401, _OPENAI_WRONG_KEY, code="invalid_api_key")
        return
    key = call.headers.get(b"x-api-key", bearer)
    if key is None:
        raise Refusal(401, "x-api-key header is required")
    if key != KEY:
        raise Refusal(401, "invalid x-api-key")
    version = call.headers.get(b"anthropic-version")
    if version is None:
        raise Refusal(400, "anthropic-version: header is required")
    if version.decode("latin-1") not in VERSIONS:
        raise Refusal(400, "anthropic-version: is not a valid version")


def decoded(call: Call, body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        Refusal: it is none (400).
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, _BAD_JSON[call.vendor]) from None


def raise_fault(call: Call, fault: str | None) -> None:
    """Other faults pass.

    Raises:
        Refusal: the fault is one of those that answer with a status.
    """
    faults = _FAULTS[call.vendor]
    if fault in faults:
        raise replace(faults[fault])


def error_body(call: Call, refusal: Refusal) -> bytes:
    """The refusal in the vendor's shape."""
    if call.vendor == "openai":
        return openai_error(refusal)
    if call.vendor == "gemini":
        return gemini_border.error(refusal)
    return anthropic_error(refusal, call.exchange.request_id)


def error_event(call: Call) -> bytes:
    """The event by which the vendor reports an error after a stream has started."""
    if call.vendor == "gemini":
        return gemini_border.error_chunk(call.query)
    if call.vendor == "openai":
        message = f"{OPENAI_SORRY} [simulated fault]"
        if call.path == RESPONSES:
            told = {"code": "server_error", "message": message, "param": None}
            data = orjson.dumps({"type": "error", "sequence_number": 0, **told})
            return b"event: error\ndata: %b\n\n" % data
        return b"data: %b\n\n" % openai_error(Refusal(500, message))
    refusal = Refusal(529, "Overloaded [simulated fault]")
    return b"event: error\ndata: %b\n\n" % anthropic_error(refusal, call.exchange.request_id)


def reply_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    """The headers of every answer of the vendor."""
    request_id = call.exchange.request_id.encode()
    if call.vendor == "openai":
        return [content_type, (b"x-request-id", request_id), *_OPENAI_HEADERS]
    if call.vendor == "gemini":
        return [content_type, SIMULATED, *gemini_border.HEADERS]
    received = call.exchange.received_at.utctimetuple()
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", received).encode()
    headers: Headers = [content_type, (b"request-id", request_id), SIMULATED]
    for name, limit, remaining in _ANTHROPIC_LIMITS:
        prefix = b"anthropic-ratelimit-" + name
        headers += [
            (prefix + b"-limit", limit),
            (prefix + b"-remaining", remaining),
            (prefix + b"-reset", reset),
        ]
    return headers
