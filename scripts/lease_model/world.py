"""A world of instances, commits that go astray and owners that die, around the shipped lease code.

Each step is one thing that can happen. After each, what is promised is checked against the truth,
which only the model knows: what calls have really cost, and what those still out there may cost.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.budgets.accounts import Lease, LeaseState, Period, TopUp
from common.budgets.leases import LeaseHead, conclude, fence
from common.budgets.renewals import Wish, plan_renewals
from common.budgets.settlement import correct, is_overdue, write_off
from scripts.lease_model.parts import (
    PERIODS,
    SCOPE_SETS,
    Call,
    Commit,
    Faults,
    Instance,
    Item,
    Violation,
)
from scripts.lease_model.store import Store

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = START + timedelta(days=1)


class World:
    """One run, repeatable from its seed."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.faults = faults
        self._answered = self._random.choice((0.3, 0.7, 0.95))
        self._most_instances = self._random.choice((2, 2, 3, 5))
        self.now = START
        self.store = Store()
        for name in PERIODS:
            limit = self._random.choice((20, 50, 100, 400, 20_000))
            self.store.put(Period(name, limit, END))
        self.astray: list[Commit] = []
        self.serial = 0
        self.instances: list[Instance] = []
        self.truth = dict.fromkeys(PERIODS, 0)
        self.out_there = dict.fromkeys(PERIODS, 0)
        self.most = dict.fromkeys(PERIODS, 0)
        self.crashed = False
        self._start_instance()
        self._start_instance()

    def run(self, steps: int) -> None:
        """Let so many things happen.

        Raises:
            Violation: a promise was broken.
        """
        actions: tuple[tuple[Callable[[], None], int], ...] = (
            (self._admit, 40),
            (self._settle, 35),
            (self._renew, 20),
            (self._resolve, 10),
            (self._arrive_late, 5),
            (self._advance, 4),
            (self._sleep, 1),
            (self._sweep, 3),
            (self._correct, 3),
            (self._freeze, 1),
            (self._crash, 1),
            (self._start_instance, 1),
            (self._top_up, 1),
            (self._charge, 1),
        )
        # Each run has its own pace: in some, hardly anything happens between two commits.
        weights = [weight * self._random.choice((0.1, 1, 1, 4)) for _, weight in actions]
        chosen = self._random.choices([action for action, _ in actions], weights, k=steps)
        for action in chosen:
            action()
            self._check()
        self._end()

    # What can happen.

    def _start_instance(self) -> None:
        if len(self.instances) < self._most_instances:
            skew = timedelta(seconds=self._random.uniform(-2.5, 2.5))
            self.instances.append(Instance(self._id("instance"), skew))

    def _admit(self) -> None:
        instance = self._awake()
        if instance is None:
            return
        scope_set = self._random.choice(SCOPE_SETS)
        nanos = self._random.choice((1, 3, 10, 40))
        head = self._head(instance, scope_set)
        flight = head.flight
        if self.faults.ignore_flight:
            head.flight = None
        hold = head.admit(nanos, self.now + instance.skew)
        head.flight = flight
        if hold is None:
            self._commit_wishes(instance, [Wish(head, nanos, demand=40, typical=10)])
            return
        cost = self._random.choice((0, 1, nanos // 2, nanos, nanos))
        instance.calls.append(Call(hold, head, cost))
        for name in scope_set:
            self.out_there[name] += nanos

    def _settle(self) -> None:
        instance = self._awake()
        if instance is None or not instance.calls:
            return
        call = instance.calls.pop(self._random.randrange(len(instance.calls)))
        # Of some nobody tells what they cost: they are settled at what they held, and flagged.
        told = self._random.random() < 0.9
        settled = call.cost if told else call.hold.nanos
        call.head.settle(call.hold, settled, unproven=settled - call.cost)
        if self._random.random() < 0.05:
            if self.faults.settle_twice:
                call.hold.settled = None
                call.head.held += call.hold.nanos
            call.head.settle(call.hold, call.cost)
        for name in call.head.periods:
            self.out_there[name] -= call.hold.nanos
            self.truth[name] += call.cost

    def _renew(self) -> None:
        instance = self._awake()
        if instance is None or not instance.heads:
            return
        wishes = []
        for head in instance.heads.values():
            if self._random.random() < 0.5:
                close = head.held == 0 and self._random.random() < 0.5
                demand = self._random.choice((0, 40, 200))
                wishes.append(Wish(head, demand=demand, typical=10, close=close))
        self._commit_wishes(instance, wishes)

    def _commit_wishes(self, instance: Instance, wishes: list[Wish]) -> None:
        if instance.pending is not None:
            return
        found = {wish.head.id: self.store.lease(wish.head.id) for wish in wishes}
        leases = {name: lease for name, lease in found.items() if lease is not None}
        commit = self._id("commit")
        plan = plan_renewals(
            wishes,
            leases,
            {name: self.store.period(name) for name in PERIODS},
            instance=instance.name,
            commit=commit,
            now=self.now + instance.skew,
        )
        for head, _ in plan.gone:
            self._retire(instance, head)
        if not plan.flights:
            return
        items: dict[str, Item] = {**plan.leases, **plan.periods}
        if self.faults.close_without_settling:
            items = self.store.without_settling(plan.leases, items)
        heads = []
        for head, flight in plan.flights:
            head.send(flight)
            heads.append(head)
        read = {name: self.store.version(name) for name in items}
        self._send(instance, Commit(commit, items, read, tuple(heads)))

    def _send(self, instance: Instance, commit: Commit) -> None:
        """The commit arrives and is answered, or one of the two goes astray."""
        fate = self._random.random()
        if fate < self._answered:
            applied = self.store.apply(commit)
            for head in commit.plan_heads:
                if applied:
                    head.arrived()
                else:
                    head.lost()
            self._forget_closed(instance)
        elif fate < (1 + self._answered) / 2:
            self.store.apply(commit)
            instance.pending = commit
        elif fate < (3 + self._answered) / 4:
            instance.pending = commit
        else:
            self.astray.append(commit)
            instance.pending = commit
        if self._random.random() < 0.05:
            self.astray.append(commit)

    def _resolve(self) -> None:
        """An owner finds out what became of its commit, fencing it where it has to."""
        instance = self._awake()
        if instance is None or instance.pending is None:
            return
        unknown: list[tuple[LeaseHead, Lease | None]] = []
        for head in instance.pending.plan_heads:
            lease = self.store.lease(head.id)
            if not conclude(head, lease, fence_commit=instance.fences.get(head.id)):
                unknown.append((head, lease))
            elif head.gone:
                self._retire(instance, head)
        if not unknown:
            instance.pending = None
            instance.fences.clear()
            self._forget_closed(instance)
            return
        commit = self._id("fence")
        items: dict[str, Item] = {}
        for head, lease in unknown:
            fenced = fence(head, lease, instance=instance.name, commit=commit)
            assert fenced is not None
            items[head.id] = fenced
            instance.fences[head.id] = commit
        sent = Commit(commit, items, {name: self.store.version(name) for name in items})
        fate = self._random.random()
        if fate < 0.8:
            self.store.apply(sent)
        elif fate < 0.9:
            self.astray.append(sent)

    def _arrive_late(self) -> None:
        """Mostly the last one: an older one hardly ever finds everything as it was."""
        if self.astray:
            newest = self._random.random() < 0.8
            self.store.apply(
                self.astray.pop(-1 if newest else self._random.randrange(len(self.astray)))
            )

    def _advance(self) -> None:
        self.now += timedelta(seconds=self._random.choice((1, 30, 300, 700)))

    def _sleep(self) -> None:
        """Everybody sleeps until leases are overdue."""
        self.now += timedelta(minutes=22)
        self._sweep()

    def _sweep(self) -> None:
        for lease in list(self.store.open_leases.values()):
            if not is_overdue(lease, self.now):
                continue
            written, periods = write_off(lease, self.store.periods_of(lease), self._id("sweep"))
            if self.faults.free_on_expiry:
                periods = [replace(p, settled=p.settled - lease.amount) for p in periods]
            self.store.put(written, *periods)
            self.crashed = True

    def _correct(self) -> None:
        """An owner that lost its lease tells what it spent, once its calls are over."""
        instance = self._awake()
        if instance is not None:
            self._correct_all(instance)

    def _correct_all(self, instance: Instance) -> None:
        for head in [h for h in instance.retired if h.held == 0]:
            stored = self.store.lease(head.id)
            if stored is not None and stored.state is LeaseState.WRITTEN_OFF:
                corrected, periods = correct(
                    stored,
                    self.store.periods_of(stored),
                    head.spent,
                    self._id("correction"),
                    unproven=head.unproven,
                )
                self.store.put(corrected, *periods)
                instance.retired.remove(head)

    def _freeze(self) -> None:
        instance = self._random.choice(self.instances) if self.instances else None
        if instance is not None:
            instance.frozen = not instance.frozen

    def _crash(self) -> None:
        """A process is gone; what it had out there costs as much as it may."""
        if not self.instances:
            return
        instance = self.instances.pop(self._random.randrange(len(self.instances)))
        for call in instance.calls:
            for name in call.head.periods:
                self.out_there[name] -= call.hold.nanos
                self.truth[name] += call.hold.nanos
        self.crashed = True

    def _top_up(self) -> None:
        name = self._random.choice(PERIODS)
        period = self.store.period(name)
        more = (*period.top_ups, TopUp(self._random.choice((10, 500))))
        self.store.put(replace(period, top_ups=more))

    def _charge(self) -> None:
        """Calls that left before the budget applied are charged, whether there is room or not."""
        name = self._random.choice(PERIODS)
        nanos = self._random.choice((1, 5))
        period = self.store.period(name)
        self.store.put(replace(period, settled=period.settled + nanos))
        self.truth[name] += nanos
        self.most[name] += nanos

    # What must hold.

    def _check(self) -> None:
        leased = dict.fromkeys(PERIODS, 0)
        for lease in self.store.open_leases.values():
            if lease.amount < 0:
                raise Violation(f"{lease.id} is below nothing: {lease}")
            for name in lease.periods:
                leased[name] += lease.amount
        for name in PERIODS:
            period = self.store.period(name)
            # Beyond the limit it only becomes less.
            limit = max(period.limit_at(self.now), self.most[name])
            if period.settled + period.leased > limit:
                raise Violation(f"{name}: {period.settled} + {period.leased} above {limit}")
            self.most[name] = period.settled + period.leased
            if period.leased != leased[name]:
                raise Violation(f"{name}: {period.leased} leased, leases have {leased[name]}")
            if self.truth[name] + self.out_there[name] > limit:
                raise Violation(f"{name}: {self.truth[name]} + {self.out_there[name]} spent")
            if min(period.settled, period.leased, period.unproven, period.open_leases) < 0:
                raise Violation(f"{name} is below nothing: {period}")

    def _end(self) -> None:
        """All calls end and all leases close: then the store has the truth, and what is not."""
        while self.astray:
            self._arrive_late()
        for instance in list(self.instances):
            self._wind_up(instance)
        self.now += timedelta(hours=1)
        self._sweep()
        self._check()
        for name in PERIODS:
            period, truth = self.store.period(name), self.truth[name]
            if not truth <= period.settled <= truth + period.unproven:
                raise Violation(f"{name}: {truth} true, {period}")
            if not self.crashed and period.settled != truth + period.unproven:
                raise Violation(f"{name}: {truth} true, {period}, without a crash")
            if period.leased or period.open_leases:
                raise Violation(f"{name} is still leased: {period}")

    def _wind_up(self, instance: Instance) -> None:
        """An instance without calls gives everything back."""
        instance.frozen = False
        self._only(instance, self._settle, lambda: not instance.calls)
        self._only(instance, self._resolve, lambda: instance.pending is None)
        for _ in range(100):
            granted = [head for head in instance.heads.values() if head.seq]
            if not granted:
                break
            self._commit_wishes(instance, [Wish(head, close=True) for head in granted])
            self._only(instance, self._resolve, lambda: instance.pending is None)
            self._check()
        self._correct_all(instance)

    # The store and the instances.

    def _head(self, instance: Instance, scope_set: tuple[str, ...]) -> LeaseHead:
        head = instance.heads.get(scope_set)
        if head is None or head.gone or head.closed:
            head = LeaseHead(self._id("lease"), scope_set, 0, END)
            instance.heads[scope_set] = head
        return head

    def _retire(self, instance: Instance, head: LeaseHead) -> None:
        stored = self.store.lease(head.id)
        if not head.gone:
            head.disown(stored.reported if stored is not None else 0)
        instance.retired.append(head)
        instance.heads.pop(head.periods, None)

    def _forget_closed(self, instance: Instance) -> None:
        for scope_set, head in list(instance.heads.items()):
            if head.closed:
                del instance.heads[scope_set]

    def _awake(self) -> Instance | None:
        awake = [instance for instance in self.instances if not instance.frozen]
        return self._random.choice(awake) if awake else None

    def _only(
        self, instance: Instance, action: Callable[[], None], done: Callable[[], bool]
    ) -> None:
        """Let one thing happen to one instance until it is done."""
        others, self.instances = self.instances, [instance]
        while not done():
            action()
        self.instances = others

    def _id(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}-{self.serial}"
