"""Which models exist, read from genai-prices' own list so that every answer can be priced.

A model that genai-prices does not match is unknown here. Aliases answer under the name of their
snapshot, as the real APIs do, where the snapshot is public knowledge.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice

Vendor = Literal[
    "openai",
    "anthropic",
    "gemini",
    # The same three, and others, by endpoints in OpenAI's format.
    "anthropic-chat",
    "gemini-chat",
    "vertex-chat",
    "azure",
    "compatible",
    "deepseek",
    "groq",
    "mistral",
    "ollama",
    "openrouter",
    "vllm",
    "xai",
]
LISTS: dict[Vendor, str | None] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "anthropic-chat": "anthropic",
    "gemini-chat": "google",
    "vertex-chat": "google",
    "azure": "azure",
    "compatible": "openai",
    "deepseek": "deepseek",
    "groq": "groq",
    "mistral": "mistral",
    "ollama": None,
    "openrouter": "openrouter",
    "vllm": None,
    "xai": "x-ai",
}
"""What genai-prices calls the vendor; None serves any model and bills nothing."""

SNAPSHOTS: dict[str, dict[str, str]] = {
    # https://platform.openai.com/docs/models and the model names in the openai package.
    "openai": {
        "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
        "gpt-4": "gpt-4-0613",
        "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
        "gpt-4.1": "gpt-4.1-2025-04-14",
        "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
        "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
        "gpt-4o": "gpt-4o-2024-08-06",
        "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
        "gpt-5": "gpt-5-2025-08-07",
        "gpt-5-mini": "gpt-5-mini-2025-08-07",
        "gpt-5-nano": "gpt-5-nano-2025-08-07",
        "gpt-5.1": "gpt-5.1-2025-11-13",
        "o1": "o1-2024-12-17",
        "o3": "o3-2025-04-16",
        "o3-mini": "o3-mini-2025-01-31",
        "o4-mini": "o4-mini-2025-04-16",
    },
    # https://platform.claude.com/docs/en/about-claude/models/overview
    "anthropic": {
        "claude-haiku-4-5": "claude-haiku-4-5-20251001",
        "claude-opus-4-0": "claude-opus-4-20250514",
        "claude-opus-4-1": "claude-opus-4-1-20250805",
        "claude-opus-4-5": "claude-opus-4-5-20251101",
        "claude-sonnet-4-0": "claude-sonnet-4-20250514",
        "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    },
}
"""By the name of the price list."""

_NO_CHAT = re.compile(
    r"embed|whisper|tts|image|realtime|transcri|moderation|live|instruct|davinci|babbage|^ada|curie"
)
_REASONING: dict[str | None, re.Pattern[str]] = {
    "openai": re.compile(r"^o\d|^gpt-(5|6)(?!.*chat)"),
    "azure": re.compile(r"^o\d|^gpt-(5|6)(?!.*chat)"),
    "google": re.compile(r"^gemini-(2\.5|[3-9])"),
    "deepseek": re.compile(r".*reasoner"),
    "groq": re.compile(r".*gpt-oss"),
    "openrouter": re.compile(r"^openai/(o\d|gpt-5)"),
    "x-ai": re.compile(r"^grok-(3-mini|4)(?!.*non-reasoning)"),
}
"""By the name of the price list; models of others do not reason."""
_NEVER = re.compile(r"(?!)")
_OLD_CLAUDE = re.compile(r"^claude-(v?[12]\b|3)")
_NO_GEO = re.compile(r"^claude-(v?[123]\b|(opus|sonnet)-4-[01]|(opus|sonnet)-4-2025|[a-z]+-4-5)")


@dataclass(frozen=True, slots=True)
class Model:
    """What the simulation has to know of a model to answer as it would."""

    asked: str
    name: str
    window: int | None
    chats: bool
    reasons: bool
    writes_cache: bool
    tiers: frozenset[str]
    fast: bool
    old: bool
    geo: str


@lru_cache(maxsize=1024)
def find_model(vendor: Vendor, name: str) -> Model | None:
    """The model of that name, or None if the vendor's price list has none."""
    if not name or name != name.strip():
        return None
    prices = LISTS[vendor]
    if prices is None:
        return _unlisted(name)
    try:
        _, info = get_snapshot().find_provider_model(name, None, prices, None)
    except LookupError:
        return None
    variants = [variant.when for variant in info.price_variants or ()]
    return Model(
        asked=name,
        name=SNAPSHOTS.get(prices, {}).get(name, name),
        window=info.context_window,
        chats=not _NO_CHAT.search(name),
        reasons=_REASONING.get(prices, _NEVER).match(name) is not None,
        writes_cache=_prices_cache_writes(info),
        tiers=frozenset(when["service_tier"] for when in variants if "service_tier" in when),
        fast={"speed": "fast"} in variants,
        old=_OLD_CLAUDE.match(name) is not None,
        geo="not_available" if _NO_GEO.match(name) else "global",
    )


def _unlisted(name: str) -> Model:
    """A model that somebody runs on machines of his own."""
    return Model(
        asked=name,
        name=name,
        window=None,
        chats=True,
        reasons=False,
        writes_cache=False,
        tiers=frozenset(),
        fast=False,
        old=False,
        geo="not_available",
    )


def _prices_cache_writes(info: ModelInfo) -> bool:
    prices = info.prices
    cards = [prices] if isinstance(prices, ModelPrice) else [entry.prices for entry in prices]
    return any(card.__dict__.get("cache_write_mtok") is not None for card in cards)


@lru_cache(maxsize=16)
def model_names(vendor: Vendor) -> tuple[str, ...]:
    """Names of the price list that are themselves names of models, in its order."""
    providers = [entry for entry in get_snapshot().providers if entry.id == LISTS[vendor]]
    return tuple(
        model.id
        for provider in providers
        for model in provider.models
        if find_model(vendor, model.id) is not None
    )
