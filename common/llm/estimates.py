"""What a call cost that told no final usage, estimated upwards.

Input is what the provider told, else its bound. Output is a bound of what was seen, and an
allowance for what was not: reasoning, and what a provider generates after it was left. Where tools
ran, input told so far is not the whole. The estimate is never below the part that was told, and
never above the bound of the call.
"""

from dataclasses import dataclass
from datetime import datetime

from common.core.money import Nanos
from common.llm.bounds import Bound, bound, situation_of
from common.llm.facts import INPUT_ALLOWANCE_TOKENS, BoundFacts, CallFacts
from common.llm.metered import Metered, UsageLine
from common.llm.price_book import Card, PriceBook
from common.llm.price_ceilings import ceiling_of

UNSEEN_OUTPUT_TOKENS = 1024
"""What a provider may generate, and bill, out of sight: reasoning, or after the client has left."""

_NO_VALUE: frozenset[str] = frozenset()
_USUAL = (("service_tier", _NO_VALUE), ("speed", _NO_VALUE), ("inference_geo", _NO_VALUE))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The usage counted with, what it may cost where its rates are not told, and the bound."""

    line: UsageLine
    dearest: Nanos
    at_most: Nanos | None

    def settle(self, told: Nanos, priced: Nanos) -> Nanos:
        """The cost, of what was told and what the estimated usage costs at plain rates."""
        cost = max(priced, self.dearest)
        return max(told, cost if self.at_most is None else min(cost, self.at_most))


def estimate(
    metered: Metered,
    facts: CallFacts,
    card: Card | None,
    *,
    book: PriceBook,
    provider: str,
    at: datetime,
) -> Estimate:
    """The estimate of a call. `card` is that of the model the reply names, else of the one asked.

    The other arguments are those of `cost_of`.
    """
    asks = facts.bound or BoundFacts()
    limit = bound(facts, book=book, provider=provider, at=at)
    known = metered.units
    runs_tools = asks.tool_calls > 0 or asks.open_tool is not None
    is_told = "input_tokens" in known and not runs_tools
    units = {unit: count for unit, count in known.items() if unit != "output_tokens"}
    if not is_told:
        most = facts.size_bytes + (asks.allowance if facts.bound else INPUT_ALLOWANCE_TOKENS)
        most = limit.input_tokens if isinstance(limit, Bound) else most
        units["input_tokens"] = max(most, known.get("input_tokens", 0))
        if asks.tool_calls:
            units.update({unit: max(n, known.get(unit, 0)) for unit, n in asks.fees})
    units["output_tokens"] = max(
        _output(metered, facts, asks, limit if isinstance(limit, Bound) else None),
        known.get("output_tokens", 0),
    )
    units.pop("output_reasoning_tokens", None)
    line = UsageLine(units)
    dearest = 0 if is_told or card is None else _dearest(line, metered, card, asks, at)
    return Estimate(line, dearest, limit.nanos if isinstance(limit, Bound) else None)


def _output(metered: Metered, facts: CallFacts, asks: BoundFacts, limit: Bound | None) -> int:
    output = metered.output_bytes + UNSEEN_OUTPUT_TOKENS + asks.most_candidates * asks.more_output
    if limit is not None:
        return min(output, limit.output_tokens)
    if facts.output_cap is not None:
        return min(output, facts.output_cap * facts.candidates)
    return output


def _dearest(
    line: UsageLine, metered: Metered, card: Card, asks: BoundFacts, at: datetime
) -> Nanos:
    """Its cost where all input that is not told is the dearest kind it can be.

    A tier that is not told is the usual one, unless the request's own size says little anyway.
    """
    outside = asks.beyond_bytes is not None or asks.tool_calls > 0
    contexts = dict(asks.contexts if outside else _USUAL)
    contexts.update({name: frozenset({told}) for name, told in metered.price_context.items()})
    situation = situation_of(asks, tuple(contexts.items()))
    units = dict(line.units)
    fees = {unit: count for unit, count in units.items() if unit in dict(asks.fees)}
    counts = units["input_tokens"], units["output_tokens"]
    nanos, unpriced = ceiling_of(card, at, situation).nanos(*counts, fees)
    return 0 if unpriced is not None or card.terms.free else nanos
