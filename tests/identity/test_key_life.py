"""Making, rotating and revoking keys."""

from datetime import timedelta

import pytest

from common.budgets.rate_limits import CallLimits
from common.core.errors import AlreadyExists, InvalidInput
from common.core.events import KeyEvent
from common.core.ports import Documents, Query, Ref
from common.gateway.control import CONTROL
from common.gateway.key_changes import (
    KeyRequest,
    NewKey,
    create_key,
    get_key,
    revoke_key,
    rotate_key,
)
from common.gateway.keys import KeyPolicy, key_digest, refusal
from tests.identity.conftest import (
    START,
    Apply,
    KeepingBus,
    MakeKey,
    SetClock,
    audit_entries,
    together,
)


async def test_is_found_by_the_digest_of_its_text(make_key: MakeKey, documents: Documents) -> None:
    new = await make_key(project="q4")

    assert key_digest(new.secret.reveal()) == new.key.digest
    assert await get_key(documents, new.key.key_id) == new.key
    assert (new.key.team, new.key.project, new.key.line) == ("search", "q4", new.key.key_id)


async def test_carries_the_agents_tags_under_its_own(make_key: MakeKey) -> None:
    new = await make_key(tags={"run": "7"})

    assert new.key.tags == {"env": "prod", "run": "7"}


async def test_stores_its_text_nowhere(
    make_key: MakeKey, apply: Apply, documents: Documents, bus: KeepingBus
) -> None:
    new = await make_key()
    successor = await apply(rotate_key(new.key.digest))
    stored = []
    for collection in ("keys", "key_names", "agent_keys", "audit", "gateway", "agents"):
        stored += await documents.query(Query(collection))

    everything = repr(stored) + repr(bus.events) + repr(new) + repr(successor)
    assert new.secret.reveal() not in everything
    assert successor.secret.reveal() not in everything


async def test_is_one_when_fifty_ask_for_the_same_name(
    make_key: MakeKey, documents: Documents
) -> None:
    results = await together(*(make_key(name="ci") for _ in range(50)))

    made = [result for result in results if isinstance(result, NewKey)]
    refused = [result for result in results if isinstance(result, AlreadyExists)]
    assert (len(made), len(refused)) == (1, 49)
    assert [key.ref.id for key in await documents.query(Query("keys"))] == [made[0].key.digest]


async def test_keeps_its_name_for_ever(make_key: MakeKey, apply: Apply) -> None:
    new = await make_key(name="ci")
    await apply(revoke_key(new.key.digest))

    with pytest.raises(AlreadyExists) as error:
        await make_key(name="ci")
    assert error.value.field == "name"


@pytest.mark.parametrize("name", ["rpm", "tpm", "concurrency"])
@pytest.mark.parametrize("limit", [0, -1, 10**12 + 1])
async def test_refuses_a_limit_that_is_none(make_key: MakeKey, name: str, limit: int) -> None:
    with pytest.raises(InvalidInput) as error:
        await make_key(policy=KeyPolicy(limits=CallLimits(**{name: limit})))
    assert error.value.field == f"policy.limits.{name}"


async def test_keeps_its_limits(make_key: MakeKey, documents: Documents) -> None:
    limits = CallLimits(rpm=60, tpm=10**12, concurrency=1)
    new = await make_key(policy=KeyPolicy(limits=limits))

    assert (await get_key(documents, new.key.key_id)).policy.limits == limits


async def test_rotates_without_a_gap(make_key: MakeKey, apply: Apply, documents: Documents) -> None:
    old = await make_key(tags={"run": "7"}, policy=KeyPolicy(models=("gpt-*",)))
    new = await apply(rotate_key(old.key.digest, timedelta(hours=2)))

    ending = await get_key(documents, old.key.key_id)
    assert ending.expires_at == START + timedelta(hours=2)
    assert refusal(ending, START + timedelta(hours=2) - timedelta(microseconds=1)) is None
    assert refusal(ending, START + timedelta(hours=2)) == "expired"
    assert refusal(new.key, START) is None
    assert (new.key.line, new.key.name, new.key.tags) == (old.key.line, "ci", old.key.tags)
    assert new.key.policy == old.key.policy
    assert new.key.digest != old.key.digest


async def test_rotation_never_prolongs_a_key(
    make_key: MakeKey, apply: Apply, documents: Documents
) -> None:
    ends = START + timedelta(hours=1)
    old = await make_key(expires_at=ends)
    new = await apply(rotate_key(old.key.digest))

    assert new.key.expires_at == ends
    assert (await get_key(documents, old.key.key_id)).expires_at == ends


async def test_rotates_once_when_two_ask_at_once(make_key: MakeKey, apply: Apply) -> None:
    old = await make_key()
    results = await together(*(apply(rotate_key(old.key.digest)) for _ in range(2)))

    assert sorted(type(result).__name__ for result in results) == ["InvalidInput", "NewKey"]


