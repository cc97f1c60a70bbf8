"""Server-sent events that may hold a picture of megabytes, each given out as its two ends.

What is told about a picture or a sound stands before or behind its base64 text. So a long event is
kept without its middle: where that lies inside one text, what is left is JSON still.
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from common.llm.facts import parse_object
from common.llm.sse import EventSplitter, event_data

BEGINNING_BYTES = 4 * 1024
END_BYTES = 60 * 1024

_DECODER = json.JSONDecoder()


class LongEventSplitter:
    """Finds events in bytes that were split anywhere, in bounded memory."""

    def __init__(self) -> None:
        self._splitter = EventSplitter(sys.maxsize)
        self._kept = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, in order; the middle of a long one is left out."""
        events = self._splitter.feed(self._kept + data)
        rest = self._splitter.rest()
        if len(rest) > BEGINNING_BYTES + END_BYTES:
            rest = rest[:BEGINNING_BYTES] + rest[-END_BYTES:]
        self._kept = rest
        return events

    def rest(self) -> bytes:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        rest, self._kept = self._kept, b""
        return rest


def told_in(event: bytes, *names: str) -> Mapping[str, Any]:
    """The event's data, or of one that is no JSON without its middle, these objects in it."""
    told = parse_object(event_data(event))
    if told is not None:
        return told
    found = {name: _object_in(event, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _object_in(event: bytes, name: str) -> Mapping[str, Any] | None:
    """The last member of that name. Inside a text its quotes would be escaped."""
    start = event.rfind(b'"%b"' % name.encode())
    member = re.compile(rb'"\w+"\s*:\s*').match(event, start) if start >= 0 else None
    if member is None:
        return None
    try:
        value, _ = _DECODER.raw_decode(event[member.end() :].decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
