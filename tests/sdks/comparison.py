"""What must be equal with and without the gateway, and what differs from call to call anyway."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import openai
from pydantic import BaseModel

C = TypeVar("C")

_DIFFERENT_EACH_TIME = frozenset(
    {
        *("id", "_request_id", "request_id", "created", "obfuscation", "signature"),
        *("created_at", "item_id", "call_id", "previous_response_id", "first_id", "last_id"),
    }
)


def comparable(value: Any) -> Any:
    """A reply without its ids and times."""
    if isinstance(value, BaseModel):
        return {type(value).__name__: comparable(value.model_dump())}
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k not in _DIFFERENT_EACH_TIME}
    if isinstance(value, list | tuple):
        return [comparable(each) for each in value]
    return value


def outcome(call: Callable[[C], Any], client: C) -> Any:
    """The reply, or the exception as its class, status and body."""
    try:
        return comparable(call(client))
    except (openai.APIError, anthropic.APIError) as error:
        return _raised(error)


async def outcome_async(call: Callable[[C], Awaitable[Any]], client: C) -> Any:
    try:
        return comparable(await call(client))
    except (openai.APIError, anthropic.APIError) as error:
        return _raised(error)


def _raised(error: openai.APIError | anthropic.APIError) -> Any:
    return {
        "raised": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "body": comparable(error.body),
    }
