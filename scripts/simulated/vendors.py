"""What differs between the vendors at the border: keys, headers, error shapes, faults.

One row of `BORDERS` for each. A request is checked in the order of the real APIs: route and method,
key, body.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from scripts.simulated import gemini_border
from scripts.simulated.anthropic_requests import VERSIONS
from scripts.simulated.delivery import Headers
from scripts.simulated.dialects import DIALECTS, Dialect
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
RESPONSES = "/v1/responses"
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
_NO_PATH = 404
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
    """One request to a vendor's API. The path is what follows the vendor's address."""

    vendor: Vendor
    method: str
    path: str
    headers: dict[bytes, bytes]
    exchange: Exchange
    query: bytes = b""


@dataclass(frozen=True, slots=True)
class Border:
    """How one vendor's API looks, whatever is asked of it.

    `misplaced` refuses a path (404), or a method (405), `refused_member` a member. `error_event` is
    how an error is told after a stream has started.
    """

    check_key: Callable[[Call], None]
    misplaced: Callable[[Call, int], Refusal]
    bad_json: str
    refused_member: Callable[[str], Refusal]
    faults: Mapping[str, Refusal]
    error: Callable[[Call, Refusal], bytes]
    error_event: Callable[[Call], bytes]
    headers: Callable[[Call, tuple[bytes, bytes]], Headers]


def check_method(call: Call, allowed: tuple[str, ...]) -> None:
    """No methods are allowed where nothing is served.

    Raises:
        Refusal: nothing is served there (404), or not with that method (405).
    """
    border = BORDERS[call.vendor]
    if not allowed:
        raise border.misplaced(call, 404)
    if call.method not in allowed:
        headers = ((b"allow", ", ".join(allowed).encode()),)
        raise replace(border.misplaced(call, 405), headers=headers)


def check_key(call: Call) -> None:
    """The key is `sim`, in each form that the vendor takes.

    Raises:
        Refusal: no key or a wrong one, or another header is missing.
    """
    BORDERS[call.vendor].check_key(call)


def decoded(call: Call, body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        Refusal: it is none (400).
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, BORDERS[call.vendor].bad_json) from None


def raise_fault(call: Call, fault: str | None) -> None:
    """Other faults pass.

    Raises:
        Refusal: the fault is one of those that answer with a status.
    """
    faults = BORDERS[call.vendor].faults
    if fault is not None and fault in faults:
        raise replace(faults[fault])


def refuse_member(call: Call, body: bytes, knob: str | None) -> None:
    """The knob names a member by its dotted path, through lists too, and maybe one value of it.

    Raises:
        Refusal: the request has it (400).
    """
    name, _, value = (knob or "").partition("=")
    parsed = decoded(call, body) if name else None
    if any(value in ("", str(found)) for found in _members_at(parsed, name.split("."))):
        raise BORDERS[call.vendor].refused_member(name)


def _members_at(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _members_at(each, path)
    elif isinstance(value, dict) and path[0] in value:
        inner = value[path[0]]
        if len(path) == 1:
            yield inner
        else:
            yield from _members_at(inner, path[1:])


def error_body(call: Call, refusal: Refusal) -> bytes:
    """The refusal in the vendor's shape."""
    return BORDERS[call.vendor].error(call, refusal)


def error_event(call: Call) -> bytes:
    """The event by which the vendor reports an error after a stream has started."""
    return BORDERS[call.vendor].error_event(call)


def reply_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    """The headers of every answer of the vendor."""
    return BORDERS[call.vendor].headers(call, content_type)


def _bearer(call: Call) -> bytes | None:
    given = call.headers.get(b"authorization", b"")
    return given[7:].strip() if given[:7].lower() == b"bearer " else None


def _check_openai_key(call: Call) -> None:
    bearer = _bearer(call)
    if bearer is None:
        raise Refusal(401, _OPENAI_NO_KEY)
    if bearer != KEY:
        raise Refusal(401, _OPENAI_WRONG_KEY, code="invalid_api_key")


def _check_azure_key(call: Call) -> None:
    if call.headers.get(b"api-key", _bearer(call)) != KEY:
        raise Refusal(401, "Access denied due to invalid subscription key or wrong API endpoint.")


