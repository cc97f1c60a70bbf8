"""What an hour usually costs a scope: the median of the same hour of the week, over four weeks.

An amount of dollars alone would hold whoever spends much by nature in a brownout for ever. What is
usual is worked out once an hour and kept in one document. A scope that spent in fewer than two of
these hours has no baseline, and its thresholds stand alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.brownout.minute_sums import HOUR, HourCosts, Rollups, hour_of
from common.brownout.modes import kind_of
from common.brownout.rollup_judgement import SPENDERS, Usual
from common.core.errors import StoreUnavailable
from common.core.money import Nanos
from common.core.ports import Committed, Document, Documents, Put, Ref, Value

BASELINES = Ref("brownout_baselines", "current")
WEEK = timedelta(days=7)
WEEKS = 4
LEAST_VALUES = 2
MOST_SCOPES = 200
USABLE = timedelta(hours=3)
"""How long the baselines of an hour stand in for those of later ones that nobody could work out."""


@dataclass(frozen=True, slots=True)
class Baselines:
    """What the hour that begins at `hour` usually costs, by scope."""

    hour: datetime
    costs: Mapping[str, Nanos]

    def to_data(self) -> dict[str, Value]:
        return {"hour": self.hour, "costs": dict(self.costs)}

    @classmethod
    def from_document(cls, document: Document) -> "Baselines":
        data: Any = document.data
        return cls(data["hour"], data["costs"])


def past_hours(hour: datetime) -> list[datetime]:
    """The same hour of the weeks before, the newest first."""
    return [hour - WEEK * weeks for weeks in range(1, WEEKS + 1)]


def usual_costs(hours: Iterable[HourCosts]) -> dict[str, Nanos]:
    """The medians of these hours, by scope: those that spend most, where there are too many."""
    values: dict[str, list[Nanos]] = defaultdict(list)
    for each in hours:
        for scope, cost in each.scopes.items():
            if cost > 0 and kind_of(scope) in SPENDERS:
                values[scope].append(cost)
    medians = {
        scope: _median(costs) for scope, costs in values.items() if len(costs) >= LEAST_VALUES
    }
    ranked = sorted(medians.items(), key=lambda each: (-each[1], each[0]))
    return dict(ranked[:MOST_SCOPES])


async def read_usual(documents: Documents, now: datetime) -> Usual:
    """What this hour usually costs, as far as it has been worked out.

    Raises:
        StoreUnavailable: no answer in time.
    """
    [document] = await documents.get_many([BASELINES])
    known = None if document is None else Baselines.from_document(document)
    if known is None or not timedelta(0) <= now - known.hour < USABLE:
        return nothing_usual
    return known.costs.get


def nothing_usual(_scope: str) -> Nanos | None:
    """Where no cost is known."""
    return None


class PastCosts:
    """What each hour of a past span usually cost, by the weeks before it.

    `hours` are those of the span's four weeks before, and of the span.
    """

    def __init__(self, hours: Iterable[HourCosts]) -> None:
        self._hours = {each.start: each for each in hours}
        self._usual: dict[datetime, Mapping[str, Nanos]] = {}

    def usual(self, scope: str, time: datetime) -> Nanos | None:
        """What the hour that `time` is in usually costs; None where that is not known."""
        hour = hour_of(time)
        if hour not in self._usual:
            past = [self._hours[each] for each in past_hours(hour) if each in self._hours]
            self._usual[hour] = usual_costs(past)
        return self._usual[hour].get(scope)


@dataclass(frozen=True, slots=True)
class BaselineKeeping:
    """Works out what is usual, in the first minute of each hour that it is asked in."""

    documents: Documents
    rollups: Rollups

    async def __call__(self, now: datetime) -> None:
        """Keep the baselines of this hour, if they are not there yet.

        Raises:
            StoreUnavailable: those of an hour before may still hold.
        """
        hour = hour_of(now)
        [document] = await self.documents.get_many([BASELINES])
        if document is not None and Baselines.from_document(document).hour == hour:
            return
        past: list[HourCosts] = []
        for start in past_hours(hour):
            past += [each async for each in self.rollups.hours(start, start + HOUR)]
        kept = Baselines(hour, usual_costs(past))
        outcome = await self.documents.commit([Put(BASELINES, kept.to_data())])
        if not isinstance(outcome, Committed):
            raise StoreUnavailable("what is usual could not be stored")


def _median(values: list[Nanos]) -> Nanos:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) // 2
