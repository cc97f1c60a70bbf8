"""The leases of an instance over a real store: what a call waits for, and what is given back."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest

from common.budgets.accounts import LeaseState, Period, lease_ref, period_ref
from common.budgets.budgets import Applicable, budget_ref
from common.budgets.holdings import BudgetUnavailable, Held, Holdings, NoRoom
from common.budgets.settlement import write_off
from common.core.ports import Delete, Put
from tests.budgets.conftest import DOLLAR, Misbehaving, World

T = TypeVar("T")
PATIENCE_S = 30.0


async def soon(what: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await what


async def _call(instance: Holdings, to: Applicable, nanos: int, cost: int) -> None:
    """One call, from its hold to its end."""
    instance.enter()
    try:
        held = await soon(instance.admit(to, nanos))
        instance.settle(held, cost)
    finally:
        await soon(instance.leave())


async def test_a_call_is_settled_and_everything_else_given_back(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))

    await _call(world.instance(), to, 2 * DOLLAR, DOLLAR // 2)

    period = await world.period(to)
    assert (period.settled, period.leased, period.open_leases) == (DOLLAR // 2, 0, 0)
    assert [lease.state for lease in await world.leases()] == [LeaseState.CLOSED]


async def test_a_call_without_a_hard_budget_asks_nobody(world: World) -> None:
    instance = world.instance()
    instance.enter()

    held = await instance.admit(Applicable((), (), world.clock.now()), DOLLAR)
    instance.settle(held, DOLLAR)
    await instance.leave()

    assert (held.nanos, world.documents.reads, world.documents.commits) == (0, 0, 0)


async def test_a_warm_lease_needs_no_store(world: World) -> None:
    to = world.to(await world.budget("b", 1_000 * DOLLAR))
    instance = world.instance()
    instance.enter()
    instance.settle(await soon(instance.admit(to, 1_000_000)), 1_000_000)
    reads, commits = world.documents.reads, world.documents.commits

    for _ in range(2):
        instance.settle(await instance.admit(to, 1_000_000), 1_000_000)

    assert (world.documents.reads, world.documents.commits) == (reads, commits)
    await soon(instance.leave())


async def test_all_budgets_of_a_call_are_charged(world: World) -> None:
    organisation = await world.budget("a-org", 100 * DOLLAR)
    team = await world.budget("b-team", 10 * DOLLAR, scope="team:acme/search")
    to = world.to(organisation, team)

    await _call(world.instance(), to, DOLLAR, DOLLAR)

    assert [(await world.period(to, number)).settled for number in (0, 1)] == [DOLLAR, DOLLAR]


async def test_a_call_that_does_not_fit_is_refused_with_what_would(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))
    instance = world.instance()
    await _call(instance, to, 8 * DOLLAR, 7 * DOLLAR)
    instance.enter()

    with pytest.raises(NoRoom) as raised:
        await soon(instance.admit(to, 4 * DOLLAR))

    assert (raised.value.period.id, raised.value.fits) == (to.scope_set[0], 3 * DOLLAR)
    await soon(instance.leave())
    assert (await world.period(to)).leased == 0


async def test_the_tightest_budget_refuses_and_is_named(world: World) -> None:
    wide = await world.budget("wide", 100 * DOLLAR)
    tight = await world.budget("tight", DOLLAR)
    to = world.to(wide, tight)
    instance = world.instance()
    instance.enter()

    with pytest.raises(NoRoom) as raised:
        await soon(instance.admit(to, 2 * DOLLAR))

    assert raised.value.period.budget == "tight"
    await soon(instance.leave())


async def test_what_fits_is_admitted_beside_what_does_not(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))
    instance = world.instance()
    for _ in range(3):
        instance.enter()

    answers = await soon(
        asyncio.gather(
            *(instance.admit(to, nanos * DOLLAR) for nanos in (4, 50, 5)), return_exceptions=True
        )
    )

    assert [type(answer) for answer in answers] == [Held, NoRoom, Held]
    for answer in answers:
        if isinstance(answer, Held):
            instance.settle(answer, 0)
    for _ in range(3):
        await soon(instance.leave())


async def test_a_refusal_is_remembered_for_a_second(world: World) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    instance.enter()
    with pytest.raises(NoRoom):
        await soon(instance.admit(to, 2 * DOLLAR))
    reads = world.documents.reads

    for _ in range(100):
        with pytest.raises(NoRoom):
            await soon(instance.admit(to, 3 * DOLLAR))

    assert world.documents.reads == reads
    await soon(instance.leave())


async def test_a_raised_limit_helps_the_next_call(world: World) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    instance.enter()
    held = await soon(instance.admit(to, DOLLAR))
    with pytest.raises(NoRoom):
        await soon(instance.admit(to, 2 * DOLLAR))
    period = await world.period(to)
    raised = Period.from_document(
        (await world.documents.get_many([period_ref(period.id)]))[0]  # type: ignore[arg-type] # it is there
    )
    await world.documents.commit(
        [Put(period_ref(period.id), raised.to_data() | {"limit_nanos": 5 * DOLLAR})]
    )
    world.clock.advance(1.1)

    more = await soon(instance.admit(to, 2 * DOLLAR))

    for each in (held, more):
        instance.settle(each, DOLLAR)
    await soon(instance.leave())
    assert (await world.period(to)).settled == 2 * DOLLAR


async def test_instances_share_a_budget_and_never_overrun_it(world: World) -> None:
    to = world.to(await world.budget("b", 20 * DOLLAR))
    instances = [world.instance() for _ in range(4)]

    async def spend(instance: Holdings) -> int:
        spent = 0
        for _ in range(20):
            instance.enter()
            try:
                held = await soon(instance.admit(to, DOLLAR))
                await asyncio.sleep(0)
                instance.settle(held, DOLLAR)
                spent += DOLLAR
            except NoRoom:
                pass
            finally:
                await soon(instance.leave())
            world.clock.advance(0.3)
        return spent

    spent = await asyncio.gather(*map(spend, instances))

    period = await world.period(to)
    assert sum(spent) == period.settled == 20 * DOLLAR
    assert (period.leased, period.open_leases) == (0, 0)


@pytest.mark.parametrize("fate", ["unanswered", "lost"])
@pytest.mark.parametrize("which", [0, 1])
async def test_a_commit_without_an_answer_is_found_out(world: World, fate: str, which: int) -> None:
    """The first grants the lease, the second settles and closes it."""
    to = world.to(await world.budget("b", 10 * DOLLAR))
    world.documents.fates = ["answered"] * which + [fate]

    await _call(world.instance(), to, 2 * DOLLAR, DOLLAR)

    period = await world.period(to)
    assert (period.settled, period.leased, period.open_leases) == (DOLLAR, 0, 0)


async def test_a_store_that_is_down_is_said_within_seconds(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))
    world.documents.down = True
    instance = world.instance(wait_s=0.1)
    instance.enter()

    with pytest.raises(BudgetUnavailable):
        await soon(instance.admit(to, DOLLAR))

    await soon(instance.leave())


async def test_a_lease_outlives_a_store_that_goes_down(world: World) -> None:
    to = world.to(await world.budget("b", 1_000 * DOLLAR))
    instance = world.instance()
    instance.enter()
    first = await soon(instance.admit(to, 1_000_000))
    world.documents.down = True

    second = await soon(instance.admit(to, 1_000_000))

    world.documents.down = False
    for held in (first, second):
        instance.settle(held, 1_000_000)
    await soon(instance.leave())
    assert (await world.period(to)).settled == 2_000_000


async def test_a_lease_of_the_last_period_admits_nothing_in_the_next(world: World) -> None:
    budget = await world.budget("b", 10 * DOLLAR)
    yesterday = world.to(budget)
    instance = world.instance()
    instance.enter()
    held = await soon(instance.admit(yesterday, DOLLAR))
    world.clock.advance(24 * 3600)
    today = world.to(budget)

    instance.enter()
    later = await soon(instance.admit(today, 9 * DOLLAR))
    instance.settle(held, DOLLAR)
    instance.settle(later, 2 * DOLLAR)
    for _ in range(2):
        await soon(instance.leave())

    assert (await world.period(yesterday)).settled == DOLLAR
    assert (await world.period(today)).settled == 2 * DOLLAR


async def test_an_owner_that_was_written_off_says_what_it_spent(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    instance = world.instance()
    instance.enter()
    held = await soon(instance.admit(to, 4 * DOLLAR))
    [lease] = await world.leases()
    period = await world.period(to)
    written, [charged] = write_off(lease, [period], "sweep")
    await world.documents.commit(
        [
            Put(lease_ref(written.id), written.to_data()),
            Put(period_ref(charged.id), charged.to_data()),
        ]
    )

    instance.settle(held, DOLLAR)
    await soon(instance.leave())

    after = await world.period(to)
    assert (after.settled, after.unproven, after.leased) == (DOLLAR, 0, 0)
    assert [lease.state for lease in await world.leases()] == [LeaseState.CORRECTED]


async def test_a_budget_that_is_gone_is_not_leased_from(
    world: World, documents: Misbehaving
) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    await world.documents.commit([Delete(budget_ref("b"))])
    instance = world.instance()
    instance.enter()

    with pytest.raises(BudgetUnavailable):
        await soon(instance.admit(to, DOLLAR))

    await soon(instance.leave())
    assert await world.leases() == []


async def test_a_second_settlement_changes_nothing(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))
    instance = world.instance()
    instance.enter()
    held = await soon(instance.admit(to, 2 * DOLLAR))

    instance.settle(held, DOLLAR)
    instance.settle(held, DOLLAR)
    await soon(instance.leave())

    assert (await world.period(to)).settled == DOLLAR


async def test_a_call_that_stops_waiting_holds_nothing(world: World) -> None:
    to = world.to(await world.budget("b", 10 * DOLLAR))
    instance = world.instance()
    instance.enter()
    waiting = asyncio.create_task(instance.admit(to, 5 * DOLLAR))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await soon(instance.leave())

    period = await world.period(to)
    assert (period.settled, period.leased) == (0, 0)


async def test_a_lease_from_before_other_budgets_applied_admits_nothing_more(
    world: World,
) -> None:
    budget = await world.budget("b", 100 * DOLLAR)
    before, after = world.to(budget), replace(world.to(budget), epoch=1)
    instance = world.instance()
    for _ in range(2):
        instance.enter()
    old = await soon(instance.admit(before, DOLLAR))

    new = await soon(instance.admit(after, DOLLAR))

    epochs = {lease.policy_epoch for lease in await world.leases() if lease.amount}
    assert epochs == {0, 1}
    instance.settle(old, DOLLAR)
    instance.settle(new, DOLLAR)
    for _ in range(2):
        await soon(instance.leave())
    period = await world.period(after)
    assert (period.settled, period.leased, period.open_leases) == (2 * DOLLAR, 0, 0)


async def test_the_first_refusal_of_a_period_is_noted(world: World) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    instance.enter()
    held = await soon(instance.admit(to, DOLLAR // 2))

    with pytest.raises(NoRoom):
        await soon(instance.admit(to, DOLLAR // 2 + 1))

    instance.settle(held, 1)
    await soon(instance.leave())
    assert (await world.period(to)).exhausted_at == world.clock.now()


async def test_a_call_that_would_fit_no_period_exhausts_none(world: World) -> None:
    to = world.to(await world.budget("b", DOLLAR))
    instance = world.instance()
    instance.enter()

    with pytest.raises(NoRoom):
        await soon(instance.admit(to, DOLLAR + 1))

    await soon(instance.leave())
    assert (await world.period(to)).exhausted_at is None
