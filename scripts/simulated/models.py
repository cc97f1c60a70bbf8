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

Vendor = Literal["openai", "anthropic", "gemini"]
LISTS: dict[Vendor, str] = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
"""What genai-prices calls the vendor."""

SNAPSHOTS: dict[Vendor, dict[str, str]] = {
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
    "gemini": {},
}

_NO_CHAT = re.compile(
    r"embedding|whisper|tts|image|realtime|transcri|moderation|live|instruct|davinci|babbage|^ada|curie"
)
_REASONING: dict[Vendor, re.Pattern[str]] = {
    "openai": re.compile(r"^o\d|^gpt-(5|6)(?!.*chat)"),
    "anthropic": re.compile(r"(?!)"),
    "gemini": re.compile(r"^gemini-(2\.5|[3-9])"),
}
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
    try:
        _, info = get_snapshot().find_provider_model(name, None, LISTS[vendor], None)
    except LookupError:
        return None
    variants = [variant.when for variant in info.price_variants or ()]
    return Model(
        asked=name,
        name=SNAPSHOTS[vendor].get(name, name),
        window=info.context_window,
        chats=not _NO_CHAT.search(name),
        reasons=_REASONING[vendor].match(name) is not None,
        writes_cache=_prices_cache_writes(info),
        tiers=frozenset(when["service_tier"] for when in variants if "service_tier" in when),
        fast={"speed": "fast"} in variants,
        old=_OLD_CLAUDE.match(name) is not None,
        geo="not_available" if _NO_GEO.match(name) else "global",
    )


def _prices_cache_writes(info: ModelInfo) -> bool:
    prices = info.prices
    cards = [prices] if isinstance(prices, ModelPrice) else [entry.prices for entry in prices]
    return any(card.__dict__.get("cache_write_mtok") is not None for card in cards)


@lru_cache(maxsize=4)
def model_names(vendor: Vendor) -> tuple[str, ...]:
    """Names of the price list that are themselves names of models, in its order."""
    provider = next(entry for entry in get_snapshot().providers if entry.id == LISTS[vendor])
    return tuple(model.id for model in provider.models if find_model(vendor, model.id) is not None)
