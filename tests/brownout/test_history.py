"""What became of scopes is read back in order, and that one has settled is told once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.changes import CHANGES, Change
from common.brownout.history import changes_behind, settle
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.state import STATE, Pin, State
from common.core.errors import PublishFailed
from common.core.ports import Create, Documents, Put, Query
from tests.brownout.scenes import T0, a_signal, at
from tests.brownout.test_folding import KeepingBus, tell
from tests.brownout.test_ticks import a_tick, a_ticker
from tests.gateway.making import SetClock

AFTER = timedelta(minutes=30)


def a_change(seq: int, after: Mode = Mode.NORMAL, scope: str = "global") -> Change:
    """A change so many minutes after T0 as its number says."""
    return Change(
        scope=scope,
        seq=seq,
        event_time=at(60 * seq),
        before=Mode.SOFT,
        after=after,
        cause="recovery",
        episode="e1",
        signals=(),
        policy_version=0,
        enforced=True,
    )


async def write(documents: Documents, *changes: Change) -> None:
    await documents.commit([Create(each.ref, each.to_data()) for each in changes])


async def settled(documents: Documents, minutes: float, bus: KeepingBus | None = None) -> list[str]:
    """The scopes that are told to have settled, so many minutes after T0."""
    bus = bus or KeepingBus()
    policies = Policies(documents, shipped_policy, policy_from_data)
    await settle(documents, bus, policies, at(60 * minutes))
    return [f"{event.model_dump()['scope']} {event.model_dump()['seq']}" for event in bus.published]


async def test_reads_the_changes_behind_one_oldest_first(
    documents: SqliteDocuments,
) -> None:
    modes = (Mode.HARD, Mode.NORMAL)
    for number in range(1, 121):
        await write(documents, a_change(number, modes[number % 2], "global"))
    await write(documents, a_change(121, scope="org:acme"))

    behind = await changes_behind(documents, 7)
    lately = await changes_behind(documents, 0, since=at(60 * 50))

    assert [event.seq for event in behind] == list(range(8, 122))
    assert behind[0] == a_change(8, Mode.HARD).event
    assert [event.seq for event in lately] == list(range(51, 122))
    assert [event.seq for event in await changes_behind(documents, 119)] == [120, 121]
    assert await changes_behind(documents, 121) == []


async def test_tells_a_scope_that_has_stayed_normal_once(documents: SqliteDocuments) -> None:
    bus = KeepingBus()
    await write(documents, a_change(1, Mode.SOFT), a_change(2), a_change(3, scope="org:acme"))

    told = [await settled(documents, minutes, bus) for minutes in (31.9, 32, 32.9, 33, 600)]

    assert told == [[], *[["global 2"]] * 2, *[["global 2", "org:acme 3"]] * 2]
    first = bus.published[0].model_dump()
    assert (first["event_time"], first["since"], first["episode"]) == (
        at(120) + AFTER,
        at(120),
        "e1",
    )


async def test_tells_the_last_return_alone(documents: SqliteDocuments) -> None:
    await write(documents, a_change(1), a_change(2, Mode.SOFT), a_change(9))

    assert await settled(documents, 38.9) == []
    assert await settled(documents, 39) == ["global 9"]
    assert await settled(documents, 40) == []


async def test_says_the_same_again_where_it_could_not_be_marked(
    documents: SqliteDocuments,
) -> None:
    bus = KeepingBus()
    await write(documents, a_change(1))
    [stored] = await documents.query(Query(CHANGES))
    await settled(documents, 31, bus)
    [marked] = await documents.query(Query(CHANGES))
    await documents.commit([Put(stored.ref, stored.data, marked.version)])

    await settled(documents, 32, bus)

    assert len(bus.published) == 2
    assert bus.published[0] == bus.published[1]


async def test_tells_it_later_when_the_bus_is_down(documents: SqliteDocuments) -> None:
    await write(documents, a_change(1))
    with pytest.raises(PublishFailed):
        await settled(documents, 31, KeepingBus(down=True))

    assert await settled(documents, 32) == ["global 1"]


async def test_waits_while_a_pin_holds_the_scope(documents: SqliteDocuments) -> None:
    pin = Pin("p", "global", Mode.NORMAL, "why", "ann@example.com", T0, at(60 * 40))
    await write(documents, a_change(1))
    await documents.commit([Put(STATE, State(pins=(pin,)).to_data())])

    assert await settled(documents, 39.9) == []
    assert await settled(documents, 40) == ["global 1"]


async def test_waits_while_the_scope_is_off_rest(documents: SqliteDocuments) -> None:
    clock, bus = SetClock(), KeepingBus()
    clock.advance((T0 - clock.now()).total_seconds())
    await tell(documents, a_signal(Mode.SOFT))
    ticker = a_ticker(documents, bus, clock)
    await ticker.run(a_tick(clock))
    await write(documents, replace(a_change(9), event_time=T0 - 2 * AFTER))

    await ticker.run(a_tick(clock))

    assert [event.type for event in bus.published] == ["brownout.mode_changed"] * 2


async def test_is_a_part_of_every_minute(documents: SqliteDocuments) -> None:
    clock, bus = SetClock(), KeepingBus()
    clock.advance((T0 - clock.now()).total_seconds())
    await tell(documents, a_signal(Mode.SOFT))
    ticker = a_ticker(documents, bus, clock)
    for _ in range(80):
        await ticker.run(a_tick(clock))
        clock.advance(60)

    assert [event.type for event in bus.published] == [
        "brownout.mode_changed",
        "brownout.mode_changed",
        "brownout.settled",
    ]
    calm, quiet = bus.published[1:]
    assert quiet.event_time - calm.event_time == AFTER
