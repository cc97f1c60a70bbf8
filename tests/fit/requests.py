"""Requests that providers accept, written as differently as clients write them.

Each knows what its output cap may become: it shares no code with the edits.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from common.budgets.fit import Asked
from common.core.money import Nanos
from common.llm.bounds import Bound, Unbounded, bound
from common.llm.capabilities import ModelCaps
from common.llm.edits import Recipient
from common.llm.facts import CallFacts
from common.llm.forms import FORMS
from common.llm.paths import Endpoint, FormName, ProtocolName
from common.llm.price_book import bundled_book
from scripts.simulated import (
    anthropic_requests,
    gemini_requests,
    interactions_requests,
    openai_completions,
    openai_requests,
    responses_requests,
)
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.replies import Exchange
from scripts.simulated.vendors import Call

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROVIDERS: Mapping[ProtocolName, tuple[str, str]] = {
    "openai": ("openai", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "gemini": ("gemini", "google"),
}
"""Upstream and price list."""

ENDPOINTS: Mapping[FormName, Endpoint] = {
    "openai_chat": Endpoint(
        "openai", "chat.completions", "POST", "/v1/chat/completions", "openai_chat"
    ),
    "openai_responses": Endpoint(
        "openai", "responses", "POST", "/v1/responses", "openai_responses"
    ),
    "openai_completions": Endpoint(
        "openai", "completions", "POST", "/v1/completions", "openai_completions"
    ),
    "anthropic_messages": Endpoint(
        "anthropic", "messages", "POST", "/v1/messages", "anthropic_messages"
    ),
    "gemini_content": Endpoint(
        "gemini", "generate", "POST", "/v1beta/models/m:generateContent", "gemini_content"
    ),
    "gemini_content_stream": Endpoint(
        "gemini",
        "generate",
        "POST",
        "/v1beta/models/m:streamGenerateContent",
        "gemini_content_stream",
    ),
    "gemini_interactions": Endpoint(
        "gemini", "interactions", "POST", "/v1beta/interactions", "gemini_interactions"
    ),
}
COMPACT = Endpoint(
    "openai", "responses.compact", "POST", "/v1/responses/compact", "openai_responses"
)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CLAUDE_TOOL = {"name": "look", "input_schema": {"type": "object"}}
GEMINI_TOOL = {"functionDeclarations": [{"name": "look"}]}
SCHEMA = {"name": "s", "schema": {"type": "object"}}
THINKING_CAP = 2048


def recipient_of(form: FormName, model: str, *, upstream: str | None = None) -> Recipient:
    endpoint = ENDPOINTS[form]
    own, provider = PROVIDERS[endpoint.protocol]
    card = bundled_book().card(provider, model)
    caps = card.caps if card is not None else ModelCaps()
    if upstream is None:
        return Recipient(endpoint, own, model, caps, provider)
    billed = "google" if upstream == "vertex" else upstream
    return Recipient(endpoint, upstream, model, caps, billed)


def bound_of(protocol: ProtocolName) -> Callable[[CallFacts], Bound | Unbounded]:
    provider = PROVIDERS[protocol][1]
    return lambda facts: bound(facts, book=bundled_book(), provider=provider, at=AT)


def bound_of_body(recipient: Recipient, body: bytes) -> Bound | Unbounded:
    form = recipient.endpoint.form
    assert form is not None
    facts = replace(FORMS[form].read_facts(body), model=recipient.model)
    return bound_of(recipient.endpoint.protocol)(facts)


def asked_of(form: FormName, model: str, body: bytes) -> Asked:
    recipient = recipient_of(form, model)
    facts = replace(FORMS[form].read_facts(body), model=model)
    found = bound_of(recipient.endpoint.protocol)(facts)
    assert isinstance(found, Bound), found
    return Asked(body, facts, found, recipient)


def check_accepted(form: FormName, model: str, body: bytes) -> None:
    """The simulated provider's checks.

    Raises:
        Refusal: the provider would not take the request.
    """
    parsed = json.loads(body)
    if form == "openai_chat":
        openai_requests.parse(parsed)
    elif form == "openai_responses":
        responses_requests.parse(parsed)
    elif form == "anthropic_messages":
        anthropic_requests.parse(parsed)
    elif form == "openai_completions":
        exchange = Exchange("req_1", "cmpl_1", "1", AT)
        call = Call("openai", "POST", "/v1/completions", {}, exchange)
        openai_completions.answer(call, body, Behaviour(output_tokens=1))
    elif form == "gemini_interactions":
        interactions_requests.parse(parsed, ())
    else:
        gemini_requests.parse(model, parsed, stream=form == "gemini_content_stream")


@dataclass(slots=True)
class Generated:
    """One request. `least` is what its cap must not go below, None where it must not change.

    `cap` is the path to its cap, `current` the tokens there, None where there is none.
    """

    form: FormName
    model: str
    request: dict[str, Any]
    cap: tuple[str, ...]
    current: int | None = None
    least: int | None = 256
    auto_tier: bool = False
    style: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return json.dumps(self.request, **self.style).encode()

    def with_cap(self, tokens: int) -> bytes:
        """As a caller would write it who allows so many tokens."""
        request = json.loads(self.body)
        inside = request
        for name in self.cap[:-1]:
            inside[name] = inside.get(name) or {}
            inside = inside[name]
        inside[self.cap[-1]] = tokens
        return json.dumps(request, **self.style).encode()


def generated(random: Random, form: FormName) -> Generated:
    """A request that its provider accepts."""
    made = _MAKERS[form](random, form)
    members = list(made.request.items())
    random.shuffle(members)
    made.request = dict(members)
    made.style = {
        "separators": random.choice(((",", ":"), (", ", ": "), (" ,\n", " :\t"))),
        "ensure_ascii": random.random() < 0.5,
        "indent": random.choice((None, None, 2)),
    }
    return made


def room_for(random: Random, whole: Nanos) -> Nanos:
    """Some room, often near what a call needs."""
    return random.choice(
        (0, 1, whole - 1, whole, whole + 1, random.randint(0, whole), whole // 2, whole // 10)
    )


def _text(random: Random) -> str:
    said = random.choice(("Hi", "Grüße aus 東京 \U0001f30d", 'say "max_tokens": 7 }', "json {}"))
    return said + "x" * random.choice((0, 10, 3_000, 20_000))


def _cap(random: Random, made: Generated, most: int, *, may_lack: bool = True) -> None:
    """A cap, or, where there may be none, its absence or a null."""
    if may_lack and random.random() < 0.3:
        if random.random() < 0.4:
            _put(made, None)
        return
    made.current = random.choice((16, 300, 2_000, 5_000, most))
    _put(made, made.current)


def _put(made: Generated, value: object) -> None:
    inside = made.request
    for name in made.cap[:-1]:
        inside = inside.setdefault(name, {})
    inside[made.cap[-1]] = value


def _chat(random: Random, form: FormName) -> Generated:
    model = random.choice(("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5.1", "o3", "gpt-4.1"))
    thinks = model in ("gpt-5", "gpt-5.1", "o3")
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": _text(random) + " json"}],
    }
    made = Generated(form, model, request, ("max_completion_tokens",))
    if not thinks and random.random() < 0.3:
        made.cap = ("max_tokens",)
        _cap(random, made, 16_384, may_lack=False)
    else:
        _cap(random, made, 16_384)
    if thinks:
        made.least = THINKING_CAP
    if model == "gpt-5.1" and random.random() < 0.5:
        request["reasoning_effort"] = "none"
        made.least = 256
    if random.random() < 0.3:
        request["n"] = random.randint(1, 4)
    _spoil(random, made, _CHAT_HAZARDS)
    _tier(random, made)
    return made


def _response(random: Random, form: FormName) -> Generated:
    model = random.choice(("gpt-5", "gpt-4.1", "gpt-4o"))
    request: dict[str, Any] = {"model": model, "input": _text(random) + " json"}
    made = Generated(form, model, request, ("max_output_tokens",))
    made.least = THINKING_CAP if model == "gpt-5" else 256
    _cap(random, made, 16_384)
    _spoil(random, made, _RESPONSE_HAZARDS)
    _tier(random, made)
    return made


def _completion(random: Random, form: FormName) -> Generated:
    model = "gpt-3.5-turbo-instruct"
    made = Generated(form, model, {"model": model, "prompt": _text(random)}, ("max_tokens",))
    _cap(random, made, 4_000)
    if made.current is None:
        made.least = None
    return made


def _message(random: Random, form: FormName) -> Generated:
    model = random.choice(("claude-sonnet-4-5", "claude-opus-4-6", "claude-haiku-4-5"))
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": _text(random)}],
    }
    made = Generated(form, model, request, ("max_tokens",))
    _cap(random, made, 32_000, may_lack=False)
    assert made.current is not None
    thought = "adaptive" if model == "claude-opus-4-6" else "enabled"
    kind = random.choice((None, None, "enabled", thought, "disabled"))
    if kind == "enabled" and made.current > 1_024:
        budget = random.choice((1_024, made.current - 1, random.randint(1_024, made.current - 1)))
        request["thinking"] = {"type": "enabled", "budget_tokens": budget}
        made.least = budget + 256
    elif kind in ("adaptive", "disabled"):
        request["thinking"] = {"type": kind}
        made.least = 1_025 if kind == "adaptive" else 256
    if kind in (None, "disabled"):
        _spoil(random, made, _MESSAGE_HAZARDS)
    return made


def _content(random: Random, form: FormName) -> Generated:
    model = random.choice(("gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash"))
    camel = random.random() < 0.5
    config, cap = (
        ("generationConfig", "maxOutputTokens")
        if camel
        else ("generation_config", "max_output_tokens")
    )
    request: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": _text(random)}]}]}
    made = Generated(form, model, request, (config, cap))
    _cap(random, made, 8_000)
    inside: dict[str, Any] = {}
    made.least = 256 if model == "gemini-2.0-flash" else THINKING_CAP
    budget = random.choice((None, None, 0 if model == "gemini-2.5-flash" else -1, -1, 4_000))
    if budget is not None and model != "gemini-2.0-flash":
        inside["thinkingConfig"] = {"thinkingBudget": budget}
        made.least = {0: 256, -1: THINKING_CAP, 4_000: 4_256}[budget]
    hazard = random.choice((None, None, None, "json", "any"))
    if hazard == "json":
        inside["responseMimeType"] = "application/json"
    elif hazard == "any":
        request["tools"] = [GEMINI_TOOL]
        request["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
    if hazard is not None:
        made.least = None
    if inside:
        request[config] = {**request.get(config, {}), **inside}
    elif config not in request and random.random() < 0.5:
        request[config] = random.choice((None, {}))
    if config not in request:
        made.cap = _CAMEL
    return made


def _interaction(random: Random, form: FormName) -> Generated:
    model = random.choice(("gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash"))
    request: dict[str, Any] = {"model": model, "input": _text(random)}
    made = Generated(form, model, request, ("generation_config", "max_output_tokens"))
    made.least = 256 if model == "gemini-2.0-flash" else THINKING_CAP
    _cap(random, made, 8_000)
    if random.random() < 0.3:
        request.setdefault("generation_config", {})["temperature"] = 1
    elif "generation_config" not in request and random.random() < 0.5:
        request["generation_config"] = random.choice((None, {}))
    if random.random() < 0.25:
        made.least = None
        hazard = random.choice(("json", "any"))
        if hazard == "json":
            request["response_format"] = {"type": "text", "mime_type": "application/json"}
        else:
            request["tools"] = [{"type": "function", "name": "look"}]
            request["generation_config"] = {
                **(request.get("generation_config") or {}),
                "tool_choice": "any",
            }
    return made


_CAMEL = ("generationConfig", "maxOutputTokens")
_CHAT_HAZARDS: tuple[dict[str, Any], ...] = (
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look"}}},
)
_RESPONSE_HAZARDS: tuple[dict[str, Any], ...] = (
    {"text": {"format": {"type": "json_object"}}},
    {"text": {"format": {"type": "json_schema", **SCHEMA}}},
    {"tools": [{"type": "function", "name": "look"}], "tool_choice": "required"},
)
_MESSAGE_HAZARDS: tuple[dict[str, Any], ...] = (
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool", "name": "look"}},
    {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
)


def _spoil(random: Random, made: Generated, hazards: tuple[dict[str, Any], ...]) -> None:
    """Sometimes what must not be cut."""
    if random.random() < 0.25:
        made.request.update(random.choice(hazards))
        made.least = None


def _tier(random: Random, made: Generated) -> None:
    asked = random.choice(("absent", None, "auto", "default", "priority"))
    if asked != "absent":
        made.request["service_tier"] = asked
    made.auto_tier = asked in ("absent", None, "auto")


_MAKERS: Mapping[FormName, Callable[[Random, FormName], Generated]] = {
    "openai_chat": _chat,
    "openai_responses": _response,
    "openai_completions": _completion,
    "anthropic_messages": _message,
    "gemini_content": _content,
    "gemini_content_stream": _content,
    "gemini_interactions": _interaction,
}
FORMS_WITH_CAP = tuple(_MAKERS)
