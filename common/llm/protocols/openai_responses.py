"""OpenAI Responses: facts, usage, what is billed beside tokens.

Sources: OpenAI API reference, "Responses" (create, streaming), and the guides "Background mode",
"Web search" ("search actions incur a tool call cost") and "Prompt caching".

- `input_tokens` includes cached and written tokens, `output_tokens` includes reasoning.
- Only the terminal event of a stream (`response.completed`, `.incomplete` or `.failed`) tells a
  usage; nothing follows it.
- Tools that the provider runs are billed beside that usage and stand in the output items.
- A background response is answered before it is generated: what it costs, this call never tells.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from common.llm.facts import CallFacts, parse_object, parse_request, read_cap, read_model
from common.llm.metered import Counts, Metered, UsageLine, ending, numbers_only, unreadable
from common.llm.prompt_prefixes import read_prefix
from common.llm.protocols import openai_responses_bounds
from common.llm.sse import EventSplitter, event_data

EVENT_LIMIT_BYTES = 2 * 1024 * 1024
"""The terminal event repeats instructions, tools and all output, and ends with the usage."""

_KIND = re.compile(rb'"type"\s*:\s*"(response\.[a-z0-9_.]+|error)"')
_DELTA = re.compile(rb'"delta"\s*:\s*"((?:[^"\\]|\\.)*+)"')
_TERMINAL = frozenset({b"response.completed", b"response.incomplete", b"response.failed"})
_PENDING = frozenset({"queued", "in_progress"})
_TOLD_BY_DELTAS = ("message", "function_call", "custom_tool_call", "reasoning")
_PREVIEW = "web_search_preview"
_UNIT_PATHS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cache_read_tokens", "input_tokens", ("input_tokens_details", "cached_tokens")),
    ("cache_write_tokens", "input_tokens", ("input_tokens_details", "cache_write_tokens")),
    (
        "cache_write_12h_tokens",
        "cache_write_tokens",
        ("input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"),
    ),
    ("output_reasoning_tokens", "output_tokens", ("output_tokens_details", "reasoning_tokens")),
)
"""Unit, the unit it is part of, where it stands. Writes for 30 minutes are the usual ones."""


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    return CallFacts(
        readable=True,
        model=read_model(parsed.get("model")),
        stream=parsed.get("stream") is True,
        output_cap=read_cap(parsed.get("max_output_tokens")) or None,
        size_bytes=len(body),
        asynchronous=parsed.get("background") is True,
        bound=openai_responses_bounds.read_response(parsed),
        prefix=read_prefix(parsed),
    )


def read_reply(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    return _metered(parsed, _ToolUse(parsed), output_bytes=len(body), anomalies=[])


class StreamTap:
    """Reads usage out of a stream while its bytes pass, unchanged."""

    def __init__(self) -> None:
        self._splitter = EventSplitter(EVENT_LIMIT_BYTES)
        self._anomalies: list[str] = []
        self._response: Mapping[str, Any] = {}
        self._tools = _ToolUse({})
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
            self._anomalies.append("an event above 2 MB was not read")
        return _metered(
            self._response,
            self._tools,
            output_bytes=self._output_bytes,
            anomalies=self._anomalies,
            failed=self._failed,
        )

    def _look(self, event: bytes) -> None:
        found = _KIND.search(event)
        if found is None:
            # An error without a type, as chat completions have it.
            if b'"error"' in event and _is_error(parse_object(event_data(event))):
                self._failed = True
            return
        kind = found[1]
        if kind.endswith(b".delta"):
            said = _DELTA.search(event)
            self._output_bytes += len(said[1]) if said is not None else len(event)
        elif kind == b"response.created" or kind in _TERMINAL:
            self._take_response(event, ends=kind in _TERMINAL)
        elif kind == b"response.output_item.done":
            self._take_item(event)
        elif kind == b"error":
            self._failed = True

    def _take_response(self, event: bytes, *, ends: bool) -> None:
        data = parse_object(event_data(event))
        response = data.get("response") if data is not None else None
        if not isinstance(response, dict):
            return
        seen = self._tools
        self._response, self._tools, self.done = response, _ToolUse(response), ends
        if ends and not isinstance(response.get("output"), list):
            self._tools = seen

    def _take_item(self, event: bytes) -> None:
        data = parse_object(event_data(event))
        item = data.get("item") if data is not None else None
        if not isinstance(item, dict):
            return
        self._tools.add(item)
        if item.get("type") not in _TOLD_BY_DELTAS:
            self._output_bytes += len(event)
        elif isinstance(hidden := item.get("encrypted_content"), str):
            self._output_bytes += len(hidden)


class _ToolUse:
    """What the provider's own tools did, in units of the price list where it has them.

    Containers and images have no price there: their units make the cost unknown, with that reason.
    The preview of web search costs other than web search does, and is not on the list either.
    """

    def __init__(self, response: Mapping[str, Any]) -> None:
        tools = _objects(response.get("tools"))
        previews = any(_text(tool.get("type")).startswith(_PREVIEW) for tool in tools)
        self._search_unit = "web_search_previews" if previews else "web_searches"
        self._counts: dict[str, int] = {}
        self._containers: set[str] = set()
        for item in _objects(response.get("output")):
            self.add(item)
        billed = Counts([]).read(response, "tool_usage", "web_search", "num_requests")
        if billed is not None:
            # The provider's own count of those it bills, which it does not always tell.
            self._counts[self._search_unit] = billed

    def add(self, item: Mapping[str, Any]) -> None:
        kind = item.get("type")
        if kind == "web_search_call":
            action = item.get("action")
            # Opening a page or looking for text in it is no search; older replies name no action.
            if not isinstance(action, dict) or action.get("type", "search") == "search":
                self._count(self._search_unit)
        elif kind == "file_search_call":
            self._count("storage_searches")
        elif kind == "image_generation_call":
            self._count("image_generations")
        elif kind == "code_interpreter_call":
            self._containers.add(_text(item.get("container_id")))
        elif kind == "shell_call":
            environment = item.get("environment")
            if isinstance(environment, dict) and environment.get("container_id"):
                self._containers.add(_text(environment["container_id"]))

    @property
    def units(self) -> dict[str, int]:
        sessions = len(self._containers)
        used = {unit: count for unit, count in self._counts.items() if count}
        return {**used, "code_interpreter_sessions": sessions} if sessions else used

    def _count(self, unit: str) -> None:
        self._counts[unit] = self._counts.get(unit, 0) + 1


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_error(data: Mapping[str, Any] | None) -> bool:
    return data is not None and isinstance(data.get("error"), dict)


def _metered(
    response: Mapping[str, Any],
    tools: _ToolUse,
    *,
    output_bytes: int,
    anomalies: list[str],
    failed: bool = False,
) -> Metered:
    usage = response.get("usage")
    told = _units(usage, anomalies) if isinstance(usage, dict) else None
    units = {**(told or {}), **tools.units}
    status = response.get("status")
    tier = response.get("service_tier")
    tier = tier if isinstance(tier, str) else None
    return Metered(
        lines=(UsageLine(units),) if units else (),
        final=told is not None,
        pending=response.get("background") is True or status == "queued",
        model=read_model(response.get("model")),
        price_context={"service_tier": tier} if tier else {},
        service_tier=tier,
        finish_reason=_finish_reason(response),
        failed=failed or status == "failed",
        usage_raw=numbers_only(usage) if isinstance(usage, dict) else None,
        anomalies=tuple(anomalies),
        output_bytes=output_bytes,
    )


def _finish_reason(response: Mapping[str, Any]) -> str | None:
    """Why it is incomplete, else its status once it is over."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    status = response.get("status")
    over = isinstance(status, str) and status not in _PENDING
    return ending(reason) or (ending(status) if over else None)


def _units(usage: Mapping[str, Any], anomalies: list[str]) -> dict[str, int] | None:
    """The counters by unit, or None where the two that everything rests on cannot be read."""
    counts = Counts(anomalies)
    read = counts.read(usage, "input_tokens")
    written = counts.read(usage, "output_tokens")
    if read is None or written is None:
        anomalies.append("usage lacks input_tokens or output_tokens")
        return None
    units = {"input_tokens": read, "output_tokens": written}
    for unit, whole, path in _UNIT_PATHS:
        count = counts.read(usage, *path)
        if not count:
            continue
        if count > units.get(whole, 0):
            anomalies.append(f"{'.'.join(path)} {count} is more than {whole} {units.get(whole, 0)}")
            continue
        units[unit] = count
    return units
