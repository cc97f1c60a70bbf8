"""Money that operators add to one period of a budget."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.budgets.accounts import TopUp, period_ref
from common.budgets.budgets import MOST_NANOS
from common.core.errors import InvalidInput
from common.core.ports import Put
from common.gateway.budget_changes import Extra
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.operators import Operators, a_budget


@pytest.fixture
def operators(world: World) -> Operators:
    return Operators(world)


async def test_top_ups_at_once_all_count(operators: Operators) -> None:
    await operators.create(a_budget())
    extra = Extra(DOLLAR, "more")

    await asyncio.gather(*(operators.top_up(a_budget(), extra) for _ in range(5)))

    period = await operators.period(a_budget())
    assert period is not None
    assert period.top_ups == (TopUp(DOLLAR, None, "more", "boss@example.com"),) * 5


async def test_a_top_up_ends_with_its_time_and_with_its_period(operators: Operators) -> None:
    world, budget = operators.world, a_budget()
    await operators.create(budget)
    end = world.clock.now() + timedelta(hours=1)
    await operators.top_up(budget, Extra(DOLLAR, "an hour", end))
    await operators.top_up(budget, Extra(2 * DOLLAR, "today"))

    period = await operators.period(budget)
    assert period is not None
    assert [period.limit_at(at) for at in (world.clock.now(), end)] == [13 * DOLLAR, 12 * DOLLAR]
    world.clock.advance(86_400)
    assert budget.period_at(world.clock.now()).limit_at(world.clock.now()) == 10 * DOLLAR


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        (Extra(0, "x"), "usd"),
        (Extra(MOST_NANOS, "x"), "usd"),
        (Extra(DOLLAR, ""), "reason"),
        (Extra(DOLLAR, "x" * 201), "reason"),
        (Extra(DOLLAR, "x", datetime(2026, 11, 20, 12, tzinfo=UTC)), "expires_at"),
    ],
)
async def test_refuses_a_top_up_that_makes_no_sense(
    operators: Operators, extra: Extra, field: str
) -> None:
    await operators.create(a_budget())

    with pytest.raises(InvalidInput) as raised:
        await operators.top_up(a_budget(), extra)

    assert raised.value.field == field


async def test_refuses_more_top_ups_than_a_period_keeps(operators: Operators) -> None:
    await operators.create(a_budget())
    full = replace(a_budget().period_at(operators.world.clock.now()), top_ups=(TopUp(1),) * 100)
    await operators.world.documents.commit([Put(period_ref(full.id), full.to_data())])

    with pytest.raises(InvalidInput, match="at most 100 top-ups"):
        await operators.top_up(a_budget(), Extra(1, "one more"))
