"""The leases of one instance: holds for calls in memory, and commits in the background.

A call finds room in a lease that is there already, without waiting; else it waits for a commit,
together with all others that wait. When the last call has ended everything is given back, so an
instance that has no CPU to answer anybody sits on nobody's money.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from common.budgets.accounts import Period
from common.budgets.budgets import Applicable
from common.budgets.corrections import correct_own
from common.budgets.leases import Hold, LeaseHead
from common.budgets.renewal import Outcome, Round, renew, resolve
from common.budgets.renewals import LEASE_FOR, RENEWED_AFTER, Wish
from common.core.errors import StoreUnavailable, VersionConflict
from common.core.money import Nanos
from common.core.ports import Clock, Documents

logger = logging.getLogger(__name__)

WAIT_S = 3.0
"""A call waits no longer for a commit."""
REFUSAL_KEPT_S = 1.0
ASKED_AGAIN_AFTER_S = 1.0
"""A lease that runs low is renewed in the background, at most once in this time."""
IDLE_AFTER_S = 10.0
BUSY_AFTER_S = 20.0
DEMAND_S = 60
DEMANDED_HOLDS = 4
LOW_HOLDS = 2
MOST_LEASES = 20
"""In one commit: with up to 12 periods each they stay within what a store takes."""
CONFLICT_PAUSE_S = 0.02
LONGEST_CONFLICT_PAUSE_S = 0.32
"""At most after one conflict, doubled with each that follows: how many ask at once nobody knows."""
OUTAGE_PAUSE_S = 0.25
MOST_OUTAGES = 10
"""Attempts to give money back to a store that does not answer; then the lease's end does it."""

Entropy: TypeAlias = Callable[[int], bytes]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
ScopeSet: TypeAlias = tuple[str, ...]


class BudgetUnavailable(Exception):
    """Nobody can say now whether there is room: the store does not answer in time."""


class NoRoom(Exception):
    """A budget has no room for a hold.

    `period` is the one that is short, as it was a moment ago; `fits` is the largest hold that would
    have found room, in nano-USD.
    """

    def __init__(self, period: Period, fits: Nanos) -> None:
        super().__init__(period.id)
        self.period = period
        self.fits = fits


class _Moved(Exception):
    """The period that a call waited for is over, or its budget applies to other calls now."""


@dataclass(slots=True)
class Held:
    """What one attempt of a call holds, to be settled once. No `head`: no hard budget applies."""

    head: LeaseHead | None = None
    hold: Hold | None = None

    @property
    def nanos(self) -> Nanos:
        return self.hold.nanos if self.hold is not None else 0


