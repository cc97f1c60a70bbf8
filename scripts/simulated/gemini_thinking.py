"""What each family of Gemini takes of thinking and length, and how it refuses the rest.

By Google's guides "Thinking" at ai.google.dev/gemini-api and docs.cloud.google.com (budgets and
levels by model) and by published refusals for their words. Gemini 2.5 takes a budget, Gemini 3 a
level: a budget there is documented to be refused now and then, and is refused always here. The
project's own tables have no part in it, so that the two cannot share a mistake.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scripts.simulated.models import Model
from scripts.simulated.refusals import Refusal

RESOLUTIONS = tuple(f"MEDIA_RESOLUTION_{name}" for name in ("UNSPECIFIED", "LOW", "MEDIUM", "HIGH"))
TIERS = ("unspecified", "flex", "standard", "priority")
_THOUGHTS = {"MINIMAL": 8, "LOW": 64, "MEDIUM": 128, "HIGH": 256}
"""The most tokens thought at each level."""
_USUAL_BUDGET = 8_192
_AUTOMATIC = -1
_ENUMS = "type.googleapis.com/google.ai.generativelanguage.v1beta"
_ALL = tuple(_THOUGHTS)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one family takes. `usual` is the level of a request without one; None thinks not."""

    most_tokens: int
    budgets: tuple[int, int] | None = None
    stops: bool = False
    levels: tuple[str, ...] = ()
    usual: str | None = None


_FAMILIES: tuple[tuple[re.Pattern[str], Abilities], ...] = tuple(
    (re.compile(f"gem{pattern}"), abilities)
    for pattern, abilities in (
        (r"ini-2\.5-pro", Abilities(65_536, (128, 32_768), usual="HIGH")),
        (r"ini-2\.5-flash-lite", Abilities(65_536, (512, 24_576), stops=True)),
        (r"ini-2\.5-flash", Abilities(65_536, (1, 24_576), stops=True, usual="HIGH")),
        (r"ini-3-pro", Abilities(65_536, levels=("LOW", "HIGH"), usual="HIGH")),
        (r"ini-3\.1-pro", Abilities(65_536, levels=_ALL[1:], usual="HIGH")),
        (r"ini-3(\.\d)?-flash-lite", Abilities(65_536, levels=_ALL, usual="MINIMAL")),
        (r"ini-3\.[78]-flash", Abilities(65_536, levels=_ALL[1:], usual="MEDIUM")),
        (r"ini-3\.[56]-flash", Abilities(65_536, levels=_ALL, usual="MEDIUM")),
        ("ini-[3-9]", Abilities(65_536, levels=_ALL, usual="HIGH")),
        ("ini-(pro|flash|flash-lite)-latest", Abilities(65_536, levels=_ALL)),
        ("ma-4", Abilities(32_768, levels=("MINIMAL", "HIGH"))),
    )
)
_OLD = Abilities(8_192)


@dataclass(frozen=True, slots=True)
class Thinking:
    """How many tokens a request lets the model think; 0 is not at all."""

    most_tokens: Fraction

    def tokens(self, share: Fraction) -> int:
        """What is thought of it."""
        return math.ceil(self.most_tokens * share)


def abilities_of(model: Model) -> Abilities:
    """What the model takes."""
    for pattern, abilities in _FAMILIES:
        if pattern.match(model.asked):
            return abilities
    return _OLD


def thinking_of(config: Mapping[str, Any], model: Model) -> Thinking:
    """How the model thinks, by the members of a thinking configuration.

    Raises:
        Refusal: it does not think in the way that is asked for.
    """
    can = abilities_of(model)
    budget, level = config.get("thinkingBudget"), _level(config.get("thinkingLevel"))
    if budget is not None and level is not None:
        raise _invalid("You can only set only one of thinking budget and thinking level.")
    if budget is not None:
        return _within(budget, can)
    if level is not None:
        if not can.levels:
            raise _invalid("Thinking level is not supported for this model.")
        if level not in can.levels:
            raise _invalid(f"Thinking level {level} is not supported for this model.")
    thinks = can.usual is not None and model.reasons
    return Thinking(Fraction(_THOUGHTS[level or can.usual or "MINIMAL"] if thinks else 0))


def check_config(config: Mapping[str, Any], model: Model) -> None:
    """Refuse an answer that is longer than the model's, or a resolution that nobody knows.

    Raises:
        Refusal: it is asked for.
    """
    most = abilities_of(model).most_tokens
    cap = config.get("maxOutputTokens")
    if cap is not None and cap > most:
        raise _invalid(
            f"Unable to submit request because it has a maxOutputTokens value of {cap} but the "
            f"supported range is from 1 (inclusive) to {most + 1} (exclusive). Update the value "
            "and try again."
        )
    _check_word(
        "generation_config.media_resolution",
        "GenerationConfig.MediaResolution",
        config.get("mediaResolution"),
        RESOLUTIONS,
    )


def check_tier(body: Mapping[str, Any]) -> None:
    """Refuse a tier that nobody knows.

    Raises:
        Refusal: it is asked for.
    """
    tier = body.get("serviceTier")
    if not isinstance(tier, str | None) or (tier or "standard").lower() not in TIERS:
        _check_word("service_tier", "ServiceTier", tier, TIERS)


def _level(given: Any) -> str | None:
    if given is None:
        return None
    level = given.upper() if isinstance(given, str) else given
    _check_word(
        "generation_config.thinking_config.thinking_level",
        "ThinkingConfig.ThinkingLevel",
        level,
        (*_ALL, "XHIGH", "THINKING_LEVEL_UNSPECIFIED"),
    )
    return None if level == "THINKING_LEVEL_UNSPECIFIED" else str(level)


def _within(budget: Any, can: Abilities) -> Thinking:
    if type(budget) is not int:
        raise _invalid(
            "Invalid value at 'generation_config.thinking_config.thinking_budget' (TYPE_INT32), "
            f"{budget!r}"
        )
    if can.budgets is None:
        raise _invalid("Thinking budget is not supported for this model.")
    least, most = can.budgets
    if budget == _AUTOMATIC:
        return Thinking(Fraction(_THOUGHTS["HIGH"]))
    if budget == 0 and not can.stops:
        raise _invalid("Budget 0 is invalid. This model only works in thinking mode.")
    if budget != 0 and not least <= budget <= most:
        raise _invalid(
            f"The thinking budget {budget} is invalid. Please choose a value between {least} and "
            f"{most}."
        )
    return Thinking(Fraction(_THOUGHTS["HIGH"] * budget, _USUAL_BUDGET))


def _check_word(where: str, enum: str, given: Any, known: tuple[str, ...]) -> None:
    if given is not None and given not in known:
        raise _invalid(f"Invalid value at '{where}' ({_ENUMS}.{enum}), \"{given}\"")


def _invalid(message: str) -> Refusal:
    return Refusal(400, message)
