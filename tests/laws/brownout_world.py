"""A world of webhooks, ticks and readers around the shipped code of brownouts, on simulated time.

Alerts arrive as badly as `brownout_story` lets them; processes are killed, the store is down for
minutes, commits go astray, and whole functions stay away. After each minute that nothing disturbed,
and at the end, what is promised is checked; the world draws everything from one seed.
"""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

from common.brownout.changes import CHANGES, Change
from common.brownout.folding import Folding
from common.brownout.modes import Mode, Priority
from common.brownout.plans import Caller, decide
from common.brownout.policies import SHIPPED, Policies
from common.brownout.policy import Policy
from common.brownout.policy_models import policy_from_data
from common.brownout.receiving import Alert, Received, event_ref, receive_signals
from common.brownout.signals import SIGNALS, Signal, observed
from common.brownout.state import STATE, State
from common.brownout.ticks import Ticker
from common.brownout.trajectory import ends_at
from common.core.brownout_events import BrownoutModeChanged, BrownoutTick
from common.core.errors import StoreUnavailable
from tests.brownout.scenes import at
from tests.laws.brownout_parts import (
    LEASE,
    POLICY,
    Bus,
    Calendar,
    Copy,
    DeafWay,
    Faults,
    Violation,
)
from tests.laws.brownout_store import MOST_STEPS, Killed, MemoryDocuments, Way, Weather
from tests.laws.brownout_story import Message, Story

NO_FAULTS = Faults()
WAY_DOWN = 3 * (POLICY.recovery.dwell + POLICY.recovery.ramp)
BACK_WITHIN = timedelta(minutes=50)
"""A lease and the way down are 46.5 min; clocks of sources are 2 min off at most."""

TICK_S = 60
LANDS = 0.3
"""The chance of a commit that is on its way to arrive before the next thing happens."""
_OUTAGE_S = (60, 1_800)
_PLACES = ("store", "webhook", "tick", "bus")
_COPIES_LOOKED_AT = 20


