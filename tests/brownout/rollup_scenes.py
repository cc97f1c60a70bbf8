"""Minutes of calls for tests of what judges rollups."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from common.brownout.minute_sums import MINUTE, HourCosts, Minute, MinuteSums
from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data, policy_from_data
from common.core.latency_bins import bin_of
from tests.brownout.scenes import T0

DOLLAR = 1_000_000_000


@dataclass(slots=True)
class KeptRollups:
    """Rollups that hold what they are given."""

    kept: list[Minute] = field(default_factory=list)
    hourly: list[HourCosts] = field(default_factory=list)
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def minutes(self, since: datetime, until: datetime) -> AsyncIterator[Minute]:
        self.asked.append((since, until))
        for each in self.kept:
            if since <= each.start < until:
                yield each

    async def hours(self, since: datetime, until: datetime) -> AsyncIterator[HourCosts]:
        self.asked.append((since, until))
        for each in self.hourly:
            if since <= each.start < until:
                yield each


def streamed(*seconds: float, **members: Any) -> MinuteSums:
    """Calls that streamed, with these first chunks; nothing failed."""
    bins: dict[int, int] = {}
    for each in seconds:
        bins[bin_of(each)] = bins.get(bin_of(each), 0) + 1
    return MinuteSums(**{"calls": len(seconds), "first_chunks": bins, **members})


def minute(number: int, *scopes: str, **members: Any) -> Minute:
    """The minute so many after T0, with the same sums for each scope."""
    return Minute(T0 + MINUTE * number, dict.fromkeys(scopes or ("global",), MinuteSums(**members)))


def minutes_of(calls: Iterable[tuple[datetime, bool]], scopes: Sequence[str]) -> Iterator[Minute]:
    """The minutes of calls, each a time and whether its upstream failed it."""
    found: dict[datetime, list[bool]] = {}
    for time, failed in calls:
        found.setdefault(time.replace(second=0, microsecond=0), []).append(failed)
    for start, each in sorted(found.items()):
        yield Minute(start, dict.fromkeys(scopes, MinuteSums(calls=len(each), failed=sum(each))))


def calls_of(
    draw: Random, start: datetime, lasts: timedelta, *, a_minute: float, failing: float
) -> Iterator[tuple[datetime, bool]]:
    """Calls that come at random, of which so many fail at random."""
    at, end = start, start + lasts
    while (at := at + timedelta(seconds=draw.expovariate(a_minute / 60))) < end:
        yield at, draw.random() < failing


def policy_with(**members: Any) -> Policy:
    """The shipped policy with other members, as a file has them."""
    data: Mapping[str, Any] = policy_data(shipped_policy())
    return policy_from_data({**data, **members})
