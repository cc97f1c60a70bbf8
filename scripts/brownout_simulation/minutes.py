"""What all instances together have seen, by the minute: what rollups hold and metrics show."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from common.brownout.minute_sums import MinuteSums
from common.brownout.modes import GLOBAL
from common.core.latency_bins import bin_of
from common.core.money import Nanos
from scripts.brownout_simulation.scenes import PROVIDER

MINUTE_S = 60.0
_P95 = 0.95


@dataclass(slots=True)
class Minute:
    """The calls of one scope that ended in one minute. `refused` never reached the upstream."""

    calls: int = 0
    failed: int = 0
    refused: int = 0
    cost: Nanos = 0
    first_chunks: list[float] = field(default_factory=list)

    @property
    def p95_s(self) -> float | None:
        """Of the first chunks."""
        if not self.first_chunks:
            return None
        return sorted(self.first_chunks)[int(_P95 * (len(self.first_chunks) - 1))]

    @property
    def sums(self) -> MinuteSums:
        """As rollups hold it."""
        bins = Counter(map(bin_of, self.first_chunks))
        return MinuteSums(self.calls, self.failed, self.cost, bins)


class Minutes:
    """Every scope's minutes. All calls are of one agent, so its team is as global is."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, Minute]] = {}

    def sums(self, number: int) -> Mapping[str, MinuteSums]:
        """One minute of every scope that had calls in it."""
        found = {scope: minutes.get(number) for scope, minutes in sorted(self._found.items())}
        return {scope: minute.sums for scope, minute in found.items() if minute is not None}

    def of(self, model: str, at_s: float) -> Iterator[Minute]:
        """The minutes that a call counts in."""
        number = int(at_s // MINUTE_S)
        for scope in (GLOBAL, f"provider:{PROVIDER}", f"model:{model}"):
            yield self._found.setdefault(scope, defaultdict(Minute))[number]

    def before(self, scope: str, number: int, how_many: int) -> list[Minute]:
        """The last whole minutes before one, as many as there are."""
        found = self._found.get(scope, {})
        wanted = range(max(0, number - how_many), number)
        return [found.get(each, Minute()) for each in wanted]
