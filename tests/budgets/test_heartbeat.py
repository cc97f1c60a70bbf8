"""Each sweep that comes to its end says so, in the line whose absence is an alert."""

import json
import logging
import os
import re
from collections.abc import Sequence

import pytest

from common.budgets.sweep import Asked, Sweeper
from common.core.errors import StoreUnavailable
from common.runtime.logs import JsonLines
from tests.budgets.conftest import DOLLAR, World
from tests.budgets.sweeping import MINUTE_S, KeepingBus, a_call_held, a_sweeper, a_tick, nothing
from tests.repository.sources import ROOT

LINE = "budgets.swept"


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == LINE]


async def test_a_quiet_run_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "common.budgets.sweep")

    await a_sweeper(world, KeepingBus()).run(a_tick(world.clock))

    [line] = lines(caplog)
    told = json.loads(JsonLines().format(line))
    assert (told["severity"], told["message"], told["written_off"], told["periods"]) == (
        "INFO",
        LINE,
        0,
        0,
    )


async def test_a_run_tells_what_it_did(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "common.budgets.sweep")
    await a_call_held(world, world.to(await world.budget("b", 100 * DOLLAR)), DOLLAR)
    world.clock.advance(21 * MINUTE_S)

    await a_sweeper(world, KeepingBus()).run(a_tick(world.clock))

    [line] = lines(caplog)
    told = json.loads(JsonLines().format(line))
    assert (told["written_off"], told["periods"]) == (1, 1)


async def test_a_run_that_fails_or_is_not_obeyed_is_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def unavailable(_asked: Sequence[Asked]) -> list[int]:
        raise StoreUnavailable("the warehouse did not answer in time")

    caplog.set_level("INFO", "common.budgets.sweep")
    await world.budget("b", 100 * DOLLAR)
    failing = Sweeper(world.documents, KeepingBus(), world.clock, os.urandom, unavailable, nothing)

    with pytest.raises(StoreUnavailable):
        await failing.run(a_tick(world.clock))
    await a_sweeper(world, KeepingBus()).run(a_tick(world.clock, age_s=MINUTE_S + 1))

    assert lines(caplog) == []


def test_terraform_waits_for_this_line() -> None:
    text = (ROOT / "terraform/monitoring.tf").read_text(encoding="utf-8")

    assert re.findall(r'budgets += \{ line = "([^"]+)"', text) == [LINE]
