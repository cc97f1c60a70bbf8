"""Every request of the matrix: each kind for each model that the simulated provider knows."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from common.llm.paths import FormName
from scripts.simulated import anthropic_thinking, gemini_thinking, openai_abilities
from scripts.simulated.models import Model, Vendor, find_model, model_names
from tests.edits.openai_kinds import CHAT, RESPONSES, SHORTEST_CHAT, SHORTEST_RESPONSE, Kind
from tests.edits.other_kinds import (
    CONTENT,
    MESSAGES,
    SHORTEST_CONTENT,
    SHORTEST_MESSAGE,
    STREAMED_CONTENT,
)

FORMS: tuple[FormName, ...] = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_content",
    "gemini_content_stream",
)
VENDORS: Mapping[FormName, Vendor] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "gemini_content": "gemini",
    "gemini_content_stream": "gemini",
}
_KINDS: Mapping[FormName, Mapping[str, Kind]] = {
    "openai_chat": CHAT,
    "openai_responses": RESPONSES,
    "anthropic_messages": MESSAGES,
    "gemini_content": CONTENT,
    "gemini_content_stream": STREAMED_CONTENT,
}
_SHORTEST: Mapping[FormName, Mapping[str, Any]] = {
    "openai_chat": SHORTEST_CHAT,
    "openai_responses": SHORTEST_RESPONSE,
    "anthropic_messages": SHORTEST_MESSAGE,
    "gemini_content": SHORTEST_CONTENT,
    "gemini_content_stream": SHORTEST_CONTENT,
}
_PATHS: Mapping[FormName, str] = {
    "openai_chat": "/openai/v1/chat/completions",
    "openai_responses": "/openai/v1/responses",
    "anthropic_messages": "/anthropic/v1/messages",
    "gemini_content": "/gemini/v1beta/models/{model}:generateContent",
    "gemini_content_stream": "/gemini/v1beta/models/{model}:streamGenerateContent",
}
NAMED_IN_PATH = ("gemini_content", "gemini_content_stream")
_OTHER_NAMES: Mapping[Vendor, tuple[str, ...]] = {
    "openai": (
        *("gpt-4o-2024-08-06", "gpt-5-2025-08-07", "gpt-5-chat-latest", "gpt-5-codex"),
        *("gpt-5.1-codex", "gpt-5.1-codex-max", "gpt-5.2-codex", "o3-2025-04-16"),
    ),
    "anthropic": (
        *("claude-sonnet-4-5-20250929", "claude-opus-4-20250514", "claude-3-haiku-20240307"),
        "claude-haiku-4-5-20251001",
    ),
    "gemini": ("gemini-2.5-flash-preview-09-2025", "gemini-flash-latest", "gemini-3-pro"),
}
"""Spellings that the list of names does not have."""

_ALSO: Mapping[Vendor, tuple[str, ...]] = {
    "openai": ("gpt-4o-mini", "gpt-5-mini", "gpt-4o-search-preview"),
    "anthropic": ("claude-opus-4-6", "claude-haiku-4-5"),
    "gemini": ("gemini-2.0-flash", "gemini-2.5-flash-lite"),
}

_KNOWN: Mapping[Vendor, str] = {
    "openai": "",
    "anthropic": "claude-",
    "gemini": "gem(?!ini-robotics)",
}
"""How names begin that the simulated provider serves in these forms, and by rules of theirs."""

_Abilities: TypeAlias = Callable[[Model], object]
_ABILITIES: Mapping[Vendor, _Abilities] = {
    "openai": openai_abilities.abilities_of,
    "anthropic": anthropic_thinking.abilities_of,
    "gemini": gemini_thinking.abilities_of,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as its client sends it."""

    form: FormName
    model: str
    name: str
    kind: Kind
    body: bytes

    @property
    def path(self) -> str:
        return path_of(self.form, self.model)

    def __str__(self) -> str:
        return f"{self.form} {self.model} {self.name}"


@cache
def models(vendor: Vendor) -> tuple[str, ...]:
    """All that chat, by the simulated provider's list."""
    named = (*model_names(vendor), *_OTHER_NAMES[vendor])
    known = ((name, find_model(vendor, name)) for name in named)
    found = [name for name, model in known if model is not None and model.chats]
    return tuple(name for name in found if re.match(_KNOWN[vendor], name))


@cache
def one_of_each_family(vendor: Vendor) -> tuple[str, ...]:
    """One model of all that the simulated provider treats alike, and those that maps lead to."""
    families: dict[object, list[str]] = {}
    for name in models(vendor):
        model = find_model(vendor, name)
        assert model is not None
        families.setdefault((_ABILITIES[vendor](model), model.reasons), []).append(name)
    found = {min(names, key=lambda name: (len(name), name)) for names in families.values()}
    return tuple(sorted(found.union(_ALSO[vendor])))


def requests(form: FormName, names: tuple[str, ...]) -> Iterator[Asked]:
    for model in names:
        for name, kind in _KINDS[form].items():
            yield asked(form, model, name, kind)


def asked(form: FormName, model: str, name: str, kind: Kind) -> Asked:
    named = {} if form in NAMED_IN_PATH else {"model": model}
    body = {**named, **_SHORTEST[form], **kind.members}
    return Asked(form, model, name, kind, json.dumps(body).encode())


def path_of(form: FormName, model: str) -> str:
    return _PATHS[form].format(model=model)
