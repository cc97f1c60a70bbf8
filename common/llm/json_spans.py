"""Where a top-level member stands in the bytes of a JSON object.

A request body that needs one change gets that one change: all other bytes stay the client's own, so
that no number, key order or escape is altered on the way.
"""

import json
from dataclasses import dataclass

_DECODER = json.JSONDecoder()
_WHITE_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of bytes."""

    start: int
    end: int


def member_spans(body: bytes) -> dict[str, Span]:
    """The span of each top-level member's value; of a repeated name the last one.

    Raises:
        ValueError: the body is not one JSON object in UTF-8.
        RecursionError: it is nested too deeply.
    """
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
        start = _skip(text, index + 1)
        _, end = _DECODER.raw_decode(text, start)
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
    while index < len(text) and text[index] in _WHITE_SPACE:
        index += 1
    return index
