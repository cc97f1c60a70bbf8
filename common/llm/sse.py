"""Server-sent events, found in bytes that were split anywhere (WHATWG HTML, 9.2.6).

Events are only looked for, never changed: the pieces given out are the bytes taken in. What has no
end after 256 kB (or its reader's own limit) is given out as it is, so that memory stays bounded,
and `overflowed` says so.
"""

import re

EVENT_LIMIT_BYTES = 256 * 1024
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK_LINE = 4


class EventSplitter:
    """Cuts a byte stream into events, each with its closing blank line."""

    __slots__ = ("_limit_bytes", "_rest", "overflowed")

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._rest = bytearray()
        self.overflowed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, in order."""
        if self._rest:
            # A long event comes in many pieces: each is looked at once.
            looked_at = max(0, len(self._rest) - _LONGEST_BLANK_LINE + 1)
            self._rest += data
            if not _has_blank_line(self._rest, looked_at):
                return self._overflow()
            data = self.rest()
        if b"\r" not in data:
            *bodies, rest = data.split(b"\n\n")
            events = [body + b"\n\n" for body in bodies]
        else:
            events, start = [], 0
            for match in _BLANK_LINE.finditer(data):
                if match.end() == len(data) and data.endswith(b"\r"):
                    break  # The other half of a CRLF may still come.
                events.append(data[start : match.end()])
                start = match.end()
            rest = data[start:]
        self._rest += rest
        return events + self._overflow()

    def rest(self) -> bytes:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _overflow(self) -> list[bytes]:
        if len(self._rest) <= self._limit_bytes:
            return []
        self.overflowed = True
        return [self.rest()]


def _has_blank_line(data: bytearray, start: int) -> bool:
    if data.find(b"\n\n", start) >= 0:
        return True
    return data.find(b"\r", start) >= 0 and _BLANK_LINE.search(data, start) is not None


def event_data(event: bytes) -> bytes:
    """The event's data: its `data:` lines without their prefix, joined by newlines."""
    lines = [
        line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")
    ]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)
