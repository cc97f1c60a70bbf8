"""What went wrong in other gateways does not here, each under the name of what went wrong there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias, TypeVar

import pytest

from common.budgets.accounts import LeaseState
from common.budgets.budgets import Applicable
from common.budgets.holdings import Held, Holdings, NoRoom
from common.budgets.settlement import correct
from common.core.errors import InvalidInput
from common.llm.bounds import Bound
from tests.bounds.asking import bound_of, content
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.sweeping import swept

T = TypeVar("T")
Admitted: TypeAlias = list[tuple[Holdings, Held]]
PATIENCE_S = 30.0
CENT = DOLLAR // 100
LONG_CALL = 15 * CENT
"""A call of 300,000 input tokens at $0.50 a million."""


async def _soon(what: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await what


async def _all_at_once(instances: list[Holdings], to: Applicable, nanos: int) -> Admitted:
    """One call at each instance; those that were admitted."""
    for each in instances:
        each.enter()
    answers = await _soon(
        asyncio.gather(*(each.admit(to, nanos) for each in instances), return_exceptions=True)
    )
    assert {type(each) for each in answers} <= {Held, NoRoom}
    pairs = zip(instances, answers, strict=True)
    return [(instance, held) for instance, held in pairs if isinstance(held, Held)]


async def _end(instances: list[Holdings], admitted: Admitted, cost: int) -> None:
    """The calls end; who has none of them was refused."""
    for instance, held in admitted:
        instance.settle(held, cost)
    for instance in instances:
        await _soon(instance.leave())


async def test_callers_at_many_instances_cannot_all_pass_one_check(world: World) -> None:
    """Checking first and counting later admits everybody who checks at once."""
    to = world.to(await world.budget("b", 5 * CENT))
    instances = [world.instance() for _ in range(20)]

    held = await _all_at_once(instances, to, CENT)

    assert 0 < len(held) <= 5
    await _end(instances, held, CENT)
    period = await world.period(to)
    assert (period.settled, period.leased, period.open_leases) == (len(held) * CENT, 0, 0)


async def test_a_bound_knows_the_price_of_long_inputs(world: World) -> None:
    """gemini-2.5-pro costs twice as much a token above 200,000: five calls, room for not one."""
    asked = content({"text": "x" * 300_000})
    bounded = bound_of("gemini_content", asked, model="gemini-2.5-pro")
    assert isinstance(bounded, Bound)
    to = world.to(await world.budget("b", 45 * CENT))
    instances = [world.instance() for _ in range(5)]

    held = await _all_at_once(instances, to, bounded.nanos)

    assert bounded.nanos >= 300_000 * 2_500
    assert held == []
    await _end(instances, held, 0)


async def test_five_long_calls_at_once_spend_no_more_than_the_budget(world: World) -> None:
    to = world.to(await world.budget("b", 45 * CENT))
    instances = [world.instance() for _ in range(5)]

    held = await _all_at_once(instances, to, LONG_CALL)

    assert len(held) == 3
    await _end(instances, held, LONG_CALL)
    assert (await world.period(to)).settled == 45 * CENT


@pytest.mark.parametrize("fate", ["unanswered", "lost"])
async def test_a_settlement_that_fails_is_not_counted_twice(world: World, fate: str) -> None:
    """Whether the store heard of it or not, it is told until it is known, and counts once."""
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    held = await _all_at_once([instance], to, 10 * CENT)
    world.documents.fates = [fate, fate]

    await _end([instance], held, 7 * CENT)

    period = await world.period(to)
    assert (period.settled, period.unproven, period.leased) == (7 * CENT, 0, 0)


async def test_a_call_that_breaks_off_leaves_no_reservation_behind(world: World) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    for _ in range(20):
        held = await _all_at_once([instance], to, DOLLAR)
        await _end([instance], held, 0)

    period = await world.period(to)
    assert (period.settled, period.leased, period.open_leases) == (0, 0, 0)
    assert {lease.state for lease in await world.leases()} == {LeaseState.CLOSED}


async def test_a_caller_that_leaves_while_it_waits_leaves_no_reservation_behind(
    world: World,
) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    instance.enter()
    waiting = asyncio.create_task(instance.admit(to, DOLLAR))
    world.documents.before_commit = _cancelling(waiting)

    with pytest.raises(asyncio.CancelledError):
        await _soon(waiting)
    await _soon(instance.leave())

    period = await world.period(to)
    assert (period.settled, period.leased) == (0, 0)


async def test_holds_that_fill_a_budget_are_room_again_as_soon_as_they_are_settled(
    world: World,
) -> None:
    """Calls that hold all and spend nearly nothing refuse others only while they run."""
    to = world.to(await world.budget("b", DOLLAR))
    instances = [world.instance() for _ in range(4)]
    held = await _all_at_once(instances, to, DOLLAR // 4)
    assert len(held) == 4
    late = world.instance()
    assert await _all_at_once([late], to, DOLLAR // 4) == []

    await _end(instances, held, 1)
    world.clock.advance(1.1)
    again = await _soon(late.admit(to, DOLLAR // 4))

    await _end([late], [(late, again)], 1)
    assert (await world.period(to)).settled == 5


async def test_a_refusal_is_not_remembered_beyond_the_next_commit(world: World) -> None:
    """Other calls' money comes back with a commit: whoever asks then is judged by what is there."""
    to = world.to(await world.budget("b", DOLLAR))
    other, instance = world.instance(), world.instance()
    held = await _all_at_once([other], to, 60 * CENT)
    assert await _all_at_once([instance], to, 50 * CENT) == []
    await _end([other], held, 0)
    small = await _soon(instance.admit(to, 45 * CENT))

    large = await _soon(instance.admit(to, 50 * CENT))

    instance.settle(small, 0)
    await _end([instance], [(instance, large)], 0)


async def test_a_counter_may_be_settled_any_number_of_times(world: World) -> None:
    """In memory, by the owner that wakes up and tells again, and by an operator."""
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    [(_, held)] = await _all_at_once([instance], to, 10 * CENT)
    world.clock.advance(22 * 60)
    await swept(world)
    [written] = await world.leases()

    for _ in range(3):
        instance.settle(held, 4 * CENT)
    await _soon(instance.leave())

    period = await world.period(to)
    [corrected] = await world.leases()
    assert (period.settled, period.unproven, corrected.state) == (
        4 * CENT,
        0,
        LeaseState.CORRECTED,
    )
    with pytest.raises(InvalidInput, match="only once"):
        correct(replace(corrected, written_off=written.written_off), [period], 0, "again")


def _cancelling(task: "asyncio.Task[Held]") -> Callable[[], Awaitable[None]]:
    async def cancel() -> None:
        task.cancel()

    return cancel
