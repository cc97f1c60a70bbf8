"""What a call may cost at most, before it leaves.

`T_in x r_in + T_out x r_out + uses x fee`, rounded up. A token is at least one byte of the body, a
provider adds no more than a small allowance, and what is not in the body (files, addresses, stored
conversations) fits the model's context window. Output ends at the request's cap, or at the model's
longest. Rates are the dearest that the reply may be billed at. A tool that the provider runs adds
an inference for each of its calls. Pictures take the tokens of a table; recordings, where they are
not sold by tokens, as many seconds as their bytes may hold. What no figure bounds is `Unbounded`,
with the reason: it is never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.core.events import BoundKind
from common.core.money import Nanos
from common.llm.capabilities import ModelCaps
from common.llm.facts import BoundFacts, CallFacts, PicturesAsked
from common.llm.picture_tokens import PictureTokens
from common.llm.price_book import Card, PriceBook
from common.llm.price_ceilings import Ceiling, Situation, ceiling_of


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a call costs, in nano-USD, and the tokens that this counts with."""

    nanos: Nanos
    bound_kind: BoundKind
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Unbounded:
    """No figure bounds the call.

    Reasons: `unpriced_model`, `async_not_bounded` (the cost arrives after the call),
    `unmetered_endpoint:<why>` (no reply tells it),
    `unreadable_request`, `unbounded_request[:<part>]`, `unknown_unit:<unit>`,
    `unknown_tier:<tier>`, `unknown_limit:context_window`, `unknown_limit:max_output`,
    `unknown_limit:picture_tokens`.
    """

    reason: str


def bound(
    facts: CallFacts,
    *,
    book: PriceBook,
    provider: str,
    at: datetime,
    tool_allowance: Nanos | None = None,
) -> Bound | Unbounded:
    """The bound of a call, with the book that will price it.

    Args:
        facts: what the request says, with the model it is sent to.
        book: the price book, captured when the call is admitted.
        provider: whose list applies.
        at: when the call was received, aware.
        tool_allowance: what tools without a limit may cost in one call, as the budget declares.
    """
    if facts.unmetered is not None:
        return Unbounded(f"unmetered_endpoint:{facts.unmetered}")
    cards = book.cards_for(provider, facts.model) if facts.model is not None else ()
    why = _why_none(facts, cards)
    if why is not None or facts.bound is None:
        return Unbounded(why or "unbounded_request")
    found = [_bound_of(card, facts, facts.bound, at, tool_allowance) for card in cards]
    without = next((each for each in found if isinstance(each, Unbounded)), None)
    if without is not None:
        return without
    return max((each for each in found if isinstance(each, Bound)), key=lambda each: each.nanos)


def _why_none(facts: CallFacts, cards: Sequence[Card]) -> str | None:
    """Why the request has no bound whatever the model's limits are."""
    asks = facts.bound
    if not facts.readable:
        return "unreadable_request"
    if facts.asynchronous:
        return "async_not_bounded"
    if asks is None:
        return "unbounded_request"
    if not cards or not all(card.priced for card in cards):
        return "unpriced_model"
    if asks.unbounded is not None:
        return f"unbounded_request:{asks.unbounded}"
    return None if asks.unpriced_unit is None else f"unknown_unit:{asks.unpriced_unit}"


def situation_of(asks: BoundFacts, contexts: tuple[tuple[str, frozenset[str]], ...]) -> Situation:
    """What a request leaves open about its rates, where a reply may name these contexts."""
    return Situation(
        contexts=contexts,
        cache_writes=asks.cache_writes,
        text_input=asks.beyond_bytes is None and not asks.tool_calls and asks.open_tool is None,
        text_output=asks.text_output,
    )


