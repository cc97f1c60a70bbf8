"""Google's counters of what goes into a model, in the spelling of either of its APIs.

Sources: Gemini API reference, "Generating content", "Embeddings" and "Interactions" (`Usage`);
Gemini API pricing, "Grounding with Google Search".

- The prompt includes what was cached; what tools bring in is input on top of it.
- Details by modality need not add up to the counts: they only say which part is no text.
- Searches are billed beside the tokens: since Gemini 3 by the query, before it by the prompt.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.llm.metered import Counts

_PARTS = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}
"""Modalities with rates of their own. Pages of documents are billed as images."""

_BILLED_BY_PROMPT = re.compile(r"gemini-[12]\b")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How an API names its counters; `tokens` is the count within a modality's details."""

    prompt: str
    tool_use: str
    cached: str
    details: tuple[str, ...]
    cached_details: str
    tokens: str


def input_units(usage: Mapping[str, Any], counts: Counts, spelt: Spelling) -> dict[str, int] | None:
    """The units of input, or None where the count that everything rests on cannot be read."""
    prompt = counts.read(usage, spelt.prompt)
    if prompt is None:
        counts.anomalies.append(f"usage lacks {spelt.prompt}")
        return None
    total = prompt + (counts.read(usage, spelt.tool_use) or 0)
    units = {"input_tokens": total}
    cached = counts.read(usage, spelt.cached) or 0
    if cached > prompt:
        counts.anomalies.append(f"{spelt.cached} {cached} is more than the whole {prompt}")
        cached = 0
    if cached:
        units["cache_read_tokens"] = cached
    parts = by_modality(usage, counts, spelt.details, spelt.tokens, total)
    units.update({f"input_{name}_tokens": count for name, count in parts.items()})
    if cached:
        in_cache = by_modality(usage, counts, (spelt.cached_details,), spelt.tokens, cached)
        # A list that prices cached audio asks how much there is, also where there is none.
        for name in parts if spelt.cached_details in usage else in_cache:
            units[f"cache_{name}_read_tokens"] = min(in_cache.get(name, 0), parts.get(name, 0))
    return units


def by_modality(
    usage: Mapping[str, Any], counts: Counts, lists: tuple[str, ...], tokens: str, whole: int
) -> dict[str, int]:
    """The tokens that are no text, by what they are; none where they exceed the whole."""
    parts: dict[str, int] = {}
    for name in lists:
        details = usage.get(name)
        for entry in details if isinstance(details, list) else ():
            modality = entry.get("modality") if isinstance(entry, dict) else None
            part = _PARTS.get(modality.upper()) if isinstance(modality, str) else None
            if part is not None and (count := counts.read(entry, tokens)):
                parts[part] = parts.get(part, 0) + count
    if sum(parts.values()) > whole:
        counts.anomalies.append(f"{lists[0]} add up to more than the whole {whole}")
        return {}
    return parts


def billed_searches(model: str, queries: int) -> int:
    """How many searches a model's price list bills for so many queries."""
    return min(1, queries) if _BILLED_BY_PROMPT.match(model) else queries


def named_tier(value: object) -> str | None:
    """A service tier as price lists spell it; None where none is named."""
    named = value.lower() if isinstance(value, str) else ""
    return named if named and not named.endswith("unspecified") else None
