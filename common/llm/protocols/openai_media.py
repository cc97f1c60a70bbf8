"""What OpenAI's endpoints for images, speech and transcription have in common.

Source: OpenAI API reference, "Images" and "Audio" (requests, streaming events). No reply names the
model it was made by: the request's decides the price. A usage comes with the last event of each
picture, recording or transcript; before it nothing is told, and bytes say nothing of what it will
be.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from common.llm.facts import BoundFacts, CallFacts, parse_request, read_model
from common.llm.long_events import LongEventSplitter, told_in
from common.llm.metered import Counts, Metered, UsageLine, numbers_only
from common.llm.multipart import is_form, read_form
from common.llm.protocols import openai_media_bounds
from common.llm.protocols.openai_media_bounds import READ_OF_FORMS, MediaRequest
from common.llm.sse import event_data

ReadLines: TypeAlias = Callable[[Mapping[str, Any], list[str]], tuple[UsageLine, ...]]
"""Reads the usage out of a reply or an event, and notes what it cannot read."""

Part: TypeAlias = tuple[str, str, tuple[str, ...]]
"""Unit, the unit it is part of, where it stands."""

_LAST = (
    b'"image_generation.completed"',
    b'"image_edit.completed"',
    b'"speech.audio.done"',
    b'"transcript.text.done"',
)
"""Types of the events that end what they are about."""


def read_facts(
    body: bytes, read_bound: Callable[[MediaRequest], BoundFacts] | None = None
) -> CallFacts:
    """Facts of a request in JSON or as a form."""
    asked = _read(body)
    if asked is None:
        return CallFacts(readable=False, size_bytes=len(body), bounded=False)
    return CallFacts(
        readable=True,
        model=read_model(asked.members.get("model")),
        stream=asked.members.get("stream") in (True, "true", "True", "1"),
        size_bytes=len(body),
        bounded=False,
        bound=read_bound(asked) if read_bound is not None else None,
    )


def read_picture_facts(body: bytes) -> CallFacts:
    """Facts of a request for pictures."""
    return read_facts(body, openai_media_bounds.read_pictures)


def _read(body: bytes) -> MediaRequest | None:
    if not is_form(body):
        parsed = parse_request(body)
        return None if parsed is None else MediaRequest(parsed, (), len(body))
    form = read_form(body, READ_OF_FORMS)
    if form is None or None in (form.fields.get("model", ""), form.fields.get("stream", "")):
        return None
    members = {name: value or "" for name, value in form.fields.items()}
    return MediaRequest(members, form.parts, len(body))


def metered(
    told: Mapping[str, Any], read_lines: ReadLines, anomalies: tuple[str, ...] = ()
) -> Metered:
    """What a whole reply told."""
    found = list(anomalies)
    lines = read_lines(told, found)
    usage = told.get("usage")
    return Metered(
        lines=lines,
        final=bool(lines),
        model=read_model(told.get("model")),
        usage_raw=numbers_only(usage) if isinstance(usage, dict) else None,
        anomalies=tuple(found),
    )


def token_units(
    usage: Mapping[str, Any], parts: tuple[Part, ...], anomalies: list[str]
) -> dict[str, int] | None:
    """Tokens by unit, or None where the two that everything rests on cannot be read."""
    counts = Counts(anomalies)
    read = counts.read(usage, "input_tokens")
    written = counts.read(usage, "output_tokens")
    if read is None or written is None:
        anomalies.append("usage lacks input_tokens or output_tokens")
        return None
    units = {"input_tokens": read, "output_tokens": written}
    for unit, whole, path in parts:
        count = counts.read(usage, *path)
        if not count:
            continue
        if count > units.get(whole, 0):
            anomalies.append(f"{'.'.join(path)} {count} is more than {whole} {units.get(whole, 0)}")
            continue
        units[unit] = count
    return units


class StreamTap:
    """Reads usage out of a stream of pictures, sound or text while its bytes pass, unchanged.

    Of several pictures each is billed: the stream is over when none was begun after the last.
    """

    def __init__(self, read_lines: ReadLines) -> None:
        self._splitter = LongEventSplitter()
        self._read_lines = read_lines
        self._last: Mapping[str, Any] = {}
        self._lines: tuple[UsageLine, ...] = ()
        self._anomalies: list[str] = []
        self._failed = False
        self._passed_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the provider and give them out, all of them, now."""
        self._passed_bytes += len(data)
        for event in self._splitter.feed(data):
            self._look(event)
        return data

    def finish(self) -> bytes:
        self._look(self._splitter.rest())
        return b""

    def result(self) -> Metered:
        usage = self._last.get("usage")
        return Metered(
            lines=self._lines,
            final=bool(self._lines) and self.done,
            model=read_model(self._last.get("model")),
            failed=self._failed,
            usage_raw=numbers_only(usage) if isinstance(usage, dict) else None,
            anomalies=tuple(self._anomalies),
            output_bytes=self._passed_bytes,
        )

    def _look(self, event: bytes) -> None:
        if b"data:" not in event:
            return
        ends = any(kind in event for kind in _LAST)
        if b'"usage"' in event or b'"error"' in event:
            told = told_in(event, "usage", "svg_usage", "error")
            self._failed |= isinstance(told.get("error"), dict)
            lines = self._read_lines(told, self._anomalies)
            if lines:
                self._last = told
                self._lines += lines
                ends = True
        self.done = ends or event_data(event) == b"[DONE]"


class ByteTap:
    """Lets bytes pass that tell nothing: sound, subtitles, plain text."""

    def __init__(self) -> None:
        self._passed_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        self._passed_bytes += len(data)
        return data

    def finish(self) -> bytes:
        self.done = True
        return b""

    def result(self) -> Metered:
        return Metered(output_bytes=self._passed_bytes)
