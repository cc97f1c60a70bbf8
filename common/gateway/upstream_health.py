"""Which models of which upstreams this instance leaves out for a while, because they fail.

Counted in memory, where calls have somewhere else to go. Half of ten calls or more within 30 s have
to fail; 30 s later the model is tried like any other.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from common.core.ports import Clock

WINDOW_S = 30.0
RESTS_S = 30.0
LEAST_CALLS = 10
MOST_KEPT = 200
"""Calls of one model that are remembered: enough to see a half, whatever comes in 30 s."""
MOST_MODELS = 500


@dataclass(slots=True)
class _Seen:
    """The last calls of one model, oldest first, each with its end and whether it failed."""

    calls: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    rests_until: float = 0.0


class UpstreamHealth:
    """What this instance has seen. One per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def record(self, upstream: str, model: str, *, failed: bool) -> None:
        """Count a call that has ended."""
        seen = self._seen.setdefault((upstream, model), _Seen())
        self._seen.move_to_end((upstream, model))
        if len(self._seen) > MOST_MODELS:
            self._seen.popitem(last=False)
        now = self._clock.monotonic()
        seen.calls.append((now, failed))
        while seen.calls[0][0] <= now - WINDOW_S:
            seen.calls.popleft()
        failures = sum(each for _, each in seen.calls)
        if len(seen.calls) >= LEAST_CALLS and 2 * failures >= len(seen.calls):
            seen.rests_until = now + RESTS_S
            seen.calls.clear()

    def rests(self, upstream: str, model: str) -> bool:
        """Whether calls leave it out now."""
        seen = self._seen.get((upstream, model))
        return seen is not None and seen.rests_until > self._clock.monotonic()
