"""Input that is sent again and again within minutes and never read from the provider's cache.

The turns of one conversation begin alike, and so do calls of one key that are the same in length
and tokens. What they share is at most the input of the shortest of them. Calls with the same
instructions and tools share these, whatever comes behind them. One call may be in a group of each
sort, so only the sort that would have saved more is told.

With a cache the first call of a group writes what they share and the others read it. The saving is
what the book says of each: a call of that much input, written to the cache or read from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Confidence, Finding, Window, a_month
from common.insights.what_if import card_of
from common.llm.price_book import Card, PriceBook

SPAN = timedelta(minutes=5)
"""What a cache keeps at least."""
LEAST_CALLS = 3
LEAST_PREFIX = 4_096
"""Tokens. The shortest input that a model caches is 1,024 to 4,096, depending on the model.
https://platform.claude.com/docs/en/build-with-claude/prompt-caching"""
LEAST_MONTHLY: Nanos = 5 * NANOS_PER_USD
KnownBy: TypeAlias = Literal["conversation", "beginning"]
_SHARED: Mapping[KnownBy, str] = {
    "conversation": "at most the input of the shortest call of each group",
    "beginning": "instructions and tools, by their part of the request's bytes",
}
_CONFIDENCE: Mapping[KnownBy, Confidence] = {"conversation": "low", "beginning": "medium"}


@dataclass(frozen=True, slots=True)
class Sharing:
    """Calls that begin alike, within one SPAN each, none of which used a cache.

    `prefix` is the input that they share, `groups` the number of such spans and `calls` the calls
    of all of them together.
    """

    org: str
    agent: str | None
    card: str
    prefix: int
    groups: int
    calls: int
    known_by: KnownBy = "conversation"

    @property
    def scope(self) -> str:
        return f"org:{self.org}" if self.agent is None else f"agent:{self.org}/{self.agent}"


def saved(sharing: Sharing, card: Card, book: PriceBook, at: datetime) -> Nanos | None:
    """What a cache would have saved; None where the model has none, or would have saved nothing."""
    tokens = sharing.prefix
    plain = _cost(book, card, at, {"input_tokens": tokens})
    read = _cost(book, card, at, {"input_tokens": tokens, "cache_read_tokens": tokens})
    written = _cost(book, card, at, {"input_tokens": tokens, "cache_write_tokens": tokens})
    if plain is None or read is None or written is None or read >= plain:
        return None
    reads = sharing.calls - sharing.groups
    nanos = reads * (plain - read) - sharing.groups * (written - plain)
    return nanos if nanos > 0 else None


def _cost(book: PriceBook, card: Card, at: datetime, units: dict[str, int]) -> Nanos | None:
    return book.price([(card, units)], at, {}).nanos


def cacheable(
    shared: Iterable[Sharing], book: PriceBook, since: datetime, until: datetime
) -> list[Finding]:
    """What caches would have saved in [since, until), by scope and card."""
    groups: dict[tuple[str, str], dict[KnownBy, list[tuple[Sharing, Nanos]]]] = {}
    for each in shared:
        card = card_of(each.card, book)
        if card is None or each.prefix < LEAST_PREFIX or each.calls < LEAST_CALLS * each.groups:
            continue
        nanos = saved(each, card, book, until)
        if nanos is not None:
            sorts = groups.setdefault((each.scope, each.card), {})
            sorts.setdefault(each.known_by, []).append((each, nanos))
    found = []
    for sorts in groups.values():
        group = max(sorts.values(), key=_sum)
        if a_month(_sum(group), until - since) >= LEAST_MONTHLY:
            found.append(_finding(group, since, until))
    return found


def _sum(group: Iterable[tuple[Sharing, Nanos]]) -> Nanos:
    return sum(nanos for _, nanos in group)


def _finding(group: Sequence[tuple[Sharing, Nanos]], since: datetime, until: datetime) -> Finding:
    one, nanos = group[0][0], _sum(group)
    rows = {"since": since.isoformat(), "until": until.isoformat(), "org": one.org}
    if one.agent is not None:
        rows["agent"] = one.agent
    return Finding(
        kind="cacheable",
        org=one.org,
        scope=f"{one.scope} model:{one.card}",
        window=Window.month_of(until - timedelta(seconds=1)),
        told=(
            f"{one.scope} sends {one.card} the same beginnings within minutes and reads none from"
            f" a cache, which could have saved {usd_text(nanos)} USD."
        ),
        evidence={
            "calls": sum(each.calls for each, _ in group),
            "groups": sum(each.groups for each, _ in group),
            "least_prefix": min(each.prefix for each, _ in group),
            "nanos": nanos,
            "shared": _SHARED[one.known_by],
        },
        stake=a_month(nanos, until - since),
        confidence=_CONFIDENCE[one.known_by],
        rows=rows | {"model": one.card.partition("/")[2]},
    )
