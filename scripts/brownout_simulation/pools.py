"""A model's machines: calls share their tokens per second evenly, and wait longer where it is full.

Only the upstream is made up in a run, and this is it. A pool answers 429 when its slots are taken.
A first chunk takes longer the more slots are taken and the less capacity there is; afterwards all
calls that are being answered get the same tokens per second.
"""

import math
import random
from dataclasses import dataclass, field
from heapq import heappop, heappush

from common.core.money import Nanos
from scripts.brownout_simulation.arrivals import Call
from scripts.brownout_simulation.scenes import Assumptions, PoolKind

_SPREAD = 0.3
"""Of the logarithm of first chunks."""
_ALMOST = 1e-6


@dataclass(slots=True, eq=False)
class Attempt:
    """A call on its way to a pool, with the answer that it is to get there."""

    call: Call
    pool: "Pool"
    tokens: int
    edited: bool
    began_s: float
    first_chunk_s: float | None = None
    begins_at: float = 0.0
    ends_at: float = 0.0
    over: bool = False


@dataclass(slots=True, eq=False)
class Pool:
    """One model. `capacity` is what is left of it; `work` counts the tokens that each call got."""

    kind: PoolKind
    model: Assumptions
    draw: random.Random
    capacity: float = 1.0
    taken: int = 0
    work: float = 0.0
    at_s: float = 0.0
    answering: int = 0
    checked_at: float | None = None
    ends: list[tuple[float, int, Attempt]] = field(default_factory=list)
    number: int = 0

    @property
    def full(self) -> bool:
        return self.taken >= self.kind.slots

    def take(self) -> float:
        """Take a slot; the seconds until the first chunk."""
        self.taken += 1
        load = self.taken / self.kind.slots
        crowd = 1.0 + self.model.crowding * math.pow(load, self.model.steepness)
        jitter = self.draw.lognormvariate(0.0, _SPREAD)
        return self.model.first_chunk_s * crowd * jitter / self.capacity

    def begin(self, attempt: Attempt, now: float) -> None:
        """Begin to answer."""
        self.pass_to(now)
        attempt.begins_at = self.work
        attempt.ends_at = self.work + attempt.tokens
        self.number += 1
        heappush(self.ends, (attempt.ends_at, self.number, attempt))
        self.answering += 1

    def leave(self, attempt: Attempt, now: float) -> None:
        """Give a slot back, whether the answer is complete or not."""
        self.pass_to(now)
        attempt.over = True
        self.taken -= 1
        if attempt.first_chunk_s is not None:
            self.answering -= 1

    def pass_to(self, now: float) -> None:
        """Let the time pass."""
        self.work += (now - self.at_s) * self.rate
        self.at_s = now

    @property
    def rate(self) -> float:
        """Tokens per second of each call."""
        kind = self.kind
        if not self.answering:
            return 0.0
        return min(kind.tokens_s_of_one, kind.tokens_s * self.capacity / self.answering)

    def ended(self, now: float) -> Attempt | None:
        """An attempt whose answer is complete by now."""
        self.pass_to(now)
        while self.ends and self.ends[0][2].over:
            heappop(self.ends)
        if self.ends and self.ends[0][0] <= self.work + _ALMOST:
            return heappop(self.ends)[2]
        return None

    def next_end_s(self) -> float | None:
        """When the next answer is complete if nothing else happens."""
        while self.ends and self.ends[0][2].over:
            heappop(self.ends)
        if not self.ends:
            return None
        return self.at_s + max(_ALMOST, (self.ends[0][0] - self.work) / self.rate)

    def charge(self, attempt: Attempt) -> Nanos:
        """What the provider takes: the question from the first chunk on, and what was answered."""
        if attempt.first_chunk_s is None:
            return 0
        answered = min(attempt.tokens, int(self.work - attempt.begins_at + _ALMOST))
        kind = self.kind
        return attempt.call.asked.context * kind.input_price + answered * kind.output_price
