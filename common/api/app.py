"""The API as one object: recognise the caller, find the operation, validate, run it, answer.

Every error leaves as a problem document. Anything that was not raised on purpose is logged and
answered as `internal_error` without its text, because that may hold what a caller must not see.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.api.amounts import refuse_inexact
from common.api.brownout_routes import brownout_operations
from common.api.budget_routes import budget_operations
from common.api.callers import Authenticator
from common.api.channel_routes import channel_operations
from common.api.identity_routes import identity_operations
from common.api.incident_report_routes import incident_report_operations
from common.api.incident_routes import incident_operations
from common.api.insight_routes import insight_operations
from common.api.key_routes import key_operations
from common.api.lease_routes import lease_operations
from common.api.llm_test_routes import llm_test_operations
from common.api.manifest_routes import manifest_operations
from common.api.operations import PREFIX, Answer, AnyOperation, Call, NoBody, Services
from common.api.override_routes import override_operations
from common.api.price_book_routes import price_book_operations
from common.api.price_routes import price_operations
from common.api.problems import (
    BodyTooLarge,
    MethodNotAllowed,
    UnsupportedMediaType,
    as_invalid_input,
    problem_response,
)
from common.api.reconciliation_routes import reconciliation_operations
from common.api.route_routes import route_operations
from common.api.service_routes import service_operations
from common.api.upstream_routes import upstream_operations
from common.api.usage_routes import usage_operations
from common.core.errors import CloudOpsError, Forbidden, InvalidInput, NotFound
from common.core.ids import time_ordered_id
from common.core.ports import Bus, Clock, Committed, Documents, Warehouse
from common.core.secrets import Secret
from common.core.transactions import Entropy
from common.gateway.changes import Actor, Moment, refused_entry
from common.gateway.llm_tests import LlmTests, TooManyLlmTests
from common.llm.price_book import PriceBook
from common.pricing.in_force import Books
from common.runtime.policies import policies_of
from common.runtime.rollups import DocumentRollups
from common.runtime.spending import spent_of
from common.usage.spent import Spent

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
_NOBODY = Actor("nobody", "")


def create_api(
    *,
    documents: Documents,
    bus: Bus,
    warehouse: Warehouse,
    clock: Clock,
    entropy: Entropy,
    price_book: PriceBook,
    authenticate: Authenticator,
    version: str,
    default_org: str | None = None,
    llm_tests: LlmTests | None = None,
    local_secret: Callable[[str], Secret | None] | None = None,
) -> "Api":
    """The API over these engines, for the callers that `authenticate` recognises."""
    services = Services(
        documents=documents,
        bus=bus,
        warehouse=warehouse,
        clock=clock,
        entropy=entropy,
        price_book=price_book,
        books=Books(documents, price_book),
        version=version,
        spent=spent_of(Spent(documents, warehouse, clock)),
        policies=policies_of(documents),
        rollups=DocumentRollups(documents),
        default_org=default_org,
        llm_tests=llm_tests,
        local_secret=local_secret,
    )
    return Api(services, authenticate)


class Api:
    """An ASGI application; `answer` is the same for those who hold a request already."""

    def __init__(self, services: Services, authenticate: Authenticator) -> None:
        self._services = services
        self._authenticate = authenticate
        rows = [
            *identity_operations(),
            *key_operations(),
            *budget_operations(),
            *lease_operations(),
            *upstream_operations(),
            *route_operations(),
            *manifest_operations(),
            *usage_operations(),
            *price_operations(),
            *price_book_operations(),
            *override_operations(),
            *channel_operations(),
            *brownout_operations(),
            *incident_operations(),
            *incident_report_operations(),
            *insight_operations(),
            *reconciliation_operations(),
            *llm_test_operations(),
        ]
        self.operations = [*rows, *service_operations(rows)]
        self._routes = [(operation.pattern(), operation) for operation in self.operations]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        now = self._services.clock.now()
        request_id = time_ordered_id(now, self._services.entropy(10))
        try:
            return await self._answer(request, request_id, now)
        except CloudOpsError as error:
            return problem_response(error, request_id, _headers(error))
        except ClientDisconnect:
            return problem_response(InvalidInput("the body ended early"), request_id)
        except Exception:
            logger.exception("api.failed", extra={"request_id": request_id})
            failure = CloudOpsError("something failed that should not; see the log of this request")
            return problem_response(failure, request_id)

    async def _answer(self, request: Request, request_id: str, now: datetime) -> Response:
        operation, path, allowed = self._find(request)
        if operation is None:
            error = MethodNotAllowed(f"{request.url.path} takes {', '.join(allowed)}")
            return problem_response(error, request_id, {"allow": ", ".join(allowed)})
        actor = _NOBODY
        if not operation.is_open:
            actor = await self._allowed_actor(request, now)
        call = Call(
            services=self._services,
            now=now,
            actor=actor,
            method=operation.method,
            route=operation.path,
            path=path,
            query=_read_query(request, operation),
            given=dict(request.query_params),
            body=await _read_body(request, operation),
            if_match=request.headers.get("if-match") if operation.takes_if_match else None,
            if_none_match=request.headers.get("if-none-match") if operation.makes else None,
            idempotency_key=request.headers.get("idempotency-key")
            if operation.takes_idempotency_key
            else None,
            accept=",".join(request.headers.getlist("accept")),
        )
        answer = await operation.handle(call)
        return _respond(answer, operation, request_id)

    def _find(self, request: Request) -> tuple[AnyOperation | None, Mapping[str, str], list[str]]:
        matching = [
            (operation, match.groupdict())
            for pattern, operation in self._routes
            if (match := pattern.fullmatch(request.url.path))
        ]
        if not matching:
            raise NotFound(f"there is no {request.url.path[:200]}; see {PREFIX}/openapi.json")
        for operation, path in matching:
            if operation.method == request.method:
                return operation, path, []
        return None, {}, sorted({operation.method for operation, _ in matching})

    async def _allowed_actor(self, request: Request, now: datetime) -> Actor:
        caller = self._authenticate(request)
        if caller.is_allowed:
            return caller.actor
        action = f"{request.method} {request.url.path[:200]}"
        entry = refused_entry(
            action, Forbidden.code, Moment(now, caller.actor, self._services.entropy)
        )
        outcome = await self._services.documents.commit([entry])
        if not isinstance(outcome, Committed):
            logger.error("audit.not_stored", extra={"who": caller.actor.email, "what": action})
        raise Forbidden(f"{caller.actor.email} is not an administrator; CONSOLE_ADMINS lists them")


def _read_query(request: Request, operation: AnyOperation) -> BaseModel:
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise InvalidInput("send this parameter once", field=name)
        given[name] = value
    try:
        query: BaseModel = operation.query.model_validate(given)
    except ValidationError as error:
        raise as_invalid_input(error) from None
    return query


async def _read_body(request: Request, operation: AnyOperation) -> BaseModel:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"a body has at most {MAX_BODY_BYTES} bytes")
    if body:
        _require_json(request)
    elif operation.body is NoBody:
        return NoBody()
    text = bytes(body or b"{}")
    try:
        read: BaseModel = operation.body.model_validate_json(text)
    except ValidationError as error:
        raise as_invalid_input(error) from None
    json.loads(text, object_pairs_hook=_refuse_repeated, parse_float=refuse_inexact)
    return read


def _require_json(request: Request) -> None:
    sent = request.headers.get("content-type", "application/json")
    if sent.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "send the body as JSON, with `Content-Type: application/json`", field="Content-Type"
        )


def _refuse_repeated(members: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in members:
        if name in names:
            raise InvalidInput("send this member of the body once", field=name)
        names.add(name)


def _respond(answer: Answer, operation: AnyOperation, request_id: str) -> Response:
    content = answer.content
    return Response(
        content if isinstance(content, str) else content.model_dump_json(),
        status_code=answer.status or operation.status,
        headers={"x-request-id": request_id, "cache-control": "no-store", **answer.headers},
        media_type="application/json",
    )


def _headers(error: CloudOpsError) -> dict[str, str]:
    if isinstance(error, TooManyLlmTests):
        return {"retry-after": str(error.retry_after_s)}
    return {"www-authenticate": "Bearer"} if error.status == 401 else {}
