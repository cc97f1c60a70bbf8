"""The `usage` object of chat completions, as OpenAI and those who copied it write it.

Sources: OpenAI API reference, "Chat" (`prompt_tokens` includes cached, written, audio and image
tokens; `completion_tokens` includes reasoning, audio and rejected prediction tokens); DeepSeek,
"Context Caching" (`prompt_cache_hit_tokens`); xAI, "Reasoning" (`completion_tokens` leaves
reasoning out, `total_tokens` has it); Groq, "Streaming" and "Compound" (`x_groq.usage`,
`usage_breakdown`); recorded replies of Gemini's endpoint in this format, whose thoughts stand in
`total_tokens` alone.
"""

from collections.abc import Mapping
from typing import Any

from common.llm.metered import Counts, UsageLine

_PARTS: tuple[tuple[str, str | None, Mapping[str, str]], ...] = (
    (
        "input_tokens",
        "prompt_tokens_details",
        {
            "cached_tokens": "cache_read_tokens",
            "cache_write_tokens": "cache_write_tokens",
            "audio_tokens": "input_audio_tokens",
            "image_tokens": "input_image_tokens",
        },
    ),
    ("input_tokens", None, {"prompt_cache_hit_tokens": "cache_read_tokens"}),
    (
        "output_tokens",
        "completion_tokens_details",
        {"reasoning_tokens": "output_reasoning_tokens", "audio_tokens": "output_audio_tokens"},
    ),
)
"""A unit, the member that tells of its parts (None: `usage` itself), and their names and units."""

_XAI_SOURCES = "num_sources_used"
SEARCH_SOURCES = "search_sources"
"""Pages that xAI's live search read: billed each, and on no price list."""


def usage_of(reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage in a reply or a stream's chunk, wherever it stands; None where there is none."""
    usage = reply.get("usage")
    if isinstance(usage, dict):
        return usage
    groq = reply.get("x_groq")
    usage = groq.get("usage") if isinstance(groq, dict) else None
    return usage if isinstance(usage, dict) else None


def usage_lines(
    reply: Mapping[str, Any], usage: Mapping[str, Any], anomalies: list[str]
) -> tuple[UsageLine, ...] | None:
    """What a reply with this usage says; None where what all rests on cannot be read.

    Several lines where the provider ran several models and their parts add up to the whole.
    """
    whole = _units(usage, anomalies)
    if whole is None:
        return None
    parts = _by_model(reply)
    return parts if parts and _adds_up(parts, whole) else (UsageLine(whole),)


def _by_model(reply: Mapping[str, Any]) -> tuple[UsageLine, ...]:
    """Groq's list of the models that a compound system ran."""
    groq = reply.get("x_groq")
    found = groq.get("usage_breakdown") if isinstance(groq, dict) else None
    found = reply.get("usage_breakdown") or found
    entries = found.get("models") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        return ()
    lines = []
    for entry in entries[:100]:
        model = entry.get("model") if isinstance(entry, dict) else None
        usage = entry.get("usage") if isinstance(model, str) else None
        units = _units(usage, []) if isinstance(usage, dict) else None
        if units is None:
            return ()
        lines.append(UsageLine(units, model))
    return tuple(lines)


def _adds_up(parts: tuple[UsageLine, ...], whole: Mapping[str, int]) -> bool:
    units = ("input_tokens", "output_tokens")
    return all(sum(part.units[unit] for part in parts) == whole[unit] for unit in units)


def _units(usage: Mapping[str, Any], anomalies: list[str]) -> dict[str, int] | None:
    counts = Counts(anomalies)
    prompt = counts.read(usage, "prompt_tokens")
    completion = counts.read(usage, "completion_tokens")
    if prompt is None or completion is None:
        anomalies.append("usage lacks prompt_tokens or completion_tokens")
        return None
    # Whatever the total has beyond both is reasoning that was not counted as completion.
    total = counts.read(usage, "total_tokens") or 0
    units = {"input_tokens": prompt, "output_tokens": max(completion, total - prompt)}
    for whole, within, parts in _PARTS:
        details = usage.get(within) if within else usage
        if not isinstance(details, dict):
            continue
        for name, unit in parts.items():
            if (told := details.get(name)) is None:
                continue
            path = (within, name) if within else (name,)
            if not (count := counts.checked(told, path)) or unit in units:
                continue
            if count > units[whole]:
                anomalies.append(f"{'.'.join(path)} {count} is more than the whole {units[whole]}")
            else:
                units[unit] = count
    if sources := counts.read(usage, _XAI_SOURCES):
        units[SEARCH_SOURCES] = sources
    return units
