"""What monitors watch of the last minutes: who is served, and what it would cost for an hour.

Read from the rollups of whole minutes, so every instance's calls are in it. Without calls there is
no availability; a cost that ends is told once more, as 0, so that a monitor sees it end.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from common.core.latency_bins import percentile_s
from common.core.metrics import AVAILABILITY, TOKEN_COST_PER_HOUR, TTFT_P95, Measurement
from common.core.money import Nanos
from common.core.ports import Documents
from common.usage.rollups import CALLS, PRICED_NANOS, floor
from common.usage.summaries import Span, read_sums
from common.usage.upstream_evidence import FIRST_CHUNK

WATCHED = timedelta(minutes=5)
_PER_HOUR = timedelta(hours=1) // WATCHED


class Watching:
    """Reads the last minutes again and again. One per process."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._spending: frozenset[tuple[str, str]] = frozenset()

    async def read(self, now: datetime) -> list[Measurement]:
        """The gauges of each organisation and team.

        Raises:
            StoreUnavailable: no answer in time.
        """
        until = floor(now, "minute")
        asked: Counter[str] = Counter()
        served: Counter[str] = Counter()
        cost: Counter[tuple[str, str]] = Counter()
        chunks: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        async for each in read_sums(self._documents, "minute", Span(until - WATCHED, until)):
            cell, calls = each.cell, each.measures.get(CALLS, 0)
            for number, count in _first_chunks(each.measures):
                chunks[cell.provider or "", cell.model or ""][number] += count
            if cell.org is None:
                continue
            cost[cell.org, cell.team or ""] += each.measures.get(PRICED_NANOS, 0)
            if cell.outcome != "client_error":
                asked[cell.org] += calls
                served[cell.org] += calls if cell.outcome == "ok" else 0
        return [
            *(_availability(org, served[org], calls) for org, calls in asked.items() if calls),
            *self._costs(cost),
            *(_first_chunk(*of, bins) for of, bins in sorted(chunks.items())),
        ]

    def _costs(self, cost: Mapping[tuple[str, str], Nanos]) -> list[Measurement]:
        ended = self._spending - cost.keys()
        self._spending = frozenset(cost)
        return [
            Measurement(
                TOKEN_COST_PER_HOUR, cost.get(who, 0) * _PER_HOUR, {"org": who[0], "team": who[1]}
            )
            for who in sorted({*cost, *ended})
        ]


def _availability(org: str, served: int, calls: int) -> Measurement:
    return Measurement(AVAILABILITY, 100 * served / calls, {"org": org})


def _first_chunks(measures: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Counts of streamed calls by the bin of their first chunk."""
    for measure, count in measures.items():
        if measure.startswith(FIRST_CHUNK):
            yield int(measure.removeprefix(FIRST_CHUNK)), count


def _first_chunk(provider: str, model: str, bins: Mapping[int, int]) -> Measurement:
    slow_s = percentile_s(bins, 0.95) or 0.0
    return Measurement(TTFT_P95, slow_s, {"provider": provider, "model": model})