@dataclass(slots=True)
class _Share:
    """One scope set: its lease, the epoch of its newest budget, and the pace of the calls on it."""

    head: LeaseHead
    began: int
    began_s: float
    used_s: float
    asked_s: float
    typical: Nanos = 0
    spent: Nanos = 0
    owners: int = 1
    slice: Nanos = 0

    def is_low(self) -> bool:
        return self.head.room < max(3 * self.slice // 10, LOW_HOLDS * self.typical)

    def demand(self, now_s: float) -> Nanos:
        """What is wanted at hand: a few holds, as much again as is held, or a minute's spending.

        Held is the first that tells of many calls: who starts among others that start asks
        twice as much each time, and not for every few calls.
        """
        few = max(DEMANDED_HOLDS * self.typical, self.head.held)
        busy_s = now_s - self.began_s
        if busy_s < BUSY_AFTER_S:
            return few
        return max(few, self.spent * max(DEMAND_S, self.owners) // int(busy_s))


@dataclass(slots=True)
class _Waiter:
    scope_set: ScopeSet
    nanos: Nanos
    answer: "asyncio.Future[Held]"


@dataclass(slots=True)
class Holdings:
    """All leases of this process. `instance` is a random id of it."""

    documents: Documents
    clock: Clock
    instance: str
    entropy: Entropy
    sleep: Sleep = asyncio.sleep
    wait_s: float = WAIT_S
    calls: int = 0
    _shares: dict[ScopeSet, _Share] = field(default_factory=dict)
    _leaving: list[_Share] = field(default_factory=list)
    _retired: list[LeaseHead] = field(default_factory=list)
    _waiters: list[_Waiter] = field(default_factory=list)
    _refused: dict[ScopeSet, tuple[Nanos, float, NoRoom]] = field(default_factory=dict)
    _work: "asyncio.Task[None] | None" = None

    def enter(self) -> None:
        """A call begins that may hold something."""
        self.calls += 1

    async def leave(self) -> None:
        """A call has ended and its holds are settled; after the last all money is given back."""
        self.calls -= 1
        if self.calls == 0 and (self._shares or self._leaving or self._retired):
            await asyncio.shield(self._working())

    async def admit(self, to: Applicable, nanos: Nanos) -> Held:
        """Hold the bound of a call's cost against all hard budgets that apply to it.

        What costs nothing needs no room, in a budget that is used up neither.

        Raises:
            NoRoom: one of them is short.
            BudgetUnavailable: no answer of the store within 3 s.
        """
        if not to.scope_set or not nanos:
            return Held()
        now, now_s = self.clock.now(), self.clock.monotonic()
        share = self._share(to, now_s)
        share.used_s = now_s
        share.typical = nanos if not share.typical else (7 * share.typical + nanos) // 8
        hold = share.head.admit(nanos, now)
        if hold is not None:
            if share.is_low() and now_s - share.asked_s >= ASKED_AGAIN_AFTER_S:
                self._working()
            return Held(share.head, hold)
        most, until, reason = self._refused.get(to.scope_set, (0, 0.0, None))
        if reason is not None and now_s < until and nanos >= most:
            raise reason
        return await self._waited(to.scope_set, nanos)

    def settle(self, held: Held, nanos: Nanos, *, unproven: Nanos = 0) -> None:
        """Put what a call cost in place of its hold; a second time changes nothing."""
        if held.head is None or held.hold is None:
            return
        share = self._shares.get(held.head.periods)
        if held.hold.settled is None and share is not None:
            share.spent += nanos
        held.head.settle(held.hold, nanos, unproven=unproven)

    @property
    def rooms(self) -> Mapping[ScopeSet, Nanos]:
        """What this instance could admit now without asking."""
        return {key: max(0, share.head.room) for key, share in self._shares.items()}

    async def _waited(self, scope_set: ScopeSet, nanos: Nanos) -> Held:
        waiter = _Waiter(scope_set, nanos, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._working()
        try:
            async with asyncio.timeout(self.wait_s):
                return await waiter.answer
        except (TimeoutError, _Moved):
            raise BudgetUnavailable from None
        finally:
            with suppress(ValueError):
                self._waiters.remove(waiter)

    def _share(self, to: Applicable, now_s: float) -> _Share:
        share = self._shares.get(to.scope_set)
        if share is not None and share.head.policy_epoch < to.epoch:
            # Other budgets apply now: what was taken before admits nothing more.
            self._leaving.append(share)
            if share.head.policy_epoch < to.began:
                self._answer(to.scope_set, _Moved())
            share = None
        if share is None:
            head = LeaseHead(self._fresh_id(), to.scope_set, to.epoch, to.ends_at)
            share = self._shares[to.scope_set] = _Share(head, to.began, now_s, now_s, now_s)
        elif to.epoch < share.began:
            # A call of before on this lease would be charged as of now, and again as of before.
            raise BudgetUnavailable
        return share

    def _working(self) -> "asyncio.Task[None]":
        """The task that commits; one at a time."""
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._commit_what_is_due())
            self._work.add_done_callback(self._ended)
        return self._work

    def _ended(self, work: "asyncio.Task[None]") -> None:
        """Nobody waits for work that has failed."""
        error = None if work.cancelled() else work.exception()
        if error is not None:
            logger.error("budgets.failed", exc_info=error)
        for scope_set in {waiter.scope_set for waiter in self._waiters if work is self._work}:
            self._answer(scope_set, BudgetUnavailable())

    async def _commit_what_is_due(self) -> None:
        conflicts = outages = 0
        while wishes := self._wishes():
            try:
                done = await renew(
                    self.documents,
                    self.clock,
                    wishes,
                    instance=self.instance,
                    commit=self._fresh_id(),
                )
            except StoreUnavailable:
                outages += 1
                logger.warning("budgets.unreachable")
                if not self._waiters and outages >= MOST_OUTAGES:
                    return
                await self.sleep(OUTAGE_PAUSE_S)
                continue
            await self._take_note(done)
            if done.outcome is Outcome.CONFLICT:
                conflicts += 1
                longest_s = CONFLICT_PAUSE_S * 2 ** min(conflicts, 10)
                await self.sleep(self._up_to(min(longest_s, LONGEST_CONFLICT_PAUSE_S)))
            else:
                conflicts = 0
        await self._correct()

    async def _take_note(self, done: Round) -> None:
        """Draw the consequences of one commit, and answer who waited for it."""
        now_s = self.clock.monotonic()
        if done.outcome is Outcome.UNKNOWN:
            await self._find_out([head for head, _ in done.plan.flights])
        for head, lease in done.plan.gone:
            head.disown(lease.reported if lease is not None else 0)
        for wish in done.vanished:
            self._shares.pop(wish.head.periods, None)
            self._answer(wish.head.periods, BudgetUnavailable())
        self._look_through_shares(done, now_s)
        self._refused = {key: each for key, each in self._refused.items() if now_s < each[1]}
        if done.outcome is Outcome.STORED:
            for wish in done.wishes:
                self._refused.pop(wish.head.periods, None)
                self._admit_waiting(wish.head, done, now_s)

    def _look_through_shares(self, done: Round, now_s: float) -> None:
        for scope_set, share in list(self._shares.items()):
            known = [done.periods[name] for name in scope_set if name in done.periods]
            share.owners = max((period.open_leases for period in known), default=share.owners)
            if share.head.gone:
                self._retired.append(share.head)
            if not (share.head.gone or share.head.closed):
                continue
            if any(waiter.scope_set == scope_set for waiter in self._waiters):
                old = share.head
                share.head = LeaseHead(self._fresh_id(), scope_set, old.policy_epoch, old.ends_at)
            else:
                del self._shares[scope_set]
        for share in [each for each in self._leaving if each.head.gone]:
            self._retired.append(share.head)
        self._leaving = [s for s in self._leaving if not (s.head.gone or s.head.closed)]
        for head, flight in done.plan.flights:
            if (renewed := self._shares.get(head.periods)) is not None:
                renewed.slice, renewed.asked_s = flight.amount - head.held, now_s

    def _admit_waiting(self, head: LeaseHead, done: Round, now_s: float) -> None:
        """Those who waited, in their order; who finds no room now is refused."""
        now = self.clock.now()
        share = self._shares.get(head.periods)
        for waiter in [each for each in self._waiters if each.scope_set == head.periods]:
            hold = share.head.admit(waiter.nanos, now) if share is not None else None
            if share is not None and hold is not None:
                if waiter.answer.done():
                    share.head.settle(hold, 0)
                else:
                    waiter.answer.set_result(Held(share.head, hold))
                self._waiters.remove(waiter)
            elif now >= head.ends_at:
                self._answer(head.periods, _Moved())
            elif head.id in done.plan.refused:
                period = done.periods[done.plan.refused[head.id]]
                reason = NoRoom(period, max(0, share.head.room) if share is not None else 0)
                self._refused[head.periods] = (waiter.nanos, now_s + REFUSAL_KEPT_S, reason)
                self._waiters.remove(waiter)
                if not waiter.answer.done():
                    waiter.answer.set_exception(reason)

    def _answer(self, scope_set: ScopeSet, error: Exception) -> None:
        for waiter in [each for each in self._waiters if each.scope_set == scope_set]:
            self._waiters.remove(waiter)
            if not waiter.answer.done():
                waiter.answer.set_exception(error)

    async def _find_out(self, heads: Sequence[LeaseHead]) -> None:
        """Until every commit without an answer is adopted, fenced or somebody else's."""
        fences: dict[str, str] = {}
        while heads:
            try:
                heads = await resolve(
                    self.documents,
                    heads,
                    instance=self.instance,
                    fences=fences,
                    commit=self._fresh_id(),
                )
            except StoreUnavailable:
                logger.warning("budgets.unreachable")
            if heads:
                await self.sleep(self._up_to(OUTAGE_PAUSE_S))

    def _wishes(self) -> list[Wish]:
        """What is due now; whose calls wait comes first, in their order."""
        now, now_s = self.clock.now(), self.clock.monotonic()
        waiting: dict[ScopeSet, Nanos] = {}
        for waiter in self._waiters:
            waiting[waiter.scope_set] = waiting.get(waiter.scope_set, 0) + waiter.nanos
        for scope_set in [key for key in waiting if key not in self._shares]:
            self._answer(scope_set, _Moved())
        shares = [self._shares[key] for key in waiting if key in self._shares]
        shares += [share for key, share in self._shares.items() if key not in waiting]
        self._leaving = [share for share in self._leaving if share.head.seq]
        shares += self._leaving
        wishes = (
            self._wish(share, waiting.get(share.head.periods, 0), now, now_s) for share in shares
        )
        return [wish for wish in wishes if wish is not None][:MOST_LEASES]

    def _wish(self, share: _Share, waiting: Nanos, now: datetime, now_s: float) -> Wish | None:
        head = share.head
        leaving = share in self._leaving
        if waiting and not leaving:
            return Wish(head, waiting, share.demand(now_s), share.typical)
        unused = now_s - share.used_s >= IDLE_AFTER_S
        idle = leaving or self.calls == 0 or now >= head.ends_at or unused
        if head.held == 0 and idle:
            if head.seq == 0:
                self._shares.pop(head.periods, None)
                return None
            return Wish(head, close=True)
        aged = head.expires_at is not None and now >= head.expires_at - LEASE_FOR + RENEWED_AFTER
        low = share.is_low() and now_s - share.asked_s >= ASKED_AGAIN_AFTER_S
        if leaving:
            return Wish(head) if aged else None
        if aged or (low and now < head.ends_at):
            return Wish(head, 0, share.demand(now_s), share.typical)
        return None

    async def _correct(self) -> None:
        """Say what was spent of leases that others wrote off, once their calls are over."""
        for head in [each for each in self._retired if each.held == 0]:
            try:
                told = await correct_own(self.documents, self.clock, head, self.entropy)
            except (StoreUnavailable, VersionConflict):
                logger.warning("budgets.uncorrected", extra={"lease": head.id})
                return
            if told is not None:
                spent = {"lease": head.id, "spent_nanos": head.spent}
                logger.info("lease.corrected", extra=spent)
            self._retired.remove(head)

    def _fresh_id(self) -> str:
        return self.entropy(16).hex()

    def _up_to(self, seconds: float) -> float:
        return seconds * int.from_bytes(self.entropy(4), "big") / (1 << 32)
