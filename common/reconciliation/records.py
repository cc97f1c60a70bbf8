"""What is kept of a reconciliation: one document for each provider, account and day.

Its id tells which day it is of, so a run replaces what an earlier one found, and never adds. They
stay: a year of them is smaller than a day of calls. Another document says how a provider stood when
it was last asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from common.core.ports import Ref, Value
from common.reconciliation.comparing import Drift
from common.reconciliation.rows import Bill, Called, Tokens

RECONCILIATIONS = "reconciliations"
SOURCES = "reconciliation_sources"
MOST_MODELS = 50
"""Shown of a day, those with most tokens."""

Standing: TypeAlias = Literal["early", "agrees", "drift", "not_compared"]
"""`early`: the day's bill may still change. `not_compared`: its money is not all on this bill."""
Answering: TypeAlias = Literal["answers", "silent", "off"]
"""How a provider stood when it was last asked. `silent`: it told nothing. `off`: nobody asks."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What our calls of a day have in all that are on one bill: those that ended on the day."""

    nanos: int
    unproven_nanos: int
    estimated_nanos: int
    calls: int
    unpriced: int
    tokens: Tokens

    @classmethod
    def of(cls, rows: Iterable[Called]) -> "Sums":
        found = list(rows)
        return cls(
            nanos=sum(row.nanos for row in found),
            unproven_nanos=sum(row.unproven_nanos for row in found),
            estimated_nanos=sum(row.estimated_nanos for row in found),
            calls=sum(row.calls for row in found),
            unpriced=sum(row.unpriced for row in found),
            tokens=sum((row.tokens for row in found), Tokens()),
        )


def day_ref(provider: str, account: str, day: date) -> Ref:
    return Ref(RECONCILIATIONS, f"{provider}-{account}-{day}")


def source_ref(provider: str, account: str) -> Ref:
    return Ref(SOURCES, f"{provider}-{account}")


def day_data(
    bill: Bill, rows: Iterable[Called], sums: Sums, drifts: Sequence[Drift]
) -> dict[str, Value]:
    """The figures of a day."""
    return {
        "day": bill.day.isoformat(),
        "ours_nanos": sums.nanos,
        "theirs_nanos": bill.nanos,
        "unproven_nanos": sums.unproven_nanos,
        "estimated_nanos": sums.estimated_nanos,
        "calls": sums.calls,
        "unpriced_calls": sums.unpriced,
        "drifts": [
            {
                "cause": each.cause.value,
                "drift_nanos": each.nanos,
                "models": list(each.models),
                "keys": list(each.keys),
            }
            for each in drifts
        ],
        "models": _models(rows, bill),
    }


def source_data(
    provider: str, account: str, standing: Answering, cause: str | None, asked_at: datetime
) -> dict[str, Value]:
    return {
        "provider": provider,
        "account": account,
        "standing": standing,
        "cause": cause,
        "asked_at": asked_at,
    }


def _models(rows: Iterable[Called], bill: Bill) -> list[Mapping[str, Value]]:
    ours: dict[str, Tokens] = {}
    theirs: dict[str, Tokens] = {}
    for row in rows:
        ours[row.model] = ours.get(row.model, Tokens()) + row.tokens
    for used in bill.used:
        theirs[used.model] = theirs.get(used.model, Tokens()) + used.tokens
    weights = {
        name: max(ours.get(name, Tokens()).weight, theirs.get(name, Tokens()).weight)
        for name in {*ours, *theirs}
    }
    shown = sorted(weights, key=lambda name: (-weights[name], name))[:MOST_MODELS]
    return [
        {
            "model": name,
            "ours": _tokens(ours.get(name, Tokens())),
            "theirs": _tokens(theirs.get(name, Tokens())),
        }
        for name in shown
    ]


def _tokens(tokens: Tokens) -> dict[str, Value]:
    return {
        "input": tokens.input,
        "cache_read": tokens.cache_read,
        "cache_write": tokens.cache_write,
        "output": tokens.output,
    }
