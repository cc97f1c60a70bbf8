"""Calls that say they can wait, and pay for not waiting.

Whoever sends with the priority `batch` has said that the answer may take hours. Providers sell
that at a lower rate, and the book knows it: the same calls are priced again at that rate.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Window, a_month, per_cent
from common.insights.what_if import LedgerRow, own_card
from common.llm.price_book import PriceBook

BATCH = "batch"
CONTEXT = ("processing", "batch")
"""How the book names the rate."""
LEAST_MONTHLY: Nanos = 5 * NANOS_PER_USD
LEAST_CALLS = 50


def batched(row: LedgerRow, book: PriceBook) -> Nanos | None:
    """What a call would have cost in a batch; None where its model has no such rate."""
    card = own_card(row, book)
    if card is None or not card.has_variant(*CONTEXT):
        return None
    return book.price([(card, row.units)], row.at, dict([CONTEXT])).nanos


def batchable(
    rows: Iterable[LedgerRow], book: PriceBook, since: datetime, until: datetime
) -> list[Finding]:
    """What calls of the priority `batch` would have saved, by scope and card."""
    groups: dict[tuple[str, str], list[tuple[LedgerRow, Nanos]]] = {}
    read: Counter[tuple[str, str]] = Counter()
    for row in rows:
        read[row.scope, row.card] += 1
        if row.priority == BATCH and (cost := batched(row, book)) is not None:
            groups.setdefault((row.scope, row.card), []).append((row, cost))
    found = []
    for (scope, key), group in groups.items():
        nanos, other = sum(row.nanos for row, _ in group), sum(cost for _, cost in group)
        saved = (nanos - other) * group[0][0].group_calls // read[scope, key]
        stake = a_month(saved, until - since)
        if len(group) < LEAST_CALLS or stake < LEAST_MONTHLY:
            continue
        row = group[0][0]
        rows_again = {"since": since.isoformat(), "until": until.isoformat(), "org": row.org}
        if row.agent is not None:
            rows_again["agent"] = row.agent
        found.append(
            Finding(
                kind="batchable",
                org=row.org,
                scope=f"{scope} model:{key}",
                window=Window.month_of(until - timedelta(seconds=1)),
                told=(
                    f"{len(group)} calls of {scope} to {key} can wait and cost {usd_text(nanos)}"
                    f" USD; in batches they would have cost {usd_text(other)}."
                ),
                evidence={
                    "calls": len(group),
                    "nanos": nanos,
                    "batch_nanos": other,
                    "saving_percent": per_cent(nanos - other, nanos),
                },
                stake=stake,
                confidence="medium",
                rows=rows_again | {"model": key.partition("/")[2]},
            )
        )
    return found
