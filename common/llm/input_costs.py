"""What the input of a call costs: with the model that was used, and with the one asked for.

The list price of an input is known for any model, so of a call that went to another one only the
output has to be guessed. Units, context and time are those of the call: only the model differs, and
what the other one would have read from its cache is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.core.money import Nanos
from common.llm.costs import Cost
from common.llm.metered import Metered, UsageLine
from common.llm.price_book import Card, PriceBook

_INPUT = ("input_", "cache_")
"""How the names of units begin that a request's content is counted in."""


@dataclass(frozen=True, slots=True)
class InputCosts:
    """The input of one call, in nano-USD. `card_asked` is `provider/model` of the price list."""

    card_asked: str
    used: Nanos
    asked: Nanos


def input_costs(
    cost: Cost,
    metered: Metered,
    *,
    asked: str | None,
    sent: str | None,
    book: PriceBook,
    provider: str,
    at: datetime,
) -> InputCosts | None:
    """None where the cost of the call is not known, or one of the models has no price for it.

    Args:
        cost: of the call.
        metered: what the reply told.
        asked: the model that the client asked for.
        sent: the model that the provider was asked for.
        book: that the cost was found in.
        provider: whose list applies.
        at: when the call was received.
    """
    used_card = book.card(provider, metered.model or sent or "")
    asked_card = book.card(provider, asked or "")
    told_nothing = cost.nanos is None or cost.source in {None, "free"}
    if told_nothing or used_card is None or asked_card is None:
        return None
    lines = metered.lines if metered.final else (UsageLine(cost.units),)

    def nanos(card: Card) -> Nanos | None:
        context = metered.price_context
        return book.price(_inputs(lines, card, book, provider), at, context).nanos

    used = nanos(used_card)
    # A name that the client chose itself may stand for several models: the reply tells which.
    told = used if asked == sent else nanos(asked_card)
    if used is None or told is None:
        return None
    return InputCosts(asked_card.key, used, told)


def _inputs(
    lines: Sequence[UsageLine], card: Card, book: PriceBook, provider: str
) -> list[tuple[Card | None, Mapping[str, int]]]:
    return [
        (
            book.card(provider, line.model) if line.model else card,
            {unit: n for unit, n in line.units.items() if unit.startswith(_INPUT)},
        )
        for line in lines
    ]
