"""Who moves must not bring more than twelve hard budgets together in one call."""

from dataclasses import replace

import pytest

from common.core.errors import InvalidInput
from common.gateway.budget_scopes import hard_budgets
from common.gateway.identity import Agent, get_member
from common.gateway.key_changes import KeyRequest, NewKey
from common.gateway.key_updates import put_key
from common.gateway.manifest_objects import Ground, member_step
from common.gateway.member_moves import replace_member
from tests.budgets.operators import Operators, a_budget
from tests.budgets.sweeping import nothing
from tests.budgets.test_meeting import CRAWLER, MEMBERS, RANKER, make, make_key, operators

__all__ = ["operators"]

[AGENT] = [each for each in MEMBERS if isinstance(each, Agent) and each.id == "crawler"]
OPS = "team:acme/ops"


async def move(operators: Operators, team: str = "ops", name: str = "crawler") -> Agent:
    """Move the agent crawler, of team search."""
    plan = replace_member(
        replace(AGENT, team=team, name=name), lambda _: True, operators.world.documents
    )
    return await operators.apply(plan)


async def team_of(operators: Operators) -> str:
    return (await get_member(operators.world.documents, Agent, AGENT.ref)).team


@pytest.mark.parametrize(
    ("there", "is_refused"),
    [
        ({"org:acme": 10, OPS: 2}, False),
        ({"org:acme": 10, OPS: 2, CRAWLER: 1}, True),
        ({"org:acme": 10, OPS: 2, RANKER: 1}, False),
        ({"org:acme": 10, OPS: 2, "team:acme/search": 1}, False),
        ({"org:acme": 9, OPS: 2, CRAWLER: 1}, False),
        ({"org:acme": 9, OPS: 2, CRAWLER: 1, "project:acme/q4": 1}, True),
    ],
)
async def test_an_agent_moves_where_twelve_apply_and_not_where_thirteen_would(
    operators: Operators, there: dict[str, int], *, is_refused: bool
) -> None:
    for scope, count in there.items():
        await make(operators, scope, count)

    refused = None
    try:
        await move(operators)
    except InvalidInput as error:
        refused = error

    assert await team_of(operators) == ("search" if is_refused else "ops")
    assert (refused.field if refused else None) == ("team" if is_refused else None)
    if refused:
        assert "at most 12" in refused.detail
        assert "team-acme-ops-0, team-acme-ops-1" in refused.detail


async def test_the_budget_of_an_agents_key_moves_along(operators: Operators) -> None:
    await make(operators, "org:acme", 10)
    await make(operators, OPS, 2)
    await make_key(operators)

    with pytest.raises(InvalidInput, match="at most 12"):
        await move(operators)


async def test_who_stays_in_the_team_may_change_otherwise(operators: Operators) -> None:
    await make(operators, "org:acme", 10)
    await make(operators, OPS, 2)
    await make(operators, CRAWLER)

    renamed = await move(operators, "search", name="Crawler")

    assert renamed.name == "Crawler"


async def test_a_key_does_not_join_a_project_that_brings_a_thirteenth(operators: Operators) -> None:
    await make(operators, "org:acme", 10)
    await make(operators, "project:acme/q4", 2)
    new = await make_key(operators)

    async def put(project: str | None) -> str | None:
        plan = await put_key(
            operators.world.documents, KeyRequest("acme", "crawler", "ci", project=project), None
        )
        key = await operators.apply(plan)
        assert not isinstance(key, NewKey)
        return key.project

    with pytest.raises(InvalidInput, match="at most 12") as raised:
        await put("q4")
    assert raised.value.field == "project"
    assert (await put("q1"), new.key.project) == ("q1", None)


async def test_a_manifest_moves_no_agent_to_a_thirteenth(operators: Operators) -> None:
    await make(operators, "org:acme", 10)
    await make(operators, OPS, 2)
    await make(operators, CRAWLER)
    ground = Ground(operators.world.documents, nothing, (), operators.world.clock.now())
    plan = await member_step(replace(AGENT, team="ops"), "agents[0]").make(ground)

    with pytest.raises(InvalidInput, match="at most 12"):
        await operators.apply(plan)


async def test_of_a_move_and_a_budget_at_once_no_more_than_twelve_meet(
    operators: Operators,
) -> None:
    """The move asks of budgets before the budget is there, and commits after."""
    await make(operators, "org:acme", 10)
    await make(operators, CRAWLER)
    await make(operators, OPS)

    async def overtake() -> None:
        await operators.create(a_budget(id="faster", scope=OPS))

    operators.world.documents.before_commit = overtake

    with pytest.raises(InvalidInput, match="faster"):
        await move(operators)
    assert len(await hard_budgets(operators.world.documents, "acme")) == 13
