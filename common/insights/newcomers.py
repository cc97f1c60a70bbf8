"""Models and agents that are new and take a good part of what their organisation spends.

Nobody may have decided on them: a default that changed, a test that went on, a key that was handed
around. What is new is told once, in the month in which it began, and is usual a week later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from common.core.money import NANOS_PER_USD, Nanos, usd_text
from common.insights.findings import Finding, Kind, Window, a_month, per_cent

DAY = timedelta(days=1)
NEW_FOR = timedelta(days=7)
LOOKED_BACK = timedelta(days=28)
"""What was not seen for so long is new: jobs of a month's end come back before."""
LEAST_KNOWN = timedelta(days=14)
"""An organisation that has not spent before cannot have anything that is new beside the rest."""
LEAST_SHARE_PERCENT = 5
LEAST_MONTHLY: Nanos = 5 * NANOS_PER_USD

Level: TypeAlias = Literal["org", "agent", "model"]


@dataclass(frozen=True, slots=True)
class Spending:
    """What an organisation, or one agent or model of it, spent on each UTC day; none is 0."""

    level: Level
    org: str
    name: str
    days: Mapping[datetime, Nanos]

    @property
    def first(self) -> datetime:
        """The first day on which it spent anything."""
        return min(self.days)

    def since(self, day: datetime) -> Nanos:
        return sum(nanos for each, nanos in self.days.items() if each >= day)


_KINDS: Mapping[Level, Kind] = {"agent": "new_agent", "model": "new_model"}


def newcomers(spent: Iterable[Spending], until: datetime) -> list[Finding]:
    """Who began in the week before `until`, the end of a day, and takes LEAST_SHARE_PERCENT.

    Args:
        spent: of NEW_FOR and LOOKED_BACK before `until`.
        until: the end of a day.
    """
    known = list(spent)
    whole = {each.org: each for each in known if each.level == "org"}
    found = []
    for each in known:
        if each.level == "org" or until - each.first > NEW_FOR:
            continue
        org = whole[each.org]
        if each.first - org.first >= LEAST_KNOWN:
            finding = _judged(each, org, until)
            found += [] if finding is None else [finding]
    return found


def _judged(new: Spending, org: Spending, until: datetime) -> Finding | None:
    first = new.first
    nanos, of_all = new.since(first), org.since(first)
    share, stake = per_cent(nanos, of_all), a_month(nanos, until - first)
    if share < LEAST_SHARE_PERCENT or stake < LEAST_MONTHLY:
        return None
    is_agent = new.level == "agent"
    rows = {"since": first.isoformat(), "until": until.isoformat(), "org": new.org}
    rows |= {"agent": new.name} if is_agent else {"model": new.name.partition("/")[2]}
    return Finding(
        kind=_KINDS[new.level],
        org=new.org,
        scope=f"agent:{new.org}/{new.name}" if is_agent else f"org:{new.org} model:{new.name}",
        window=Window.month_of(first),
        told=(
            f"{new.level.capitalize()} {new.name} is new since {first:%Y-%m-%d} and takes"
            f" {share} % of what {new.org} spends: {usd_text(nanos)} USD so far."
        ),
        evidence={
            "first_day": first.isoformat(),
            "nanos": nanos,
            "org_nanos": of_all,
            "share_percent": share,
        },
        stake=stake,
        confidence="high" if share >= 2 * LEAST_SHARE_PERCENT else "medium",
        rows=rows,
    )
