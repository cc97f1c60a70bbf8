"""Batches on their way to a sink that may be down.

A batch that was not taken is kept and sent before the next ones, for as long as anybody looks at
figures of then; what is given up is counted, and with it the counts that it carried itself, so that
what arrived and what is told as dropped add up to what happened. After a failure nothing is tried
for a while, longer each time: whoever waits for the sink must not wait again and again.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from common.core.ports import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

Reason: TypeAlias = Literal["too_old", "too_many"]
Dropped: TypeAlias = Counter[tuple[str, str]]
"""How many facts were given up, by what they were sent as and why."""

MOST_KEPT = 8
KEPT_S = 600.0
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 80.0
"""Pauses are doubled; those between nine attempts take a little less than KEPT_S together."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What is sent at once: `facts` of them, and with them the word that others were `dropped`."""

    payload: T
    facts: int
    dropped: Dropped
    since_s: float


class Outbox(Generic[T]):
    """Sends batches in their order. Used by one thread at a time."""

    def __init__(self, kind: str, send: Callable[[T], bool], clock: Clock) -> None:
        self._kind = kind
        self._send = send
        self._clock = clock
        self._kept: deque[Batch[T]] = deque()
        self._failures = 0
        self._not_before_s = clock.monotonic()
        self._dropped: Dropped = Counter()

    @property
    def is_ready(self) -> bool:
        """Whether an attempt may be made now."""
        return self._clock.monotonic() >= self._not_before_s

    @property
    def holds(self) -> bool:
        """Whether a batch waits to be sent."""
        return bool(self._kept)

    def put(self, payload: T, facts: int, dropped: Dropped | None = None) -> None:
        """Keep a batch until it is sent; `dropped` is what it tells of others."""
        told: Dropped = Counter() if dropped is None else dropped
        self._kept.append(Batch(payload, facts, told, self._clock.monotonic()))

    def send(self) -> None:
        """Send what is kept, the oldest first, up to the first that is not taken."""
        self._give_up_old()
        while self._kept:
            if not self._is_taken(self._kept[0].payload):
                self._pause()
                break
            self._kept.popleft()
            self._failures = 0
        while len(self._kept) > MOST_KEPT:
            self._give_up(self._kept.popleft(), "too_many")

    def give_up(self, facts: int, reason: Reason) -> None:
        """Count facts that nobody will send."""
        self._dropped[self._kind, reason] += facts
        logger.error(
            "telemetry.dropped", extra={"kind": self._kind, "reason": reason, "facts": facts}
        )

    def take_dropped(self) -> Dropped:
        """What was given up since this was last asked."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    def _give_up_old(self) -> None:
        oldest_s = self._clock.monotonic() - KEPT_S
        while self._kept and self._kept[0].since_s < oldest_s:
            self._give_up(self._kept.popleft(), "too_old")

    def _give_up(self, batch: Batch[T], reason: Reason) -> None:
        self.give_up(batch.facts, reason)
        self._dropped += batch.dropped

    def _is_taken(self, payload: T) -> bool:
        try:
            return self._send(payload)
        except Exception:
            # A client of others may raise anything, and no call may fail of it.
            logger.exception("telemetry.crashed", extra={"kind": self._kind})
            return False

    def _pause(self) -> None:
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._failures)
        self._failures += 1
        self._not_before_s = self._clock.monotonic() + pause_s
        logger.warning(
            "telemetry.unsent",
            extra={"kind": self._kind, "kept": len(self._kept), "again_in_s": pause_s},
        )
