"""Requests and tokens a minute, over all instances: slices of `rates/{line}:{minute}`.

An instance takes a slice with one read and one write that rests on what was read; calls pass in
memory while it has room, and wait for the next take, at most 3 s, when it has none. A take whose
outcome is unknown counts as not taken: if it is stored after all, a slice is lost, and nothing is
admitted twice. So are slices of instances that died, and all that a minute leaves unused.

A window is named by the instance's own clock, and a call belongs to the window it arrived in. Where
clocks differ by 5 s, an instance begins a minute 5 s before another: each window still holds its
limit, but a minute of the wall clock may see parts of two of them, as with any fixed window. A
clock that is set back finds the slices of that window taken, unless it is set back by an hour and
its document is gone.

Limits protect providers, not money. While the store is silent, calls pass as far as the slices
already taken reach; then they are refused, because letting all pass would end every limit at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Literal, TypeAlias

from common.budgets.rate_limits import CallLimits, Limit, Slice, Taken, plan_take
from common.core.errors import StoreUnavailable
from common.core.ports import Clock, Committed, Create, Document, Documents, Put, Ref

RATES = "rates"
WINDOW = timedelta(minutes=1)
KEPT_FOR = timedelta(hours=1)
WAIT_S = 3.0
"""What a call waits for a take, before it is refused."""
SILENT_FOR_S = 2.0
"""After the store did not answer, nobody waits for it for so long."""
PAUSE_S = 0.02
"""After a take that others were faster with: up to so much for each instance that has taken."""
LONGEST_PAUSE_S = 0.5


Decided: TypeAlias = Literal["admitted"] | Limit


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that was admitted, counted with so many tokens."""

    own: Slice
    counted: int

    def true_up(self, used: int) -> None:
        """Count what it has used instead, to be called once. Behind the minute without effect."""
        self.own.true_up(self.counted, used)


@dataclass(frozen=True, slots=True)
class Over:
    """A call that was refused: by which limit, and the seconds until there is a new minute."""

    limit: Limit
    resets_in_s: int


@dataclass(slots=True, eq=False)
class _Waiting:
    tokens: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    verdict: Decided | Literal["silent"] | None = None

    def answer(self, verdict: Decided | Literal["silent"]) -> None:
        self.verdict = verdict
        self.answered.set()


@dataclass(slots=True)
class _Window:
    """This instance's side of one window. `taking` is the one transaction at a time."""

    ref: Ref
    delete_at: datetime
    own: Slice = field(default_factory=Slice)
    waiting: list[_Waiting] = field(default_factory=list)
    taking: asyncio.Task[None] | None = None

    def answer_in_order(self) -> None:
        """Tell those waiting, up to the first that needs another take."""
        while self.waiting:
            verdict = self.own.admit(self.waiting[0].tokens)
            if verdict == "short":
                return
            self.waiting.pop(0).answer(verdict)


class RateWindows:
    """This instance's slices of the current minute. One per process."""

    def __init__(
        self,
        documents: Documents,
        clock: Clock,
        *,
        entropy: Callable[[int], bytes],
        wait_s: float = WAIT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._entropy = entropy
        self._wait_s = wait_s
        self._sleep = sleep
        self._starts_at = datetime.min.replace(tzinfo=UTC)
        self._windows: dict[str, _Window] = {}
        self._silent_until = -1.0

    async def admit(self, line: str, limits: CallLimits, tokens: int) -> Admission | Over:
        """Count one call of a key's line, as it arrives.

        Args:
            line: whose calls are counted together.
            limits: those of the call's key.
            tokens: what the call may use.

        Raises:
            StoreUnavailable: there is no room in memory, and the store did not tell in time.
        """
        window = self._window(line)
        window.own.limits = limits
        verdict = "short" if window.waiting else window.own.admit(tokens)
        if verdict == "short":
            verdict = await self._wait(window, tokens)
        if verdict == "admitted":
            return Admission(window.own, tokens)
        return Over(verdict, self._resets_in_s(window))

    def _window(self, line: str) -> _Window:
        now = self._clock.now().astimezone(UTC)
        starts_at = now.replace(second=0, microsecond=0)
        if starts_at != self._starts_at:
            self._starts_at = starts_at
            self._windows = {}
        window = self._windows.get(line)
        if window is None:
            ref = Ref(RATES, f"{line}:{starts_at:%Y-%m-%dT%H:%M}")
            window = self._windows[line] = _Window(ref, starts_at + WINDOW + KEPT_FOR)
        return window

    def _resets_in_s(self, window: _Window) -> int:
        left = window.delete_at - KEPT_FOR - self._clock.now()
        return max(1, ceil(left.total_seconds()))

    async def _wait(self, window: _Window, tokens: int) -> Decided:
        if self._clock.monotonic() < self._silent_until:
            raise _silent()
        call = _Waiting(tokens)
        window.waiting.append(call)
        if window.taking is None or window.taking.done():
            window.taking = asyncio.create_task(self._take(window))
        try:
            async with asyncio.timeout(self._wait_s):
                await call.answered.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if call.verdict == "admitted":
                window.own.true_up(tokens, 0)
            raise
        finally:
            if call.verdict is None:
                window.waiting.remove(call)
        if call.verdict is None or call.verdict == "silent":
            raise _silent()
        return call.verdict

    async def _take(self, window: _Window) -> None:
        """Take until nobody waits."""
        while window.waiting:
            try:
                took = await self._take_once(window)
            except StoreUnavailable:
                self._silent_until = self._clock.monotonic() + SILENT_FOR_S
                for call in window.waiting:
                    call.answer("silent")
                window.waiting.clear()
                return
            if took:
                window.answer_in_order()
            else:
                await self._sleep(self._pause_s(window))

    async def _take_once(self, window: _Window) -> bool:
        """Whether those waiting can be told more than before."""
        [document] = await self._documents.get_many([window.ref])
        stored = Taken.from_document(document)
        window.own.known = stored
        take = plan_take(window.own, [call.tokens for call in window.waiting], stored)
        if take.after == stored:
            return True
        outcome = await self._documents.commit([_write(window, document, take.after)])
        if not isinstance(outcome, Committed):
            return False
        window.own.receive(take)
        return True

    def _pause_s(self, window: _Window) -> float:
        bound = min(LONGEST_PAUSE_S, PAUSE_S * (1 + window.own.known.takers))
        return bound * int.from_bytes(self._entropy(4), "big") / (1 << 32)


def _write(window: _Window, document: Document | None, after: Taken) -> Create | Put:
    data = {**after.to_data(), "delete_at": window.delete_at}
    if document is None:
        return Create(window.ref, data)
    return Put(window.ref, data, if_version=document.version)


def _silent() -> StoreUnavailable:
    return StoreUnavailable("state did not answer in time")
