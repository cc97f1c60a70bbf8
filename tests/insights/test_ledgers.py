"""The evaluation judges seeded ledgers: the same each time, and by what was planted."""

import pytest

from common.insights.findings import Finding, Window
from scripts.insight_ledgers.judged import Judged, compare, judge
from scripts.insight_ledgers.planted import Planted
from scripts.insight_ledgers.worlds import HISTORY_H, SINCE, World, make_world


@pytest.mark.parametrize("seed", [1, 2])
def test_judges_a_ledger_the_same_each_time(seed: int) -> None:
    judged = judge(seed)

    assert judged == judge(seed)
    assert judged.planted.total() >= 3
    assert judged.found.total() >= judged.planted.total() - 2
    assert judged.scopes >= 15


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1)


def spike(scope: str) -> Finding:
    return Finding("spike", "acme", scope, Window.day_of(SINCE), "", {}, 0, "high", {})


def test_counts_what_was_planted_and_found_and_what_was_made_up(world: World) -> None:
    planted = [
        Planted("spike", "agent:acme/agent-0", HISTORY_H, HISTORY_H + 2),
        Planted("spike", "agent:acme/agent-1", HISTORY_H + 24, HISTORY_H + 25),
        Planted("latency", "agent:acme/agent-2", HISTORY_H, HISTORY_H + 2),
    ]
    found = [
        spike("agent:acme/agent-0"),
        spike("team:acme/team-0"),
        spike("org:acme"),
        spike("agent:acme/agent-1"),
        spike("team:acme/team-1"),
        spike("agent:acme/agent-2"),
    ]
    judged = Judged()

    compare(judged, planted, found, world, seed=1)

    assert dict(judged.planted) == {"spike": 2, "latency": 1}
    assert dict(judged.found) == {"spike": 1}
    assert dict(judged.false) == {"spike": 3}
