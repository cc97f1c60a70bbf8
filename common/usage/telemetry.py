"""What is measured of a call, from its event alone.

A pure mapping: sums of what it says over any events equal what rollups and the warehouse say of
them. A figure that nobody told is absent, never 0; only what a provider reported counts as tokens,
and only a call whose whole cost is known has one. Nothing here holds text of a prompt or an answer.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from common.core import metrics
from common.core.events import UsageEvent
from common.core.metrics import Instrument, Measurement

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "chat.completions": "chat",
        "messages": "chat",
        "responses": "chat",
        "responses.compact": "chat",
        "completions": "text_completion",
        "embeddings": "embeddings",
        "generate": "generate_content",
        "interactions": "generate_content",
        "images.generations": "generate_image",
        "images.edits": "generate_image",
        "images.variations": "generate_image",
        "audio.speech": "speech",
        "audio.transcriptions": "transcription",
        "audio.translations": "transcription",
    }
)
"""Endpoints by which a model is asked, and what the conventions call that. They have no names for
pictures and recordings."""

_OF_TEXT = ("chat", "generate_content", "text_completion")
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS"})
"""How providers say that an answer was cut at the most tokens allowed."""

_MODALITIES = ("audio", "image", "video")
_TOKENS: tuple[tuple[str, str, Instrument], ...] = (
    ("input_tokens", "input", metrics.USED_INPUT),
    ("output_tokens", "output", metrics.USED_OUTPUT),
    ("cache_read_tokens", "cache_read", metrics.USED_CACHE_READ),
    ("cache_write_tokens", "cache_write", metrics.USED_CACHE_WRITE),
    ("output_reasoning_tokens", "reasoning", metrics.USED_REASONING),
)


def measurements_of(event: UsageEvent) -> list[Measurement]:
    """All that is measured of a call."""
    return [
        Measurement(metrics.SERVICE_REQUESTS, 1, {"outcome": outcome_of(event)}),
        *_of_operation(event),
        *_of_cost(event),
        *_of_answer(event),
        *_of_edits(event),
    ]


def operation_of(event: UsageEvent) -> str | None:
    """What a model was asked for; None where no model was, or nothing was sent."""
    return OPERATIONS.get(event.endpoint) if event.attempts else None


def outcome_of(event: UsageEvent) -> str:
    """How a call ended; `degraded` is answered, and something was given up for it."""
    if event.outcome == "ok" and is_edited(event):
        return "degraded"
    return event.outcome


def is_edited(event: UsageEvent) -> bool:
    """Whether a brownout changed what the provider was asked."""
    return any(edit.outcome == "applied" for edit in event.edits)


def model_of(event: UsageEvent) -> str | None:
    """The model as reports name it: the billed one, else the asked one.

    A name that neither an answer nor the price list knows may be whatever a caller made up.
    """
    if event.model_billed is not None:
        return event.model_billed
    return event.model_asked if _is_real(event) or event.model_asked is None else metrics.OTHER


def requested_model(event: UsageEvent) -> str | None:
    """The model that the provider was asked for, with the same care."""
    return event.model_sent if _is_real(event) or event.model_sent is None else metrics.OTHER


def convention_attributes(event: UsageEvent, operation: str) -> dict[str, str]:
    """What the conventions want of each call to a model."""
    told = {
        metrics.OPERATION: operation,
        metrics.GEN_AI_PROVIDER: _name_of_provider(event.provider),
        metrics.REQUEST_MODEL: requested_model(event),
    }
    return {name: value for name, value in told.items() if value is not None}


def _is_real(event: UsageEvent) -> bool:
    return event.card is not None or event.outcome == "ok"


def _name_of_provider(provider: str | None) -> str | None:
    return provider if provider is None else metrics.PROVIDER_NAMES.get(provider, provider)


def _of_operation(event: UsageEvent) -> Iterator[Measurement]:
    operation = operation_of(event)
    if operation is None:
        return
    attributes = convention_attributes(event, operation)
    failed = {} if event.error_code is None else {metrics.ERROR_TYPE: event.error_code}
    sent_s = event.gateway_ms / 1000
    yield Measurement(
        metrics.OPERATION_DURATION, max(0.0, event.duration_s - sent_s), attributes | failed
    )
    if event.streamed and event.first_chunk_s is not None:
        yield Measurement(
            metrics.TIME_TO_FIRST_CHUNK,
            max(0.0, event.first_chunk_s - sent_s),
            attributes | failed,
        )
    if event.cost_source != "provider":
        return
    of_custom = _attributes(event)
    for unit, kind, instrument in _TOKENS:
        if (tokens := event.units.get(unit)) is None:
            continue
        yield Measurement(metrics.TOKENS_USED, tokens, of_custom | {"type": kind})
        for modality, part in _by_modality(event.units, unit, tokens):
            yield Measurement(instrument, part, attributes | {metrics.MODALITY: modality})


def _by_modality(units: Mapping[str, int], unit: str, tokens: int) -> Iterator[tuple[str, int]]:
    """A count of tokens in parts that add up to it; `unknown` where nobody told them apart."""
    side = unit.removesuffix("_tokens")
    told = {
        modality: units[name]
        for modality in _MODALITIES
        if units.get(name := f"{side}_{modality}_tokens")
    }
    if not told or sum(told.values()) > tokens:
        yield "unknown", tokens
        return
    yield from told.items()
    if rest := tokens - sum(told.values()):
        yield "text", rest


def _of_cost(event: UsageEvent) -> Iterator[Measurement]:
    attributes = _attributes(event)
    of_caller = attributes | _given(team=event.team) | {"mode": event.mode}
    if event.cost_nanos is None:
        reason = (event.cost_reason or "unknown").partition(":")[0]
        yield Measurement(metrics.CALLS_UNPRICED, 1, attributes | {"reason": reason})
    elif event.cost_source != "free":
        yield Measurement(metrics.COST_PER_REQUEST, event.cost_nanos, of_caller)
    if event.priced_nanos:
        told = of_caller | _given(agent=event.agent, price_source=event.cost_source)
        yield Measurement(metrics.COST_TOTAL, event.priced_nanos, told)


def _of_answer(event: UsageEvent) -> Iterator[Measurement]:
    operation = operation_of(event)
    if operation is None or event.outcome != "ok":
        return
    attributes = _attributes(event)
    yield Measurement(
        metrics.RESPONSE_DURATION, event.duration_s, attributes | {"mode": event.mode}
    )
    if operation not in _OF_TEXT:
        return
    of_arm = attributes | {"arm": event.arm or "none"}
    if event.finish_reason in _CUT:
        yield Measurement(metrics.RESPONSE_TRUNCATED, 1, of_arm)
    if event.cost_source == "provider" and event.units.get("output_tokens") == 0:
        yield Measurement(metrics.RESPONSE_EMPTY, 1, of_arm)


def _of_edits(event: UsageEvent) -> Iterator[Measurement]:
    provider = _given(provider=event.provider)
    for edit in event.edits:
        told = {"action": edit.name, "mode": event.mode, "outcome": edit.outcome}
        yield Measurement(metrics.BROWNOUT_ACTIONS, 1, provider | told)


def _attributes(event: UsageEvent) -> dict[str, str]:
    return _given(provider=event.provider, model=model_of(event))


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
