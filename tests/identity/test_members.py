"""Organisations, teams, agents and projects, and moving an agent with its keys."""

import asyncio
import os
from datetime import timedelta

import pytest

from common.core.errors import AlreadyExists, InvalidInput, NotFound, VersionConflict
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from common.gateway.changes import apply_change
from common.gateway.control import CONTROL
from common.gateway.identity import (
    Agent,
    Member,
    Org,
    Project,
    Team,
    create_member,
    get_member,
    list_members,
    org_ref,
    update_member,
)
from common.gateway.key_changes import KeyRequest, create_key, get_key, revoke_key, rotate_key
from common.gateway.key_index import MAX_KEYS_PER_AGENT
from tests.identity.conftest import ADMIN, Apply, KeepingBus, MakeKey, SetClock, audit_entries


def move(agent: str, team: str, tags: dict[str, str] | None = None) -> Agent:
    return Agent("acme", agent, team, agent.capitalize(), tags or {})


async def test_is_read_as_it_was_written(acme: None, documents: Documents) -> None:
    assert await get_member(documents, Org, org_ref("acme")) == Org("acme", "Acme")
    listed = await list_members(documents, Agent, {"org": "acme"}, after=None, limit=500)
    assert [(agent.id, agent.team, agent.tags) for agent in listed] == [
        ("crawler", "search", {"env": "prod"}),
        ("ranker", "search", {}),
    ]


async def test_is_listed_by_page(acme: None, documents: Documents) -> None:
    page = await list_members(documents, Agent, {"team": "search"}, after="acme:crawler", limit=1)

    assert [agent.id for agent in page] == ["ranker"]


@pytest.mark.parametrize(
    "member",
    [Org("acme", "Other"), Team("acme", "search", "x"), move("crawler", "ops")],
)
async def test_is_created_once(acme: None, apply: Apply, member: Member) -> None:
    with pytest.raises(AlreadyExists):
        await apply(create_member(member))


