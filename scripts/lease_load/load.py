"""Many instances of the gateway spend one budget: how often they ask the store, and who waits.

The shipped `Holdings` on virtual time. Calls arrive at random, hold one to three times their cost,
take three seconds and end; costs differ by orders of magnitude. A run ends at the first refusal.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean

from common.budgets.budgets import Applicable, Budget, budget_ref
from common.budgets.calendar import Calendar
from common.budgets.holdings import BudgetUnavailable, Holdings, NoRoom
from common.core.money import Nanos
from scripts.lease_load.memory_documents import MemoryDocuments
from scripts.lease_load.virtual_time import VirtualClock, VirtualLoop

COST = 1_000_000
"""Of a mean call, in nano-USD."""
SPREAD = 1.0
"""Of the logarithm of costs: one call in twenty costs over three times the mean."""
MOST_HELD = 3.0
CALL_S = 3.0
WARM = 0.9
"""Up to this part of the limit instances are said to be busy; behind it money is short."""


@dataclass(frozen=True, slots=True)
class Scene:
    """`calls` is the limit in mean calls; `skewed`: the busiest instances have most of the load."""

    instances: int
    per_second: int
    calls: int
    skewed: bool = False


@dataclass(slots=True)
class Found:
    """What one run showed. `spent`, `held` and `idle` are parts of the limit, at first refusal.

    `commits`, `conflicts`, `waited`, `admitted` and `unanswered` (calls that waited too long) are
    those before WARM of the limit was spent.
    """

    admitted: int = 0
    waited: int = 0
    unanswered: int = 0
    commits: int = 0
    conflicts: int = 0
    longest_s: float = 0.0
    spent: float = 0.0
    held: float = 0.0

    @property
    def idle(self) -> float:
        return 1 - self.spent - self.held

    @property
    def commits_per_1000(self) -> float:
        return 1000 * self.commits / max(1, self.admitted)

    @property
    def waited_share(self) -> float:
        return self.waited / max(1, self.admitted)


def run(scene: Scene, seed: int) -> Found:
    """One budget, from its first call to its first refusal."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_Run(scene, seed, loop).to_first_refusal())
    finally:
        loop.close()


@dataclass(slots=True)
class _Run:
    scene: Scene
    seed: int
    loop: VirtualLoop
    spent: Nanos = 0
    held: Nanos = 0
    admitted: int = 0
    waited: int = 0
    unanswered: int = 0
    longest_s: float = 0.0
    warm: Found | None = None
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def to_first_refusal(self) -> Found:
        draw = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        documents, clock = MemoryDocuments(), VirtualClock(self.loop)
        budget = Budget("b", "acme", "org:acme", Calendar("total"), self.limit, "hard")
        documents.store(budget_ref("b"), budget.to_data())
        to = Applicable.at([budget], clock.now())
        owners = [
            Holdings(documents, clock, str(number), draw.randbytes)
            for number in range(self.scene.instances)
        ]
        refused = self.loop.create_future()
        pick = _picker(owners, draw, skewed=self.scene.skewed)
        arriving = asyncio.create_task(self._arrive(pick, to, draw, refused, documents))
        await refused
        arriving.cancel()
        for task in [*self.tasks, *asyncio.all_tasks() - {asyncio.current_task()}]:
            task.cancel()
        await asyncio.gather(*self.tasks, arriving, return_exceptions=True)
        return self._found(documents)

    @property
    def limit(self) -> Nanos:
        return self.scene.calls * COST

    async def _arrive(
        self,
        pick: Callable[[], Holdings],
        to: Applicable,
        draw: random.Random,
        refused: "asyncio.Future[None]",
        documents: MemoryDocuments,
    ) -> None:
        shift = -SPREAD * SPREAD / 2  # so that the mean is COST
        due_s = self.loop.time()
        while not refused.done():
            due_s += draw.expovariate(self.scene.per_second)
            if due_s > self.loop.time():
                await asyncio.sleep(due_s - self.loop.time())
            cost = max(1, int(COST * draw.lognormvariate(shift, SPREAD)))
            hold = int(cost * draw.uniform(1, MOST_HELD))
            task = asyncio.create_task(self._call(pick(), to, hold, cost, refused))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            if self.warm is None and self.spent >= WARM * self.limit:
                self.warm = self._found(documents)

    async def _call(
        self,
        owner: Holdings,
        to: Applicable,
        hold: Nanos,
        cost: Nanos,
        refused: "asyncio.Future[None]",
    ) -> None:
        owner.enter()
        asked_s = self.loop.time()
        try:
            held = await owner.admit(to, hold)
        except NoRoom:
            if not refused.done():
                refused.set_result(None)
            return
        except BudgetUnavailable:
            self.unanswered += 1
            await owner.leave()
            return
        waited_s = self.loop.time() - asked_s
        self.admitted += 1
        self.waited += waited_s > 0
        self.longest_s = max(self.longest_s, waited_s)
        self.held += hold
        await asyncio.sleep(CALL_S)
        if refused.done():
            return
        owner.settle(held, cost)
        self.held -= hold
        self.spent += cost
        await owner.leave()

    def _found(self, documents: MemoryDocuments) -> Found:
        now = Found(
            admitted=self.admitted,
            waited=self.waited,
            unanswered=self.unanswered,
            commits=documents.commits,
            conflicts=documents.conflicts,
            longest_s=self.longest_s,
            spent=self.spent / self.limit,
            held=self.held / self.limit,
        )
        if self.warm is None:
            return now
        warm = self.warm
        now.admitted, now.waited = warm.admitted, warm.waited
        now.commits, now.conflicts = warm.commits, warm.conflicts
        now.unanswered = warm.unanswered
        return now


def _picker(
    owners: Sequence[Holdings], draw: random.Random, *, skewed: bool
) -> Callable[[], Holdings]:
    """Which instance a call comes to; skewed: the n-th gets 1/n of what the first gets."""
    weights = [1 / (number + 1) if skewed else 1.0 for number in range(len(owners))]
    drawn: list[Holdings] = []

    def pick() -> Holdings:
        if not drawn:
            drawn.extend(draw.choices(owners, weights, k=4096))
        return drawn.pop()

    return pick


def averaged(found: Sequence[Found]) -> Found:
    """The mean of several runs; the longest wait is the longest of all."""
    return Found(
        admitted=round(mean(each.admitted for each in found)),
        waited=round(mean(each.waited for each in found)),
        unanswered=round(mean(each.unanswered for each in found)),
        commits=round(mean(each.commits for each in found)),
        conflicts=round(mean(each.conflicts for each in found)),
        longest_s=max(each.longest_s for each in found),
        spent=mean(each.spent for each in found),
        held=mean(each.held for each in found),
    )
