"""What differs between the two vendors at the border: routes, keys, headers, error shapes, faults.

A request is checked in the order of the real APIs: route and method, key, body.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import orjson

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
ENDPOINTS: dict[Vendor, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}

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


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a vendor's API. The path begins with `/v1/`."""

    vendor: Vendor
    method: str
    path: str
    headers: dict[bytes, bytes]
    exchange: Exchange


def check_route(call: Call) -> None:
    """Both vendors serve one endpoint and their models.

    Raises:
        Refusal: nothing is served there (404), or not with that method (405).
    """
    is_models = call.path == MODELS or call.path.startswith(f"{MODELS}/")
    if not is_models and call.path != ENDPOINTS[call.vendor]:
        if call.vendor == "openai":
            raise Refusal(404, f"Invalid URL ({call.method} {call.path})")
        raise Refusal(404, "Not Found")
    allowed = "GET" if is_models else "POST"
    if call.method != allowed:
        headers = ((b"allow", allowed.encode()),)
        if call.vendor == "openai":
            message = f"Not allowed to {call.method} on {call.path}."
            raise Refusal(405, message, code="method_not_supported", headers=headers)
        raise Refusal(405, "Method Not Allowed", headers=headers)


def check_key(call: Call) -> None:
    """The key is `sim`; Anthropic takes it in either of two headers.

    Raises:
        Refusal: no key or a wrong one (401), or no `anthropic-version` (400).
    """
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
        message = (
            _OPENAI_BAD_JSON if call.vendor == "openai" else "The request body is not valid JSON"
        )
        raise Refusal(400, message) from None


def raise_fault(call: Call, fault: str | None) -> None:
    """Other faults pass.

    Raises:
        Refusal: the fault is one of those that answer with a status.
    """
    faults = OPENAI_FAULTS if call.vendor == "openai" else ANTHROPIC_FAULTS
    if fault in faults:
        raise replace(faults[fault])


def error_body(call: Call, refusal: Refusal) -> bytes:
    """The refusal in the vendor's shape."""
    if call.vendor == "openai":
        return openai_error(refusal)
    return anthropic_error(refusal, call.exchange.request_id)


def error_event(call: Call) -> bytes:
    """The event by which the vendor reports an error after a stream has started."""
    if call.vendor == "openai":
        return b"data: %b\n\n" % openai_error(Refusal(500, f"{OPENAI_SORRY} [simulated fault]"))
    refusal = Refusal(529, "Overloaded [simulated fault]")
    return b"event: error\ndata: %b\n\n" % anthropic_error(refusal, call.exchange.request_id)


def reply_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    """The headers of every answer of the vendor."""
    request_id = call.exchange.request_id.encode()
    if call.vendor == "openai":
        return [content_type, (b"x-request-id", request_id), *_OPENAI_HEADERS]
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