class World:
    """One history, repeatable from its seed. `calm`: nothing goes wrong that the story lets be."""

    def __init__(
        self, story: Story, chance: random.Random, faults: Faults = NO_FAULTS, *, calm: bool = False
    ) -> None:
        self.story = story
        self.chance = chance
        self.faults = faults
        self.clock = Calendar()
        self.store = MemoryDocuments(blind=faults.blind_store)
        self.weather = Weather(chance, rough=0.0 if calm else chance.choice((0.0, 0.02, 0.2)))
        self.bus = Bus(self.weather, faults.lossy_bus)
        self.copies: list[Copy] = []
        self.looked = 0
        """How often what is promised was checked at a moment that nothing disturbed."""
        self._kills = 0.0 if calm else chance.choice((0.0, 0.02, 0.2))
        self._skew_s = 0.0 if calm else chance.choice((0, 0, -120, 120))
        self._outages = [] if calm else self._some_outages()
        self._known: Copy | None = None
        self._newest_words: dict[str, datetime] = {}
        self._policies = Policies(self.store, lambda: POLICY, policy_from_data)
        self._processes: dict[str, Folding] = {}
        self._ways: dict[str, Way] = {}

    @property
    def ends_s(self) -> float:
        """When everything must be back to normal."""
        return self.story.over_s + BACK_WITHIN.total_seconds()

    @property
    def changes(self) -> list[Change]:
        """All of them, the oldest first."""
        found = [Change.from_document(each) for each in self.store.all_of(CHANGES)]
        return sorted(found, key=lambda change: change.seq)

    async def run(self) -> None:
        """Let it happen.

        Raises:
            Violation: a promise was broken.
        """
        await self._policies.of(SHIPPED)  # Once it is known, no thread makes the order of things.
        happenings: list[tuple[float, Message | None]] = [*self.story.arrivals]
        happenings += [(float(each), None) for each in range(0, int(self.ends_s), TICK_S)]
        happenings.sort(key=lambda each: each[0])
        for second, group in groupby(happenings, key=lambda each: int(each[0])):
            if second < self.ends_s:
                await self._together(second, [message for _, message in group])
        self._check_normal()
        await self._clear_up()
        self._check_events()

    # What happens.

    async def _together(self, second: int, messages: Sequence[Message | None]) -> None:
        self.clock.time = at(second)
        out = {place for place, begins, ends in self._outages if begins <= second < ends}
        self.weather.down, self.bus.down = "store" in out, "bus" in out
        self.weather.crowded = len(messages) > 1
        disturbed = self.weather.disturbed
        await self._arrive_late()
        work: list[Awaitable[None]] = []
        for number, message in enumerate(messages):
            if message is None and "tick" not in out:
                work.append(self._alive("tick", self._tick("tick")))
            elif message is not None and "webhook" not in out:
                name = f"webhook-{number % 2}"
                work.append(self._alive(name, self._receive(name, message)))
        if len(work) > 1:
            await asyncio.gather(*work)
        elif work:
            await work[0]
        if list(messages) == [None] and work and disturbed == self.weather.disturbed:
            self._look()
        else:
            self._keep_copy()

    async def _receive(self, name: str, message: Message) -> None:
        folding, now = self._process(name), self.clock.now()
        signal = Signal(
            source="datadog",
            monitor=message.monitor,
            group="",
            scope=message.scope,
            level=message.level,
            observed_at=observed(at(message.at_s + self._skew_s), now),
            received_at=now,
            lease_until=now,
        )
        alert = Alert(signal.monitor, signal.group, signal.observed_at, now)
        told = () if message.deed == "end" else (signal,)
        try:
            answer = await receive_signals(
                Received("datadog", message.event, message.deed, alert, told),
                documents=folding.documents,
                clock=self.clock,
                entropy=self._entropy,
                lease=timedelta(days=9) if self.faults.endless_lease else LEASE,
                fold=folding,
            )
        except StoreUnavailable:
            return  # The sender hears 503, and does not come again.
        if self.store.document(event_ref("datadog", message.event)) is None:
            raise Violation(f"{now}: {message} is answered {answer.status}, and is not stored")

    async def _tick(self, name: str) -> None:
        tick = BrownoutTick(id=f"tick-{self.clock.now()}", event_time=self.clock.now())
        await Ticker(self._process(name)).run(tick)

    async def _alive(self, name: str, work: Awaitable[None]) -> None:
        """Do it, unless its process is killed meanwhile: then the next one begins anew."""
        self._process(name)
        way = self._ways[name]
        if self._kills and way.dies_in is None and self.chance.random() < self._kills:
            way.dies_in = self.chance.randrange(MOST_STEPS)
        try:
            await work
        except Killed:
            self._processes.pop(name, None)

    async def _arrive_late(self) -> None:
        late = self.weather.late
        while late and self.chance.random() < LANDS:
            await self.store.commit(late.pop(self.chance.randrange(len(late))))
            # If it is a state, it is one that was computed from the signals of then.
            self._known = None

    async def _clear_up(self) -> None:
        """Everything works again, and what was on its way has arrived."""
        self._processes.clear()
        self._kills = self.weather.rough = 0.0
        self.weather.down = self.bus.down = self.weather.crowded = False
        for writes in self.weather.late:
            await self.store.commit(writes)
        for minutes in (1, 2):
            self.clock.time = at(self.ends_s) + timedelta(minutes=minutes)
            await self._tick("last")

    # What must hold.

    def _look(self) -> None:
        """A tick has just folded all there is, and nothing came between."""
        self.looked += 1
        now, before = self.clock.now(), self._known
        newest = self._keep_copy()
        stored = {scope: held.mode for scope, held in newest.state.scopes.items()}
        # Since an older copy was made no source has said anything: its readers know as much.
        unchanged = before is not None and before.signals == newest.signals
        self._known = known = before if before is not None and unchanged else newest
        for copy in {id(known): known, id(newest): newest}.values():
            read = self._read(copy, now)
            if read != stored:
                raise Violation(f"{now}: a reader of {copy} finds {read}, stored is {stored}")
        signals = [Signal.from_document(each) for each in self.store.all_of(SIGNALS)]
        for scope, held in newest.state.scopes.items():
            leases = [each.lease_until for each in signals if each.scope == scope]
            if ends_at(held, POLICY.recovery) > max([now, *leases]) + WAY_DOWN:
                raise Violation(f"{now}: {scope} is held longer than by its leases: {held}")
        for signal in signals:
            newest_word = self._newest_words.setdefault(signal.id, signal.observed_at)
            self._newest_words[signal.id] = signal.observed_at
            if signal.observed_at < newest_word:
                raise Violation(f"{now}: {signal} is older than what was known at {newest_word}")
            if signal.lease_until > now and stored.get(signal.scope, 0) < signal.level:
                raise Violation(f"{now}: {signal} has no effect on {stored}")

    def _check_normal(self) -> None:
        """Whatever copy a reader has, and whoever is dead."""
        self.clock.time = at(self.ends_s)
        newest = self._keep_copy()
        some = self.chance.sample(self.copies, min(_COPIES_LOOKED_AT, len(self.copies)))
        for copy in (newest, *some):
            read = self._read(copy, self.clock.now())
            if read:
                raise Violation(f"stuck, {BACK_WITHIN} after the last cause: {read} by {copy}")

    def _check_events(self) -> None:
        newest, changes = self._keep_copy(), self.changes
        if not newest.state.at_rest:
            raise Violation(f"not at rest: {newest.state}")
        if [each.seq for each in changes] != list(range(1, newest.state.seq + 1)):
            raise Violation(f"{newest.state.seq} changes, and stored are {changes}")
        modes: dict[str, Mode] = {}
        for change in changes:
            if change.before != modes.get(change.scope, Mode.NORMAL):
                raise Violation(f"{change} does not follow {modes}")
            modes[change.scope] = change.after
        if any(modes.values()):
            raise Violation(f"what is told ends at {modes}")
        published = [each for each in self.bus.published if isinstance(each, BrownoutModeChanged)]
        told = {event.id: event for event in published}
        if told != {change.event.id: change.event for change in changes}:
            raise Violation(f"{len(changes)} changes, and told are {len(told)}")
        if any(event != told[event.id] for event in published):
            raise Violation("one id tells two things")

    # Store, processes and readers.

    def _keep_copy(self) -> Copy:
        """The state as it is stored now."""
        document = self.store.document(STATE)
        version = None if document is None else document.version
        signals = self.store.written[SIGNALS]
        last = self.copies[-1] if self.copies else None
        if last is not None and (last.version, last.signals) == (version, signals):
            return last
        copy = Copy(State.from_document(document), version, signals)
        self.copies.append(copy)
        return copy

    def _read(self, copy: Copy, now: datetime) -> dict[str, Mode]:
        """The scopes that a reader with this copy finds off rest, as calls are decided on."""
        if self.faults.literal_reader:
            return {scope: held.mode for scope, held in copy.state.scopes.items()}
        policy = _hasty(POLICY) if self.faults.hasty_reader else POLICY
        found = {}
        for scope in copy.state.scopes:
            caller = Caller((scope,), "conversation", Priority.NORMAL)
            decision = decide(copy.state, policy, caller, now, _first)
            if decision is not None:
                found[scope] = decision.mode
        return found

    def _process(self, name: str) -> Folding:
        if name not in self._processes:
            way = self._ways[name] = Way(self.store, self.weather)
            documents = DeafWay(way) if self.faults.deaf_fold else way
            folding = Folding(documents, self.bus, self.clock, self._entropy, self._policies)
            self._processes[name] = folding
        return self._processes[name]

    def _some_outages(self) -> list[tuple[str, float, float]]:
        """Which place is out of order from when to when. Some stay away to the end."""
        found: list[tuple[str, float, float]] = []
        for _ in range(self.chance.randrange(5)):
            begins = self.chance.uniform(0, self.ends_s)
            ends = begins + self.chance.uniform(*_OUTAGE_S)
            found.append((self.chance.choice(_PLACES), begins, ends))
        if self.chance.random() < 0.2:
            begins = self.chance.uniform(0, self.ends_s)
            places = self.chance.sample(_PLACES, self.chance.randint(1, len(_PLACES)))
            found += [(place, begins, self.ends_s + 1) for place in places]
        return found

    def _entropy(self, size: int) -> bytes:
        """Random bytes; the four that a pause is made of are zero, so that nobody waits."""
        return bytes(size) if size == 4 else self.chance.randbytes(size)


def _first(_text: str) -> float:
    """The draw of a caller who is treated as long as anybody is."""
    return 0.0


def _hasty(policy: Policy) -> Policy:
    return replace(policy, recovery=replace(policy.recovery, dwell=timedelta(0)))
