"""Leases whose owner is gone: written off in full, told, and corrected once."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from common.budgets.accounts import LEASE_KEPT, LeaseState, Period, lease_ref, period_ref
from common.budgets.holdings import Held, Holdings
from common.budgets.renewals import LEASE_FOR
from common.budgets.settlement import GRACE, correct
from common.budgets.sweep import SWEPT, TICK_LIFE, Asked, Sweeper
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.events import Event, LeaseWrittenOff
from common.core.ports import Put, Write
from common.core.transactions import Read, transact
from tests.budgets.conftest import DOLLAR, SetClock, World
from tests.budgets.sweeping import (
    MINUTE_S,
    KeepingBus,
    a_call_held,
    a_sweeper,
    a_tick,
    nothing,
    state,
    swept,
    told,
)


def sums(period: Period) -> tuple[int, int, int, int]:
    return period.settled, period.unproven, period.leased, period.open_leases


async def corrected_by_an_operator(world: World, spent: int) -> None:
    [lease] = await world.leases()

    async def decide(read: Read) -> tuple[Sequence[Write], None]:
        found = await read([lease_ref(lease.id), *(period_ref(each) for each in lease.periods)])
        stored = [each for each in found if each is not None]
        changed, periods = correct(
            type(lease).from_document(stored[0]),
            [Period.from_document(each) for each in stored[1:]],
            spent,
            "an operator",
        )
        return [
            Put(lease_ref(changed.id), changed.to_data()),
            *(Put(period_ref(each.id), each.to_data()) for each in periods),
        ], None

    await transact(world.documents, world.clock, decide, entropy=os.urandom)


@pytest.mark.parametrize("phase_s", [0, 1, 29, 59])
async def test_a_killed_instance_is_written_off_in_full_22_minutes_after_its_last_commit(
    world: World, phase_s: int
) -> None:
    """With up to half a minute for a command to arrive, 22.5 minutes."""
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, 4 * DOLLAR)
    [lease] = await world.leases()
    last_commit = world.clock.now()
    world.clock.advance(phase_s)
    events: list[Event] = []

    while not events:
        world.clock.advance(MINUTE_S)
        assert world.clock.now() - last_commit <= timedelta(minutes=22)
        before = await world.period(to)
        events = await swept(world)

    assert world.clock.now() - last_commit >= LEASE_FOR + GRACE
    assert sums(before) == (0, 0, lease.amount, 1)
    assert sums(await world.period(to)) == (lease.amount, lease.amount, 0, 0)
    assert events == [
        LeaseWrittenOff(
            id=events[0].id,
            event_time=world.clock.now(),
            lease_id=lease.id,
            instance=lease.instance,
            periods=to.scope_set,
            written_off_nanos=lease.amount,
            expired_at=last_commit + LEASE_FOR,
        )
    ]


@pytest.mark.parametrize("first", ["owner", "operator"])
async def test_a_write_off_is_corrected_once_by_whoever_knows_first(
    world: World, first: str
) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, 4 * DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    await swept(world)

    async def owner() -> None:
        instance.settle(held, DOLLAR)
        await instance.leave()

    async def operator() -> None:
        await corrected_by_an_operator(world, 2 * DOLLAR)

    if first == "owner":
        await owner()
        with pytest.raises(InvalidInput):
            await operator()
    else:
        await operator()
        await owner()

    spent = DOLLAR if first == "owner" else 2 * DOLLAR
    assert sums(await world.period(to)) == (spent, 0, 0, 0)
    assert await state(world) is LeaseState.CORRECTED


async def test_all_periods_of_a_lease_are_charged(world: World) -> None:
    organisation = await world.budget("a-org", 100 * DOLLAR)
    team = await world.budget("b-team", 10 * DOLLAR, scope="team:acme/search")
    to = world.to(organisation, team)
    await a_call_held(world, to, DOLLAR)
    [lease] = await world.leases()
    world.clock.advance(21 * MINUTE_S)

    await swept(world)

    charged = (lease.amount, lease.amount, 0, 0)
    assert [sums(await world.period(to, number)) for number in (0, 1)] == [charged, charged]


async def test_what_was_told_before_is_not_written_off(world: World) -> None:
    """Only what the owner had out there since its last commit is unproven."""
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, 4 * DOLLAR)
    instance.settle(held, 3 * DOLLAR)
    world.clock.advance(11 * MINUTE_S)
    await instance.admit(to, 90 * DOLLAR)
    [lease] = await world.leases()
    world.clock.advance(21 * MINUTE_S)

    await swept(world)

    assert lease.reported == 3 * DOLLAR
    assert sums(await world.period(to)) == (3 * DOLLAR + lease.amount, lease.amount, 0, 0)


@pytest.mark.parametrize("seconds", [0, 600, 20 * MINUTE_S, 21 * MINUTE_S - 1])
async def test_a_lease_in_its_time_is_left_alone(world: World, seconds: int) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(seconds)

    assert await swept(world) == []
    assert await state(world) is LeaseState.OPEN


async def test_a_closed_lease_is_left_alone(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, DOLLAR)
    instance.settle(held, DOLLAR)
    await instance.leave()
    world.clock.advance(60 * MINUTE_S)

    assert await swept(world) == []
    assert sums(await world.period(to)) == (DOLLAR, 0, 0, 0)


async def test_finds_leases_behind_more_than_a_page_of_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.budgets.sweep.PAGE", 2)
    to = world.to(await world.budget("b", 100 * DOLLAR))
    for _ in range(5):
        await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)

    events = await swept(world)

    assert len(events) == len({event.id for event in events}) == 5
    assert (await world.period(to)).open_leases == 0


async def test_two_sweeps_at_once_write_each_lease_off_once(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    for _ in range(3):
        await a_call_held(world, to, DOLLAR)
    amount = sum(lease.amount for lease in await world.leases())
    world.clock.advance(21 * MINUTE_S)

    found = await asyncio.gather(swept(world), swept(world))

    assert len({event.id for events in found for event in events}) == sum(map(len, found)) == 3
    assert sums(await world.period(to)) == (amount, amount, 0, 0)
    assert len(await told(world)) == 3


async def test_an_owner_that_commits_meanwhile_keeps_its_lease(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    instance.settle(held, DOLLAR)
    world.documents.before_commit = instance.leave

    assert await swept(world) == []
    assert sums(await world.period(to)) == (DOLLAR, 0, 0, 0)


@pytest.mark.parametrize("fate", ["unanswered", "lost"])
async def test_a_write_off_without_an_answer_happens_once(world: World, fate: str) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    [lease] = await world.leases()
    world.clock.advance(21 * MINUTE_S)
    world.documents.fates = [fate]

    await swept(world)
    await swept(world)

    assert sums(await world.period(to)) == (lease.amount, lease.amount, 0, 0)
    assert len(await told(world)) == 1


async def test_a_sweeper_far_ahead_costs_room_for_a_while_and_no_money(world: World) -> None:
    """It writes off a lease in use: its owner goes on with a new one, and corrects the old."""
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, 4 * DOLLAR)
    [lease] = await world.leases()
    ahead = SetClock(world.clock.now() + timedelta(minutes=30))

    await swept(world, ahead)
    written = await world.period(to)
    instance.enter()
    more = await instance.admit(to, 60 * DOLLAR)
    instance.settle(more, 2 * DOLLAR)
    instance.settle(held, DOLLAR)
    for _ in range(2):
        await instance.leave()

    assert sums(written) == (lease.amount, lease.amount, 0, 0)
    assert sums(await world.period(to)) == (3 * DOLLAR, 0, 0, 0)


async def test_a_sweeper_that_is_behind_only_comes_later(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    [lease] = await world.leases()
    behind = SetClock(world.clock.now() - timedelta(minutes=10))
    behind.advance(30 * MINUTE_S)

    first = await swept(world, behind)
    behind.advance(MINUTE_S)
    second = await swept(world, behind)

    assert (first, len(second)) == ([], 1)
    assert sums(await world.period(to)) == (lease.amount, lease.amount, 0, 0)


@pytest.mark.parametrize(("age_s", "states"), [(60, "written_off"), (61, "open")])
async def test_a_command_older_than_a_minute_is_not_obeyed(
    world: World, age_s: int, states: str
) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)

    await a_sweeper(world, KeepingBus()).run(a_tick(world.clock, age_s))

    assert timedelta(minutes=1) == TICK_LIFE
    assert (await state(world)).value == states


async def test_says_that_the_store_is_down(world: World) -> None:
    world.documents.down = True
    to = world.to(await world.budget("b", 100 * DOLLAR))

    with pytest.raises(StoreUnavailable):
        await a_sweeper(world, KeepingBus()).run(a_tick(world.clock))

    assert to.scope_set != ()


async def test_spend_that_nobody_can_tell_delays_no_write_off(world: World) -> None:
    async def unavailable(_asked: Sequence[Asked]) -> list[int]:
        raise StoreUnavailable("the warehouse did not answer in time")

    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    bus = KeepingBus()

    with pytest.raises(StoreUnavailable):
        await Sweeper(world.documents, bus, world.clock, os.urandom, unavailable, nothing).run(
            a_tick(world.clock)
        )

    assert [event.type for event in bus.events] == ["lease.written_off"]


async def test_notes_when_it_was_done(world: World) -> None:
    [before] = await world.documents.get_many([SWEPT])
    await a_sweeper(world, KeepingBus()).run(a_tick(world.clock))
    [after] = await world.documents.get_many([SWEPT])

    assert before is None
    assert after is not None
    assert after.data == {"finished_at": world.clock.now()}


async def test_notes_nothing_of_a_sweep_that_was_not_done(world: World) -> None:
    async def unavailable(_asked: Sequence[Asked]) -> list[int]:
        raise StoreUnavailable("the warehouse did not answer in time")

    await world.budget("b", 100 * DOLLAR)
    sweeper = Sweeper(world.documents, KeepingBus(), world.clock, os.urandom, unavailable, nothing)

    with pytest.raises(StoreUnavailable):
        await sweeper.run(a_tick(world.clock))

    assert await world.documents.get_many([SWEPT]) == [None]


async def _ends(world: World, instance: Holdings, held: Held) -> None:
    instance.settle(held, 0)
    await instance.leave()


async def _is_written_off(world: World, _instance: Holdings, _held: Held) -> None:
    world.clock.advance(21 * MINUTE_S)
    await swept(world)


async def _is_corrected(world: World, instance: Holdings, held: Held) -> None:
    await _is_written_off(world, instance, held)
    await _ends(world, instance, held)


async def _runs(_world: World, _instance: Holdings, _held: Held) -> None:
    return


@pytest.mark.parametrize(
    ("becomes", "kept"),
    [(_runs, None), (_ends, LEASE_KEPT), (_is_written_off, None), (_is_corrected, LEASE_KEPT)],
)
async def test_a_lease_is_deleted_when_nothing_can_change_it_any_more(
    world: World,
    becomes: Callable[[World, Holdings, Held], Awaitable[None]],
    kept: timedelta | None,
) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, DOLLAR)

    await becomes(world, instance, held)

    [lease] = await world.leases()
    [document] = await world.documents.get_many([lease_ref(lease.id)])
    assert document is not None
    assert document.data["delete_at"] == (None if kept is None else lease.expires_at + kept)
