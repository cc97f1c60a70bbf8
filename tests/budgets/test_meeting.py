"""At most twelve hard budgets apply to one call, whoever makes it and however they were made."""

import asyncio

import pytest

from common.core.errors import InvalidInput
from common.gateway.identity import Agent, Member, Org, Project, Team, create_member
from common.gateway.key_budget import KeyBudget
from common.gateway.key_changes import KeyRequest, NewKey, create_key, revoke_key
from tests.budgets.conftest import World
from tests.budgets.operators import Operators, a_budget

MEMBERS: tuple[Member, ...] = (
    Org("acme", "acme"),
    Team("acme", "search", "search"),
    Team("acme", "ops", "ops"),
    Agent("acme", "crawler", "search", "crawler"),
    Agent("acme", "ranker", "search", "ranker"),
    Agent("acme", "pager", "ops", "pager"),
    Project("acme", "q4", "q4"),
    Project("acme", "q1", "q1"),
)
SEARCH, CRAWLER, RANKER = "team:acme/search", "agent:acme/crawler", "agent:acme/ranker"


@pytest.fixture
async def operators(world: World) -> Operators:
    operators = Operators(world)
    for member in MEMBERS:
        await operators.apply(create_member(member))
    return operators


async def make(operators: Operators, scope: str, count: int = 1, **fields: object) -> None:
    """So many hard budgets of a scope."""
    for number in range(count):
        name = f"{scope.replace(':', '-').replace('/', '-')}-{number}"
        await operators.create(a_budget(id=name, scope=scope, **fields))


async def make_key(
    operators: Operators,
    name: str = "ci",
    agent: str = "crawler",
    *,
    may_act_as: tuple[str, ...] = (),
    project: str | None = None,
) -> NewKey:
    """A key with a hard budget of its own."""
    request = KeyRequest("acme", agent, name, may_act_as=may_act_as, project=project)
    return await operators.apply(
        create_key(request, KeyBudget(a_budget(), operators.world.documents))
    )


async def refusal(operators: Operators, scope: str) -> str | None:
    """The field that a new budget of this scope is refused for, if it is."""
    try:
        await operators.create(a_budget(id="asked", scope=scope))
    except InvalidInput as error:
        return error.field
    return None


async def test_refuses_the_thirteenth_and_names_the_twelve(operators: Operators) -> None:
    await make(operators, "org:acme", 12)

    with pytest.raises(InvalidInput, match=r"org-acme-0, org-acme-1, .* of org:acme already"):
        await operators.create(a_budget(id="one-more"))


@pytest.mark.parametrize(
    ("there", "asked", "is_refused"),
    [
        ({"org:acme": 11, SEARCH: 1}, CRAWLER, True),
        ({"org:acme": 10, SEARCH: 1, CRAWLER: 1}, "org:acme", True),
        ({"org:acme": 10, SEARCH: 1, "project:acme/q4": 1}, CRAWLER, True),
        ({"org:acme": 10, SEARCH: 1, "team:acme/ops": 1}, CRAWLER, False),
        ({"org:acme": 10, SEARCH: 1, "agent:acme/pager": 1}, CRAWLER, False),
        ({"org:acme": 10, CRAWLER: 2}, RANKER, False),
        ({"org:acme": 10, CRAWLER: 2}, SEARCH, True),
        ({"org:acme": 10, CRAWLER: 2}, "team:acme/ops", False),
        ({"org:acme": 11, "project:acme/q4": 1}, "project:acme/q1", False),
    ],
)
async def test_counts_those_that_meet_in_one_call(
    operators: Operators, there: dict[str, int], asked: str, *, is_refused: bool
) -> None:
    for scope, count in there.items():
        await make(operators, scope, count)

    assert await refusal(operators, asked) == ("enforcement" if is_refused else None)


async def test_counts_neither_soft_nor_paused_ones(operators: Operators) -> None:
    await make(operators, "org:acme", 11)
    await make(operators, SEARCH, 2, enforcement="soft")
    await make(operators, CRAWLER)
    await operators.pause(a_budget(id="agent-acme-crawler-0"))

    assert await refusal(operators, RANKER) is None


@pytest.mark.parametrize("fields", [{"enforcement": "soft"}, {"paused": True}])
async def test_a_budget_that_was_not_counted_may_not_become_the_thirteenth(
    operators: Operators, fields: dict[str, object]
) -> None:
    await make(operators, "org:acme", 12)
    await operators.create(a_budget(id="late", **fields))

    with pytest.raises(InvalidInput, match="at most 12"):
        await operators.update(a_budget(id="late"))


async def test_one_of_twelve_may_move(operators: Operators) -> None:
    await make(operators, "org:acme", 12)

    moved = await operators.update(a_budget(id="org-acme-0", scope=SEARCH))

    assert moved.budget.scope == SEARCH


async def test_of_many_made_at_once_no_more_than_twelve_are(operators: Operators) -> None:
    await make(operators, "org:acme", 9)

    answers = await asyncio.gather(
        *(operators.create(a_budget(id=f"more-{number}")) for number in range(5)),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) == [
        "InvalidInput",
        "InvalidInput",
        "Standing",
        "Standing",
        "Standing",
    ]


async def test_a_keys_budget_meets_those_of_all_its_agents(operators: Operators) -> None:
    await make(operators, "org:acme", 10)
    await make(operators, RANKER)
    await make_key(operators, may_act_as=("ranker",))

    assert await refusal(operators, SEARCH) == "enforcement"
    assert await refusal(operators, "team:acme/ops") is None


async def test_a_revoked_key_makes_no_calls(operators: Operators) -> None:
    await make(operators, "org:acme", 11)
    new = await make_key(operators)
    await operators.apply(revoke_key(new.key.digest))

    assert await refusal(operators, CRAWLER) is None


async def test_a_key_is_not_made_with_a_thirteenth(operators: Operators) -> None:
    await make(operators, "org:acme", 11)
    await make(operators, "project:acme/q4")
    await make_key(operators)

    with pytest.raises(InvalidInput) as raised:
        await make_key(operators, "other", project="q4")
    assert raised.value.field == "budget.enforcement"
