"""What a call is likely to cost with one model or another, so that the cheapest can be taken.

A conversation that goes on is likely to use what it used last: so much input, so much of it read
from a cache, so much output. Another model has none of that in its cache, so a switch that loses a
warm cache does not look cheaper than it is. What was used last is kept in memory, for each
conversation that this instance has seen.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from common.core.money import Nanos
from common.gateway.rates import BYTES_PER_TOKEN
from common.llm.facts import CallFacts
from common.llm.metered import Metered
from common.llm.price_book import PriceBook

MOST_REMEMBERED = 5_000
USUAL_OUTPUT_TOKENS = 211
"""Of a first call: the mean answer in the Azure LLM inference trace of 2023 (conversations). Where
a call sets a lower cap, that."""


@dataclass(frozen=True, slots=True)
class Used:
    """What the last call of a conversation used, and with which model."""

    provider: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class ExpectedCosts:
    """What conversations used last. One per process."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, Used] = OrderedDict()

    def remember(self, conversation: str, provider: str, model: str, metered: Metered) -> None:
        """Keep what a call has used, if its provider told."""
        units = metered.units
        if not metered.final or "input_tokens" not in units:
            return
        self._last[conversation] = Used(
            provider,
            model,
            units["input_tokens"],
            units.get("cache_read_tokens", 0) + units.get("cache_write_tokens", 0),
            units.get("output_tokens", 0),
        )
        self._last.move_to_end(conversation)
        if len(self._last) > MOST_REMEMBERED:
            self._last.popitem(last=False)

    def of(
        self,
        conversation: str,
        facts: CallFacts,
        *,
        book: PriceBook,
        provider: str | None,
        model: str,
        at: datetime,
    ) -> Nanos | None:
        """The expected cost of a call with a model, None where the model has no price."""
        card = book.card(provider or "", model)
        if card is None:
            return None
        last = self._last.get(conversation)
        here = facts.size_bytes // BYTES_PER_TOKEN
        output = USUAL_OUTPUT_TOKENS if last is None else last.output_tokens
        if facts.output_cap is not None:
            output = min(output, facts.output_cap)
        units = {
            "input_tokens": max(here, last.input_tokens) if last is not None else here,
            "output_tokens": output * facts.candidates,
        }
        if last is not None and (last.provider, last.model) == (provider, model):
            units["cache_read_tokens"] = min(last.cached_tokens, units["input_tokens"])
        return book.price([(card, units)], at, {}).nanos
