"""Strikes tokens out of a body before anybody reads it, however they are written in it.

A character of JSON may stand for itself or be escaped, and a body may be in UTF-16 or UTF-32 too.
So what parses is struck out in its parsed values and written anew; what does not parse is struck
out in its bytes, where a character may be escaped as well.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from common.adapters.alert_readings import printable

STRUCK = "***"
_DEEPEST = 20
"""Nothing is read of a body that lies deeper; it is left out."""


class StruckTokens:
    """Knows the tokens that no text may show. They are of ASCII alone."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(tokens)
        self._written = [re.compile(b"".join(map(_written, token))) for token in tokens]

    def body(self, body: bytes) -> bytes:
        """The body without tokens: as it came if it is no JSON, else written anew."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            for pattern in self._written:
                body = pattern.sub(STRUCK.encode(), body)
            return body
        return json.dumps(self._value(data, 0)).encode()

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, dict | list) and depth >= _DEEPEST:
            return None
        if isinstance(value, dict):
            return {self._text(name): self._value(each, depth + 1) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, depth + 1) for each in value]
        return value

    def _number(self, number: float) -> float | str:
        """The number, or the text of one that a token of digits stands in."""
        is_whole = isinstance(number, float) and number.is_integer()
        text = str(int(number)) if is_whole else repr(number)
        struck = self._text(text)
        return number if struck == text else struck

    def _text(self, text: str) -> str:
        text = printable(text)
        for token in self._tokens:
            text = text.replace(token, STRUCK)
        return text


def _written(character: str) -> bytes:
    """Every way of writing a character in JSON."""
    plain = re.escape(character).encode()
    code = rb"\\u(?i:%04x)" % ord(character)
    short = rb"\\" + plain + b"|" if character in '"\\/' else b""
    return b"(?:" + short + code + b"|" + plain + b")"
