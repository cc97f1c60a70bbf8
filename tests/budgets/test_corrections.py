"""What an operator says of a lease whose owner is gone: once, late enough, and never too much."""

from datetime import timedelta

import pytest

from common.budgets.accounts import Lease, LeaseState, lease_ref, period_ref
from common.budgets.settlement import GRACE, write_off
from common.core.errors import InvalidInput, NotFound
from common.core.events import LeaseCorrected
from common.core.ports import Put
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.operators import Operators, a_budget


@pytest.fixture
def operators(world: World) -> Operators:
    return Operators(world)


@pytest.fixture
async def lease(operators: Operators) -> Lease:
    """A lease of $5 on two budgets, written off a day ago."""
    world = operators.world
    budgets = [a_budget(id=name) for name in ("a", "b")]
    periods = []
    for budget in budgets:
        made = await operators.create(budget)
        periods.append(made.period)
    lease = Lease(
        id="1234",
        instance="gone",
        periods=tuple(period.id for period in periods),
        amount=5 * DOLLAR,
        reported=DOLLAR,
        seq=2,
        last_commit="c",
        state=LeaseState.OPEN,
        expires_at=world.clock.now(),
        policy_epoch=2,
    )
    written, periods = write_off(lease, periods, "d")
    await world.documents.commit(
        [
            Put(lease_ref(lease.id), written.to_data()),
            *(Put(period_ref(period.id), period.to_data()) for period in periods),
        ]
    )
    operators.events.clear()
    world.clock.advance((timedelta(hours=24) + GRACE).total_seconds())
    return written


async def accounts(operators: Operators, lease: Lease) -> list[tuple[int, int]]:
    found = await operators.world.documents.get_many([period_ref(name) for name in lease.periods])
    return [
        (document.data["settled_nanos"], document.data["unproven_nanos"])
        for document in found
        if document is not None
    ]


@pytest.mark.parametrize("refund", [0, 3, 5])
async def test_gives_back_what_was_not_spent_in_every_budget(
    operators: Operators, lease: Lease, refund: int
) -> None:
    before = await accounts(operators, lease)

    await operators.correct(lease.id, refund * DOLLAR)

    after = await accounts(operators, lease)
    assert before == [(5 * DOLLAR, 5 * DOLLAR)] * 2
    assert after == [((5 - refund) * DOLLAR, 0)] * 2


async def test_says_who_why_and_how_much(operators: Operators, lease: Lease) -> None:
    await operators.correct(lease.id, 3 * DOLLAR, "the instance was stopped before it sent")

    [told] = operators.events
    entry = (await operators.audit())[-1].data
    assert isinstance(told, LeaseCorrected)
    assert (told.lease_id, told.periods, told.actor) == ("1234", lease.periods, "boss@example.com")
    assert (told.written_off_nanos, told.spent_nanos) == (5 * DOLLAR, 2 * DOLLAR)
    assert told.reason == "the instance was stopped before it sent" == entry["after"]["reason"]
    assert (entry["what"], entry["target"]) == ("lease.correct", "leases/1234")
    assert [entry[side]["state"] for side in ("before", "after")] == ["written_off", "corrected"]


async def test_is_said_once(operators: Operators, lease: Lease) -> None:
    await operators.correct(lease.id, DOLLAR)

    with pytest.raises(InvalidInput, match="only once"):
        await operators.correct(lease.id, DOLLAR)
    assert await accounts(operators, lease) == [(4 * DOLLAR, 0)] * 2


async def test_waits_until_every_call_has_ended(operators: Operators, lease: Lease) -> None:
    operators.world.clock.advance(-1)

    with pytest.raises(InvalidInput, match="can be corrected from"):
        await operators.correct(lease.id, DOLLAR)
    assert await accounts(operators, lease) == [(5 * DOLLAR, 5 * DOLLAR)] * 2


@pytest.mark.parametrize(
    ("refund", "reason", "field"),
    [(5 * DOLLAR + 1, "x", "refund_usd"), (-1, "x", "refund_usd"), (1, " ", "reason")],
)
async def test_is_never_more_than_was_written_off(
    operators: Operators, lease: Lease, refund: int, reason: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        await operators.correct(lease.id, refund, reason)

    assert raised.value.field == field
    assert await accounts(operators, lease) == [(5 * DOLLAR, 5 * DOLLAR)] * 2


async def test_needs_a_lease(operators: Operators) -> None:
    with pytest.raises(NotFound):
        await operators.correct("none", 0)
