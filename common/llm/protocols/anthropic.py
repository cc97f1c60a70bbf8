"""Anthropic messages: facts, usage, errors.

Sources: Anthropic API reference, "Messages", "Streaming Messages", "Prompt caching", "Errors".

- `input_tokens` excludes cache tokens: the whole input is input + creation + read.
- `message_start` tells a first usage, each `message_delta` a cumulative one. Per field the last
  value present wins; nothing is added up, and a later value may be lower.
- `iterations` lists inferences that the top level leaves out or that ran on another model: where it
  is present, cost is the sum over its entries.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import CallFacts, parse_object, parse_request, read_cap, read_model
from common.llm.metered import Counts, Metered, UsageLine, ending, numbers_only, unreadable
from common.llm.prompt_prefixes import read_prefix
from common.llm.protocols import anthropic_bounds
from common.llm.sse import EventSplitter, event_data

_DELTA_FRAME_BYTES = len(
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":""}}\n\n'
)


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    return CallFacts(
        readable=True,
        model=read_model(parsed.get("model")),
        stream=parsed.get("stream") is True,
        output_cap=read_cap(parsed.get("max_tokens")),
        size_bytes=len(body),
        bound=anthropic_bounds.read_message(parsed),
        prefix=read_prefix(parsed),
    )


def read_reply(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    usage = parsed.get("usage")
    return _metered(
        usage if isinstance(usage, dict) else None,
        model=read_model(parsed.get("model")),
        finish_reason=parsed.get("stop_reason"),
        output_bytes=len(body),
        final=isinstance(usage, dict),
        anomalies=[],
    )


class StreamTap:
    """Reads usage out of a stream while its bytes pass, unchanged."""

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._anomalies: list[str] = []
        self._usage: dict[str, Any] | None = None
        self._restated: set[str] = set()
        self._final = False
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._failed = False
        self._output_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the provider and give them out, all of them, now."""
        for event in self._splitter.feed(data):
            self._look(event)
        return data

    def finish(self) -> bytes:
        self._look(self._splitter.rest())
        return b""

    def result(self) -> Metered:
        if self._splitter.overflowed:
            self._anomalies.append("an event above 256 kB was not read")
        return _metered(
            self._usage,
            model=self._model,
            finish_reason=self._finish_reason,
            output_bytes=self._output_bytes,
            final=self._final,
            anomalies=self._anomalies,
            restated=self._restated,
            failed=self._failed,
        )

    def _look(self, event: bytes) -> None:
        if event.startswith(b"event: content_block_delta"):
            self._output_bytes += max(0, len(event) - _DELTA_FRAME_BYTES)
            return
        if b'"message_' not in event and b'"error"' not in event:
            return
        data = parse_object(event_data(event))
        if data is None:
            return
        kind = data.get("type")
        if kind == "message_start" and isinstance(message := data.get("message"), dict):
            self._model = read_model(message.get("model"))
            self._take(message.get("usage"))
        elif kind == "message_delta":
            self._restated |= self._take(data.get("usage"))
            delta = data.get("delta")
            if isinstance(delta, dict) and delta.get("stop_reason"):
                self._finish_reason = ending(delta["stop_reason"])
                self._final = "output_tokens" in self._restated
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            self._failed = True

    def _take(self, usage: object) -> set[str]:
        if not isinstance(usage, dict):
            return set()
        told = {name: value for name, value in usage.items() if value is not None}
        self._usage = {**(self._usage or {}), **told}
        return set(told)


def _metered(
    usage: Mapping[str, Any] | None,
    *,
    model: str | None,
    finish_reason: object,
    output_bytes: int,
    final: bool,
    anomalies: list[str],
    restated: set[str] | None = None,
    failed: bool = False,
) -> Metered:
    counts = Counts(anomalies)
    lines = _lines(usage, counts, restated or set()) if usage is not None else ()
    tier = usage.get("service_tier") if usage is not None else None
    context = {
        name: value
        for name in ("service_tier", "speed", "inference_geo")
        if usage is not None and isinstance(value := usage.get(name), str)
    }
    return Metered(
        lines=lines,
        final=final and bool(lines),
        model=model,
        price_context=context,
        service_tier=tier if isinstance(tier, str) else None,
        finish_reason=ending(finish_reason),
        failed=failed,
        usage_raw=numbers_only(usage) if usage is not None else None,
        anomalies=tuple(anomalies),
        output_bytes=output_bytes,
    )


def _lines(usage: Mapping[str, Any], counts: Counts, restated: set[str]) -> tuple[UsageLine, ...]:
    searches = counts.read(usage, "server_tool_use", "web_search_requests") or 0
    iterations = usage.get("iterations")
    if not isinstance(iterations, list) or not iterations:
        units = _units(usage, counts, restated)
        if units is None:
            return ()
        return (UsageLine({**units, "web_searches": searches} if searches else units),)
    lines: list[UsageLine] = []
    for entry in iterations:
        units = _units(entry, counts, set()) if isinstance(entry, dict) else None
        if units is None:
            counts.anomalies.append("an entry of iterations cannot be read")
            return ()
        lines.append(UsageLine(units, read_model(entry.get("model"))))
    if searches:
        lines.append(UsageLine({"web_searches": searches}))
    return tuple(lines)


def _units(usage: Mapping[str, Any], counts: Counts, restated: set[str]) -> dict[str, int] | None:
    """The counters by unit, or None where the two that everything rests on cannot be read."""
    plain = counts.read(usage, "input_tokens")
    output = counts.read(usage, "output_tokens")
    if plain is None or output is None:
        counts.anomalies.append("usage lacks input_tokens or output_tokens")
        return None
    written = counts.read(usage, "cache_creation_input_tokens") or 0
    read = counts.read(usage, "cache_read_input_tokens") or 0
    units = {"input_tokens": plain + written + read, "output_tokens": output}
    if read:
        units["cache_read_tokens"] = read
    if written:
        units["cache_write_tokens"] = written
        units.update(_written_by_ttl(usage, counts, written, restated))
    thinking = counts.read(usage, "output_tokens_details", "thinking_tokens") or 0
    if 0 < thinking <= output:
        units["output_reasoning_tokens"] = thinking
    return units


def _written_by_ttl(
    usage: Mapping[str, Any], counts: Counts, written: int, restated: set[str]
) -> dict[str, int]:
    """The split of written tokens by time to live; without one, all count as 5 minutes.

    The split comes at the start of a stream only: a later total makes it stale.
    """
    split = {
        f"cache_write_{ttl}_tokens": count
        for ttl in ("5m", "1h")
        if (count := counts.read(usage, "cache_creation", f"ephemeral_{ttl}_input_tokens"))
    }
    stale = "cache_creation_input_tokens" in restated and "cache_creation" not in restated
    if split and sum(split.values()) != written:
        if not stale:
            counts.anomalies.append(f"cache_creation adds up to other than {written}")
        return {}
    return split
