"""What operators do to budgets while calls spend them: nothing is lost, and nobody is overrun."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from common.budgets.accounts import Period, TopUp, period_ref
from common.budgets.budgets import Applicable, Budget
from common.budgets.calendar import Calendar
from common.budgets.holdings import Holdings, NoRoom
from common.core.errors import AlreadyExists, InvalidInput, NotFound, VersionConflict
from common.core.events import BudgetChanged
from common.core.ports import Put
from common.gateway.budget_changes import Extra
from common.gateway.control import CONTROL, KEYS_CHANGED, POLICY_EPOCH, UPSTREAMS_CHANGED
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.operators import Operators, a_budget

T = TypeVar("T")
PATIENCE_S = 60.0


@pytest.fixture
def operators(world: World) -> Operators:
    return Operators(world)


async def soon(what: Awaitable[T]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        return await what


async def spend(instance: Holdings, to: Applicable, nanos: int) -> None:
    """One call that costs what it holds."""
    instance.enter()
    try:
        instance.settle(await soon(instance.admit(to, nanos)), nanos)
    finally:
        await soon(instance.leave())


async def created(operators: Operators, **fields: Any) -> Budget:
    return (await operators.create(a_budget(**fields))).budget


async def put_period(world: World, budget: Budget, **fields: Any) -> None:
    period = replace(budget.period_at(world.clock.now()), **fields)
    await world.documents.inner.commit([Put(period_ref(period.id), period.to_data())])


async def test_a_hard_budget_opens_with_what_is_spent(operators: Operators) -> None:
    budget = a_budget()

    made = await operators.create(budget, {operators.period_id(budget): 3 * DOLLAR})

    period = await operators.period(budget)
    assert period == made.period
    assert period is not None
    assert (period.limit, period.settled, period.leased) == (10 * DOLLAR, 3 * DOLLAR, 0)
    assert (await operators.control())[POLICY_EPOCH] == made.budget.epoch == 1


async def test_what_was_spent_in_the_period_before_is_not_counted(operators: Operators) -> None:
    budget = a_budget()
    spent = {operators.period_id(budget): 3 * DOLLAR}
    operators.world.clock.advance(86_400)

    made = await operators.create(budget, spent)

    assert made.period.settled == 0


async def test_a_soft_budget_has_no_account_and_tells_no_proxy(operators: Operators) -> None:
    budget = a_budget(enforcement="soft")

    await operators.create(budget, {operators.period_id(budget): 3 * DOLLAR})

    assert (await operators.period(budget), await operators.control()) == (None, {})


async def test_loses_nothing_else_that_the_proxy_is_told(operators: Operators) -> None:
    others = {
        KEYS_CHANGED: {"0123456789ab": operators.world.clock.now()},
        UPSTREAMS_CHANGED: operators.world.clock.now(),
        "price_book": "b" * 64,
    }
    await operators.world.documents.commit([Put(CONTROL, {**others, POLICY_EPOCH: 6})])

    await operators.create(a_budget())

    assert await operators.control() == {**others, POLICY_EPOCH: 7}


@pytest.mark.parametrize(
    ("before", "after", "raised"),
    [
        ({}, {}, 0),
        ({}, {"limit": 20 * DOLLAR}, 0),
        ({}, {"thresholds": (10,)}, 0),
        ({}, {"scope": "team:acme/search"}, 1),
        ({}, {"models": ("gpt-*",)}, 1),
        ({}, {"calendar": Calendar("month")}, 1),
        ({}, {"enforcement": "soft"}, 1),
        ({}, {"fit": False}, 1),
        ({}, {"strict": True}, 1),
        ({}, {"tool_allowance": DOLLAR}, 1),
        ({"enforcement": "soft"}, {}, 1),
        ({"enforcement": "soft"}, {"enforcement": "soft", "scope": "team:acme/search"}, 0),
    ],
)
async def test_tells_the_proxy_what_matters_to_calls(
    operators: Operators, before: dict[str, Any], after: dict[str, Any], raised: int
) -> None:
    await operators.create(a_budget(**before))
    was = (await operators.control()).get(POLICY_EPOCH, 0)

    await operators.update(a_budget(**after))

    assert (await operators.control()).get(POLICY_EPOCH, 0) == was + raised


async def test_is_as_new_as_the_calls_it_applies_to(operators: Operators) -> None:
    made = await operators.create(a_budget())
    stricter = await operators.update(a_budget(strict=True))
    wider = await operators.update(a_budget(strict=True, models=("*",)))

    assert [each.budget.epoch for each in (made, stricter, wider)] == [1, 1, 3]


async def test_the_same_again_changes_nothing(operators: Operators) -> None:
    await operators.create(a_budget())
    operators.world.clock.advance(86_400)

    await operators.update(a_budget())

    assert await operators.period(a_budget()) is None
    assert [type(event) for event in operators.events] == [BudgetChanged]
    assert [entry.data["what"] for entry in await operators.audit()] == ["budget.create"]


async def test_each_change_leaves_an_entry_and_an_event(operators: Operators) -> None:
    budget = a_budget()
    for change in (
        operators.create(budget),
        operators.update(a_budget(limit=20 * DOLLAR)),
        operators.top_up(budget, Extra(DOLLAR, "launch")),
        operators.pause(budget),
    ):
        await change
        operators.world.clock.advance(1)

    entries = [entry.data for entry in await operators.audit()]
    told = [event for event in operators.events if isinstance(event, BudgetChanged)]
    assert [(entry["what"], entry["target"], entry["who"]) for entry in entries] == [
        (f"budget.{action}", "budgets/b", "boss@example.com")
        for action in ("create", "update", "top_up", "pause")
    ]
    assert [(event.action, event.limit_nanos, event.top_up_nanos) for event in told] == [
        ("create", 10 * DOLLAR, 0),
        ("update", 20 * DOLLAR, 0),
        ("top_up", 20 * DOLLAR, DOLLAR),
        ("pause", 20 * DOLLAR, 0),
    ]


async def test_a_raised_limit_lets_the_next_call_through(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)
    instance, to = world.instance(), world.to(budget)
    await spend(instance, to, 9 * DOLLAR)
    instance.enter()
    with pytest.raises(NoRoom):
        await soon(instance.admit(to, 2 * DOLLAR))

    await operators.update(a_budget(limit=20 * DOLLAR))
    world.clock.advance(2)

    assert (await soon(instance.admit(to, 2 * DOLLAR))).nanos == 2 * DOLLAR


async def test_a_renewal_that_overtakes_a_limit_is_kept(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)

    async def overtake() -> None:
        await spend(world.instance(), world.to(budget), 4 * DOLLAR)

    world.documents.before_commit = overtake
    await operators.update(a_budget(limit=5 * DOLLAR))

    period = await operators.period(budget)
    assert period is not None
    assert (period.limit, period.settled, period.leased) == (5 * DOLLAR, 4 * DOLLAR, 0)


async def test_a_limit_that_overtakes_a_renewal_is_obeyed(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)
    instance = world.instance()
    instance.enter()

    async def overtake() -> None:
        await operators.update(a_budget(limit=DOLLAR))

    world.documents.before_commit = overtake

    with pytest.raises(NoRoom) as raised:
        await soon(instance.admit(world.to(budget), 5 * DOLLAR))
    assert raised.value.period.limit == DOLLAR


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_period_does_not_begin_with_the_limit_that_was(
    operators: Operators, *, is_first: bool
) -> None:
    world = operators.world
    budget = await created(operators)
    world.clock.advance(86_400)

    async def call() -> None:
        await spend(world.instance(), world.to(budget), DOLLAR)

    async def lower() -> None:
        await operators.update(a_budget(limit=5 * DOLLAR))

    world.documents.before_commit = call if is_first else lower
    await (lower() if is_first else call())

    period = await operators.period(budget)
    assert period is not None
    assert (period.limit, period.settled) == (5 * DOLLAR, DOLLAR)


async def test_a_limit_reaches_the_period_that_a_faster_clock_has_begun(
    operators: Operators,
) -> None:
    world = operators.world
    budget = await created(operators)
    world.clock.time = datetime(2026, 11, 20, 23, 59, 50, tzinfo=UTC)
    await operators.update(a_budget(limit=5 * DOLLAR))
    world.clock.advance(20)

    period = await operators.period(budget)
    assert period is not None
    assert period.limit == 5 * DOLLAR


async def test_of_changes_of_one_version_exactly_one_is_made(operators: Operators) -> None:
    await operators.create(a_budget())

    answers = await asyncio.gather(
        *(
            operators.update(
                a_budget(limit=(20 + number) * DOLLAR),
                lambda stored: stored.limit == 10 * DOLLAR,
            )
            for number in range(8)
        ),
        return_exceptions=True,
    )

    [made] = [answer for answer in answers if not isinstance(answer, BaseException)]
    period = await operators.period(a_budget())
    assert sum(isinstance(answer, VersionConflict) for answer in answers) == 7
    assert period is not None
    assert period.limit == made.budget.limit


async def test_limits_change_under_spending_instances(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators, limit=100 * DOLLAR)
    instances = [world.instance() for _ in range(3)]

    async def calls(instance: Holdings) -> None:
        for _ in range(3):
            await spend(instance, world.to(budget), DOLLAR)

    async def changes() -> None:
        for number in range(3):
            await operators.update(replace(budget, limit=(90 + number) * DOLLAR))
            await operators.top_up(budget, Extra(DOLLAR, f"number {number}"))

    await asyncio.gather(changes(), *map(calls, instances))

    period = await operators.period(budget)
    assert period is not None
    assert (period.limit, period.limit_at(world.clock.now())) == (92 * DOLLAR, 95 * DOLLAR)
    assert (period.settled, period.leased, period.open_leases) == (9 * DOLLAR, 0, 0)


async def test_a_paused_budget_keeps_its_account_and_counts_on(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)
    await spend(world.instance(), world.to(budget), 4 * DOLLAR)
    paused = await operators.pause(budget)
    kept = await operators.period(budget)

    resumed = await operators.update(budget, spent={operators.period_id(budget): 6 * DOLLAR})

    assert (paused.budget.hard, resumed.budget.hard) == (False, True)
    assert kept is not None
    assert (kept.settled, resumed.period.settled) == (4 * DOLLAR, 6 * DOLLAR)
    assert (await operators.control())[POLICY_EPOCH] == resumed.budget.epoch == 3


async def test_late_sums_of_usage_do_not_lower_an_account(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)
    await spend(world.instance(), world.to(budget), 4 * DOLLAR)
    await operators.pause(budget)

    resumed = await operators.update(budget, spent={operators.period_id(budget): DOLLAR})

    assert resumed.period.settled == 4 * DOLLAR


async def test_a_budget_for_other_calls_opens_with_what_those_spent(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators)
    await put_period(world, budget, settled=9 * DOLLAR, unproven=2 * DOLLAR, leased=DOLLAR)

    moved = await operators.update(
        a_budget(scope="team:acme/search"), spent={operators.period_id(budget): DOLLAR}
    )

    assert (moved.period.settled, moved.period.unproven) == (3 * DOLLAR, 2 * DOLLAR)
    assert moved.period.leased == DOLLAR


async def test_what_other_calls_spent_is_forgotten_also_where_it_is_soft_in_between(
    operators: Operators,
) -> None:
    world = operators.world
    budget = await created(operators)
    await put_period(world, budget, settled=9 * DOLLAR)
    await operators.update(a_budget(scope="team:acme/search", enforcement="soft"))

    moved = await operators.update(
        a_budget(scope="team:acme/search"), spent={operators.period_id(budget): DOLLAR}
    )

    assert moved.period.settled == DOLLAR


async def test_a_month_does_not_take_its_first_days_account(operators: Operators) -> None:
    world = operators.world
    world.clock.time = datetime(2026, 11, 1, 12, tzinfo=UTC)
    budget = await created(operators)
    await put_period(world, budget, settled=9 * DOLLAR, top_ups=(TopUp(DOLLAR),))
    world.clock.advance(5 * 86_400)
    monthly = a_budget(calendar=Calendar("month"), limit=300 * DOLLAR)

    moved = await operators.update(monthly, spent={operators.period_id(monthly): 40 * DOLLAR})

    assert moved.period == Period(
        id="b:2026-11-01T00:00Z--2026-12-01T00:00Z",
        limit=300 * DOLLAR,
        starts_at=datetime(2026, 11, 1, tzinfo=UTC),
        ends_at=datetime(2026, 12, 1, tzinfo=UTC),
        settled=40 * DOLLAR,
        uncharged=40 * DOLLAR,
        budget="b",
        org="acme",
        epoch=moved.budget.epoch,
    )


async def test_another_name_for_the_same_calendar_keeps_the_account(operators: Operators) -> None:
    world = operators.world
    budget = await created(operators, calendar=Calendar("month"))
    await spend(world.instance(), world.to(budget), 4 * DOLLAR)
    await operators.top_up(budget, Extra(DOLLAR, "launch"))
    renamed = a_budget(calendar=Calendar("month", "Africa/Abidjan"))

    moved = await operators.update(renamed, spent={operators.period_id(renamed): DOLLAR})

    assert (moved.period.id, moved.period.settled) == (operators.period_id(budget), 4 * DOLLAR)
    assert moved.period.limit_at(world.clock.now()) == 11 * DOLLAR


async def test_a_budget_is_made_once_and_stays_in_its_organisation(operators: Operators) -> None:
    with pytest.raises(NotFound):
        await operators.pause(a_budget())
    await operators.create(a_budget())

    with pytest.raises(AlreadyExists):
        await operators.create(a_budget())
    with pytest.raises(InvalidInput, match="stays in acme"):
        await operators.update(a_budget(org="other", scope="org:other"))
