"""An owner that wakes up after its lease was written off: it tells the truth, and once."""

import asyncio

import pytest

from common.budgets.accounts import LeaseState
from common.budgets.calendar import FOREVER
from common.budgets.corrections import OWNER
from common.budgets.leases import Flight, LeaseHead
from common.budgets.renewals import LEASE_FOR
from common.core.audit import AUDIT
from common.core.events import LeaseCorrected
from common.core.ports import Query
from tests.budgets.conftest import DOLLAR, START, World
from tests.budgets.sweeping import MINUTE_S, a_call_held, state, swept, told


async def corrections_told(world: World) -> list[LeaseCorrected]:
    return [event for event in await told(world) if isinstance(event, LeaseCorrected)]


@pytest.mark.parametrize("fates", [[], ["unanswered"], ["lost"]])
async def test_is_told_once_with_what_was_spent(world: World, fates: list[str]) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, 4 * DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    await swept(world)
    [lease] = await world.leases()
    instance.settle(held, DOLLAR)
    # The first commit finds out that the lease is gone and stores nothing.
    world.documents.fates = list(fates)
    await instance.leave()
    while await state(world) is LeaseState.WRITTEN_OFF:
        instance.enter()
        await instance.leave()

    [event] = await corrections_told(world)
    entries = [each.data for each in await world.documents.query(Query(AUDIT))]

    assert event == LeaseCorrected(
        id=event.id,
        event_time=world.clock.now(),
        lease_id=lease.id,
        periods=to.scope_set,
        written_off_nanos=lease.written_off,
        spent_nanos=DOLLAR,
        reason="the owner lives and has told what its calls cost",
        actor=OWNER,
    )
    assert [(each["who"], each["what"], each["target"]) for each in entries] == [
        (OWNER, "lease.correct", f"leases/{lease.id}")
    ]
    assert entries[0]["after"]["refund_nanos"] == lease.written_off - DOLLAR
    assert await corrections_told(world) == []


async def test_each_lease_has_one_id_for_its_correction(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instances = [await a_call_held(world, to, DOLLAR) for _ in range(2)]
    world.clock.advance(21 * MINUTE_S)
    await swept(world)
    for instance, held in instances:
        instance.settle(held, 0)
    await asyncio.gather(*(instance.leave() for instance, _ in instances))

    events = await corrections_told(world)

    assert len({event.id for event in events}) == len({event.lease_id for event in events}) == 2


async def test_what_no_provider_has_told_stays_flagged(world: World) -> None:
    """Of a call that may be billed for its whole hold nobody knows more now than before."""
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance, held = await a_call_held(world, to, 4 * DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    await swept(world)

    instance.settle(held, 4 * DOLLAR, unproven=3 * DOLLAR)
    await instance.leave()

    period = await world.period(to)
    assert (period.settled, period.unproven) == (4 * DOLLAR, 3 * DOLLAR)


@pytest.mark.parametrize(("has_arrived", "left"), [(True, (0, 0)), (False, (4, 3))])
def test_what_was_told_before_the_write_off_is_not_told_again(
    *, has_arrived: bool, left: tuple[int, int]
) -> None:
    """A commit whose answer was lost may have told it."""
    expires_at = START + LEASE_FOR
    head = LeaseHead("l", ("b:total",), 0, FOREVER, amount=10, seq=1, expires_at=expires_at)
    hold = head.admit(4, START)
    assert hold is not None
    head.settle(hold, 4, unproven=3)
    head.send(Flight("c", head.spent, head.unproven, 10, expires_at))

    head.disown(4 if has_arrived else 0)

    assert (head.spent, head.unproven) == left
