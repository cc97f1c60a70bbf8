"""Recorded replies of real providers, sent again as they are stored. Nothing of it is billed.

A recording is a JSON file whose `response` has `status`, `headers` and either `body` (an object) or
`body_text` (the text of an event stream). Streams are sent event by event, bytes unchanged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.delivery import Connection, Headers
from scripts.simulated.refusals import Refusal

_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Recording:
    status: int
    headers: Headers
    parts: tuple[bytes, ...]


class Recordings:
    """The recordings of one folder, by file name without `.json`."""

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._read: dict[str, Recording] = {}

    def named(self, name: str) -> Recording:
        """The recording of that name.

        Raises:
            Refusal: no folder is set or it has no such recording (404).
        """
        if name not in self._read:
            if self._folder is None:
                raise Refusal(404, "[simulated] no folder of recorded replies is set")
            file = self._folder / f"{name}.json"
            if not _NAME.fullmatch(name) or not file.is_file():
                raise Refusal(404, f"[simulated] there is no recorded reply {name!r}")
            self._read[name] = _recording(file.read_bytes())
        return self._read[name]


def _recording(stored: bytes) -> Recording:
    response = orjson.loads(stored)["response"]
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response["headers"].items()
    ]
    if "body_text" in response:
        parts = tuple(_events(response["body_text"].encode()))
    else:
        parts = (orjson.dumps(response["body"]),)
    return Recording(response["status"], headers, parts)


def _events(text: bytes) -> Iterator[bytes]:
    pieces = re.split(rb"(\r?\n\r?\n)", text)
    for event, end in zip(pieces[::2], [*pieces[1::2], b""], strict=True):
        if event or end:
            yield event + end


async def play(
    recording: Recording, connection: Connection, knobs: Behaviour, headers: Headers
) -> None:
    """Send a recording at the pace of the knobs."""
    latency, interval = knobs.pace_ms()
    async with connection.watched():
        await connection.pause(latency)
        await connection.start(recording.status, [*headers, *recording.headers])
        for number, part in enumerate(recording.parts):
            if number:
                await connection.pause(interval)
            await connection.write(part)
        await connection.end()
