"""Gemini interactions: facts, usage, what is billed beside tokens.

Sources: Gemini API reference, "Interactions" (create, `Usage`), and the guides "Interactions API",
"Streaming interactions" and "Background execution"; the Google Gen AI SDK, "Automatic continuation"
(each part of a resumed answer is an interaction with a usage of its own).

- `total_input_tokens` includes `total_cached_tokens`; `total_tool_use_tokens` is input on top.
- Whether `total_output_tokens` includes `total_thought_tokens` the reference does not say. In its
  examples it does not: `total_tokens` is the sum of all four (7 + 20 + 22 = 49). Where that sum
  holds without the thoughts they are taken to be included; where neither holds, they are added.
- The last event with an `interaction`, whose status is no longer one of waiting, tells the final
  usage. Events before it may tell what was used up to then.
- Searches stand in `grounding_tool_count` and in the steps: the larger of the two counts.
- An agent (`agent` in place of `model`) works with models and tools of its own choice: what it
  costs is unknown, whatever usage it tells.
- A background interaction is answered before it is generated: what it costs, this call never tells.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.facts import CallFacts, objects, parse_object, parse_request, read_cap, read_model
from common.llm.metered import Counts, Metered, UsageLine, ending, numbers_only, unreadable
from common.llm.prompt_prefixes import read_prefix
from common.llm.protocols import gemini_interactions_bounds
from common.llm.protocols.gemini_usage import (
    Spelling,
    billed_searches,
    by_modality,
    input_units,
    named_tier,
)
from common.llm.sse import EventSplitter, event_data

EVENT_LIMIT_BYTES = 4 * 1024 * 1024
"""A generated image is one event, as base64."""

_SPELT = Spelling(
    prompt="total_input_tokens",
    tool_use="total_tool_use_tokens",
    cached="total_cached_tokens",
    details=("input_tokens_by_modality", "tool_use_tokens_by_modality"),
    cached_details="cached_tokens_by_modality",
    tokens="tokens",
)
_WAITING = frozenset({"queued", "in_progress"})
_AGENT = ("agent", "agent_config")
_SEARCH = "google_search"
_FEES = {_SEARCH: "web_searches", "google_maps": "map_groundings", "retrieval": "retrievals"}
"""Units of the tools that are billed by use. No list has a rate but for the first."""

_OTHER_FEE = "other_groundings"
_CALL = "_call"


def read_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    config = parsed.get("generation_config")
    cap = config.get("max_output_tokens") if isinstance(config, dict) else None
    by_agent = any(parsed.get(name) is not None for name in _AGENT)
    return CallFacts(
        readable=True,
        model=None if by_agent else _bare(read_model(parsed.get("model"))),
        stream=parsed.get("stream") is True,
        # Zero is how an absent number is spelt.
        output_cap=read_cap(cap) or None,
        size_bytes=len(body),
        asynchronous=parsed.get("background") not in (None, False),
        bound=gemini_interactions_bounds.read_interaction(parsed),
        prefix=read_prefix(parsed),
    )


def read_reply(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    reading = _Reading()
    reading.take_interaction(parsed)
    return reading.metered(whole=True, output_bytes=len(body))


class StreamTap:
    """Reads usage out of a stream while its bytes pass, unchanged."""

    def __init__(self) -> None:
        self._splitter = EventSplitter(EVENT_LIMIT_BYTES)
        self._reading = _Reading()
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
            self._reading.anomalies.append("an event above 4 MiB was not read")
        return self._reading.metered(whole=False, output_bytes=self._output_bytes)

    def _look(self, event: bytes) -> None:
        data = event_data(event)
        found = parse_object(data)
        if found is None:
            self._output_bytes += len(data)
            return
        delta, step = found.get("delta"), found.get("step")
        if isinstance(delta, dict):
            self._output_bytes += _visible_bytes(delta, data)
            self._reading.take_delta(delta)
        if isinstance(step, dict):
            self._output_bytes += len(data)
            self._reading.take_step(step)
        self._reading.take_event(found)
        self.done = self._reading.ended


class _Reading:
    """What one reply told so far."""

    def __init__(self) -> None:
        self.anomalies: list[str] = []
        self.ended = False
        self._usage: Mapping[str, Any] | None = None
        self._model: str | None = None
        self._by_agent = False
        self._tier: str | None = None
        self._status: str | None = None
        self._failed = False
        self._calls: dict[str, int] = {}
        self._queries = 0

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take in an event, but for the step or the piece of one that it may carry."""
        metadata = event.get("metadata")
        so_far = metadata.get("total_usage") if isinstance(metadata, dict) else None
        for told in (event.get("usage"), so_far):
            if isinstance(told, dict) and not self.ended:
                self._usage = told
        if isinstance(interaction := event.get("interaction"), dict):
            self.take_interaction(interaction)
        if "error" in event or event.get("event_type") == "error":
            self._failed = True

    def take_interaction(self, interaction: Mapping[str, Any]) -> None:
        """Take in a whole reply, or the part of one that an event repeats."""
        self._status = ending(interaction.get("status"))
        self.ended = self._status is not None and self._status not in _WAITING
        self._failed = self._failed or self._status == "failed"
        self._by_agent = self._by_agent or interaction.get("agent") is not None
        self._model = _bare(read_model(interaction.get("model"))) or self._model
        self._tier = named_tier(interaction.get("service_tier")) or self._tier
        if isinstance(usage := interaction.get("usage"), dict):
            self._usage = usage
        if isinstance(steps := interaction.get("steps"), list) and steps:
            self._calls, self._queries = {}, 0
            for step in objects(steps):
                self.take_step(step)

    def take_step(self, step: Mapping[str, Any]) -> None:
        kind = step.get("type")
        tool = kind.removesuffix(_CALL) if isinstance(kind, str) else ""
        if tool != kind and tool in _FEES:
            self._calls[tool] = self._calls.get(tool, 0) + 1
        self.take_delta(step)

    def take_delta(self, delta: Mapping[str, Any]) -> None:
        """Take in what a step, or a piece of one, says that is searched for."""
        arguments = delta.get("arguments")
        queries = arguments.get("queries") if isinstance(arguments, dict) else None
        if delta.get("type") == _SEARCH + _CALL and isinstance(queries, list):
            self._queries += sum(isinstance(query, str) and query != "" for query in queries)

    def metered(self, *, whole: bool, output_bytes: int) -> Metered:
        """What was told. What a whole reply leaves out comes later only if it waits for it."""
        usage = self._usage
        waiting = self._status in _WAITING
        model = None if self._by_agent else self._model
        counts = Counts(self.anomalies)
        units = _units(usage, counts) if usage is not None else None
        fees = self._fees(usage or {}, counts, model or "")
        told = {**(units or {}), **fees}
        return Metered(
            lines=(UsageLine(told),) if told else (),
            final=units is not None and (self.ended or (whole and not waiting)),
            pending=whole and waiting,
            model=model,
            price_context={"service_tier": self._tier} if self._tier else {},
            service_tier=self._tier,
            finish_reason=self._status if self.ended else None,
            failed=self._failed,
            usage_raw=numbers_only(usage) if usage is not None else None,
            anomalies=tuple(self.anomalies),
            output_bytes=output_bytes,
        )

    def _fees(self, usage: Mapping[str, Any], counts: Counts, model: str) -> dict[str, int]:
        """What is billed beside tokens."""
        shown = {_FEES[tool]: count for tool, count in self._calls.items()}
        searches = _FEES[_SEARCH]
        shown[searches] = max(shown.get(searches, 0), self._queries)
        counted: dict[str, int] = {}
        for entry in objects(usage.get("grounding_tool_count")):
            kind = entry.get("type")
            unit = _FEES.get(kind, _OTHER_FEE) if isinstance(kind, str) else _OTHER_FEE
            counted[unit] = counted.get(unit, 0) + (counts.read(entry, "count") or 0)
        used = {unit: max(shown.get(unit, 0), counted.get(unit, 0)) for unit in shown | counted}
        used[searches] = billed_searches(model, used[searches])
        return {unit: count for unit, count in used.items() if count}


