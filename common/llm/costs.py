"""What a call cost, from what its reply told.

A final usage is priced as it is. Without one the cost is estimated upwards. What cannot be priced
has no cost and a reason; it is never 0.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from common.core.events import CostSource
from common.core.money import Nanos
from common.llm.estimates import estimate
from common.llm.facts import CallFacts
from common.llm.metered import Metered, UsageLine
from common.llm.price_book import Card, PriceBook, Priced

MOST_NANOS = 2**63 - 1
"""What a column of the warehouse holds: nine billion dollars."""

_STANDARD_TIERS = frozenset({"default", "standard", "auto", "on_demand"})  # the last is Groq's


class Cost(NamedTuple):
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
    nothing = _nothing_told(metered, facts)
    if nothing is not None:
        return Cost(None, nothing, 0, None, {})
    model = metered.model or facts.model
    card = book.card(provider, model) if model else None
    if not facts.bounded and not metered.final:
        return _unbounded(metered, facts, card, book=book, provider=provider, at=at)
    if card is not None and not tier_is_known(card, metered.service_tier):
        reason = f"unknown_tier:{metered.service_tier}"
        return Cost(None, reason, 0, _source(metered), metered.units, card.key)
    priced = book.price(_cards(metered.lines, card, book, provider), at, metered.price_context)
    units = metered.units
    if not metered.final:
        told = priced.priced_nanos
        found = estimate(metered, facts, card, book=book, provider=provider, at=at)
        units = found.line.units
        priced = book.price([(card, units)], at, metered.price_context)
        if priced.nanos is not None:
            nanos = found.settle(told, priced.nanos)
            priced = Priced(nanos, None, nanos)
    if priced.priced_nanos > MOST_NANOS:
        reason = f"invalid_usage:{max(units, key=units.__getitem__)}"
        return Cost(None, reason, 0, _source(metered), metered.units, card.key if card else None)
    return Cost(
        nanos=priced.nanos,
        reason=priced.reason,
        priced_nanos=priced.priced_nanos,
        source=_source(metered),
        units=units,
        card=card.key if card is not None else None,
    )


def _nothing_told(metered: Metered, facts: CallFacts) -> str | None:
    """Why a reply has nothing that a cost could rest on; None where it has."""
    if facts.unmetered is not None:
        return "unmetered_endpoint"
    if (facts.asynchronous or metered.pending) and not metered.final:
        return "asynchronous"
    return "usage_missing" if metered.untold else None


def _unbounded(
    metered: Metered,
    facts: CallFacts,
    card: Card | None,
    *,
    book: PriceBook,
    provider: str,
    at: datetime,
) -> Cost:
    """What was told before the end, or the length of a text where the model is billed by it."""
    key = card.key if card is not None else None
    units = {} if facts.characters is None else {"input_characters": facts.characters}
    priced = book.price([(card, units)], at, {})
    if units and priced.reason is None:
        return Cost(priced.nanos, None, priced.priced_nanos, "estimated", units, key)
    told = book.price(_cards(metered.lines, card, book, provider), at, metered.price_context)
    reason = "usage_missing" if card is not None else "unknown_model"
    source: CostSource | None = "estimated" if metered.lines else None
    return Cost(None, reason, min(told.priced_nanos, MOST_NANOS), source, metered.units, key)


def _cards(
    lines: Sequence[UsageLine], card: Card | None, book: PriceBook, provider: str
) -> list[tuple[Card | None, Mapping[str, int]]]:
    return [(book.card(provider, model) if model else card, units) for units, model in lines]


def _source(metered: Metered) -> CostSource:
    return "provider" if metered.final else "estimated"


def tier_is_known(card: Card, tier: str | None) -> bool:
    """Whether the card has prices for the service tier that the reply names."""
    return tier is None or tier in _STANDARD_TIERS or card.has_variant("service_tier", tier)
