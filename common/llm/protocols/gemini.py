"""Gemini generateContent and embeddings: facts, usage.

Sources: Gemini API reference, "Generating content", "Embeddings", "Counting tokens"; Gemini API
pricing, "Grounding with Google Search".

- `promptTokenCount` includes `cachedContentTokenCount`; `toolUsePromptTokenCount` is input on top.
  `candidatesTokenCount` excludes `thoughtsTokenCount`: both are output, and a reply of thoughts
  alone has no candidates' count.
- Every chunk of a stream carries a whole usage, and counts may fall: the last one is taken whole.
  On Vertex AI chunks before the end tell the kind of traffic alone, which is no usage.

The model and whether a reply streams stand in the path, so they are not in the facts of a body.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from common.llm.facts import CallFacts, parse_object, parse_request, read_cap, read_model
from common.llm.json_pieces import ArraySplitter
from common.llm.metered import Counts, Metered, UsageLine, ending, numbers_only, unreadable
from common.llm.prompt_prefixes import read_prefix
from common.llm.protocols import gemini_bounds
from common.llm.protocols.gemini_usage import (
    Spelling,
    billed_searches,
    by_modality,
    input_units,
    named_tier,
)
from common.llm.sse import EventSplitter, event_data

CHUNK_LIMIT_BYTES = 4 * 1024 * 1024
"""A generated image is one chunk, as base64."""

_SPELT = Spelling(
    prompt="promptTokenCount",
    tool_use="toolUsePromptTokenCount",
    cached="cachedContentTokenCount",
    # The reference spells the details of embeddings in the singular.
    details=("promptTokensDetails", "promptTokenDetails", "toolUsePromptTokensDetails"),
    cached_details="cacheTokensDetails",
    tokens="tokenCount",
)
_ON_DEMAND = "on_demand_"
_TRAFFIC_ALONE = {"trafficType"}
_AMBIGUOUS = object()


def read_facts(body: bytes) -> CallFacts:
    """Facts of a generateContent request, whose members have names in either JSON spelling."""
    parsed = parse_request(body)
    if parsed is None:
        return CallFacts(readable=False, size_bytes=len(body))
    config = _either(parsed, "generationConfig", "generation_config")
    config = config if isinstance(config, dict) else {}
    candidates = _either(config, "candidateCount", "candidate_count")
    count = 1 if candidates is None else read_cap(candidates)
    # Zero is how an absent number is spelt.
    cap = read_cap(_either(config, "maxOutputTokens", "max_output_tokens")) or None
    return CallFacts(
        readable=True,
        output_cap=cap if count else None,
        candidates=count or 1,
        size_bytes=len(body),
        bound=gemini_bounds.read_content(parsed, config),
        prefix=read_prefix(parsed),
    )


def read_embedding_facts(body: bytes) -> CallFacts:
    parsed = parse_request(body)
    return CallFacts(
        readable=parsed is not None,
        output_cap=0,
        size_bytes=len(body),
        bound=gemini_bounds.read_embeddings(parsed) if parsed is not None else None,
    )


def read_reply(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    reading = _Reading()
    reading.take(parsed, len(body))
    # Whatever a whole reply leaves out will not come later.
    return reading.metered(final=reading.usage is not None, output_bytes=len(body))


def read_embeddings(body: bytes) -> Metered:
    """Usage of embeddings, where the reply tells any: most models' do not."""
    parsed = parse_object(body)
    if parsed is None:
        return unreadable(body)
    usage = parsed.get("usageMetadata")
    if not isinstance(usage, dict):
        return Metered(untold=True)
    anomalies: list[str] = []
    units = input_units(usage, Counts(anomalies), _SPELT)
    return Metered(
        lines=() if units is None else (UsageLine(units),),
        final=units is not None,
        untold=units is None,
        usage_raw=numbers_only(usage),
        anomalies=tuple(anomalies),
    )


class _Splitter(Protocol):
    overflowed: bool

    def feed(self, data: bytes) -> list[bytes]: ...

    def rest(self) -> bytes: ...