def _units(usage: Mapping[str, Any], counts: Counts) -> dict[str, int] | None:
    """The counters by unit, or None where those that everything rests on cannot be read."""
    units = input_units(usage, counts, _SPELT)
    if units is None:
        return None
    thoughts = counts.read(usage, "total_thought_tokens") or 0
    total = counts.read(usage, "total_tokens")
    shown = counts.read(usage, "total_output_tokens")
    read = units["input_tokens"]
    if shown is None:
        if total != read + thoughts:
            counts.anomalies.append("usage lacks total_output_tokens")
            return None
        shown = 0
    included = thoughts <= shown and total == read + shown
    output = shown if included else shown + thoughts
    if total is not None and total != read + output:
        counts.anomalies.append(f"total_tokens {total} is not the sum {read + output}")
    units["output_tokens"] = output
    if thoughts:
        units["output_reasoning_tokens"] = thoughts
    parts = by_modality(usage, counts, ("output_tokens_by_modality",), _SPELT.tokens, shown)
    units.update({f"output_{name}_tokens": count for name, count in parts.items()})
    return units


def _bare(model: str | None) -> str | None:
    return None if model is None else model.removeprefix("models/") or None


def _visible_bytes(delta: Mapping[str, Any], data: bytes) -> int:
    """A bound of the tokens of a piece: all of its bytes where it is more than text."""
    text = delta.get("text")
    if isinstance(text, str) and delta.keys() <= {"type", "text"}:
        return len(text.encode())
    return len(data)
