"""A hard budget shows all that was spent, also by calls that were under way when it began."""

from datetime import UTC, datetime

import pytest

from common.budgets.calendar import Calendar
from tests.budgets.conftest import DOLLAR
from tests.gateway.making import key_text
from tests.late_calls.conftest import Scene
from tests.streams.fakes import Client
from tests.streams.hard_budgets import CAPPED


async def test_charges_a_stream_that_left_before(scene: Scene) -> None:
    ended = await scene.call(1)
    await scene.deliver()
    stream = await scene.begins(10)
    budget = await scene.opened()
    shown = [await scene.settled(budget)]

    late = await stream.ends()
    await scene.deliver()
    shown.append(await scene.settled(budget))
    await scene.sweep()
    shown.append(await scene.settled(budget))

    assert shown == [ended, ended, ended + late]


async def test_charges_it_once_however_often_it_is_swept(scene: Scene) -> None:
    stream = await scene.begins(10)
    budget = await scene.opened()
    late = await stream.ends()
    await scene.deliver()

    for _ in range(3):
        await scene.sweep()
        scene.minutes(15)

    assert await scene.settled(budget) == late


async def test_counts_calls_before_under_way_and_after_once_each(scene: Scene) -> None:
    nanos = [await scene.call(1)]
    await scene.deliver()
    scene.minutes(180)
    nanos.append(await scene.call(10))
    streams = [await scene.begins(100), await scene.begins(1_000)]
    budget = await scene.opened()
    scene.heard()
    later = await scene.begins(10_000)
    nanos.append(await streams[0].ends())
    await scene.deliver()
    await scene.sweep()
    nanos += [await later.ends(), await scene.call(100_000)]
    await scene.deliver()
    await scene.sweep()
    nanos.append(await streams[1].ends())
    await scene.deliver()

    await scene.sweep()

    assert await scene.settled(budget) == sum(nanos)


async def test_charges_a_call_of_an_instance_that_has_not_heard(scene: Scene) -> None:
    before = await scene.call(1)
    budget = await scene.opened()

    unheard = await scene.call(10)
    scene.heard()
    heard = await scene.call(100)
    await scene.deliver()
    await scene.sweep()

    held = [call.hold_nanos > 0 for call in scene.calls]
    assert held == [False, False, True]
    assert await scene.settled(budget) == before + unheard + heard


async def test_charges_an_event_that_is_delivered_late(scene: Scene) -> None:
    stream = await scene.begins(10)
    budget = await scene.opened()
    late = await stream.ends()
    shown = []
    for _ in range(2):
        await scene.sweep()
        shown.append(await scene.settled(budget))
    scene.minutes(60)
    await scene.deliver()

    await scene.sweep()

    assert [*shown, await scene.settled(budget)] == [0, 0, late]


async def test_charges_to_the_period_in_which_a_call_ends(scene: Scene) -> None:
    scene.world.clock.time = datetime(2026, 11, 20, 12, 50, tzinfo=UTC)
    streams = [await scene.begins(10), await scene.begins(100)]
    budget = await scene.opened(calendar=Calendar("hour"))
    first = await scene.operators.period(budget)
    assert first is not None
    before = await streams[0].ends()
    scene.minutes(15)
    after = await streams[1].ends()
    await scene.deliver()

    await scene.sweep()

    assert await scene.settled(budget) == after
    scene.world.clock.time = datetime(2026, 11, 20, 12, 50, tzinfo=UTC)
    assert await scene.settled(budget) == before


async def test_charges_only_calls_of_its_scope_and_models(scene: Scene) -> None:
    streams = {
        "search": await scene.begins(10),
        "other team": await scene.begins(100, team="ops"),
        "other model": await scene.begins(1_000, model="gpt-4o"),
    }
    team = await scene.opened(id="team", scope="team:acme/search")
    model = await scene.opened(id="model", models=("*-mini",))
    key = await scene.opened(id="key", scope="key:line-ops")
    for stream in streams.values():
        await stream.ends()
    await scene.deliver()

    await scene.sweep()

    assert await scene.settled(team) == (10 + 1_000) * 150
    assert await scene.settled(model) == (10 + 100) * 150
    assert await scene.settled(key) == 100 * 150


