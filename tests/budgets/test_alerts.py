"""What is decided is told at least once, under one id, and does not change on the way."""

import json

import pytest

from common.budgets.alerts import ALERTS
from common.core.errors import PublishFailed
from common.core.ports import Document, Put, Query
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.sweeping import MINUTE_S, KeepingBus, a_call_held, a_sweeper, a_tick, swept, told


async def test_a_crash_between_commit_and_publication_loses_no_event(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    committed = await swept(world)
    bus = KeepingBus()

    world.clock.advance(MINUTE_S)
    await a_sweeper(world, bus).run(a_tick(world.clock))
    await a_sweeper(world, bus).run(a_tick(world.clock))

    assert bus.events == committed


async def test_an_event_that_is_published_and_not_marked_comes_again_unchanged(
    world: World,
) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    committed = await swept(world)
    world.documents.fates = ["lost"]

    first, second, third = await told(world), await told(world), await told(world)

    assert (first, second, third) == (committed, committed, [])


async def test_a_bus_that_is_down_loses_no_event(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    bus = KeepingBus(down=True)
    with pytest.raises(PublishFailed):
        await a_sweeper(world, bus).run(a_tick(world.clock))

    bus.down = False
    await a_sweeper(world, bus).run(a_tick(world.clock))

    assert [event.type for event in bus.events] == ["lease.written_off"]


async def test_an_event_of_a_newer_version_waits_for_it(world: World) -> None:
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    world.clock.advance(21 * MINUTE_S)
    await swept(world)
    [alert] = await _alerts(world)
    newer = json.dumps({**json.loads(alert.data["event"]), "v": 99})
    await world.documents.commit([Put(alert.ref, {**alert.data, "event": newer})])

    assert await told(world) == []
    assert [each.data["waiting"] for each in await _alerts(world)] == [True]


async def test_only_what_is_told_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "common.budgets.alerts")
    to = world.to(await world.budget("b", 100 * DOLLAR))
    await a_call_held(world, to, DOLLAR)
    nothing = await told(world)
    silent = [each for each in caplog.records if each.name.endswith(".alerts")]
    world.clock.advance(21 * MINUTE_S)
    await swept(world)

    once, twice = await told(world), await told(world)

    assert (nothing, silent, len(once), twice) == ([], [], 1, [])
    said = [each.getMessage() for each in caplog.records if each.name.endswith(".alerts")]
    assert said == ["budgets.told"]


async def _alerts(world: World) -> list[Document]:
    return await world.documents.query(Query(ALERTS))
