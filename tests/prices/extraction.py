"""Replies as the price list's own extractor reads them, and as ours do.

The list says for each provider and API flavor where in a reply its counts stand. From that,
replies are made in which every count that it knows may be there or not, each no more than the count
it is part of.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai_prices import data, types
from hypothesis import strategies as st

from common.llm.forms import FORMS
from common.llm.metered import Metered
from common.llm.paths import FormName

_WHOLES = re.compile(r"(prompt|completion|input|output)_tokens|(prompt|candidates)TokenCount")
_SPLIT = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_TOLD_BY_THE_REST = re.compile(r"(^|_)(text|tool)_")
"""Units that are what others leave: no rate of a model that we speak to is for them alone."""


@dataclass(frozen=True, slots=True)
class Flavor:
    """One way in which a provider tells usage, and the form that reads it; None if none does."""

    provider: types.Provider
    extractor: types.UsageExtractor
    form: FormName | None

    def __str__(self) -> str:
        return f"{self.provider.id}/{self.extractor.api_flavor}"

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """Where counts stand; a list of details by modality counts as one step, ``[AUDIO]``."""
        found = [_plain(mapping.path) for mapping in self.extractor.mappings]
        return list(dict.fromkeys(found))

    def theirs(self, reply: Any) -> dict[str, int] | None:
        """Counts beside 0, None where the extractor refuses the reply."""
        try:
            _, usage = self.extractor.extract(reply)
        except ValueError:
            return None
        return {unit: count for unit, count in vars(usage).items() if count}

    def ours(self, reply: Any) -> dict[str, int] | None:
        """Counts beside 0, None where no final usage is read."""
        assert self.form is not None
        return counted(FORMS[self.form].read_reply(json.dumps(reply).encode()))


def counted(metered: Metered) -> dict[str, int] | None:
    return {unit: n for unit, n in metered.units.items() if n} if metered.final else None


def without_the_rest(units: Mapping[str, int]) -> dict[str, int]:
    return {unit: count for unit, count in units.items() if not _TOLD_BY_THE_REST.search(unit)}


def flavors() -> Iterator[Flavor]:
    for provider in data.providers:
        for extractor in provider.extractors or ():
            yield Flavor(provider, extractor, _form_of(extractor))


def flavor(name: str) -> Flavor:
    return next(each for each in flavors() if str(each) == name)


def _form_of(extractor: types.UsageExtractor) -> FormName | None:
    if extractor.root != "usage":
        return "gemini_content" if extractor.root == "usageMetadata" else None
    first = {_plain(mapping.path)[0] for mapping in extractor.mappings}
    if "prompt_tokens" in first:
        return "openai_chat" if "completion_tokens" in first else "openai_embeddings"
    if "cache_read_input_tokens" in first:
        return "anthropic_messages"
    if extractor.api_flavor == "images":
        return "openai_images"
    return "openai_responses" if "input_tokens_details" in first else None


def _plain(path: types.ExtractPath) -> tuple[str, ...]:
    steps = [path] if isinstance(path, str) else path
    return tuple(step if isinstance(step, str) else _modality(step) for step in steps)


def _modality(step: types.ArrayMatch) -> str:
    assert isinstance(step.match, types.ClauseEquals)
    return f"[{step.match.equals}]"


@st.composite
def replies(draw: st.DrawFn, of: Flavor) -> dict[str, Any]:
    """A reply with some of the counts that the flavor knows."""
    required = {_plain(mapping.path) for mapping in of.extractor.mappings if mapping.required}
    some = [path for path in of.paths if path in required or _is_whole(path) or draw(st.booleans())]
    return reply_with(of, {path: draw(st.integers(*_range(path))) for path in some})


def full_reply(of: Flavor) -> dict[str, Any]:
    """A reply with every count that the flavor knows, all different."""
    return reply_with(of, {path: _range(path)[1] - n for n, path in enumerate(of.paths)})


def reply_with(of: Flavor, counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    for path, count in counts.items():
        _put(usage, path, count)
    _make_coherent(usage)
    return {"model": "m", "modelVersion": "m", str(of.extractor.root): usage}


def _is_whole(path: Sequence[str]) -> bool:
    return len(path) == 1 and _WHOLES.fullmatch(path[0]) is not None


def _range(path: Sequence[str]) -> tuple[int, int]:
    """Wholes are larger than all parts together, and cached tokens are fewer than others."""
    if _is_whole(path):
        return 100_000, 1_000_000
    if path[-1] == "tokenCount":
        return (0, 50) if path[0] == "cacheTokensDetails" else (100, 200)
    return (2_000, 4_000) if len(path) == 1 else (0, 100)


def _put(usage: dict[str, Any], path: Sequence[str], count: int) -> None:
    *steps, last = path
    if steps and steps[-1].startswith("["):
        entry = {"modality": steps[-1].strip("[]"), last: count}
        usage.setdefault(steps[0], []).append(entry)
        return
    for step in steps:
        usage = usage.setdefault(step, {})
    usage[last] = count


def _make_coherent(usage: dict[str, Any]) -> None:
    """Take away what contradicts the rest, and say what a reply of its kind always says."""
    split = usage.get("cache_creation")
    if split is not None:
        usage["cache_creation_input_tokens"] = sum(split.get(name, 0) for name in _SPLIT)
    if "image_tokens" in usage.get("input_tokens_details", {}):
        usage.setdefault("output_tokens_details", {"text_tokens": 0})
    for whole, details in (
        ("cachedContentTokenCount", "cacheTokensDetails"),
        ("toolUsePromptTokenCount", "toolUsePromptTokensDetails"),
    ):
        if whole not in usage:
            usage.pop(details, None)
    prompt = {entry["modality"] for entry in usage.get("promptTokensDetails", ())}
    if "cacheTokensDetails" in usage:
        cached = usage["cacheTokensDetails"]
        usage["cacheTokensDetails"] = [each for each in cached if each["modality"] in prompt]