@pytest.mark.parametrize(
    ("scope", "counted"),
    [("team:acme/search", (10, 1_000)), ("team:acme/ops", (100,)), ("org:acme", (10, 100, 1_000))],
)
async def test_charges_a_budget_of_another_scope_with_its_calls_alone(
    scene: Scene, scope: str, counted: tuple[int, ...]
) -> None:
    """Also with those that hold money of it, as it was before."""
    await scene.opened(scope="team:acme/search")
    ended = await scene.call(1_000)
    streams = [await scene.begins(10), await scene.begins(100, team="ops")]
    await scene.deliver()
    rescoped = await scene.opened(scope=scope)
    scene.heard()
    nanos = [await stream.ends() for stream in streams]
    await scene.deliver()

    await scene.sweep()

    assert [ended, *nanos] == [150_000, 1_500, 15_000]
    assert await scene.settled(rescoped) == sum(counted) * 150
    period = await scene.operators.period(rescoped)
    assert period is not None
    assert (period.leased, period.open_leases, period.unproven) == (0, 0, 0)


@pytest.mark.parametrize("was", ["soft", "paused", "hard, then paused"])
async def test_charges_a_budget_that_was_not_hard(scene: Scene, was: str) -> None:
    """Of a stream that began while it was hard, the lease tells nothing when it is so again."""
    budget = await scene.opened(enforcement="soft" if was == "soft" else "hard")
    if was == "paused":
        await scene.operators.pause(budget)
    ended = await scene.call(1)
    stream = await scene.begins(10)
    if was == "hard, then paused":
        await scene.operators.pause(budget)
        scene.heard()
        ended += await scene.call(100)
    await scene.deliver()
    hard = await scene.opened()
    scene.heard()
    held = await scene.call(1_000)
    late = await stream.ends()
    await scene.deliver()

    await scene.sweep()

    assert await scene.settled(hard) == ended + held + late


async def test_refuses_the_next_call_where_such_calls_have_spent_all(scene: Scene) -> None:
    stream = await scene.begins(1_000_000)
    budget = await scene.opened(limit=DOLLAR // 10)
    late = await stream.ends()
    scene.heard()
    fits = await Client(scene.gateway, key_text("search")).call(body=CAPPED)
    await scene.deliver()

    await scene.sweep()

    over = await Client(scene.gateway, key_text("search")).call(body=CAPPED)
    assert late > budget.limit
    assert (fits.status, over.status) == (200, 402)
    assert await scene.settled(budget) >= late


async def test_waits_for_a_warehouse_that_does_not_answer(scene: Scene) -> None:
    stream = await scene.begins(10)
    budget = await scene.opened(thresholds=())
    late = await stream.ends()
    await scene.deliver()
    scene.warehouse.down = True
    await scene.sweep()
    shown = [await scene.settled(budget)]
    scene.warehouse.down = False

    await scene.sweep()

    assert [*shown, await scene.settled(budget)] == [0, late]


async def test_asks_one_question_a_minute_of_a_new_budget_and_none_of_others(
    scene: Scene,
) -> None:
    await scene.opened(id="day", thresholds=())
    await scene.opened(id="total", thresholds=(), calendar=Calendar("total"))
    await scene.opened(id="soft", thresholds=(), enforcement="soft")

    async def asked(minutes: int) -> list[int]:
        counts = []
        for _ in range(minutes):
            before = len(scene.warehouse.asked)
            await scene.sweep()
            counts.append(len(scene.warehouse.asked) - before)
        return counts

    assert await asked(3) == [4, 2, 2]
    scene.minutes(85)
    assert await asked(3) == [4, 0, 0]