async def test_names_the_successor_of_a_replaced_key(make_key: MakeKey, apply: Apply) -> None:
    old = await make_key()
    new = await apply(rotate_key(old.key.digest))

    with pytest.raises(InvalidInput, match=new.key.key_id):
        await apply(rotate_key(old.key.digest))


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=30, seconds=1)])
async def test_overlaps_from_0_to_30_days(overlap: timedelta) -> None:
    with pytest.raises(InvalidInput) as error:
        rotate_key("ab" * 32, overlap)
    assert error.value.field == "overlap_s"


async def test_does_not_rotate_once_revoked(make_key: MakeKey, apply: Apply) -> None:
    new = await make_key()
    await apply(revoke_key(new.key.digest))

    with pytest.raises(InvalidInput, match="revoked"):
        await apply(rotate_key(new.key.digest))


async def test_tells_the_proxy_of_rotation_and_revocation(
    make_key: MakeKey, apply: Apply, documents: Documents, clock: SetClock
) -> None:
    first, second = await make_key("first"), await make_key("second")
    await apply(rotate_key(first.key.digest))
    clock.advance(timedelta(minutes=9))
    await apply(revoke_key(second.key.digest))
    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert control.data["keys_changed"] == {first.key.key_id: START, second.key.key_id: clock.now()}

    clock.advance(timedelta(minutes=2))
    third = await make_key("third")
    await apply(revoke_key(third.key.digest))
    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert set(control.data["keys_changed"]) == {second.key.key_id, third.key.key_id}


async def test_is_revoked_once(make_key: MakeKey, apply: Apply, clock: SetClock) -> None:
    new = await make_key()
    revoked = await apply(revoke_key(new.key.digest))
    clock.advance(timedelta(hours=1))

    assert (await apply(revoke_key(new.key.digest))).revoked_at == revoked.revoked_at == START


async def test_publishes_each_change_after_it_is_stored(
    make_key: MakeKey, apply: Apply, bus: KeepingBus
) -> None:
    old = await make_key()
    new = await apply(rotate_key(old.key.digest))
    await apply(revoke_key(new.key.digest))
    await apply(revoke_key(new.key.digest))

    events = [event for event in bus.events if isinstance(event, KeyEvent)]
    assert [(event.type, event.key_id, event.line) for event in events] == [
        ("key.created", old.key.key_id, old.key.line),
        ("key.rotated", new.key.key_id, old.key.line),
        ("key.revoked", new.key.key_id, old.key.line),
    ]
    assert {event.actor for event in events} == {"admin@example.com"}


async def test_leaves_one_audit_entry_for_each_change(
    make_key: MakeKey, apply: Apply, documents: Documents, clock: SetClock
) -> None:
    new = await make_key()
    clock.advance(timedelta(seconds=1))
    await apply(revoke_key(new.key.digest))
    await apply(revoke_key(new.key.digest))

    entries = [entry for entry in await audit_entries(documents) if "key" in entry["what"]]
    assert [(entry["what"], entry["target"]) for entry in entries] == [
        ("key.create", f"keys/{new.key.key_id}"),
        ("key.revoke", f"keys/{new.key.key_id}"),
    ]
    assert entries[1]["before"]["revoked_at"] is None
    assert entries[1]["after"]["revoked_at"] == clock.now()
    assert {(entry["who"], entry["from"]) for entry in entries} == {
        ("admin@example.com", "192.0.2.1")
    }


async def test_has_one_line_per_name(make_key: MakeKey, apply: Apply, documents: Documents) -> None:
    old = await make_key(name="ci")
    new = await apply(rotate_key(old.key.digest))
    [name] = await documents.get_many([Ref("key_names", "acme:ci")])

    assert name is not None
    assert name.data == {"line": old.key.line, "key_id": new.key.key_id}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"agent": "nobody"}, "agent"),
        ({"project": "q9"}, "project"),
        ({"may_act_as": ("nobody",)}, "may_act_as"),
        ({"may_act_as": ("crawler",)}, "may_act_as"),
        ({"may_act_as": ("ranker", "ranker")}, "may_act_as"),
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"tags": {"Upper": "1"}}, "tags"),
        ({"tags": {"long": "x" * 257}}, "tags.long"),
        ({"tags": {"control": "\x1b[31m"}}, "tags.control"),
        ({"tags": {f"t{number}": "1" for number in range(21)}}, "tags"),
        ({"tags": {f"t{number}": "1" for number in range(20)}}, "tags"),
        ({"policy": KeyPolicy(models=("",))}, "policy.models"),
        ({"policy": KeyPolicy(tags=("Not A Name",))}, "policy.tags"),
        ({"expires_at": START}, "expires_at"),
    ],
)
async def test_refuses_a_wrong_value_by_name(
    acme: None, apply: Apply, fields: dict[str, object], field: str
) -> None:
    asked: dict[str, object] = {"org": "acme", "agent": "crawler", "name": "ci", **fields}

    with pytest.raises(InvalidInput) as error:
        await apply(create_key(KeyRequest(**asked)))  # type: ignore[arg-type]  # any field of a request
    assert error.value.field == field