def _check_anthropic_key(call: Call) -> None:
    key = call.headers.get(b"x-api-key", _bearer(call))
    if key is None:
        raise Refusal(401, "x-api-key header is required")
    if key != KEY:
        raise Refusal(401, "invalid x-api-key")
    version = call.headers.get(b"anthropic-version")
    if version is None:
        raise Refusal(400, "anthropic-version: header is required")
    if version.decode("latin-1") not in VERSIONS:
        raise Refusal(400, "anthropic-version: is not a valid version")


def _misplaced_at_openai(call: Call, status: int) -> Refusal:
    if status == _NO_PATH:
        return Refusal(status, f"Invalid URL ({call.method} {call.path})")
    message = f"Not allowed to {call.method} on {call.path}."
    return Refusal(status, message, code="method_not_supported")


def _misplaced(_call: Call, status: int) -> Refusal:
    return Refusal(status, "Not Found" if status == _NO_PATH else "Method Not Allowed")


def _openai_event(call: Call) -> bytes:
    message = f"{OPENAI_SORRY} [simulated fault]"
    if call.path == RESPONSES:
        told = {"code": "server_error", "message": message, "param": None}
        data = orjson.dumps({"type": "error", "sequence_number": 0, **told})
        return b"event: error\ndata: %b\n\n" % data
    return b"data: %b\n\n" % openai_error(Refusal(500, message))


def _anthropic_event(call: Call) -> bytes:
    refusal = Refusal(529, "Overloaded [simulated fault]")
    return b"event: error\ndata: %b\n\n" % anthropic_error(refusal, call.exchange.request_id)


def _openai_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    return [content_type, (b"x-request-id", call.exchange.request_id.encode()), *_OPENAI_HEADERS]


def _gemini_headers(_call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    return [content_type, SIMULATED, *gemini_border.HEADERS]


def _compatible_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    return [content_type, SIMULATED, (b"x-request-id", call.exchange.request_id.encode())]


def _anthropic_headers(call: Call, content_type: tuple[bytes, bytes]) -> Headers:
    received = call.exchange.received_at.utctimetuple()
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", received).encode()
    request_id = (b"request-id", call.exchange.request_id.encode())
    headers: Headers = [content_type, request_id, SIMULATED]
    for name, limit, remaining in _ANTHROPIC_LIMITS:
        prefix = b"anthropic-ratelimit-" + name
        headers += [
            (prefix + b"-limit", limit),
            (prefix + b"-remaining", remaining),
            (prefix + b"-reset", reset),
        ]
    return headers


_OPENAI = Border(
    check_key=_check_openai_key,
    misplaced=_misplaced_at_openai,
    bad_json=_OPENAI_BAD_JSON,
    refused_member=lambda name: Refusal(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model. [simulated fault]",
        param=name,
        code="unsupported_parameter",
    ),
    faults=OPENAI_FAULTS,
    error=lambda _, refusal: openai_error(refusal),
    error_event=_openai_event,
    headers=_openai_headers,
)
_ANTHROPIC = Border(
    check_key=_check_anthropic_key,
    misplaced=_misplaced,
    bad_json="The request body is not valid JSON",
    refused_member=lambda name: Refusal(
        400, f"{name}: Extra inputs are not permitted [simulated fault]"
    ),
    faults=ANTHROPIC_FAULTS,
    error=lambda call, refusal: anthropic_error(refusal, call.exchange.request_id),
    error_event=_anthropic_event,
    headers=_anthropic_headers,
)
_GEMINI = Border(
    check_key=lambda call: gemini_border.check_key(call.path, call.headers, call.query, KEY),
    misplaced=_misplaced,
    bad_json=gemini_border.BAD_JSON,
    refused_member=lambda name: Refusal(
        400,
        f'Invalid JSON payload received. Unknown name "{name}": Cannot find field. '
        "[simulated fault]",
    ),
    faults=gemini_border.FAULTS,
    error=lambda _, refusal: gemini_border.error(refusal),
    error_event=lambda call: gemini_border.error_chunk(call.path, call.query),
    headers=_gemini_headers,
)


def _compatible(dialect: Dialect) -> Border:
    return replace(
        _OPENAI,
        check_key=_check_azure_key if dialect.vendor == "azure" else _check_openai_key,
        error=lambda _, refusal: dialect.error(refusal),
        headers=_compatible_headers,
    )


BORDERS: Mapping[Vendor, Border] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    **{vendor: _compatible(dialect) for vendor, dialect in DIALECTS.items()},
}
