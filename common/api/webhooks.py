"""Webhooks: what monitoring systems post, with their own rules of what is repeated.

They send again after 5xx and never after 4xx. So 503 is answered exactly when a signal could not be
stored, or a fact not published, 2xx to all that is understood, and 4xx to what no repetition would
mend. What is known of a system stands in one table; what becomes of its events is the same for all.
Before a token is shown nothing of a body is read. Bodies are never logged; a token that found its
way into one is struck out before anything else is done with it.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from common.adapters.alert_readings import Ignored, Reader, Understood, Unreadable
from common.adapters.cloud_monitoring import read_incident
from common.adapters.datadog import read_webhook
from common.api.problems import (
    BodyTooLarge,
    BodyTooSlow,
    MethodNotAllowed,
    UnsupportedMediaType,
    problem_response,
)
from common.api.struck_tokens import StruckTokens
from common.brownout.blindness import monitor_sighted
from common.brownout.deliveries import Delivery, delivery_entry
from common.brownout.policy import SignalRules
from common.brownout.receiving import Answer, Fold, Received, receive_signals
from common.brownout.signals import Source
from common.core.errors import (
    CloudOpsError,
    InvalidInput,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
)
from common.core.ids import time_ordered_id
from common.core.ports import Bus, Clock, Committed, Documents
from common.core.secrets import Secret
from common.core.transactions import Entropy

logger = logging.getLogger(__name__)

DATADOG_PATH = "/api/webhooks/datadog/brownout"
MONITORING_PATH = "/api/webhooks/monitoring"
HEALTH_PATH = "/api/webhooks/health"
TOKEN_HEADER = "x-brownout-token"  # noqa: S105 - the name of a header
MAX_BODY_BYTES = 64 * 1024
BODY_S = 10.0
"""A body that takes longer is not waited for: who shows a token may still be held up."""

_CHALLENGE = {"www-authenticate": 'Basic realm="webhooks"'}


class TakenSignal(BaseModel):
    """A signal, the scope that it counts for, and the mode which that one is in now.

    `counts_for` is another one than `scope` where that finds no room, and null where the signal has
    no effect for want of room. Both it and `mode` are null where they are not known yet.
    """

    model_config = ConfigDict(frozen=True)

    signal: str
    scope: str
    counts_for: str | None
    mode: str | None
    until: datetime


class WebhookAnswer(BaseModel):
    """What became of an event. The fields of its first signal stand beside `status`.

    `notes` say what of it had no effect, or another one than was asked for.
    """

    model_config = ConfigDict(frozen=True)

    status: str
    signal: str | None = None
    scope: str | None = None
    counts_for: str | None = None
    mode: str | None = None
    until: datetime | None = None
    signals: tuple[TakenSignal, ...] = ()
    reason: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _System:
    """A system that posts: how its bodies are read, and how long its word holds."""

    source: Source
    read: Reader
    lease: Callable[[SignalRules], timedelta]


_SYSTEMS = {
    DATADOG_PATH: _System("datadog", read_webhook, lambda rules: rules.datadog),
    MONITORING_PATH: _System("monitoring", read_incident, lambda rules: rules.monitoring),
}
_METHODS = {HEALTH_PATH: ("GET", "HEAD"), **dict.fromkeys(_SYSTEMS, ("POST",))}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is answered, and what is kept of what was asked."""

    answer: WebhookAnswer | CloudOpsError
    fields: Mapping[str, str]


