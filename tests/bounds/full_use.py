"""Requests for every priced model, and the most that a provider could make of each.

A provider that uses up what it is allowed to: input as long as the request can make it, every token
of it the dearest kind the request triggers, output at the cap, tools used as often as they may be,
at the dearest tier and region that it may name. It shares no code with the bounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from common.llm.paths import FormName
from common.llm.price_book import Card, bundled_book
from tests.bounds.asking import as_sent

MOMENTS = (
    datetime(2026, 11, 20, 12, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
    datetime(2026, 9, 1, 0, 30, tzinfo=UTC),
)
GEO = {"inference_geo": "us"}


@dataclass(slots=True)
class Planned:
    """One request, and what may happen to it."""

    form: FormName
    card: Card
    at: datetime
    request: dict[str, Any]
    cap: int | None = None
    replies: int = 1
    hidden_input: int = 64
    beyond_bytes: bool = False
    inferences: int = 1
    predicted: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    heard: bool = False
    contexts: list[dict[str, str]] = field(default_factory=lambda: [{}])

    @property
    def model(self) -> str:
        return self.card.model

    def usages(self) -> Iterator[dict[str, int]]:
        """Final usages, each with its input of another kind."""
        window = self.card.context_window
        size = len(as_sent(self.request)) + self.hidden_input
        if self.beyond_bytes or self.inferences > 1:
            assert window is not None
            size = window * self.inferences
        size = size if window is None else min(size, window * self.inferences)
        longest = self.card.caps.max_output or window
        cap = self.cap if self.cap is not None else longest
        assert cap is not None
        output = cap * self.replies * self.inferences + self.predicted
        whole = {"input_tokens": size, "output_tokens": output, **self.fees}
        yield whole
        yield {**whole, "cache_read_tokens": size}
        for unit in self.written:
            yield {**whole, "cache_write_tokens": size, unit: size}
        if self.heard:
            yield {**whole, "input_audio_tokens": size}
            yield {**whole, "input_audio_tokens": size, "cache_read_tokens": 0}

    def endings(self) -> Iterator[datetime]:
        """When it may be priced: as it comes, or with a price that begins before it ends."""
        yield self.at
        yield self.at + timedelta(minutes=59)


def planned(random: Random, each: int) -> Iterator[Planned]:
    """Some requests for every model that can be priced and bounded."""
    makers = {
        "openai": (_chat, _response),
        "anthropic": (_message,),
        "google": (_content, _interaction),
    }
    for provider, forms in makers.items():
        for card in bundled_book().iter_cards(provider):
            rates = {rate.unit for rate in card.rates(MOMENTS[0], {})}
            known = card.caps.max_output or card.context_window
            found = bundled_book().card(provider, card.model)
            if found is not card or not {"input_tokens", "output_tokens"} <= rates or not known:
                continue
            if card.caps.runs_tools:
                continue
            for _ in range(each):
                for make in forms:
                    yield make(random, card, rates)


def _text(random: Random) -> str:
    return "x" * random.choice((1, 100, 5_000, 200_000, 1_200_000))


def _cap(random: Random, card: Card) -> int | None:
    top = card.caps.max_output or card.context_window or 1
    return random.choice((None, 1, 100, top, random.randint(1, top)))


def _tiers(card: Card) -> list[str]:
    return [
        variant.when["service_tier"]
        for variant in card.terms.variants
        if "service_tier" in variant.when
    ]


def _openai_tier(random: Random, plan: Planned) -> None:
    """Asks for a tier, or leaves it to the project's settings."""
    listed = _tiers(plan.card)
    asked = random.choice([None, "auto", "default", *listed])
    if asked is not None:
        plan.request["service_tier"] = asked
    cheaper = {"default": ["default"], "flex": ["flex", "default"]}
    named = cheaper.get(str(asked), listed)
    plan.contexts = [{}, *({"service_tier": tier} for tier in named)]


def _chat(random: Random, card: Card, rates: set[str]) -> Planned:
    request: dict[str, Any] = {"model": card.model}
    plan = Planned("openai_chat", card, random.choice(MOMENTS), request)
    content: object = _text(random)
    plan.cap = _cap(random, card)
    if plan.cap is not None:
        request[random.choice(("max_tokens", "max_completion_tokens"))] = plan.cap
    if random.random() < 0.3:
        plan.replies = request["n"] = random.randint(1, 5)
    if random.random() < 0.2:
        predicted = _text(random)
        request["prediction"] = {"type": "content", "content": predicted}
        plan.predicted = len(predicted) * plan.replies
    if random.random() < 0.3 and card.context_window:
        content = [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]
        plan.beyond_bytes = True
        plan.heard = "input_audio_tokens" in rates
    request["messages"] = [{"role": "user", "content": content}]
    plan.written = ("cache_write_tokens",) if "cache_write_tokens" in rates else ()
    _openai_tier(random, plan)
    return plan


