"""A source is asked once a minute; what it does not answer is told once, after five minutes."""

import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.folding import Folding
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy import Meaning
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.reconciling import Group, Monitor, SourceUnavailable
from common.brownout.signals import SIGNALS, Signal, signal_ref
from common.brownout.sources import BLIND_AFTER, Asking, SourceStatus, source_ref
from common.brownout.state import STATE, State
from common.brownout.storing import MOST_AT_ONCE
from common.brownout.ticks import Ticker
from common.core.brownout_events import BrownoutBlind, BrownoutSighted, BrownoutTick
from common.core.errors import PublishFailed
from common.core.ports import Put, Query
from tests.brownout.scenes import LEASE, T0, a_signal, at
from tests.brownout.test_folding import KeepingBus
from tests.gateway.making import SetClock

ALERT = Monitor("17", (Group(frozenset(), Mode.HARD, ("global",)),))
CALM = Monitor("17", ())


@dataclass(slots=True)
class Told:
    """A source that answers what a test sets; `meanwhile` is what is stored while it answers."""

    monitors: Sequence[Monitor] = ()
    failure: str | None = None
    meanings: list[Mapping[str, Meaning]] = field(default_factory=list)

    async def read(self, meanings: Mapping[str, Meaning]) -> Sequence[Monitor]:
        self.meanings.append(meanings)
        if self.failure is not None:
            raise SourceUnavailable(self.failure)
        return self.monitors


@dataclass(slots=True)
class Scene:
    documents: SqliteDocuments
    clock: SetClock
    bus: KeepingBus = field(default_factory=KeepingBus)
    source: Told | None = field(default_factory=Told)

    @property
    def folding(self) -> Folding:
        policies = Policies(self.documents, shipped_policy, policy_from_data)
        return Folding(self.documents, self.bus, self.clock, os.urandom, policies)

    @property
    def asking(self) -> Asking:
        return Asking(
            source="datadog",
            monitors=self.source,
            needs="KEYS",
            documents=self.documents,
            bus=self.bus,
            clock=self.clock,
            entropy=os.urandom,
            rules=self.folding.rules,
            lease=lambda rules: rules.datadog,
        )

    async def asks(self, seconds: float = 0) -> None:
        """Ask after so many seconds."""
        self.clock.advance(seconds)
        await self.asking(self.clock.now())

    async def signals(self) -> list[Signal]:
        found = await self.documents.query(Query(SIGNALS))
        return [Signal.from_document(each) for each in found]

    async def status(self) -> SourceStatus:
        [document] = await self.documents.get_many([source_ref("datadog")])
        assert document is not None
        return SourceStatus.from_document("datadog", document)

    async def knows(self, signal: Signal) -> None:
        await self.documents.commit([Put(signal_ref(signal), signal.to_data())])

    @property
    def blind(self) -> list[BrownoutBlind]:
        return [event for event in self.bus.published if isinstance(event, BrownoutBlind)]

    @property
    def sighted(self) -> list[BrownoutSighted]:
        return [event for event in self.bus.published if isinstance(event, BrownoutSighted)]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = SetClock()
    clock.advance((T0 - clock.now()).total_seconds())
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    yield Scene(engine, clock)
    await engine.aclose()


def the_source(scene: Scene) -> Told:
    assert scene.source is not None
    return scene.source


