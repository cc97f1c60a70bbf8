"""A store whose answers go astray, and instances of the gateway with clocks that differ.

Each commit may be stored and told, refused, stored without an answer, lost, stored later, or stored
and then repeated by the store itself, which meets its own write.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from common.budgets.rate_limits import CallLimits
from common.budgets.rate_windows import Admission, RateWindows
from common.core.errors import StoreUnavailable
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Document,
    Documents,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Write,
)
from tests.gateway.making import SetClock

SKEW_S = 5.0
INSTANCES = 4


class Violation(AssertionError):
    """More was admitted in a window than its limit."""


@dataclass(slots=True)
class MemoryDocuments:
    """As much of a store as windows need. `blind` plants a fault: no precondition is looked at."""

    blind: bool = False
    stored: dict[Ref, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    version: int = 0

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        found = [self.stored.get(ref) for ref in refs]
        return [
            None if each is None else Document(ref, each[1], str(each[0]))
            for ref, each in zip(refs, found, strict=True)
        ]

    async def query(self, query: Query) -> list[Document]:
        raise NotImplementedError

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        [write] = writes
        assert isinstance(write, Create | Put)
        there = self.stored.get(write.ref)
        version = None if there is None else str(there[0])
        expected = write.if_version if isinstance(write, Put) else None
        if version != expected and not self.blind:
            return Conflict((write.ref,))
        self.version += 1
        self.stored[write.ref] = (self.version, dict(write.data))
        return Committed()


@dataclass(slots=True)
class UnreliableDocuments:
    """Another store, whose answers and commits go astray."""

    inner: Documents
    chance: random.Random
    late: list[Sequence[Write]] = field(default_factory=list)

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        await self._dawdle()
        if self.chance.random() < 0.01:
            raise StoreUnavailable("state did not answer in time")
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        await self._dawdle()
        fates = ("told", "refused", "unanswered", "lost", "late", "repeated")
        [fate] = self.chance.choices(fates, weights=(70, 6, 6, 6, 6, 6))
        if fate == "refused":
            return Conflict((writes[0].ref,))
        if fate in {"lost", "late"}:
            if fate == "late":
                self.late.append(writes)
            return Unknown("no answer")
        outcome = await self.inner.commit(writes)
        if fate == "repeated":
            outcome = await self.inner.commit(writes)
        return Unknown("no answer") if fate == "unanswered" else outcome

    async def _dawdle(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.late and self.chance.random() < 0.5:
            await self.inner.commit(self.late.pop(self.chance.randrange(len(self.late))))


@dataclass(slots=True)
class SkewedClock:
    clock: SetClock
    skew: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.skew

    def monotonic(self) -> float:
        return self.clock.monotonic()


class World:
    """Instances that admit calls of one key, over a store that is unreliable.

    All but the order in which a real store answers is repeatable from the seed.
    """

    def __init__(
        self,
        seed: int,
        documents: Documents | None = None,
        *,
        limits: CallLimits | None = None,
    ) -> None:
        self._chance = random.Random(seed)
        rpm = self._chance.choice((1, 2, 7, 30, 200))
        tpm = self._chance.choice((None, 50, 300, 5_000))
        self.limits = limits or CallLimits(rpm, tpm)
        self._documents = UnreliableDocuments(documents or MemoryDocuments(), self._chance)
        self.clock = SetClock()
        self._instances = [self._instance() for _ in range(INSTANCES)]
        self._running: list[tuple[str, Admission, int]] = []
        self.requests: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    async def run(self, steps: int) -> None:
        """Let so many things happen.

        Raises:
            Violation: a window's limit was broken.
        """
        for _ in range(steps):
            [action] = self._chance.choices(
                ("admit", "settle", "advance", "crash"), weights=(60, 25, 12, 3)
            )
            if action == "admit":
                calls = [self._admit() for _ in range(self._chance.choice((1, 3, 12)))]
                await asyncio.gather(*calls)
            elif action == "settle" and self._running:
                self._settle()
            elif action == "advance":
                self.clock.advance(self._chance.choice((0.5, 5, 30, -4)))
            elif action == "crash":
                self._instances[self._chance.randrange(len(self._instances))] = self._instance()
            self._check()

    def _instance(self) -> tuple[RateWindows, SkewedClock]:
        skew = timedelta(seconds=self._chance.uniform(-SKEW_S / 2, SKEW_S / 2))
        clock = SkewedClock(self.clock, skew)
        windows = RateWindows(
            self._documents, clock, entropy=self._chance.randbytes, sleep=_no_sleep
        )
        return windows, clock

    async def _admit(self) -> None:
        windows, clock = self._chance.choice(self._instances)
        tokens = 0 if self.limits.tpm is None else self._chance.choice((0, 1, 10, 40))
        window = f"{clock.now():%H:%M}"
        try:
            admitted = await windows.admit("line-1", self.limits, tokens)
        except StoreUnavailable:
            return
        if isinstance(admitted, Admission):
            self.requests[window] += 1
            self.tokens[window] += tokens
            self._running.append((window, admitted, tokens))

    def _settle(self) -> None:
        window, admission, tokens = self._running.pop(self._chance.randrange(len(self._running)))
        used = self._chance.randint(0, tokens)
        admission.true_up(used)
        self.tokens[window] -= tokens - used

    def _check(self) -> None:
        _require(self.requests, self.limits.rpm, "requests")
        _require(self.tokens, self.limits.tpm, "tokens")


def _require(counts: Counter[str], limit: int | None, what: str) -> None:
    broken = {window: count for window, count in counts.items() if count > (limit or count)}
    if broken:
        raise Violation(f"{broken} {what} were admitted, and {limit} may be")


async def _no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)
