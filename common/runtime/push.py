"""What Pub/Sub posts to a function, and what it is answered.

`answer_push` is the whole entry of a function that consumes events:

    @functions_framework.aio.http
    async def usage(request: Request) -> Response:
        return await answer_push(request, UsageEvent, record_usage)

A 2xx status acknowledges for good; anything else brings the message again, later each time, until
it is a dead letter. So what nobody here can ever use is acknowledged and told in one log line
(types and versions this code does not know, events meant for others, garbage), and only a failure
of the work itself is answered with 5xx. Deliveries repeat: `act` is idempotent by the event's id.
The local bus posts the same envelopes, so this is the one code path.

A schedule publishes the same text each time, so a command may say nothing: what is missing of its
type, id and time is that of its message.
"""

import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from common.core.errors import CloudOpsError
from common.core.event_types import EVENT_TYPES, parse_event
from common.core.events import Event

T = TypeVar("T", bound=Event)

LARGEST_BODY_BYTES = 15_000_000
"""A message has at most 10 MB, four thirds of that in base64, and 100 attributes of 1.3 kB.

https://cloud.google.com/pubsub/quotas#resource_limits
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type, or a newer version of a type, that this code does not know."""

    type: str
    v: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """What is no event at all, or not of the form of its type; never quotes what it held."""

    reason: str


@dataclass(frozen=True, slots=True)
class Push:
    """One delivery of one message.

    `attempt` counts from 1 and is None where the subscription has no dead letter policy;
    `message_id` and `subscription` are empty when the body is no push envelope.
    """

    content: Event | Unknown | Garbage
    message_id: str
    attributes: Mapping[str, str]
    subscription: str
    attempt: int | None


def read_push(body: bytes) -> Push:
    """What a push request's body brings. Never raises: what cannot be read is `Garbage`."""
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError:
        return Push(Garbage("the body is not a push envelope"), "", {}, "", None)
    message = envelope.message
    return Push(
        content=_content(message),
        message_id=message.message_id,
        attributes=message.attributes,
        subscription=envelope.subscription,
        attempt=envelope.delivery_attempt,
    )


async def answer_push(
    request: Request, kind: type[T], act: Callable[[T], Awaitable[None]]
) -> Response:
    """Let `act` have the event, if it is one of `kind` (`Event`: any known type).

    Answers 204 when `act` returned or there is nothing for it to do, 413 for a body larger than
    any message, and 5xx when `act` raised.
    """
    body = await _limited_body(request)
    if body is None:
        logger.error("push.too_large", extra={"limit_bytes": LARGEST_BODY_BYTES})
        return Response(status_code=413)
    push = read_push(body)
    told = {
        "message_id": push.message_id,
        "subscription": push.subscription,
        "attempt": push.attempt,
    }
    match push.content:
        case Garbage(reason):
            logger.error("push.garbage", extra={**told, "reason": reason})
        case Unknown(type_, v):
            logger.info("push.unknown", extra={**told, "type": type_[:100], "v": v[:20]})
        case event if not isinstance(event, kind):
            logger.info("push.unwanted", extra={**told, "type": event.type, "event_id": event.id})
        case event:
            told |= {"type": event.type, "event_id": event.id}
            try:
                await act(event)
            except CloudOpsError as error:
                logger.warning("push.failed", extra={**told, "code": error.code})
                return Response(status_code=max(error.status, 500))
            except Exception:
                logger.exception("push.crashed", extra=told)
                return Response(status_code=500)
    return Response(status_code=204)


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: str = ""
    attributes: dict[str, str] = {}
    message_id: Annotated[str, Field(alias="messageId")]
    publish_time: Annotated[str | None, Field(alias="publishTime")] = None


class _Envelope(BaseModel):
    """https://cloud.google.com/pubsub/docs/push#receive_push, the wrapped form."""

    model_config = ConfigDict(extra="ignore")

    message: _Message
    subscription: str
    delivery_attempt: Annotated[int | None, Field(alias="deliveryAttempt")] = None


def _content(message: _Message) -> Event | Unknown | Garbage:
    try:
        decoded = json.loads(base64.b64decode(message.data, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return Garbage("the data is not JSON in base64")
    if isinstance(decoded, dict):
        decoded = _told_by_message(message) | decoded
    if not isinstance(decoded, dict) or not isinstance(decoded.get("type"), str):
        return Garbage("the data is not an object with a type")
    try:
        event = parse_event(decoded)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
        return Garbage(f"not of the form of {decoded['type']}: {wrong}")
    except TypeError:
        return Garbage(f"the version of {decoded['type']} is not a number")
    return Unknown(decoded["type"], str(decoded.get("v", 1))) if event is None else event


def _told_by_message(message: _Message) -> dict[str, str]:
    """What a command need not say itself; nothing for any other event."""
    type_ = message.attributes.get("type", "")
    known = EVENT_TYPES.get(type_)
    if known is None or known.topic != "commands" or message.publish_time is None:
        return {}
    return {"type": type_, "id": message.message_id, "event_time": message.publish_time}


async def _limited_body(request: Request) -> bytes | None:
    """The body, or None as soon as it is larger than any message."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