class TestAsking:
    async def test_stores_an_alert_that_nobody_told(self, scene: Scene) -> None:
        the_source(scene).monitors = [ALERT]

        await scene.asks()

        [signal] = await scene.signals()
        assert (signal.level, signal.lease_until) == (Mode.HARD, T0 + LEASE)
        assert (await scene.status()).alerts == 1

    async def test_ends_a_signal_whose_end_nobody_told(self, scene: Scene) -> None:
        the_source(scene).monitors = [CALM]
        await scene.knows(a_signal())

        await scene.asks(600)

        [signal] = await scene.signals()
        assert (signal.told_over, signal.lease_until) == (True, at(600))

    async def test_puts_nothing_over_what_was_told_while_it_asked(self, scene: Scene) -> None:
        the_source(scene).monitors = [CALM]
        newer = a_signal(observed_at=at(1), received_at=at(1))
        await scene.knows(newer)

        await scene.asks()

        assert await scene.signals() == [newer]

    async def test_writes_nothing_where_nothing_differs(self, scene: Scene) -> None:
        the_source(scene).monitors = [ALERT]
        await scene.asks()
        [before] = await scene.documents.query(Query(SIGNALS))

        await scene.asks(60)

        assert await scene.documents.query(Query(SIGNALS)) == [before]

    async def test_stores_so_many_at_one_time_and_the_rest_the_next(self, scene: Scene) -> None:
        groups = tuple(
            Group(frozenset({f"host:{number}"}), Mode.HARD, ("global",))
            for number in range(MOST_AT_ONCE + 1)
        )
        the_source(scene).monitors = [Monitor("17", groups)]

        await scene.asks()
        first = len(await scene.signals())
        await scene.asks(60)

        assert (first, len(await scene.signals())) == (MOST_AT_ONCE, MOST_AT_ONCE + 1)

    async def test_asks_with_the_meanings_of_the_policy(self, scene: Scene) -> None:
        await scene.asks()

        assert the_source(scene).meanings == [shipped_policy().signals.monitors]

    async def test_is_off_without_keys_and_says_so_once(
        self, scene: Scene, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        scene.source = None
        await scene.knows(a_signal())

        await scene.asks()
        await scene.asks(60)

        assert await scene.signals() == [a_signal()]
        assert (await scene.status()).standing == "off"
        assert (await scene.status()).cause == "needs KEYS"
        assert [record.msg for record in caplog.records] == ["brownout.source_off"]


class TestSilence:
    async def test_leaves_signals_to_their_leases(self, scene: Scene) -> None:
        the_source(scene).failure = "it answers 500"
        await scene.knows(a_signal())

        await scene.asks(600)

        assert await scene.signals() == [a_signal()]
        status = await scene.status()
        assert (status.standing, status.silent_since) == ("silent", at(600))
        assert status.cause == "it answers 500"

    async def test_tells_once_that_it_is_blind_after_five_minutes(self, scene: Scene) -> None:
        the_source(scene).failure = "x"

        counts = []
        for _ in range(8):
            await scene.asks(60)
            counts.append(len(scene.blind))

        assert counts == [0, 0, 0, 0, 0, 1, 1, 1]
        [fact] = scene.blind
        assert (fact.source, fact.cause, fact.since) == ("datadog", "unreachable", at(60))
        assert fact.event_time - fact.since == BLIND_AFTER

    async def test_tells_nothing_of_a_silence_that_is_over_before(self, scene: Scene) -> None:
        for failure in ["x", "x", "x", "x", None, "x", "x", "x", "x"]:
            the_source(scene).failure = failure
            await scene.asks(60)

        assert scene.blind == []

    async def test_tells_the_next_silence_too(self, scene: Scene) -> None:
        for failure in ["x", None, "x"]:
            the_source(scene).failure = failure
            await scene.asks(60)
            await scene.asks(300)

        first, second = scene.blind
        assert first.id != second.id

    async def test_tells_it_under_one_id_if_it_is_told_again(self, scene: Scene) -> None:
        the_source(scene).failure = "x"
        await scene.asks()
        await scene.asks(300)
        told = replace(await scene.status(), told=False)
        await scene.documents.commit([Put(told.ref, told.to_data())])

        await scene.asks(60)

        first, second = scene.blind
        assert first.id == second.id

    async def test_tells_it_later_where_it_cannot_be_published(self, scene: Scene) -> None:
        the_source(scene).failure = "x"
        await scene.asks()
        scene.bus.down = True
        with pytest.raises(PublishFailed):
            await scene.asks(300)
        scene.bus.down = False

        await scene.asks(60)

        assert [fact.since for fact in scene.blind] == [T0]


class TestEndOfSilence:
    async def test_is_told_once(self, scene: Scene) -> None:
        the_source(scene).failure = "x"
        await scene.asks()
        await scene.asks(300)
        the_source(scene).failure = None

        for _ in range(3):
            await scene.asks(60)

        [fact] = scene.sighted
        assert (fact.source, fact.since, fact.event_time) == ("datadog", T0, at(360))

    async def test_is_not_told_where_nobody_was_told_of_the_silence(self, scene: Scene) -> None:
        for failure in ["x", None, None]:
            the_source(scene).failure = failure
            await scene.asks(299)

        assert scene.sighted == []

    async def test_is_told_of_each(self, scene: Scene) -> None:
        for failure in ["x", "x", None, "x", "x", None]:
            the_source(scene).failure = failure
            await scene.asks(300)

        first, second = scene.sighted
        assert first.id != second.id

    async def test_is_told_later_where_it_cannot_be_published(self, scene: Scene) -> None:
        the_source(scene).failure = "x"
        await scene.asks()
        await scene.asks(300)
        the_source(scene).failure = None
        scene.bus.down = True
        with pytest.raises(PublishFailed):
            await scene.asks(60)
        scene.bus.down = False

        await scene.asks(60)
        await scene.asks(60)

        assert [fact.since for fact in scene.sighted] == [T0]

    async def test_has_one_id_if_it_is_told_again(self, scene: Scene) -> None:
        the_source(scene).failure = "x"
        await scene.asks()
        await scene.asks(300)
        silent = await scene.status()
        the_source(scene).failure = None
        await scene.asks(60)
        await scene.documents.commit([Put(silent.ref, silent.to_data())])

        await scene.asks(60)

        first, second = scene.sighted
        assert first.id == second.id


async def test_is_asked_before_signals_are_folded(scene: Scene) -> None:
    the_source(scene).monitors = [ALERT]
    tick = BrownoutTick(id="tick", event_time=scene.clock.now())
    sources: Any = {"datadog": scene.asking}

    await Ticker(scene.folding, {}, sources).run(tick)

    [state] = await scene.documents.get_many([STATE])
    assert State.from_document(state).scopes["global"].mode == Mode.HARD


async def test_keeps_nothing_from_being_folded_when_it_fails(scene: Scene) -> None:
    the_source(scene).failure = "x"
    await scene.asks()
    scene.bus.down = True
    scene.clock.advance(300)
    await scene.knows(a_signal(lease_until=at(300) + timedelta(minutes=1)))
    tick = BrownoutTick(id="tick", event_time=scene.clock.now())

    await Ticker(scene.folding, {}, {"datadog": scene.asking}).run(tick)

    [state] = await scene.documents.get_many([STATE])
    assert State.from_document(state).scopes["global"].mode == Mode.HARD
