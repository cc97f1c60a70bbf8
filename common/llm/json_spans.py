"""Where a top-level member stands in the bytes of a JSON object.

A request body that needs one change gets that one change: all other bytes stay the client's own, so
that no number, key order or escape is altered on the way.
"""

import json
import re
from dataclasses import dataclass
from typing import Any


class RepeatedName(ValueError):
    """An object has a member twice: which one counts, each reader decides for itself."""


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise RepeatedName("an object names a member twice")
    return found


_DECODER = json.JSONDecoder()
_UNIQUE_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
_WHITE_SPACE = re.compile(r"[ \t\n\r]*+")


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of bytes."""

    start: int
    end: int


def member_spans(body: bytes, *, once: str | None = None, unique: bool = False) -> dict[str, Span]:
    """The span of each top-level member's value; of a repeated name the last one.

    Args:
        body: the object.
        once: a member that must not be there twice.
        unique: no object in the body, however deep, may have a member twice.

    Raises:
        RepeatedName: `once` or `unique` does not hold.
        ValueError: the body is not one JSON object in UTF-8.
        RecursionError: it is nested too deeply.
    """
    decoder = _UNIQUE_DECODER if unique else _DECODER
    text = body.decode()
    spans: dict[str, Span] = {}
    index = _skip(text, 0)
    if text[index : index + 1] != "{":
        raise ValueError("the body is not a JSON object")
    index = _skip(text, index + 1)
    # One character is one byte only in ASCII; elsewhere the bytes since the last value are counted.
    ascii_only = len(text) == len(body)
    counted = offset = 0
    while text[index : index + 1] != "}":
        name, index = _DECODER.raw_decode(text, index)
        index = _skip(text, index)
        if not isinstance(name, str) or text[index : index + 1] != ":":
            raise ValueError("the body is not a JSON object")
        if name in spans and (unique or name == once):
            raise RepeatedName("a member stands in the object twice")
        start = _skip(text, index + 1)
        _, end = decoder.raw_decode(text, start)
        if ascii_only:
            spans[name] = Span(start, end)
        else:
            first = offset + len(text[counted:start].encode())
            counted, offset = end, first + len(text[start:end].encode())
            spans[name] = Span(first, offset)
        index = _skip(text, end)
        if text[index : index + 1] == ",":
            index = _skip(text, index + 1)
            if text[index : index + 1] == "}":
                raise ValueError("the body is not a JSON object")
        elif text[index : index + 1] != "}":
            raise ValueError("the body is not a JSON object")
    if _skip(text, index + 1) != len(text):
        raise ValueError("something follows the JSON object")
    return spans


def with_member(body: bytes, name: str, value: object) -> bytes:
    """The body with one top-level member set, every other byte as it was.

    Raises:
        ValueError: the body is not one JSON object in UTF-8.
        RecursionError: it is nested too deeply.
    """
    encoded = json.dumps(value, separators=(",", ":")).encode()
    spans = member_spans(body)
    if name in spans:
        span = spans[name]
        return body[: span.start] + encoded + body[span.end :]
    closing = body.rindex(b"}")
    comma = b"," if spans else b""
    return body[:closing] + comma + json.dumps(name).encode() + b":" + encoded + body[closing:]


def _skip(text: str, index: int) -> int:
    found = _WHITE_SPACE.match(text, index)
    return found.end() if found is not None else index
