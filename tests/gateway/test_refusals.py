"""Errors of the gateway's own, in the form of the API the caller speaks."""

import json
from typing import Any, get_args

import anthropic.types
import openai.types.shared
import pytest

from common.gateway.answer import Answer, header
from common.gateway.refusals import Code, Refusal
from common.llm.paths import ProtocolName
from common.llm.protocol import PROTOCOLS

STATUS = {
    "missing_gateway_key": 401,
    "invalid_gateway_key": 401,
    "expired_gateway_key": 401,
    "revoked_gateway_key": 401,
    "missing_provider_key": 401,
    "unreadable_request": 400,
    "budget_exceeded": 402,
    "unpriced_model": 402,
    "unbounded_request": 402,
    "async_not_bounded": 402,
    "budget_unavailable": 503,
    "brownout_shed": 429,
    "brownout_strict": 503,
    "incomplete_request": 400,
    "model_not_allowed": 403,
    "upstream_not_allowed": 403,
    "model_not_found": 404,
    "unknown_upstream": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "rate_limited": 429,
    "head_too_large": 431,
    "internal_error": 500,
    "gateway_stopped": 503,
    "upstream_redirected": 502,
    "endpoint_not_supported": 501,
    "upstream_unreachable": 502,
    "upstream_disconnected": 502,
    "upstream_credential_unavailable": 502,
    "store_unavailable": 503,
    "upstream_timeout": 504,
}
OPENAI_TYPES = {402: "insufficient_quota", 429: "rate_limit_exceeded"} | dict.fromkeys(
    range(500, 600), "server_error"
)
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "invalid_request_error",
    500: "api_error",
    501: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
}


class Sent:
    """What an answer sends."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(dict(message))

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


async def _refuse(refusal: Refusal, protocol: ProtocolName = "openai") -> Sent:
    sent = Sent()
    await Answer(sent).refuse(refusal, PROTOCOLS[protocol], "request-1")
    return sent


def test_every_code_has_its_status() -> None:
    statuses = {code: Refusal(code, "why").status for code in get_args(Code)}

    assert statuses == STATUS


@pytest.mark.parametrize("code", get_args(Code))
async def test_an_openai_caller_gets_openai_s_form(code: Code) -> None:
    sent = await _refuse(Refusal(code, "Why, and what to do: é."))

    error = openai.types.shared.ErrorObject.model_validate(json.loads(sent.body)["error"])
    assert (error.code, error.message) == (code, "Why, and what to do: é.")
    assert error.type == OPENAI_TYPES.get(STATUS[code], "invalid_request_error")
    assert sent.messages[0]["status"] == STATUS[code]


@pytest.mark.parametrize("code", get_args(Code))
async def test_an_anthropic_caller_gets_anthropic_s_form(code: Code) -> None:
    sent = await _refuse(Refusal(code, "Why."), "anthropic")

    # As the SDK reads it; its list of types lacks `request_too_large`, which the API reference has.
    parsed = anthropic.types.ErrorResponse.construct(**json.loads(sent.body))
    assert (parsed.type, parsed.error.type) == ("error", ANTHROPIC_TYPES[STATUS[code]])
    assert (parsed.error.message, parsed.request_id) == ("Why.", "request-1")


async def test_the_headers_name_code_and_request() -> None:
    sent = await _refuse(Refusal("model_not_allowed", "Why."))

    assert sent.headers == {
        b"content-type": b"application/json",
        b"content-length": str(len(sent.body)).encode(),
        b"x-gateway-request-id": b"request-1",
        b"x-gateway-error": b"model_not_allowed",
    }


async def test_a_retry_that_cannot_help_is_forbidden() -> None:
    sent = await _refuse(Refusal("endpoint_not_supported", "Why."))

    assert sent.headers[b"x-should-retry"] == b"false"


async def test_a_retry_that_may_help_says_when() -> None:
    sent = await _refuse(Refusal("store_unavailable", "Why.", retry_after_s=5))

    assert sent.headers[b"retry-after"] == b"5"
    assert b"x-should-retry" not in sent.headers


async def test_a_limit_is_named_beside_the_time_to_wait() -> None:
    sent = await _refuse(Refusal("rate_limited", "Why.", retry_after_s=17, limit="rpm"))

    assert (sent.headers[b"x-gateway-limit"], sent.headers[b"retry-after"]) == (b"rpm", b"17")
    assert b"x-should-retry" not in sent.headers


async def test_a_call_that_never_fits_is_not_tried_again() -> None:
    sent = await _refuse(Refusal("rate_limited", "Why.", limit="tpm", helps_to_retry=False))

    assert sent.headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in sent.headers


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("upstream_timeout", "upstream_error"),
        ("upstream_unreachable", "upstream_error"),
        ("store_unavailable", "gateway_error"),
        ("internal_error", "gateway_error"),
        ("gateway_stopped", "gateway_error"),
        ("upstream_redirected", "upstream_error"),
        ("body_too_large", "client_error"),
        ("rate_limited", "client_error"),
        ("endpoint_not_supported", "client_error"),
    ],
)
def test_the_outcome_says_whose_fault_it_was(code: Code, outcome: str) -> None:
    assert Refusal(code, "Why.").outcome == outcome


def test_a_header_holds_printable_ascii_only() -> None:
    assert header("x", "a\r\nb: é\x7f") == (b"x", b"a??b: ??")
