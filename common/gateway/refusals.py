"""Why the gateway itself answers a call, instead of a provider.

Each refusal has a stable code, a status and a message that says what to do. It reaches the client
in the form of the API it speaks, with `x-gateway-error` naming the code.
"""

from types import MappingProxyType
from typing import Literal, TypeAlias

from common.core.events import Outcome
from common.llm.protocol import ErrorText

Code: TypeAlias = Literal[
    "missing_gateway_key",
    "invalid_gateway_key",
    "expired_gateway_key",
    "revoked_gateway_key",
    "missing_provider_key",
    "unreadable_request",
    "model_not_allowed",
    "model_not_found",
    "upstream_not_allowed",
    "unknown_upstream",
    "endpoint_not_supported",
    "method_not_allowed",
    "body_too_large",
    "head_too_large",
    "incomplete_request",
    "rate_limited",
    "upstream_unreachable",
    "upstream_disconnected",
    "upstream_timeout",
    "upstream_redirected",
    "upstream_credential_unavailable",
    "store_unavailable",
    "internal_error",
    "gateway_stopped",
    "budget_exceeded",
    "unpriced_model",
    "unbounded_request",
    "async_not_bounded",
    "budget_unavailable",
    "brownout_shed",
    "brownout_strict",
]

_STATUS: MappingProxyType[Code, int] = MappingProxyType(
    {
        "missing_gateway_key": 401,
        "invalid_gateway_key": 401,
        "expired_gateway_key": 401,
        "revoked_gateway_key": 401,
        "missing_provider_key": 401,
        "unreadable_request": 400,
        "model_not_allowed": 403,
        "model_not_found": 404,
        "upstream_not_allowed": 403,
        "unknown_upstream": 404,
        "endpoint_not_supported": 501,
        "method_not_allowed": 405,
        "body_too_large": 413,
        "head_too_large": 431,
        "incomplete_request": 400,
        "rate_limited": 429,
        "upstream_unreachable": 502,
        "upstream_disconnected": 502,
        "upstream_timeout": 504,
        "upstream_redirected": 502,
        "upstream_credential_unavailable": 502,
        "store_unavailable": 503,
        "internal_error": 500,
        "gateway_stopped": 503,
        "budget_exceeded": 402,
        "unpriced_model": 402,
        "unbounded_request": 402,
        "async_not_bounded": 402,
        "budget_unavailable": 503,
        "brownout_shed": 429,
        "brownout_strict": 503,
    }
)
_NO_RETRY = frozenset(
    {
        "missing_gateway_key",
        "invalid_gateway_key",
        "expired_gateway_key",
        "revoked_gateway_key",
        "missing_provider_key",
        "endpoint_not_supported",
        "upstream_redirected",
        "budget_exceeded",
        "unpriced_model",
        "unbounded_request",
        "async_not_bounded",
        "budget_unavailable",
    }
)
_UPSTREAM_FAULTS = frozenset(
    {
        "upstream_unreachable",
        "upstream_disconnected",
        "upstream_timeout",
        "upstream_redirected",
        "upstream_credential_unavailable",
    }
)
_SHED = frozenset({"brownout_shed", "brownout_strict"})
_OUR_FAULTS = frozenset(
    {"store_unavailable", "budget_unavailable", "internal_error", "gateway_stopped"}
)


class Refusal(Exception):
    """An answer of the gateway's own.

    `retry_after_s` goes into `retry-after`, `allow` (methods) into `allow`, `limit` (which one),
    `budget` (its id), `resets_in_s` and `brownout` (the mode and the episode that refuse it) into
    headers of their names. `helps_to_retry` is False where the same call is refused again, whatever
    its code says of others.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        retry_after_s: int | None = None,
        allow: tuple[str, ...] = (),
        limit: str | None = None,
        budget: str | None = None,
        resets_in_s: int | None = None,
        brownout: tuple[str, str] | None = None,
        helps_to_retry: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.allow = allow
        self.limit = limit
        self.budget = budget
        self.resets_in_s = resets_in_s
        self.brownout = brownout
        self._helps_to_retry = helps_to_retry

    @property
    def status(self) -> int:
        return _STATUS[self.code]

    @property
    def text(self) -> ErrorText:
        return ErrorText(self.status, self.code, self.message)

    @property
    def outcome(self) -> Outcome:
        if self.code in _UPSTREAM_FAULTS:
            return "upstream_error"
        if self.code in _SHED:
            return "shed"
        return "gateway_error" if self.code in _OUR_FAULTS else "client_error"

    @property
    def retriable(self) -> bool:
        """False where the SDKs would retry by status although it cannot help."""
        return self._helps_to_retry and self.code not in _NO_RETRY