class Webhooks:
    """Answers the requests of the function `brownout_webhook`."""

    def __init__(
        self,
        *,
        documents: Documents,
        bus: Bus,
        clock: Clock,
        entropy: Entropy,
        tokens: Sequence[Secret],
        default_org: str | None,
        rules: Callable[[], Awaitable[SignalRules]],
        fold: Fold,
        body_s: float = BODY_S,
    ) -> None:
        self._documents = documents
        self._bus = bus
        self._clock = clock
        self._entropy = entropy
        self._tokens = tuple(token.reveal().encode() for token in tokens)
        self._struck = StruckTokens([token.reveal() for token in tokens])
        self._default_org = default_org
        self._rules = rules
        self._fold = fold
        self._body_s = body_s

    async def answer(self, request: Request) -> Response:
        now = self._clock.now()
        request_id = time_ordered_id(now, self._entropy(10))
        try:
            return await self._answer(request, request_id, now)
        except Unauthenticated as error:
            return problem_response(error, request_id, _CHALLENGE)
        except BodyTooSlow as error:
            return problem_response(error, request_id, {"connection": "close"})
        except CloudOpsError as error:
            return problem_response(error, request_id)
        except Exception:
            logger.exception("webhook.failed", extra={"request_id": request_id})
            failure = CloudOpsError("something failed that should not; see the log of this request")
            return problem_response(failure, request_id)

    async def _answer(self, request: Request, request_id: str, now: datetime) -> Response:
        path = request.url.path.rstrip("/")
        methods = _METHODS.get(path)
        if methods is None:
            raise NotFound(f"there is no webhook here; there are {' and '.join(_SYSTEMS)}")
        if request.method not in methods:
            error = MethodNotAllowed(f"{path} takes {' and '.join(methods)}")
            return problem_response(error, request_id, {"allow": ", ".join(methods)})
        if path == HEALTH_PATH:
            return _json('{"status":"ok"}', request_id)
        self._require_token(request)
        system = _SYSTEMS[path]
        outcome = await self._taken(system, request, now)
        await self._keep(system.source, outcome, now)
        if isinstance(outcome.answer, CloudOpsError):
            raise outcome.answer
        return _json(outcome.answer.model_dump_json(), request_id)

    async def _taken(self, system: _System, request: Request, now: datetime) -> _Outcome:
        """What is answered to a system.

        Raises:
            StoreUnavailable: the signals are not stored.
            PublishFailed: that it is blind, or is not, is not published.
        """
        try:
            body = await self._read(request)
        except (BodyTooLarge, BodyTooSlow, UnsupportedMediaType, InvalidInput) as error:
            return _Outcome(error, {})
        rules = await self._rules()
        read = system.read(
            body, received_at=now, default_org=self._default_org, monitors=rules.monitors
        )
        match read:
            case Unreadable(missing, fields):
                logger.warning(
                    "webhook.unreadable", extra={"source": system.source, "missing": missing}
                )
                detail = f"the body does not say: {', '.join(missing)}"
                return _Outcome(InvalidInput(detail, field=missing[0]), fields)
            case Ignored(reason, fields):
                logger.warning("webhook.ignored", extra={"source": system.source, "reason": reason})
                return _Outcome(WebhookAnswer(status="ignored", reason=reason), fields)
            case Understood(received, fields, notes, blind):
                if blind is not None:
                    await self._bus.publish(blind.topic, blind)
                answer = await receive_signals(
                    received,
                    documents=self._documents,
                    clock=self._clock,
                    entropy=self._entropy,
                    lease=system.lease(rules),
                    fold=self._fold,
                )
                await self._tell_sighted(received)
                notes = (*notes, *answer.notes)
                told = {"source": system.source, "deed": received.deed, "notes": notes}
                monitor = received.alert.monitor
                logger.info(
                    "webhook.taken", extra={**told, "monitor": monitor, "status": answer.status}
                )
                return _Outcome(_told(answer, notes), fields)

    async def _tell_sighted(self, received: Received) -> None:
        """Tell that a monitor says how things stand. Only Datadog's say when they do not."""
        if received.source == "datadog" and received.deed != "keep":
            alert = received.alert
            event = monitor_sighted(
                received.source,
                alert.monitor,
                alert.group,
                event_id=received.event_id,
                found_at=min(alert.observed_at, alert.received_at),
            )
            await self._bus.publish(event.topic, event)

    def _require_token(self, request: Request) -> None:
        shown = [*request.headers.getlist(TOKEN_HEADER), *_basic_passwords(request)]
        # Every pair is compared, so that the time does not tell which one was nearly right.
        right = [
            hmac.compare_digest(each.encode(), token)
            for each in shown[:2]
            for token in self._tokens
        ]
        if not any(right):
            logger.warning("webhook.unauthenticated", extra={"network": _network(request)})
            raise Unauthenticated(
                "send the token of BROWNOUT_TOKENS as X-Brownout-Token, or as password of basic "
                "authentication"
            )

    async def _read(self, request: Request) -> bytes:
        """The body, with every token in it struck out.

        Raises:
            UnsupportedMediaType: it is something else than JSON.
            BodyTooLarge: it is larger than any event.
            BodyTooSlow: it is not there in time.
            InvalidInput: it ended before its time.
        """
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != "application/json":
            raise UnsupportedMediaType(
                "send the body as `Content-Type: application/json`, not encoded as form",
                field="Content-Type",
            )
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise BodyTooLarge(f"a body has at most {MAX_BODY_BYTES} bytes")
        except TimeoutError:
            raise BodyTooSlow(f"the body is not there within {self._body_s:g} s") from None
        except ClientDisconnect:
            raise InvalidInput("the body ended early") from None
        return self._struck.body(bytes(body))

    async def _keep(self, source: Source, outcome: _Outcome, now: datetime) -> None:
        """Keep what came, if that works: the answer is right without it."""
        told = outcome.answer
        if isinstance(told, CloudOpsError):
            http_status, status = told.status, "refused"
            reason: str | None = told.detail
            notes: tuple[str, ...] = ()
        else:
            http_status, status, reason, notes = 200, told.status, told.reason, told.notes
        delivery = Delivery(
            source=source,
            received_at=now,
            http_status=http_status,
            status=status,
            reason=reason,
            fields=outcome.fields,
            notes=notes,
        )
        try:
            stored = await self._documents.commit([delivery_entry(delivery, self._entropy(6))])
        except StoreUnavailable:
            stored = None
        if not isinstance(stored, Committed):
            logger.warning("webhook.delivery_not_kept", extra={"status": status})


def _told(answer: Answer, notes: tuple[str, ...]) -> WebhookAnswer:
    signals = tuple(
        TakenSignal(
            signal=each.signal,
            scope=each.scope,
            counts_for=each.counts_for,
            mode=None if each.mode is None else each.mode.word,
            until=each.until,
        )
        for each in answer.signals
    )
    first = signals[0].model_dump() if signals else {}
    return WebhookAnswer(
        status=answer.status, signals=signals, reason=answer.reason, notes=notes, **first
    )


def _json(text: str, request_id: str) -> Response:
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    return Response(text, headers=headers, media_type="application/json")


def _basic_passwords(request: Request) -> list[str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    return [decoded.partition(":")[2]]


def _network(request: Request) -> str:
    """The network of whoever calls: the last address is the one that Google's front saw."""
    peer = "" if request.client is None else request.client.host
    told = request.headers.get("x-forwarded-for", peer).rpartition(",")[2].strip()
    try:
        bits = 24 if ipaddress.ip_address(told).version == 4 else 48
        return str(ipaddress.ip_network(f"{told}/{bits}", strict=False))
    except ValueError:
        return "unknown"
