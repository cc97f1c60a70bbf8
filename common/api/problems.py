"""Errors as RFC 9457 problem documents, and the errors that only an HTTP interface has.

`code` is stable and snake_case, `detail` says what to do, `field` names what was written wrong.
"""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from common.core.errors import CloudOpsError, InvalidInput

_MOST_DETAIL = 500


class BodyTooLarge(CloudOpsError):
    code = "body_too_large"
    status = 413


class BodyTooSlow(CloudOpsError):
    code = "body_too_slow"
    status = 408


class UnsupportedMediaType(CloudOpsError):
    code = "unsupported_media_type"
    status = 415


class MethodNotAllowed(CloudOpsError):
    code = "method_not_allowed"
    status = 405


class PreconditionRequired(CloudOpsError):
    code = "precondition_required"
    status = 428


class IdempotencyKeyReused(CloudOpsError):
    code = "idempotency_key_reused"
    status = 422


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    model_config = ConfigDict(frozen=True)

    type: str = Field("about:blank", description="always about:blank: `code` tells problems apart")
    code: str
    title: str
    status: int
    detail: str
    field: str | None
    request_id: str


def problem_response(
    error: CloudOpsError, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    problem = Problem(
        code=error.code,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        field=error.field,
        request_id=request_id,
    )
    return Response(
        problem.model_dump_json(),
        status_code=error.status,
        headers={"x-request-id": request_id, "cache-control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )


def as_invalid_input(error: ValidationError) -> InvalidInput:
    """The first thing wrong with what was sent, and how many more there are."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"]) or None
    detail = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        detail = "there is no such field here"
    elif first["type"] == "json_invalid":
        place = None
    if len(errors) > 1:
        detail = f"{detail} (and {len(errors) - 1} more)"
    return InvalidInput(detail[:_MOST_DETAIL], field=place)
