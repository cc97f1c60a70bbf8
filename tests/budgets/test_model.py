"""Budgets hold in a world where commits go astray and owners die, and the model would notice.

`scripts/budget_model` runs it at full length.
"""

import pytest

from scripts.lease_model.parts import Faults, Violation
from scripts.lease_model.world import World

RUNS_UNTIL_FOUND = 100


@pytest.mark.parametrize("block", range(4))
def test_no_interleaving_breaks_a_promise(block: int) -> None:
    for seed in range(block, 100, 4):
        World(seed, Faults()).run(1_000)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(free_on_expiry=True),
        Faults(ignore_flight=True),
        Faults(settle_twice=True),
        Faults(close_without_settling=True),
    ],
    ids=lambda faults: next(name for name in faults.__slots__ if getattr(faults, name)),
)
def test_finds_a_fault_that_is_planted(faults: Faults) -> None:
    assert any(_breaks(World(seed, faults)) for seed in range(RUNS_UNTIL_FOUND))


def _breaks(world: World) -> bool:
    try:
        world.run(3_000)
    except Violation:
        return True
    return False
