"""Signals become a state by one decision, whoever makes it, however often and however late."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from common.brownout.changes import CHANGES, publish_changes
from common.brownout.fold import folded
from common.brownout.folding import Folding
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.signals import Signal, signal_ref
from common.brownout.state import STATE, Pin, State
from common.core.errors import PublishFailed
from common.core.events import Event
from common.core.ports import Documents, Put, Query
from tests.brownout.scenes import CYCLE, LEASE, T0, a_signal, at
from tests.gateway.making import SetClock

POLICY = shipped_policy()


@dataclass(slots=True)
class KeepingBus:
    """Keeps what is published; `down` refuses it."""

    published: list[Event] = field(default_factory=list)
    down: bool = False

    async def publish(self, _topic: str, event: Event) -> None:
        if self.down:
            raise PublishFailed("down")
        self.published.append(event)


@pytest.fixture
def bus() -> KeepingBus:
    return KeepingBus()


@pytest.fixture
def folding(documents: Documents, bus: KeepingBus, clock: SetClock) -> Folding:
    policies = Policies(documents, shipped_policy, policy_from_data)
    return Folding(documents, bus, clock, os.urandom, policies)


async def tell(documents: Documents, *signals: Signal) -> None:
    await documents.commit([Put(signal_ref(each), each.to_data()) for each in signals])


async def stored(documents: Documents) -> State:
    [document] = await documents.get_many([STATE])
    return State.from_document(document)


async def test_moves_a_scope_and_tells_it_once(
    folding: Folding, documents: Documents, bus: KeepingBus
) -> None:
    await tell(documents, a_signal(Mode.HARD, "provider:openai", link="https://dd.example/17"))

    first, again = await folding(), await folding()

    assert [change.after for change in first.changes] == [Mode.HARD]
    assert again.changes == ()
    [event] = bus.published
    told = event.model_dump()
    assert (told["scope"], told["before"], told["after"]) == ("provider:openai", "normal", "hard")
    assert (told["seq"], told["enforced"], told["cause"]) == (1, False, "signal")
    assert told["signals"][0]["link"] == "https://dd.example/17"
    assert (await stored(documents)).scopes["provider:openai"].mode == Mode.HARD


async def test_takes_what_many_store_at_once_in_few_decisions(
    folding: Folding, documents: Documents
) -> None:
    async def alert(number: int) -> None:
        await tell(documents, a_signal(Mode.SOFT, f"team:acme/t{number}", monitor=str(number)))
        assert f"team:acme/t{number}" in (await folding()).state.scopes

    await asyncio.gather(*(alert(number) for number in range(50)))

    markers = await documents.query(Query("commits"))
    assert len((await stored(documents)).scopes) == 50
    assert len(markers) < 25


async def test_returns_to_rest_and_writes_down_each_step_when_it_was_due(
    folding: Folding, documents: Documents, clock: SetClock, bus: KeepingBus
) -> None:
    await tell(documents, a_signal(Mode.EMERGENCY))
    await folding()
    clock.advance(24 * 3600)

    await folding()

    assert (await stored(documents)).at_rest
    # The lease holds it longer than its dwell: the first ramp begins where the lease ends.
    ramp = POLICY.recovery.ramp
    due = [T0 + LEASE + ramp, T0 + LEASE + ramp + CYCLE, T0 + LEASE + ramp + 2 * CYCLE]
    assert [event.event_time for event in bus.published] == [T0, *due]
    assert [event.model_dump()["cause"] for event in bus.published[1:]] == [
        "expiry",
        "recovery",
        "recovery",
    ]


async def test_publishes_later_what_the_bus_did_not_take(
    folding: Folding, documents: Documents, bus: KeepingBus
) -> None:
    bus.down = True
    await tell(documents, a_signal())
    await folding()
    bus.down = False

    published = [await publish_changes(documents, bus), await publish_changes(documents, bus)]

    assert published == [1, 0]
    assert len({event.id for event in bus.published}) == len(bus.published) == 1


async def test_numbers_changes_on_when_a_scope_comes_back(
    folding: Folding, documents: Documents, clock: SetClock
) -> None:
    signal = a_signal(Mode.SOFT)
    await tell(documents, signal)
    await folding()
    clock.advance(7_200)
    await folding()
    later = clock.now()
    await tell(
        documents, replace(signal, observed_at=later, lease_until=later + timedelta(minutes=1))
    )

    await folding()

    changes = await documents.query(Query(CHANGES))
    assert sorted(each.data["seq"] for each in changes) == [1, 2, 3]


async def test_ends_a_pin_by_itself_and_says_so(
    folding: Folding, documents: Documents, clock: SetClock, bus: KeepingBus
) -> None:
    pin = Pin("p1", "global", Mode.SOFT, "a test", "ann@example.com", T0, at(300))
    await documents.commit([Put(STATE, State(pins=(pin,)).to_data())])
    clock.advance(301)

    await folding()

    assert (await stored(documents)).at_rest
    [event] = bus.published
    told = event.model_dump()
    assert (told["before"], told["after"], told["cause"]) == ("soft", "normal", "expiry")
    assert event.event_time == at(300)


def test_decides_the_same_again_from_the_same_signals() -> None:
    signals = [a_signal(Mode.HARD, "org:acme"), a_signal(Mode.SOFT, "global")]
    once, _ = folded(State(), signals, POLICY, T0)

    assert folded(once, signals, POLICY, T0) == (once, ())
