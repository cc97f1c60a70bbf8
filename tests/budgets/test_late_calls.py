"""What is charged of calls that left before: once, under any commit, and never taken back."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pytest
from annotated_types import Le

from common.budgets.accounts import LeaseState
from common.budgets.budgets import Budget
from common.budgets.calendar import Calendar
from common.budgets.holdings import BudgetUnavailable, NoRoom
from common.budgets.late_calls import HEARD_WITHIN, LONGEST_CALL, Before, charge_late_calls
from common.budgets.sweep import look
from common.core.errors import StoreUnavailable
from common.core.ports import Put
from common.gateway.control import CONTROL, POLICY_EPOCH
from common.runtime.function_settings import ProxySettings
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.operators import Operators, a_budget
from tests.budgets.sweeping import MINUTE_S, a_call_held, state, swept

T = TypeVar("T")
PATIENCE_S = 60.0


@dataclass(slots=True)
class Ledger:
    """What calls cost that left before, by budget. `meanwhile` happens before the answer."""

    nanos: dict[str, int] = field(default_factory=dict)
    down: bool = False
    meanwhile: Callable[[], Awaitable[object]] | None = None
    asked: list[Before] = field(default_factory=list)

    async def __call__(self, asked: Sequence[Before]) -> list[int]:
        if self.down:
            raise StoreUnavailable("the warehouse did not answer in time")
        self.asked += asked
        if self.meanwhile is not None:
            await self.meanwhile()
        return [self.nanos.get(each.budget.id, 0) for each in asked]


@pytest.fixture
def operators(world: World) -> Operators:
    return Operators(world)


async def soon(what: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await what


async def charged(world: World, ledger: Ledger) -> dict[str, int]:
    periods = await look(world.documents, world.clock)
    return await charge_late_calls(
        world.documents, world.clock, periods, ledger, entropy=os.urandom
    )


async def account(operators: Operators, budget: Budget) -> tuple[int, int, int]:
    """Settled, of it uncharged, and leased."""
    period = await operators.period(budget)
    assert period is not None
    return period.settled, period.uncharged, period.leased


async def opened(operators: Operators, spent: int = 0, **fields: object) -> Budget:
    budget = a_budget(**fields)
    spent_by = {operators.period_id(budget): spent}
    [stored] = await operators.world.documents.get_many([CONTROL])
    change = operators.update if stored is not None else operators.create
    return (await change(budget, spent=spent_by)).budget


async def test_adds_what_is_missing_and_takes_nothing_back(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators, DOLLAR)
    seen = []

    for dollars in (1, 3, 3, 2, 0, 4):
        added = await charged(world, Ledger({"b": dollars * DOLLAR}))
        seen.append((sum(added.values()) // DOLLAR, *await account(operators, budget)))

    assert [(added, settled // DOLLAR) for added, settled, _, _ in seen] == [
        (0, 1),
        (2, 3),
        (0, 3),
        (0, 3),
        (0, 3),
        (1, 4),
    ]
    assert all(settled == uncharged for _, settled, uncharged, _ in seen)


async def test_asks_of_the_calls_of_the_period_up_to_its_end(operators: Operators) -> None:
    """Those that ended hours before the budget began are one question for many budgets."""
    world = operators.world
    world.clock.advance(47 * MINUTE_S)
    budget = await opened(operators)
    ledger = Ledger()

    await charged(world, ledger)

    period = budget.period_at(world.clock.now())
    noon = world.clock.now().replace(minute=0)
    assert period.starts_at is not None
    assert ledger.asked == [
        Before(ledger.asked[0].budget, period.starts_at, noon - timedelta(hours=1), period.ends_at)
    ]


async def test_asks_of_the_periods_since_the_budget_began(operators: Operators) -> None:
    world = operators.world
    world.clock.advance(30 * MINUTE_S)
    await opened(operators, calendar=Calendar("hour"))
    ledger = Ledger()

    await charged(world, ledger)
    world.clock.advance(50 * MINUTE_S)
    await charged(world, ledger)

    hours = [each.since.hour for each in ledger.asked]
    assert [hours[0], *sorted(hours[1:])] == [12, 12, 13]
    assert all(each.since == each.ended < each.until for each in ledger.asked)


@pytest.mark.parametrize("seconds", [0, 3600, 5399, 5400])
async def test_asks_for_as_long_as_an_event_may_arrive(
    operators: Operators, seconds: float
) -> None:
    await opened(operators)
    operators.world.clock.advance(seconds)
    ledger = Ledger()

    await charged(operators.world, ledger)

    within = timedelta(seconds=seconds) < LONGEST_CALL + HEARD_WITHIN
    assert len(ledger.asked) == int(within)


def test_no_call_may_take_longer() -> None:
    limits = ProxySettings.model_fields["call_timeout_s"].metadata
    [most] = [limit.le for limit in limits if isinstance(limit, Le)]

    assert timedelta(seconds=float(str(most))) <= LONGEST_CALL


@pytest.mark.parametrize("change", ["paused", "soft", "of a limit", "never"])
async def test_asks_nothing_of_a_budget_that_is_not_new(operators: Operators, change: str) -> None:
    world, budget = operators.world, await opened(operators)
    if change == "paused":
        await operators.pause(budget)
    elif change == "soft":
        await opened(operators, enforcement="soft")
    else:
        world.clock.advance(2 * 60 * MINUTE_S)
    if change == "of a limit":
        await opened(operators, limit=11 * DOLLAR, strict=True)
    ledger = Ledger({"b": DOLLAR})

    assert (await charged(world, ledger), ledger.asked) == ({}, [])
    assert await account(operators, budget) == (0, 0, 0)


async def test_two_sweeps_at_once_charge_once(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators)
    ledger = Ledger({"b": DOLLAR})

    await asyncio.gather(charged(world, ledger), charged(world, ledger))

    assert await account(operators, budget) == (DOLLAR, DOLLAR, 0)


async def test_an_older_answer_that_comes_later_takes_nothing_back(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators)

    async def overtake() -> None:
        await charged(world, Ledger({"b": 3 * DOLLAR}))

    world.documents.before_commit = overtake

    assert sum((await charged(world, Ledger({"b": DOLLAR}))).values()) == 0
    assert await account(operators, budget) == (3 * DOLLAR, 3 * DOLLAR, 0)


@pytest.mark.parametrize("fate", ["lost", "unanswered"])
async def test_a_charge_without_an_answer_is_made_once(operators: Operators, fate: str) -> None:
    world, budget = operators.world, await opened(operators)
    world.documents.fates = [fate]

    await charged(world, Ledger({"b": DOLLAR}))
    await charged(world, Ledger({"b": DOLLAR}))

    assert await account(operators, budget) == (DOLLAR, DOLLAR, 0)


async def test_a_lease_that_overtakes_a_charge_is_kept(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators)
    to = world.to(budget)

    async def overtake() -> None:
        instance, held = await a_call_held(world, to, 4 * DOLLAR)
        instance.settle(held, 3 * DOLLAR)
        await instance.leave()

    world.documents.before_commit = overtake
    await charged(world, Ledger({"b": DOLLAR}))

    assert await account(operators, budget) == (4 * DOLLAR, DOLLAR, 0)


async def test_a_charge_that_overtakes_a_lease_leaves_it_the_rest(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators)
    instance = world.instance()
    instance.enter()

    async def overtake() -> None:
        await charged(world, Ledger({"b": 9 * DOLLAR}))

    world.documents.before_commit = overtake

    with pytest.raises(NoRoom):
        await soon(instance.admit(world.to(budget), 2 * DOLLAR))
    assert await account(operators, budget) == (9 * DOLLAR, 9 * DOLLAR, DOLLAR)


async def test_beyond_the_limit_nobody_gets_more_and_what_is_held_is_covered(
    operators: Operators,
) -> None:
    world, budget = operators.world, await opened(operators)
    to = world.to(budget)
    instance, held = await a_call_held(world, to, 2 * DOLLAR)
    _, _, leased = await account(operators, budget)

    await charged(world, Ledger({"b": 20 * DOLLAR}))
    with pytest.raises(NoRoom):
        await soon(instance.admit(to, 10 * DOLLAR))

    assert await account(operators, budget) == (20 * DOLLAR, 20 * DOLLAR, leased)
    instance.settle(held, DOLLAR)
    await instance.leave()
    assert await account(operators, budget) == (21 * DOLLAR, 20 * DOLLAR, 0)


async def test_charges_a_period_that_nobody_has_leased_from(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators, calendar=Calendar("hour"))
    world.clock.advance(60 * MINUTE_S)
    before = await operators.period(budget)

    await charged(world, Ledger({"b": DOLLAR}))

    assert before is None
    assert await account(operators, budget) == (DOLLAR, DOLLAR, 0)


async def test_an_answer_for_other_calls_is_not_charged(operators: Operators) -> None:
    """The budget is for others since it was asked."""
    world, budget = operators.world, await opened(operators)

    async def rescope() -> None:
        await opened(operators, DOLLAR, scope="team:acme/search")

    await charged(world, Ledger({"b": 5 * DOLLAR}, meanwhile=rescope))

    assert await account(operators, budget) == (DOLLAR, DOLLAR, 0)


async def test_one_without_an_answer_is_asked_again(operators: Operators) -> None:
    world, budget = operators.world, await opened(operators)

    assert await charged(world, Ledger({"b": DOLLAR}, down=True)) == {}
    assert list((await charged(world, Ledger({"b": DOLLAR}))).values()) == [DOLLAR]
    assert await account(operators, budget) == (DOLLAR, DOLLAR, 0)


@pytest.mark.parametrize("rebegun", ["resumed", "of other calls"])
async def test_a_lease_of_before_tells_only_what_is_unproven(
    operators: Operators, rebegun: str
) -> None:
    """The rest is in the sum of the calls that left before."""
    world, budget = operators.world, await opened(operators)
    instance, held = await a_call_held(world, world.to(budget), 4 * DOLLAR)
    scope = budget.scope
    if rebegun == "resumed":
        await operators.pause(budget)
    else:
        scope = "team:acme/search"
    again = await opened(operators, DOLLAR, scope=scope)
    shown = [await account(operators, again)]

    instance.settle(held, 3 * DOLLAR, unproven=2 * DOLLAR)
    await instance.leave()
    shown.append(await account(operators, again))
    await charged(world, Ledger({"b": 2 * DOLLAR}))
    shown.append(await account(operators, again))

    assert shown[0][:2] == (DOLLAR, DOLLAR)
    assert shown[0][2] >= 4 * DOLLAR
    assert shown[1:] == [(3 * DOLLAR, DOLLAR, 0), (4 * DOLLAR, 2 * DOLLAR, 0)]


async def test_what_was_written_off_before_is_given_back_when_it_is_corrected(
    operators: Operators,
) -> None:
    world, budget = operators.world, await opened(operators)
    instance, held = await a_call_held(world, world.to(budget), 4 * DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    await swept(world)
    again = await opened(operators, DOLLAR, scope="team:acme/search")
    before = await account(operators, again)

    instance.settle(held, 3 * DOLLAR, unproven=2 * DOLLAR)
    await instance.leave()

    period = await operators.period(again)
    assert period is not None
    assert before[0] == DOLLAR + (await world.leases())[0].written_off
    assert await state(world) is LeaseState.CORRECTED
    assert (period.settled, period.unproven, period.uncharged) == (
        3 * DOLLAR,
        2 * DOLLAR,
        DOLLAR,
    )


async def test_a_call_of_before_takes_nothing_of_a_lease_of_now(operators: Operators) -> None:
    """It would be told as of now, and be in the sum of the calls that left before."""
    world = operators.world
    old = world.to(await opened(operators))
    instance, held = await a_call_held(world, old, DOLLAR)
    await operators.pause(a_budget())
    new = world.to(await opened(operators))
    await soon(instance.admit(new, DOLLAR))

    with pytest.raises(BudgetUnavailable):
        await instance.admit(old, DOLLAR)
    instance.settle(held, DOLLAR)


async def test_a_call_that_waits_while_its_budget_begins_anew_takes_nothing(
    operators: Operators,
) -> None:
    world = operators.world
    old = world.to(await opened(operators))
    await operators.pause(a_budget())
    new = world.to(await opened(operators))
    instance = world.instance()
    instance.enter()
    waiting = asyncio.create_task(instance.admit(old, DOLLAR))
    await asyncio.sleep(0)

    held = await soon(instance.admit(new, 2 * DOLLAR))

    with pytest.raises(BudgetUnavailable):
        await soon(waiting)
    assert held.nanos == 2 * DOLLAR


async def test_a_call_that_waits_while_others_begin_goes_on(operators: Operators) -> None:
    world = operators.world
    budget = await opened(operators)
    old = world.to(budget)
    await world.documents.commit([Put(CONTROL, {POLICY_EPOCH: budget.epoch + 1})])
    new = type(old).at(old.budgets, world.clock.now(), budget.epoch + 1)
    instance = world.instance()
    instance.enter()
    waiting = asyncio.create_task(instance.admit(old, DOLLAR))
    await asyncio.sleep(0)

    held = await soon(instance.admit(new, 2 * DOLLAR))

    assert ((await soon(waiting)).nanos, held.nanos) == (DOLLAR, 2 * DOLLAR)
    assert (await soon(instance.admit(old, DOLLAR))).nanos == DOLLAR