class StreamTap:
    """Reads usage out of a stream while its bytes pass, unchanged.

    The stream is one of server-sent events (`alt=sse`), or else one JSON array in pieces.
    """

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._splitter: _Splitter = (
            EventSplitter(CHUNK_LIMIT_BYTES) if events else ArraySplitter(CHUNK_LIMIT_BYTES)
        )
        self._reading = _Reading()
        self._unread_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take in bytes of the provider and give them out, all of them, now."""
        for piece in self._splitter.feed(data):
            self._look(piece)
        return data

    def finish(self) -> bytes:
        self._look(self._splitter.rest())
        return b""

    def result(self) -> Metered:
        if self._splitter.overflowed:
            self._reading.anomalies.append("a chunk above 4 MiB was not read")
        return self._reading.metered(
            final=self._reading.ended and self._reading.usage is not None,
            output_bytes=self._reading.visible_bytes + self._unread_bytes,
        )

    def _look(self, piece: bytes) -> None:
        data = event_data(piece) if self._events else piece
        chunk = parse_object(data)
        if chunk is None:
            self._unread_bytes += len(data)
        else:
            self._reading.take(chunk, len(data))
            self.done = self._reading.ended


class _Reading:
    """What the chunks of one reply told so far."""

    def __init__(self) -> None:
        self.usage: Mapping[str, Any] | None = None
        self.anomalies: list[str] = []
        self.visible_bytes = 0
        self._model: str | None = None
        self._tier: str | None = None
        self._finish_reason: str | None = None
        self._failed = False
        self._blocked = False
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._queries: set[tuple[int, str]] = set()
        self._maps = False

    @property
    def ended(self) -> bool:
        """Every candidate seen has ended: the API has no other end of a stream."""
        return self._blocked or (bool(self._finished) and self._finished == self._begun)

    def take(self, chunk: Mapping[str, Any], chunk_bytes: int) -> None:
        if isinstance(usage := chunk.get("usageMetadata"), dict):
            self._tier = _tier(usage) or self._tier
            if usage.keys() != _TRAFFIC_ALONE:
                self.usage = usage
        self._model = read_model(chunk.get("modelVersion")) or self._model
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and (reason := feedback.get("blockReason")):
            self._blocked = True
            self._finish_reason = self._finish_reason or ending(reason)
        if "error" in chunk:
            self._failed = True
        candidates = chunk.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            if isinstance(candidate, dict):
                self._take_candidate(candidate, chunk_bytes)

    def _take_candidate(self, candidate: Mapping[str, Any], chunk_bytes: int) -> None:
        index = candidate.get("index")
        index = index if type(index) is int else 0
        self._begun.add(index)
        if reason := candidate.get("finishReason"):
            self._finished.add(index)
            self._finish_reason = self._finish_reason or ending(reason)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            self.visible_bytes += _visible_bytes(part, chunk_bytes)
        grounding = candidate.get("groundingMetadata")
        if isinstance(grounding, dict):
            self._take_grounding(index, grounding)

    def _take_grounding(self, index: int, grounding: Mapping[str, Any]) -> None:
        queries = grounding.get("webSearchQueries")
        for query in queries if isinstance(queries, list) else ():
            if isinstance(query, str) and query:
                self._queries.add((index, query))
        sources = grounding.get("groundingChunks")
        for source in sources if isinstance(sources, list) else ():
            self._maps = self._maps or (isinstance(source, dict) and "maps" in source)

    def metered(self, *, final: bool, output_bytes: int) -> Metered:
        model = self._model.removeprefix("models/") if self._model is not None else None
        units = _units(self.usage, Counts(self.anomalies)) if self.usage is not None else None
        if units is not None:
            units.update(self._fees(model or ""))
        tier = self._tier
        return Metered(
            lines=() if units is None else (UsageLine(units),),
            final=final and units is not None,
            model=model,
            price_context={"service_tier": tier} if tier is not None else {},
            service_tier=tier,
            finish_reason=self._finish_reason,
            failed=self._failed,
            usage_raw=numbers_only(self.usage) if self.usage is not None else None,
            anomalies=tuple(self.anomalies),
            output_bytes=output_bytes,
        )

    def _fees(self, model: str) -> dict[str, int]:
        """What is billed beside tokens. No list has a rate for maps: such a call has no cost."""
        fees = {}
        if self._queries:
            fees["web_searches"] = billed_searches(model, len(self._queries))
        if self._maps:
            fees["map_groundings"] = 1
        return fees


def _units(usage: Mapping[str, Any], counts: Counts) -> dict[str, int] | None:
    """The counters by unit, or None where the one that everything rests on cannot be read."""
    units = input_units(usage, counts, _SPELT)
    if units is None:
        return None
    shown = counts.read(usage, "candidatesTokenCount") or 0
    thoughts = counts.read(usage, "thoughtsTokenCount") or 0
    units["output_tokens"] = shown + thoughts
    if thoughts:
        units["output_reasoning_tokens"] = thoughts
    parts = by_modality(usage, counts, ("candidatesTokensDetails",), _SPELT.tokens, shown)
    units.update({f"output_{name}_tokens": count for name, count in parts.items()})
    return units


def _tier(usage: Mapping[str, Any]) -> str | None:
    """The service tier; on Vertex AI the kind of traffic, of which on demand is the usual one."""
    if (tier := named_tier(usage.get("serviceTier"))) is not None:
        return tier
    traffic = named_tier(usage.get("trafficType"))
    return traffic and traffic.removeprefix(_ON_DEMAND).replace("on_demand", "standard")


def _visible_bytes(part: object, chunk_bytes: int) -> int:
    text = part.get("text") if isinstance(part, dict) else None
    if isinstance(text, str):
        return len(text.encode())
    try:
        return len(orjson.dumps(part))
    except orjson.JSONEncodeError:  # It reads what is nested deeper than it writes.
        return chunk_bytes


def _either(members: Mapping[str, Any], name: str, other: str) -> object:
    """A member by either of its names. With both, who knows which one the provider takes."""
    if name in members and other in members:
        return _AMBIGUOUS
    return members.get(name, members.get(other))
