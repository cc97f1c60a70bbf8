"""Money that bought nothing: calls that failed, were cut at their cap, or that nobody waited for.

Beside them what hides money: calls without a price, and holds so far above the cost that a budget
refuses calls it could pay for. Shares are of the last days' spend of an agent's calls to a model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Confidence, Finding, Kind, Window, a_month, per_cent

LOOKED_AT = timedelta(days=7)
LEAST_MONTHLY: Nanos = 5 * NANOS_PER_USD
LEAST_FAILED_PERCENT = 2
"""Of the spend. Providers charge for few errors, so even little of it is unusual."""
LEAST_CUT_PERCENT = 5
LEAST_ABANDONED_PERCENT = 5
LEAST_UNPRICED_CALLS = 20
LEAST_UNPRICED_PERCENT = 1
OVER_HELD_TIMES = 20
"""The hold of such a call over its cost: its cap on the answer is far above what it ever says."""
LEAST_OVER_HELD_CALLS = 100
LEAST_OVER_HELD_PERCENT = 50


@dataclass(frozen=True, slots=True)
class Spent:
    """The calls of one agent to one model in LOOKED_AT, and the parts of them that are wasted.

    `over_held` are calls that held more than OVER_HELD_TIMES their cost, `over_held_nanos` what
    they held.
    """

    org: str
    agent: str | None
    model: str
    calls: int
    nanos: Nanos
    failed: int
    failed_nanos: Nanos
    cut: int
    cut_nanos: Nanos
    abandoned: int
    abandoned_nanos: Nanos
    unpriced: int
    held: int
    over_held: int
    over_held_nanos: Nanos

    @property
    def scope(self) -> str:
        who = f"org:{self.org}" if self.agent is None else f"agent:{self.org}/{self.agent}"
        return f"{who} model:{self.model}"


class _Part(NamedTuple):
    kind: Kind
    calls: int
    nanos: Nanos
    least_percent: int


def waste(spent: Iterable[Spent], until: datetime) -> list[Finding]:
    """What is wasted in the days before `until`, by agent, model and kind."""
    found = []
    for each in spent:
        parts: tuple[_Part, ...] = (
            _Part("failed", each.failed, each.failed_nanos, LEAST_FAILED_PERCENT),
            _Part("cut", each.cut, each.cut_nanos, LEAST_CUT_PERCENT),
            _Part("abandoned", each.abandoned, each.abandoned_nanos, LEAST_ABANDONED_PERCENT),
        )
        judged = [_share(each, until, part) for part in parts]
        judged += [_unpriced(each, until), _over_held(each, until)]
        found += [finding for finding in judged if finding is not None]
    return found


_SAID: dict[Kind, str] = {
    "failed": "calls that failed",
    "cut": "answers that were cut at their cap",
    "abandoned": "answers that nobody waited for",
}


def _share(spent: Spent, until: datetime, part: _Part) -> Finding | None:
    kind, calls, nanos, least = part
    share, stake = per_cent(nanos, spent.nanos), a_month(nanos, LOOKED_AT)
    if share < least or stake < LEAST_MONTHLY:
        return None
    return _finding(
        spent,
        until,
        kind,
        f"{share} % of what {spent.scope} spends is for {_SAID[kind]}: {usd_text(nanos)} USD"
        f" in {LOOKED_AT.days} days.",
        {"calls": calls, "nanos": nanos, "share_percent": share},
        stake=stake,
        confidence="high" if kind == "failed" else "medium",
    )


def _unpriced(spent: Spent, until: datetime) -> Finding | None:
    share = per_cent(spent.unpriced, spent.calls)
    if spent.unpriced < LEAST_UNPRICED_CALLS or share < LEAST_UNPRICED_PERCENT:
        return None
    return _finding(
        spent,
        until,
        "unpriced",
        f"{spent.unpriced} calls of {spent.scope} have no price: what they cost is in no sum.",
        {"calls": spent.unpriced, "share_percent": share},
        stake=0,
        confidence="high",
    )


def _over_held(spent: Spent, until: datetime) -> Finding | None:
    share = per_cent(spent.over_held, spent.held)
    if spent.over_held < LEAST_OVER_HELD_CALLS or share < LEAST_OVER_HELD_PERCENT:
        return None
    return _finding(
        spent,
        until,
        "over_held",
        f"{share} % of the calls of {spent.scope} hold more than {OVER_HELD_TIMES} times what they"
        " cost: a lower cap on their answers leaves budgets more room.",
        {"calls": spent.over_held, "share_percent": share, "held_nanos": spent.over_held_nanos},
        stake=0,
        confidence="high",
    )


def _finding(
    spent: Spent,
    until: datetime,
    kind: Kind,
    told: str,
    evidence: dict[str, int | str],
    *,
    stake: Nanos,
    confidence: Confidence,
) -> Finding:
    rows = {"since": (until - LOOKED_AT).isoformat(), "until": until.isoformat()}
    rows |= {"org": spent.org, "model": spent.model}
    if spent.agent is not None:
        rows["agent"] = spent.agent
    if kind == "failed":
        rows["failed"] = "true"
    return Finding(
        kind=kind,
        org=spent.org,
        scope=spent.scope,
        window=Window.month_of(until - timedelta(seconds=1)),
        told=told,
        evidence={"model": spent.model, **evidence},
        stake=stake,
        confidence=confidence,
        rows=rows,
    )
