"""What the same calls would have cost with another model: the ledger run again at its prices.

Every call is priced by itself, with the book that prices calls, so a total is to the nano-dollar
what the calls would have been billed. A call is compared only where the book still gives its own
cost for it, and where the other model takes as much input, gives as long an answer and has a price
for every unit, and one of its own for every medium. Tokens are taken to be as many; so only models
of one provider are compared. Whether the cheaper model is good enough, no ledger knows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Window, a_month, per_cent
from common.llm.price_book import Card, PriceBook

LEAST_MONTHLY: Nanos = 10 * NANOS_PER_USD
LEAST_SAVING_PERCENT = 20
LEAST_COMPARED_PERCENT = 80
"""Of the spend: a model that cannot take a good part of the calls is no replacement."""
LEAST_CALLS = 100


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One call as it was priced. `card` is ``provider/model`` of the price list.

    `group_calls` are the calls of the same agent and card, of which these rows may be a part.
    """

    org: str
    agent: str | None
    card: str
    at: datetime
    units: Mapping[str, int]
    service_tier: str | None
    nanos: Nanos
    priority: str
    group_calls: int

    @property
    def scope(self) -> str:
        return f"org:{self.org}" if self.agent is None else f"agent:{self.org}/{self.agent}"

    @property
    def context(self) -> Mapping[str, str]:
        return {} if self.service_tier is None else {"service_tier": self.service_tier}


@dataclass(frozen=True, slots=True)
class Saving:
    """What the compared rows cost, and would have cost as `candidate`.

    `all_nanos` is what all rows cost, those that cannot be compared included.
    """

    candidate: str
    compared: int
    rows: int
    nanos: Nanos
    other_nanos: Nanos
    all_nanos: Nanos

    @property
    def saved(self) -> Nanos:
        return self.nanos - self.other_nanos

    @property
    def worthwhile(self) -> bool:
        return (
            self.compared >= LEAST_CALLS
            and per_cent(self.saved, self.nanos) >= LEAST_SAVING_PERCENT
            and per_cent(self.nanos, self.all_nanos) >= LEAST_COMPARED_PERCENT
        )


def what_if(rows: Sequence[LedgerRow], book: PriceBook, candidates: Iterable[Card]) -> list[Saving]:
    """What rows of one card would have cost as each candidate, the least first."""
    known = [(row, own) for row in rows if (own := own_card(row, book)) is not None]
    everything = sum(row.nanos for row in rows)
    found = []
    for card in candidates:
        costs = [(row, as_card(row, card, book)) for row, _ in known]
        compared = [(row, cost) for row, cost in costs if cost is not None]
        found.append(
            Saving(
                candidate=card.key,
                compared=len(compared),
                rows=len(rows),
                nanos=sum(row.nanos for row, _ in compared),
                other_nanos=sum(cost for _, cost in compared),
                all_nanos=everything,
            )
        )
    return sorted(found, key=lambda each: (-each.saved, each.candidate))


def own_card(row: LedgerRow, book: PriceBook) -> Card | None:
    """The card of a row; None where the book does not give the row's own cost for it any more."""
    card = card_of(row.card, book)
    if card is None:
        return None
    priced = book.price([(card, row.units)], row.at, row.context)
    return card if priced.nanos == row.nanos else None


def as_card(row: LedgerRow, card: Card, book: PriceBook) -> Nanos | None:
    """What a row would have cost at another card; None where that model could not have taken it."""
    caps = card.caps
    taken, given = row.units.get("input_tokens", 0), row.units.get("output_tokens", 0)
    if caps.context_window is not None and taken + given > caps.context_window:
        return None
    if caps.max_output is not None and given > caps.max_output:
        return None
    if row.service_tier is not None and not _knows_tier(card, row.service_tier):
        return None
    if not _takes_media(row, card):
        return None
    return book.price([(card, row.units)], row.at, row.context).nanos


_MEDIUM = re.compile("audio|image|video|pixels|seconds|pages")
_USUAL_TIERS = frozenset({"default", "standard", "auto", "on_demand"})


def _takes_media(row: LedgerRow, card: Card) -> bool:
    """Whether the card names every medium of the row: a model of texts alone bears no sounds."""
    media = {unit for unit, count in row.units.items() if count and _MEDIUM.search(unit)}
    return not media or media <= {rate.unit for rate in card.rates(row.at, row.context)}


def _knows_tier(card: Card, tier: str) -> bool:
    return tier in _USUAL_TIERS or card.has_variant("service_tier", tier)


def card_of(key: str, book: PriceBook) -> Card | None:
    provider, _, model = key.partition("/")
    card = book.card(provider, model)
    return card if card is not None and card.key == key else None


def cheaper_models(
    rows: Iterable[LedgerRow], book: PriceBook, since: datetime, until: datetime
) -> list[Finding]:
    """For each scope and card the cheapest model of its provider that the organisation also uses.

    What is used already has been tried by somebody; the list alone knows no such thing.
    """
    groups: dict[tuple[str, str], list[LedgerRow]] = {}
    used: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault((row.scope, row.card), []).append(row)
        used.setdefault(row.org, set()).add(row.card)
    found = []
    for (_, key), group in groups.items():
        provider = key.partition("/")[0]
        others = sorted(
            other
            for other in used[group[0].org]
            if other != key and other.partition("/")[0] == provider
        )
        cards = [card for other in others if (card := card_of(other, book)) is not None]
        best = next(iter(what_if(group, book, cards)), None)
        if best is None or not best.worthwhile:
            continue
        stake = a_month(best.saved * group[0].group_calls // len(group), until - since)
        if stake >= LEAST_MONTHLY:
            found.append(_finding(group[0], best, stake, Window(since, until)))
    return found


def _finding(row: LedgerRow, saving: Saving, stake: Nanos, span: Window) -> Finding:
    scope, key = row.scope, row.card
    rows = {"since": span.since.isoformat(), "until": span.until.isoformat(), "org": row.org}
    rows["model"] = key.partition("/")[2]
    if row.agent is not None:
        rows["agent"] = row.agent
    return Finding(
        kind="cheaper_model",
        org=row.org,
        scope=f"{scope} model:{key}",
        window=Window.month_of(span.until - timedelta(seconds=1)),
        told=(
            f"{saving.compared} calls of {scope} to {key} cost {usd_text(saving.nanos)} USD;"
            f" with {saving.candidate} they would have cost {usd_text(saving.other_nanos)}."
        ),
        evidence={
            "candidate": saving.candidate,
            "compared_calls": saving.compared,
            "calls": row.group_calls,
            "compared_percent": per_cent(saving.nanos, saving.all_nanos),
            "nanos": saving.nanos,
            "candidate_nanos": saving.other_nanos,
            "tokens": "taken to be as many with both models",
        },
        stake=stake,
        confidence="low",
        rows=rows,
    )
