"""What all instances together have seen of each scope, minute by minute, as brownouts ask for it.

Whoever counts calls keeps these sums; brownouts only read them. Bins are those of
`common/core/latency_bins.py`. Minutes and hours come in the order of time, each once, and none that
holds nothing.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from common.core.money import Nanos

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_NONE: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class MinuteSums:
    """The calls of one scope that ended in a minute.

    `calls` tell whether their upstream works, `failed` are those of them that say it does not.
    Counts by bin: `first_chunks` of streamed calls; `awaited` of streamed calls whose client left
    before the first chunk, by how long it had waited; `durations` of calls that ended well and were
    not streamed.
    """

    calls: int = 0
    failed: int = 0
    cost: Nanos = 0
    first_chunks: Mapping[int, int] = field(default_factory=lambda: _NONE)
    awaited: Mapping[int, int] = field(default_factory=lambda: _NONE)
    durations: Mapping[int, int] = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class Minute:
    """The sums of the minute that begins at `start`, by scope; at most 200."""

    start: datetime
    scopes: Mapping[str, MinuteSums]


@dataclass(frozen=True, slots=True)
class HourCosts:
    """What the calls of the hour that begins at `start` cost, by scope."""

    start: datetime
    scopes: Mapping[str, Nanos]


class Rollups(Protocol):
    """Sums of calls. Spans begin and end with a minute or an hour; their end is left out."""

    def minutes(self, since: datetime, until: datetime) -> AsyncIterator[Minute]:
        """The minutes of a span.

        Raises:
            StoreUnavailable: no answer in time.
        """

    def hours(self, since: datetime, until: datetime) -> AsyncIterator[HourCosts]:
        """The hours of a span.

        Raises:
            StoreUnavailable: no answer in time.
        """


def minute_of(time: datetime) -> datetime:
    """The start of the minute that `time` is in; UTC."""
    return time.replace(second=0, microsecond=0)


def hour_of(time: datetime) -> datetime:
    """The start of the hour that `time` is in; UTC."""
    return time.replace(minute=0, second=0, microsecond=0)
