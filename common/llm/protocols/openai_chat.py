"""OpenAI chat completions: facts, usage, the usage flag, errors.

Sources: OpenAI API reference, "Chat" (create, streaming) and "Errors".

- What `usage` means stands in `openai_usage.py`.
- A stream tells its usage only when asked by `stream_options.include_usage`. Where the client did
  not ask, the gateway asks and takes the answer out again: then, and only then, a stream is re-cut
  at its events. Compatible providers put usage into a chunk that has choices: such a chunk is never
  taken out.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from common.llm.facts import (
    EDIT_LIMIT_BYTES,
    CallFacts,
    parse_object,
    parse_request,
    read_cap,
    read_model,
)
from common.llm.json_spans import with_member
from common.llm.metered import Metered, ending, numbers_only, unreadable
from common.llm.prompt_prefixes import read_prefix
from common.llm.protocols import openai_bounds
from common.llm.protocols.openai_usage import usage_lines, usage_of
from common.llm.sse import EventSplitter, event_data

_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null')
_SAMPLED_CHUNKS = 4


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    return CallFacts(
        readable=True,
        model=read_model(parsed.get("model")),
        stream=parsed.get("stream") is True,
        stream_options=parsed.get("stream_options"),
        output_cap=_cap(parsed),
        candidates=max(1, read_cap(parsed.get("n")) or 1),
        size_bytes=len(body),
        bound=openai_bounds.read_chat(parsed),
        prefix=read_prefix(parsed),
    )


def _cap(parsed: Mapping[str, Any]) -> int | None:
    """The larger of both caps. Nobody generates nothing: some providers read 0 as no cap."""
    asked = [parsed.get(name) for name in ("max_completion_tokens", "max_tokens")]
    caps = [read_cap(cap) for cap in asked if cap is not None]
    return max((cap or 0 for cap in caps), default=0) or None if all(caps) else None


def ask_for_usage(body: bytes, facts: CallFacts) -> bytes | None:
    """The body with `stream_options.include_usage` set, or None where it needs or takes no edit."""
    if not facts.stream or len(body) > EDIT_LIMIT_BYTES:
        return None
    options = facts.stream_options if facts.stream_options is not None else {}
    if not isinstance(options, dict) or options.get("include_usage") is True:
        return None  # It is asked already, or the provider will refuse it, in its own words.
    try:
        return with_member(body, "stream_options", {**options, "include_usage": True})
    except (ValueError, RecursionError):
        return None


def read_reply(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    return _metered(parsed, parsed, finish_reason=_finish_reason(parsed), output_bytes=len(body))


class StreamTap:
    """Reads usage out of a stream while its bytes pass.

    With `strip`, what the provider added because the gateway asked is taken out again.
    """

    def __init__(self, *, strip: bool) -> None:
        self._strip = strip
        self._splitter = EventSplitter()
        self._anomalies: list[str] = []
        self._usage_chunk: Mapping[str, Any] | None = None
        self._first_chunk: Mapping[str, Any] | None = None
        self._output = _OutputCount()
        self._finish_reason: str | None = None
        self._failed = False
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the provider, give out what the client gets of them, now."""
        events = self._splitter.feed(data)
        if not self._strip:
            for event in events:
                self._look(event)
            return data
        return b"".join([kept for event in events if (kept := self._stripped(event))])

    def finish(self) -> bytes:
        """What is left when the provider has ended its stream."""
        rest = self._splitter.rest()
        if not rest:
            return b""
        if self._strip:
            return self._stripped(rest)
        self._look(rest)
        return b""

    def result(self) -> Metered:
        if self._splitter.overflowed:
            self._anomalies.append("an event above 256 kB was not read")
        source = self._usage_chunk or self._first_chunk or {}
        return _metered(
            source,
            self._first_chunk or source,
            finish_reason=self._finish_reason,
            output_bytes=self._output.bound,
            anomalies=self._anomalies,
            failed=self._failed,
        )

    def _stripped(self, event: bytes) -> bytes:
        chunk = self._look(event)
        if chunk is not None and chunk.get("usage") is not None and chunk.get("choices") == []:
            return b""
        return _NULL_USAGE.sub(b"", event, count=1) if b'"usage"' in event else event

    def _look(self, event: bytes) -> Mapping[str, Any] | None:
        """The decoded chunk where it had to be decoded: the first, the last ones, usage, errors."""
        self._output.add(event)
        with_usage = b'"usage"' in event and not _NULL_USAGE.search(event)
        with_finish = b'"finish_reason":null' not in event
        if self._output.is_sampled and not with_usage and not with_finish:
            return None
        data = event_data(event)
        if data == b"[DONE]":
            self.done = True
            return None
        chunk = parse_object(data) if data else None
        if chunk is None:
            return None
        if isinstance(choices := chunk.get("choices"), list) and choices:
            self._first_chunk = self._first_chunk or chunk
            self._output.sample(event, choices)
        if usage_of(chunk) is not None:
            self._usage_chunk = chunk
        if isinstance(chunk.get("error"), dict):
            self._failed = True
        self._finish_reason = _finish_reason(chunk) or self._finish_reason
        return chunk


class _OutputCount:
    """Bounds the text in a stream without decoding each chunk.

    All that a model says stands in a chunk's choices or behind them. The first chunks are decoded
    to learn how many bytes of that part are there anyway; the least of them is taken off each.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._chunks = 0
        self._frames: list[int] = []

    @property
    def is_sampled(self) -> bool:
        return len(self._frames) >= _SAMPLED_CHUNKS

    @property
    def bound(self) -> int:
        frame = min(self._frames) if self._frames else 0
        return max(0, self._bytes - self._chunks * frame)

    def add(self, event: bytes) -> None:
        if spoken := _spoken_part(event):
            self._bytes += spoken
            self._chunks += 1

    def sample(self, event: bytes, choices: list[Any]) -> None:
        if not self.is_sampled:
            said = sum(
                _text_bytes(choice.get("delta", choice.get("text")))
                for choice in choices
                if isinstance(choice, dict)
            )
            self._frames.append(max(0, _spoken_part(event) - said))


def _spoken_part(event: bytes) -> int:
    start = event.find(b'"choices"')
    return len(event) - start if start >= 0 else 0


def _text_bytes(value: object) -> int:
    """Bytes of all texts in a decoded value, as JSON writes them, however deep they stand."""
    total = 0
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            total += len(orjson.dumps(each)) - 2
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return total


def _finish_reason(reply: Mapping[str, Any]) -> str | None:
    choices = reply.get("choices")
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and (reason := ending(choice.get("finish_reason"))):
            return reason
    return None


def _metered(
    reply: Mapping[str, Any],
    named_in: Mapping[str, Any],
    *,
    finish_reason: str | None,
    output_bytes: int,
    anomalies: list[str] | None = None,
    failed: bool = False,
) -> Metered:
    anomalies = anomalies if anomalies is not None else []
    usage = usage_of(reply)
    lines = usage_lines(reply, usage, anomalies) if usage is not None else None
    tier = reply.get("service_tier") or named_in.get("service_tier")
    tier = tier if isinstance(tier, str) else None
    return Metered(
        lines=lines or (),
        final=lines is not None,
        model=read_model(reply.get("model")) or read_model(named_in.get("model")),
        price_context={"service_tier": tier} if tier else {},
        service_tier=tier,
        finish_reason=finish_reason,
        failed=failed,
        usage_raw=numbers_only(usage) if usage is not None else None,
        anomalies=tuple(anomalies),
        output_bytes=output_bytes,
    )
