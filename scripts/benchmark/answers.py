"""What was answered: read when a load is over, since reading takes CPU time that a load needs.

Each answer of the simulated provider has an id of its own, which all who stand between pass on. So
an answer is known for the one that the provider charged for: none can come from a cache, none can
be asked for twice unseen.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import httptools
import orjson

from scripts.benchmark.load import CallFailed
from scripts.benchmark.shapes import Shape

_ID = re.compile(rb"[-_]sim[-_]([0-9a-f]{16})(?=$|\")")
_VARIES = re.compile(rb"[0-9a-f]{16}|[0-9]+")
"""What differs between answers to the same call: ids, times, tokens that come from a cache."""
_EVENT = b"data: "
_DONE = b"[DONE]"
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Answers:
    """The ids of answers, in their order, and how many events each of them has: whole ones none."""

    ids: Sequence[str]
    events: int


class _Read:
    """One answer: its body without chunks, and the header that this API tells answers apart by."""

    def __init__(self, raw: bytes, id_header: bytes | None) -> None:
        self.body = b""
        self.named = b""
        self._id_header = id_header
        self._pieces: list[bytes] = []
        httptools.HttpResponseParser(self).feed_data(raw)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == self._id_header:
            self.named = value

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.body = b"".join(self._pieces)


def read_answers(shape: Shape, answers: Sequence[bytes]) -> Answers:
    """Check that each is whole and the provider's, and that all are alike but for numbers.

    Raises:
        load.CallFailed: one is not; the text says which and shows it.
    """
    ids: list[str] = []
    events, first = 0, b""
    for raw in answers:
        read = _Read(raw, shape.protocol.id_header)
        ids.append(_id_of(read, shape))
        events = _event_count(read.body, shape)
        masked = _VARIES.sub(b"0", read.body)
        first = first or masked
        if masked != first:
            raise _failed(read.body, "differs from the first answer to the same call")
    return Answers(ids, events)


def _id_of(read: _Read, shape: Shape) -> str:
    named = read.body if shape.protocol.id_header is None else read.named
    found = set(_ID.findall(named))
    if len(found) != 1:
        raise _failed(read.body, f"has {len(found) or 'no'} ids of the provider")
    return bytes(found.pop()).decode()


def _event_count(body: bytes, shape: Shape) -> int:
    """The events of a stream, 0 of a whole answer."""
    if not shape.stream:
        _check_json(body, body)
        return 0
    lines = [line for line in body.split(b"\n") if line.startswith(_EVENT)]
    for line in lines:
        told = line.removeprefix(_EVENT)
        if told != _DONE:
            _check_json(told, body)
    if not lines or not body.endswith(b"\n") or shape.protocol.last not in lines[-1]:
        raise _failed(body[-_SHOWN_BYTES:], "does not end as a stream does")
    if shape.events not in (None, len(lines)):
        raise _failed(body, f"has {len(lines)} events instead of {shape.events}")
    return len(lines)


def _check_json(text: bytes, body: bytes) -> None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or not value:
        raise _failed(body, "is no JSON object, or has none in an event")


def _failed(body: bytes, why: str) -> CallFailed:
    shown = body[:_SHOWN_BYTES].decode(errors="replace")
    return CallFailed(f"an answer {why}: {shown!r}")
