"""What all instances together have seen, by the minute: what rollups hold and metrics show."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from common.brownout.evidence import Counts, Slow
from common.brownout.modes import GLOBAL
from common.brownout.policy import LevelLimits, Limits
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

    def counts(self, limits: Limits, recover_at: float) -> Counts:
        """As a judgement takes them."""
        sooner = sorted(self.first_chunks)
        levels = (limits.soft, limits.hard, limits.emergency)
        soft, hard, emergency = (_slow(sooner, level, recover_at) for level in levels)
        return Counts(self.calls, self.failed, (soft, hard, emergency))


def _slow(sooner: Sequence[float], level: LevelLimits, recover_at: float) -> Slow:
    if level.latency_p95 is None:
        return Slow()
    above = level.latency_p95.above.total_seconds()
    slower, unrecovered = (
        len(sooner) - bisect_right(sooner, limit) for limit in (above, above * recover_at)
    )
    return Slow(len(sooner), slower, unrecovered)


class Minutes:
    """Every scope's minutes. All calls are of one agent, so its team is as global is."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, Minute]] = {}

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(sorted(self._found))

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
