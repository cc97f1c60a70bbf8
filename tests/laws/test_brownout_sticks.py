"""Nothing sticks: a brownout ends by itself whatever is lost, late, twice or dead.

Thousands of histories run through the shipped code on simulated time (`brownout_world`).
"""

import logging
import os
import random

import pytest

from common.brownout.modes import Mode
from tests.brownout.scenes import at
from tests.contracts.test_documents import (
    TestAtomicity,
    TestConcurrency,
    TestIds,
    TestPreconditions,
    TestQueries,
)
from tests.laws.brownout_parts import Faults, Violation
from tests.laws.brownout_store import MemoryDocuments
from tests.laws.brownout_story import Story, naive_transitions, random_story, toggling
from tests.laws.brownout_world import World

__all__ = ["TestAtomicity", "TestConcurrency", "TestIds", "TestPreconditions", "TestQueries"]

HISTORIES = 10_000 if "LAW_CALLS" in os.environ else 300
BLOCKS = 6
RUNS_UNTIL_FOUND = 150
TWO_HOURS_S = 7_200.0


@pytest.fixture
async def documents() -> MemoryDocuments:
    """What the world stands on is held against the contract of every engine."""
    return MemoryDocuments()


@pytest.fixture(autouse=True)
def quiet() -> object:
    """What goes wrong here goes wrong on purpose, some hundred thousand times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
async def test_every_scope_is_normal_fifty_minutes_after_the_last_cause(block: int) -> None:
    """And readers of any copy agree until then, and every change is told once by its id."""
    looked = changes = 0
    for seed in range(block, HISTORIES, BLOCKS):
        world = _world(seed)
        try:
            await world.run()
        except Violation as violation:
            raise AssertionError(f"history {seed}: {violation}") from violation
        looked, changes = looked + world.looked, changes + len(world.changes)

    histories = HISTORIES / BLOCKS
    assert looked > 50 * histories, "too little was undisturbed to show anything"
    assert changes > 4 * histories, "too little happened to show anything"


@pytest.mark.slow
@pytest.mark.parametrize("name", Faults.__slots__)
async def test_finds_a_fault_that_is_planted(name: str) -> None:
    for seed in range(RUNS_UNTIL_FOUND):
        try:
            await _world(seed, Faults(**{name: True})).run()
        except Violation:
            return

    pytest.fail(f"{name} is not found in {RUNS_UNTIL_FOUND} histories")


async def test_never_leaves_hard_while_its_monitor_toggles_every_minute() -> None:
    story = toggling(firing_s=60, every_s=120, lasts_s=TWO_HOURS_S)

    world = await _calm(story)

    assert naive_transitions(story) == 180
    assert len(world.changes) <= 4
    assert [change.after for change in world.changes] == [Mode.HARD, Mode.SOFT, Mode.NORMAL]
    assert world.changes[1].event_time > at(story.over_s)


async def test_comes_back_gently_from_each_minute_of_an_alert_every_ten() -> None:
    story = toggling(firing_s=60, every_s=600, lasts_s=TWO_HOURS_S)

    world = await _calm(story)

    assert naive_transitions(story) == 36
    assert len(world.changes) <= 26


def _world(seed: int, faults: Faults | None = None) -> World:
    chance = random.Random(seed)
    return World(random_story(chance), chance, faults or Faults())


async def _calm(story: Story) -> World:
    """A history in which all arrives at once and nothing fails."""
    world = World(story, random.Random(1), calm=True)
    await world.run()
    return world
