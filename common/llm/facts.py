"""What a request says about itself, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

COUNTED_ABOVE_BYTES = 1024 * 1024
MOST_VALUES = 500_000

EDIT_LIMIT_BYTES = 8 * 1024 * 1024
"""Bodies above this go out as they came: a search for a member to edit would cost too much."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of one request body.

    `readable` False means that it is no JSON object we understand: it is forwarded as it came, and
    the provider judges it. `stream_options` is OpenAI's member, as it was sent. `asynchronous`
    means that the provider works on after its reply, which tells no usage then.
    """

    readable: bool
    model: str | None = None
    stream: bool = False
    stream_options: object = None
    output_cap: int | None = None
    candidates: int = 1
    size_bytes: int = 0
    asynchronous: bool = False


def parse_request(body: bytes) -> Mapping[str, Any] | None:
    """A request's body as a JSON object, or None where it is none, or would not fit in memory.

    Decoded, a value takes some 100 bytes, however short it was: 32 MiB of `{},` would take a
    gigabyte. Long texts and images are few values, so their requests are read.
    """
    if len(body) > COUNTED_ABOVE_BYTES and body.count(b",") > MOST_VALUES:
        return None
    return parse_object(body)


def parse_object(body: bytes) -> Mapping[str, Any] | None:
    """The body as a JSON object, or None (not JSON, not an object, integers beyond 64 bits)."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def read_cap(value: object) -> int | None:
    """An output cap in tokens, None where it is absent or the provider will refuse it."""
    return value if type(value) is int and value >= 0 else None


def read_model(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