@pytest.mark.parametrize(
    ("member", "field"),
    [
        (Org("-acme", "x"), "id"),
        (Org("a" * 64, "x"), "id"),
        (Org("a:b", "x"), "id"),
        (Org("b", " x"), "name"),
        (Org("b", "x" * 201), "name"),
        (Team("nowhere", "a", "x"), "org"),
        (Agent("acme", "a", "nowhere", "x"), "team"),
        (Agent("acme", "a", "search", "x", {"bad name": "1"}), "tags"),
        (Project("nowhere", "a", "x"), "org"),
    ],
)
async def test_refuses_a_wrong_value_by_name(
    acme: None, apply: Apply, member: Member, field: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        await apply(create_member(member))
    assert error.value.field == field


async def test_is_replaced_only_if_it_is_what_was_seen(acme: None, apply: Apply) -> None:
    with pytest.raises(VersionConflict):
        await apply(update_member(Org("acme", "New"), lambda stored: stored.name == "Old"))
    changed = await apply(update_member(Org("acme", "New"), lambda stored: stored.name == "Acme"))

    assert changed == Org("acme", "New")


async def test_is_not_made_by_a_change(acme: None, apply: Apply) -> None:
    with pytest.raises(NotFound):
        await apply(update_member(Org("nowhere", "x"), lambda _: True))


async def test_leaves_no_trace_when_nothing_changes(
    acme: None, apply: Apply, documents: Documents
) -> None:
    before = len(await audit_entries(documents))
    await apply(update_member(Org("acme", "Acme"), lambda _: True))

    assert len(await audit_entries(documents)) == before


async def test_is_audited_with_before_and_after(
    acme: None, apply: Apply, documents: Documents, clock: SetClock
) -> None:
    clock.advance(timedelta(seconds=1))
    await apply(update_member(Org("acme", "New"), lambda _: True))

    entry = (await audit_entries(documents))[-1]
    assert (entry["what"], entry["target"]) == ("org.update", "orgs/acme")
    assert (entry["before"]["name"], entry["after"]["name"]) == ("Acme", "New")


async def test_moves_with_its_keys_and_their_successors(
    make_key: MakeKey, apply: Apply, documents: Documents, clock: SetClock
) -> None:
    old = await make_key("old")
    new = await apply(rotate_key(old.key.digest))
    gone = await make_key("gone")
    await apply(revoke_key(gone.key.digest))
    clock.advance(timedelta(minutes=11))
    await apply(update_member(move("crawler", "ops", {"env": "prod"}), lambda _: True))

    teams = [(await get_key(documents, made.key.key_id)).team for made in (old, new, gone)]
    assert teams == ["ops", "ops", "search"]
    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert set(control.data["keys_changed"]) == {old.key.key_id, new.key.key_id}


async def test_takes_its_tags_to_its_keys_but_not_over_theirs(
    make_key: MakeKey, apply: Apply, documents: Documents
) -> None:
    same = await make_key("same")
    own = await make_key("own", tags={"env": "test", "run": "7"})
    await apply(update_member(move("crawler", "search", {"env": "eu", "run": "8"}), lambda _: True))

    assert (await get_key(documents, same.key.key_id)).tags == {"env": "eu", "run": "8"}
    assert (await get_key(documents, own.key.key_id)).tags == {"env": "test", "run": "7"}


async def test_acts_for_no_other_team_after_a_move(
    make_key: MakeKey, apply: Apply, documents: Documents
) -> None:
    of_ranker = await make_key("a", agent="ranker", may_act_as=("crawler",))
    of_crawler = await make_key("b", agent="crawler", may_act_as=("ranker",))
    await apply(update_member(move("crawler", "ops", {"env": "prod"}), lambda _: True))

    moved = [await get_key(documents, new.key.key_id) for new in (of_ranker, of_crawler)]
    assert [(key.team, key.may_act_as) for key in moved] == [("search", ()), ("ops", ())]


async def test_has_a_bounded_number_of_usable_keys(make_key: MakeKey, apply: Apply) -> None:
    made = [await make_key(f"key {number}") for number in range(MAX_KEYS_PER_AGENT)]
    with pytest.raises(InvalidInput) as error:
        await make_key("one more")
    assert error.value.field == "agent"

    await apply(revoke_key(made[0].key.digest))
    assert (await make_key("one more")).key.agent == "crawler"


class MovingDocuments:
    """State in which an agent moves after the first read that touches the agent."""

    def __init__(self, documents: Documents, bus: KeepingBus, clock: SetClock) -> None:
        self._documents = documents
        self._bus = bus
        self._clock = clock
        self._moved = False

    async def get_many(self, refs: list[Ref]) -> list[Document | None]:
        found = await self._documents.get_many(refs)
        if not self._moved and any(ref.collection in {"agents", "agent_keys"} for ref in refs):
            self._moved = True
            await apply_change(
                update_member(move("crawler", "ops"), lambda _: True),
                ADMIN,
                documents=self._documents,
                bus=self._bus,
                clock=self._clock,
                entropy=os.urandom,
            )
        return found

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: list[Write]) -> Outcome:
        return await self._documents.commit(writes)


async def test_leaves_no_key_behind_that_is_made_during_the_move(
    acme: None, documents: Documents, bus: KeepingBus, clock: SetClock
) -> None:
    new = await apply_change(
        create_key(KeyRequest(org="acme", agent="crawler", name="ci")),
        ADMIN,
        documents=MovingDocuments(documents, bus, clock),  # type: ignore[arg-type]  # lists are sequences here
        bus=bus,
        clock=clock,
        entropy=os.urandom,
    )

    assert (await get_key(documents, new.key.key_id)).team == "ops"


async def test_moves_while_keys_are_made(
    make_key: MakeKey, apply: Apply, documents: Documents
) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(_ignore(make_key(f"key {number}")))
        group.create_task(_ignore(apply(update_member(move("crawler", "ops"), lambda _: True))))

    keys = await documents.query(Query("keys"))
    assert len(keys) == 8
    assert {key.data["team"] for key in keys} == {"ops"}


async def _ignore(awaitable: object) -> None:
    await awaitable  # type: ignore[misc]  # any awaitable
