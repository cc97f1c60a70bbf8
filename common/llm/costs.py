"""What a call cost, from what its reply told.

A final usage is priced as it is. Without one the cost is estimated upwards: a token is at least one
byte, some output is hidden, and a provider goes on generating for a moment after it was left, so
the estimate is the known (or bounded) input, a bound of the output seen, and an allowance for what
was not seen. What cannot be priced has no cost and a reason; it is never 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.core.events import CostSource
from common.core.money import Nanos
from common.llm.facts import CallFacts
from common.llm.metered import Metered, UsageLine
from common.llm.price_book import Card, PriceBook

INPUT_ALLOWANCE_TOKENS = 64
"""What a provider adds to a prompt (roles, separators): recorded calls stay below."""

UNSEEN_OUTPUT_TOKENS = 1024
"""What a provider may generate, and bill, out of sight: reasoning, or after the client has left."""

_STANDARD_TIERS = frozenset({"default", "standard", "auto"})


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one call in nano-USD; None always has a `reason`.

    `source` is None where nothing was told that a cost could rest on, or it comes later.
    """

    nanos: Nanos | None
    reason: str | None
    priced_nanos: Nanos
    source: CostSource | None
    units: Mapping[str, int]
    card: str | None = None


FREE = Cost(nanos=0, reason=None, priced_nanos=0, source="free", units={})


def cost_of(
    metered: Metered,
    facts: CallFacts,
    *,
    book: PriceBook,
    provider: str,
    at: datetime,
) -> Cost:
    """Price a call that was sent.

    Args:
        metered: what the reply told.
        facts: what the request said.
        book: the price book, captured when the call was admitted.
        provider: whose list applies.
        at: when the call was received; selects dated prices.
    """
    if (facts.asynchronous or metered.pending) and not metered.final:
        return Cost(None, "asynchronous", 0, None, {})
    if metered.untold:
        return Cost(None, "usage_missing", 0, None, {})
    model = metered.model or facts.model
    card = book.card(provider, model) if model else None
    lines = metered.lines if metered.final else (_estimate(metered, facts),)
    if card is not None and not _tier_is_known(card, metered.service_tier):
        reason = f"unknown_tier:{metered.service_tier}"
        return Cost(None, reason, 0, _source(metered), metered.units, card.key)
    priced = book.price(_cards(lines, card, book, provider), at, metered.price_context)
    return Cost(
        nanos=priced.nanos,
        reason=priced.reason,
        priced_nanos=priced.priced_nanos,
        source=_source(metered),
        units=metered.units if metered.final else dict(lines[0].units),
        card=card.key if card is not None else None,
    )


def _cards(
    lines: Sequence[UsageLine], card: Card | None, book: PriceBook, provider: str
) -> list[tuple[Card | None, Mapping[str, int]]]:
    return [(book.card(provider, line.model) if line.model else card, line.units) for line in lines]


def _source(metered: Metered) -> CostSource:
    return "provider" if metered.final else "estimated"


def _tier_is_known(card: Card, tier: str | None) -> bool:
    """Whether the card has prices for the service tier that the reply names."""
    return tier is None or tier in _STANDARD_TIERS or card.has_variant("service_tier", tier)


def _estimate(metered: Metered, facts: CallFacts) -> UsageLine:
    known = metered.units
    told = known.get("input_tokens")
    units = {unit: count for unit, count in known.items() if unit != "output_tokens"}
    units["input_tokens"] = told if told is not None else facts.size_bytes + INPUT_ALLOWANCE_TOKENS
    output = metered.output_bytes + UNSEEN_OUTPUT_TOKENS
    if facts.output_cap is not None:
        output = min(output, facts.output_cap * facts.candidates)
    units["output_tokens"] = max(output, known.get("output_tokens", 0))
    units.pop("output_reasoning_tokens", None)
    return UsageLine(units)
