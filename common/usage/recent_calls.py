"""What the calls of the last five minutes, of the last hour and of today amount to.

All of it is sums over the rollups: of whole minutes up to the one under way, and of the hours of
today (UTC), the one under way among them. Every instance's calls are in it, a few seconds after
they ended. Figures that need calls are None without any: nothing is guessed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from common.core.money import Nanos
from common.core.ports import Documents
from common.usage.rated_calls import MICROS, SCORE_MICROS, SCORES
from common.usage.recent import WATCHED
from common.usage.rollups import CALLS, PRICED_NANOS, UNIT, CellSum, ceiling, floor
from common.usage.summaries import Span, read_sums
from common.usage.upstream_evidence import DURATION, FIRST_CHUNK, FREE

HOUR = timedelta(hours=1)
_SERVER_ERROR = "upstream_5"
"""Begins the error codes of calls that an upstream answered with 500 to 599."""
_TOKENS = (f"{UNIT}input_tokens", f"{UNIT}output_tokens")


@dataclass(slots=True)
class CallSums:
    """Sums over calls. Bins are those of `common/core/latency_bins.py`.

    `failed` are those that an upstream or the gateway failed, `shed` those that a brownout refused.
    `answered` are the successful ones that are billed at all; `exact` those billed whose whole cost
    is known. `durations` are of answered calls that were not streamed, `scores` are calls
    that were rated (only sums of minutes have them).
    """

    calls: int = 0
    ok: int = 0
    client_errors: int = 0
    failed: int = 0
    server_errors: int = 0
    shed: int = 0
    answered: int = 0
    answered_tokens: int = 0
    tokens: int = 0
    priced: Nanos = 0
    simulated: Nanos = 0
    unpriced: int = 0
    exact: int = 0
    exact_nanos: Nanos = 0
    scores: int = 0
    score_micros: int = 0
    durations: Counter[int] = field(default_factory=Counter)
    first_chunks: Counter[int] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        """All but the calls that were refused for what they asked, or left by their client."""
        return self.calls - self.client_errors

    @property
    def cost(self) -> Nanos | None:
        """What is known to be spent; None where there are calls and no cost of any is known."""
        if self.calls and self.unpriced == self.calls and not self.priced:
            return None
        return self.priced

    @property
    def score(self) -> float | None:
        """The mean of what calls were rated, 0 to 1; None where none was."""
        return self.score_micros / self.scores / MICROS if self.scores else None

    def add(self, each: CellSum) -> None:
        """Count a cell."""
        cell, measures = each.cell, each.measures
        calls, priced = measures.get(CALLS, 0), measures.get(PRICED_NANOS, 0)
        tokens = sum(measures.get(unit, 0) for unit in _TOKENS)
        billed = cell.cost_source != FREE
        self.scores += measures.get(SCORES, 0)
        self.score_micros += measures.get(SCORE_MICROS, 0)
        self.calls += calls
        self.tokens += tokens
        self.priced += priced
        self.simulated += priced if cell.simulated else 0
        match cell.outcome:
            case "ok":
                self.ok += calls
                self.answered += calls if billed else 0
                self.answered_tokens += tokens if billed else 0
            case "client_error":
                self.client_errors += calls
            case "shed":
                self.shed += calls
            case _:
                self.failed += calls
                code = cell.error_code or ""
                self.server_errors += calls if code.startswith(_SERVER_ERROR) else 0
        if cell.cost_reason is not None:
            self.unpriced += calls
        elif billed:
            self.exact += calls
            self.exact_nanos += priced
        _add_bins(self.durations, DURATION, measures)
        _add_bins(self.first_chunks, FIRST_CHUNK, measures)


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """`window` is from `since` up to, not including, `until`.

    `hour` is the one that ends there, and `today` the day (UTC) so far.
    """

    since: datetime
    until: datetime
    window: CallSums
    hour: CallSums
    today: CallSums


async def read_recent_calls(documents: Documents, now: datetime) -> RecentCalls:
    """The calls up to the minute of `now`.

    Raises:
        StoreUnavailable: no answer in time.
    """
    until = floor(now, "minute")
    since = until - WATCHED
    (window, hour), today = await asyncio.gather(
        _minutes(documents, since, until), _today(documents, now)
    )
    return RecentCalls(since, until, window, hour, today)


async def _minutes(
    documents: Documents, since: datetime, until: datetime
) -> tuple[CallSums, CallSums]:
    window, hour = CallSums(), CallSums()
    async for each in read_sums(documents, "minute", Span(until - HOUR, until)):
        hour.add(each)
        if each.start >= since:
            window.add(each)
    return window, hour


async def _today(documents: Documents, now: datetime) -> CallSums:
    today = CallSums()
    midnight = floor(now, "hour").replace(hour=0)
    # A call's time is never later than now, so the hour under way ends with now.
    end = ceiling(now + timedelta(microseconds=1), "hour")
    async for each in read_sums(documents, "hour", Span(midnight, end)):
        today.add(each)
    return today


def _add_bins(bins: Counter[int], kind: str, measures: Mapping[str, int]) -> None:
    for measure, count in measures.items():
        if measure.startswith(kind):
            bins[int(measure.removeprefix(kind))] += count