def _bound_of(
    card: Card, facts: CallFacts, asks: BoundFacts, at: datetime, tool_allowance: Nanos | None
) -> Bound | Unbounded:
    tier = asks.service_tier
    if tier is not None and not card.has_variant("service_tier", tier):
        return Unbounded(f"unknown_tier:{tier}")
    open_tool = asks.open_tool or card.caps.runs_tools
    if open_tool is not None and tool_allowance is None:
        return Unbounded(f"unbounded_request:{open_tool}")
    ceiling = ceiling_of(card, at, situation_of(asks, asks.contexts))
    counts = _tokens(facts, asks, card.caps, ceiling)
    if isinstance(counts, Unbounded):
        return counts
    input_tokens, output_tokens = counts
    sold = _sold(card, asks, ceiling)
    nanos, unpriced = ceiling.nanos(input_tokens, output_tokens, {**dict(asks.fees), **sold})
    if card.terms.free:
        nanos = 0
    elif unpriced is not None:
        return Unbounded(f"unknown_unit:{unpriced}")
    if open_tool is not None:
        return Bound(nanos + (tool_allowance or 0), "declared", input_tokens, output_tokens)
    return Bound(nanos, _kind(asks, sold), input_tokens, output_tokens)


def _tokens(
    facts: CallFacts, asks: BoundFacts, caps: ModelCaps, ceiling: Ceiling
) -> tuple[int, int] | Unbounded:
    """The most input and output tokens."""
    if asks.pictures is not None:
        return _picture_tokens(asks.pictures, asks.allowance, caps.pictures)
    if asks.sold_by and not ceiling.sells_tokens:
        return 0, 0
    if asks.parts is not None:
        return Unbounded(f"unbounded_request:{asks.parts}")
    input_tokens = _input(facts, asks, caps)
    output_tokens = _output(facts, asks, caps, pictures=ceiling.pictures)
    if input_tokens is None or output_tokens is None:
        lacking = "context_window" if input_tokens is None else "max_output"
        return Unbounded(f"unknown_limit:{lacking}")
    return input_tokens, output_tokens


def _picture_tokens(
    asked: PicturesAsked, allowance: int, table: PictureTokens | None
) -> tuple[int, int] | Unbounded:
    if table is None:
        return Unbounded("unknown_limit:picture_tokens")
    output = table.output(asked)
    if isinstance(output, str):
        return Unbounded(f"unbounded_request:{output}")
    return table.input(asked, allowance), output


def _sold(card: Card, asks: BoundFacts, ceiling: Ceiling) -> dict[str, int]:
    """What is billed of a recording or a text that is not sold by tokens, or not by these alone."""
    least = card.terms.minimum
    return {
        unit: max(count, least.at_least) if least is not None and unit in least.units else count
        for unit, count in asks.sold_by
        if unit in ceiling.beside or not ceiling.sells_tokens
    }


def _input(facts: CallFacts, asks: BoundFacts, caps: ModelCaps) -> int | None:
    window = caps.context_window
    if asks.tool_calls or asks.beyond_bytes is not None:
        if window is None:
            return None
        return (asks.tool_calls + 1) * asks.inputs * window
    text = facts.size_bytes + asks.allowance
    return text if window is None else min(text, asks.inputs * window)


def _output(facts: CallFacts, asks: BoundFacts, caps: ModelCaps, *, pictures: bool) -> int | None:
    """A cap above the window is one that the provider refuses. None is known to hold for images."""
    longest = caps.max_output if asks.sound_output else caps.longest_output
    cap = facts.output_cap
    if cap is None or (pictures and cap < (longest or 0)):
        cap = longest
    if cap is None:
        return None
    if caps.context_window is not None:
        cap = min(cap, max(caps.context_window, longest or 0))
    replies = asks.most_candidates * (asks.tool_calls + 1)
    return replies * cap + asks.most_candidates * asks.more_output


def _kind(asks: BoundFacts, sold: Mapping[str, int]) -> BoundKind:
    if asks.tool_calls:
        return "tools"
    if "audio_seconds" in sold or (asks.pictures is not None and asks.pictures.shown):
        return "declared"
    return "bytes" if asks.beyond_bytes is None else "window"