def _response(random: Random, card: Card, rates: set[str]) -> Planned:
    request: dict[str, Any] = {"model": card.model, "input": _text(random)}
    plan = Planned("openai_responses", card, random.choice(MOMENTS), request)
    plan.cap = _cap(random, card)
    if plan.cap is not None:
        request["max_output_tokens"] = plan.cap
    if random.random() < 0.4 and card.context_window and "web_searches" in rates:
        uses = random.randint(1, 4)
        request.update(tools=[{"type": "web_search"}], max_tool_calls=uses)
        plan.inferences, plan.fees = uses + 1, {"web_searches": uses}
        plan.beyond_bytes = True
    elif random.random() < 0.3:
        request["tools"] = [{"type": "function", "name": "f", "parameters": {}}]
        plan.hidden_input = 256
    if random.random() < 0.2 and card.context_window:
        request["previous_response_id"] = "resp_1"
        plan.beyond_bytes = True
    plan.written = ("cache_write_tokens",) if "cache_write_tokens" in rates else ()
    _openai_tier(random, plan)
    return plan


def _message(random: Random, card: Card, rates: set[str]) -> Planned:
    block: dict[str, Any] = {"type": "text", "text": _text(random)}
    request: dict[str, Any] = {"model": card.model}
    plan = Planned("anthropic_messages", card, random.choice(MOMENTS), request)
    plan.cap = _cap(random, card)
    if plan.cap is not None:
        request["max_tokens"] = plan.cap
    life = random.choice((None, "5m", "1h")) if "cache_write_tokens" in rates else None
    if life is not None:
        mark = {"type": "ephemeral", "ttl": life}
        random.choice((block, request))["cache_control"] = mark
        plan.written = ("cache_write_5m_tokens",)
        if life == "1h":
            plan.written += ("cache_write_1h_tokens",)
    if random.random() < 0.4 and "web_searches" in rates:
        uses = random.randint(1, 4)
        request["tools"] = [{"type": "web_search_20250305", "name": "s", "max_uses": uses}]
        plan.inferences, plan.fees = uses + 1, {"web_searches": uses}
        plan.hidden_input = 2048
        plan.beyond_bytes = True
    elif random.random() < 0.5:
        request["tools"] = [{"name": "f", "input_schema": {"type": "object"}}]
        plan.hidden_input = 2048
    regions = [{}, GEO] if 0 not in _without(card) else [{}]
    if random.random() < 0.3:
        request["inference_geo"] = "global"
        regions = [{}]
    speeds: list[dict[str, str]] = [{}]
    if any("speed" in variant.when for variant in card.terms.variants) and random.random() < 0.5:
        request["speed"] = "fast"
        speeds.append({"speed": "fast"})
    plan.contexts = [{**region, **speed} for region in regions for speed in speeds]
    request["messages"] = [{"role": "user", "content": [block]}]
    return plan


def _without(card: Card) -> tuple[int, ...]:
    return () if card.terms.multipliers else (0,)


def _content(random: Random, card: Card, rates: set[str]) -> Planned:
    config: dict[str, Any] = {}
    request: dict[str, Any] = {"generationConfig": config}
    plan = Planned("gemini_content", card, random.choice(MOMENTS), request)
    part: Mapping[str, Any] = {"text": _text(random)}
    pictures = not {"output_image_tokens", "output_video_tokens"}.isdisjoint(rates)
    cap = _cap(random, card)
    if cap is not None:
        config["maxOutputTokens"] = cap
    plan.cap = None if pictures else cap
    if random.random() < 0.3:
        plan.replies = config["candidateCount"] = random.randint(1, 4)
    if random.random() < 0.3 and card.context_window:
        part = {"inlineData": {"mimeType": "audio/wav", "data": "AA"}}
        plan.beyond_bytes = True
        plan.heard = "input_audio_tokens" in rates and "cache_audio_read_tokens" not in rates
    tier = random.choice([None, *_tiers(card)])
    if tier is not None:
        request["serviceTier"] = tier
        plan.contexts = [{}, {"service_tier": tier}]
    request["contents"] = [{"role": "user", "parts": [part]}]
    return plan


def _interaction(random: Random, card: Card, rates: set[str]) -> Planned:
    config: dict[str, Any] = {}
    request: dict[str, Any] = {"model": card.model, "generation_config": config}
    plan = Planned("gemini_interactions", card, random.choice(MOMENTS), request)
    given: list[Mapping[str, Any]] = [{"type": "text", "text": _text(random)}]
    pictures = not {"output_image_tokens", "output_video_tokens"}.isdisjoint(rates)
    cap = _cap(random, card)
    if cap is not None:
        config["max_output_tokens"] = cap
    plan.cap = None if pictures else cap
    stored = random.choice((None, None, "previous_interaction_id", "continuation_token"))
    if stored is not None and card.context_window:
        request[stored] = "v1_1"
        plan.beyond_bytes = True
    if random.random() < 0.3 and card.context_window:
        given.append({"type": "audio", "data": "AA", "mime_type": "audio/wav"})
        plan.beyond_bytes = True
        plan.heard = "input_audio_tokens" in rates and "cache_audio_read_tokens" not in rates
    tier = random.choice([None, *_tiers(card)])
    if tier is not None:
        request["service_tier"] = tier
        plan.contexts = [{}, {"service_tier": tier}]
    request["input"] = (
        given if random.random() < 0.5 else [{"type": "user_input", "content": given}]
    )
    return plan
