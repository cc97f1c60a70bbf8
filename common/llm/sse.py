"""Server-sent events, found in bytes that were split anywhere (WHATWG HTML, 9.2.6).

Events are only looked for, never changed: the pieces given out are the bytes taken in. What has no
end after 256 kB (or its reader's own limit) is given out as it is, so that memory stays bounded,
and `overflowed` says so.
"""

import re

EVENT_LIMIT_BYTES = 256 * 1024
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class EventSplitter:
    """Cuts a byte stream into events, each with its closing blank line."""

    __slots__ = ("_limit_bytes", "_rest", "overflowed")

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._rest = b""
        self.overflowed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, in order."""
        data = self._rest + data if self._rest else data
        if b"\r" not in data:
            *bodies, self._rest = data.split(b"\n\n")
            events = [body + b"\n\n" for body in bodies]
        else:
            events, start = [], 0
            for match in _BLANK_LINE.finditer(data):
                if match.end() == len(data) and data.endswith(b"\r"):
                    break  # The other half of a CRLF may still come.
                events.append(data[start : match.end()])
                start = match.end()
            self._rest = data[start:]
        if len(self._rest) > self._limit_bytes:
            self.overflowed = True
            events.append(self.rest())
        return events

    def rest(self) -> bytes:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        rest, self._rest = self._rest, b""
        return rest


def event_data(event: bytes) -> bytes:
    """The event's data: its `data:` lines without their prefix, joined by newlines."""
    lines = [
        line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")
    ]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)
