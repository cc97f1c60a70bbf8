"""The elements of one JSON array, found in bytes that were split anywhere.

Elements are only looked for, never changed. One that is longer than the limit is given out in
pieces, so that memory stays bounded, and `overflowed` says so. Of bytes that are no JSON array
nothing is promised but that they do no harm.
"""

import re

_MARK = re.compile(rb'["\\{}\[\]]')
_OPENING, _CLOSING, _QUOTE, _ESCAPE = b"{[", b"}]", b'"', b"\\"


class ArraySplitter:
    """Cuts the bytes of an array into its elements, those that are objects or arrays."""

    __slots__ = ("_depth", "_element", "_in_text", "_limit_bytes", "_skip", "overflowed")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._element = bytearray()
        self._depth = 0
        self._in_text = False
        self._skip = 0
        self.overflowed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes, in order."""
        if not data:
            return []
        found: list[bytes] = []
        # What an escape stands before is no mark, also where the escape ended the last piece.
        start, at = 0, self._skip
        self._skip = 0
        while match := _MARK.search(data, at):
            mark, at = match.group(), match.end()
            if mark == _ESCAPE:
                at += self._in_text
                self._skip = max(0, at - len(data))
            elif mark == _QUOTE:
                self._in_text = not self._in_text
            elif not self._in_text and mark in _OPENING:
                start = match.start() if self._depth == 1 else start
                self._depth += 1
            elif not self._in_text:
                self._depth = max(0, self._depth - 1)
                if self._depth == 1:
                    self._element += data[start:at]
                    found.append(self.rest())
        if self._depth > 1:
            self._element += data[start:]
        if len(self._element) > self._limit_bytes:
            self.overflowed = True
            found.append(self.rest())
        return found

    def rest(self) -> bytes:
        """An element without its end, or nothing."""
        rest = bytes(self._element)
        self._element.clear()
        return rest
