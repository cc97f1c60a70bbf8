"""The policy of brownouts over HTTP: versions, another one, and who was faster."""

import asyncio
from typing import Any

import httpx
import pytest

from common.brownout.changes import CHANGES
from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.core.brownout_events import BrownoutPolicyChanged
from common.core.ports import Documents, Put, Query
from tests.api.brownout_scenes import (
    POLICIES,
    a_policy,
    a_scope,
    at,
    audited,
    begin,
    pinned,
    saved,
    state_of,
)
from tests.api.conftest import KeepingBus, SetClock, pages

ENFORCED = {"enforcement": "enforce"}


async def read(client: httpx.AsyncClient, version: str = "current") -> dict[str, Any]:
    data: dict[str, Any] = (await client.get(f"{POLICIES}/{version}")).json()["data"]
    return data


async def test_begins_with_the_one_that_ships_with_the_code(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{POLICIES}/current")

    data = answer.json()["data"]
    assert answer.headers["etag"] == '"0"'
    assert (data["version"], data["running"], data["enforcement"]) == (0, True, "shadow")
    assert policy_from_data(data["policy"]) == shipped_policy()
    assert data["warnings"] == []


async def test_is_in_force_when_it_is_saved(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus
) -> None:
    await begin(documents, seq=3, scopes={"global": a_scope()})

    answer = await saved(client, note=" go ", **ENFORCED)

    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.json()["answer"] == "Version 1 is in force."
    data = answer.json()["data"]
    assert data == await read(client) == await read(client, "1")
    assert (data["author"], data["note"]) == ("operator@localhost", "go")
    assert data["created_at"] == "2026-11-01T12:00:00Z"
    assert policy_from_data(data["policy"]).enforced
    state = await state_of(documents)
    assert (state.policy_version, state.seq) == (1, 3)
    assert list(state.scopes) == ["global"]
    [event] = bus.events
    assert isinstance(event, BrownoutPolicyChanged)
    assert (event.version, event.before, event.enforcement) == (1, 0, "enforce")
    assert (event.note, event.actor) == ("go", "operator@localhost")
    assert await audited(documents) == [("brownout.policy", "brownout_policies/1")]
    standing = (await client.get("/api/v1/brownout")).json()["data"]
    assert (standing["enforcement"], standing["policy_version"]) == ("enforce", 1)


async def test_keeps_pins(client: httpx.AsyncClient, documents: Documents) -> None:
    pin = await pinned(client, mode="soft")

    await saved(client, **ENFORCED)

    assert [each.id for each in (await state_of(documents)).pins] == [pin["id"]]


async def test_decides_nothing_that_has_happened_before(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    """Hard is over by the old ramp; a longer one would bring it back."""
    await begin(documents, scopes={"global": a_scope(lease_s=10)})
    clock.time = at(260)

    await saved(client, recovery={"dwell": "90s", "ramp": "1h", "holdout": "5%"})

    state = await state_of(documents)
    assert (state.scopes["global"].mode, state.policy_version) == (Mode.HARD, 1)
    assert await documents.query(Query(CHANGES)) == []
    clock.time = at(310)
    await begin(documents, scopes={"global": a_scope(lease_s=10)})
    await saved(client, recovery={"dwell": "90s", "ramp": "1h", "holdout": "5%"})
    state = await state_of(documents)
    assert state.scopes["global"].mode == Mode.SOFT
    [change] = await documents.query(Query(CHANGES))
    assert (change.data["before"], change.data["after"]) == ("hard", "soft")
    assert change.data["policy_version"] == 0


async def test_refuses_who_has_not_seen_the_one_in_force(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await saved(client)

    late = await saved(client, **ENFORCED)
    blind = await client.post(POLICIES, json={"policy": a_policy(), "note": "why"})
    any_ = await saved(client, "*", **ENFORCED)

    assert (late.status_code, late.json()["code"]) == (412, "version_conflict")
    assert "version 1 of the policy is in force" in late.json()["detail"]
    assert (blind.status_code, blind.json()["field"]) == (428, "If-Match")
    assert any_.json()["data"]["version"] == 2
    assert (await state_of(documents)).policy_version == 2


async def test_lets_one_of_two_win(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(saved(client, note="a"), saved(client, note="b"))

    assert sorted(each.status_code for each in answers) == [201, 412]
    assert (await read(client))["version"] == 1


async def test_is_saved_once_for_one_idempotency_key(client: httpx.AsyncClient) -> None:
    body = {"policy": a_policy(**ENFORCED), "note": "why"}
    headers = {"if-match": '"0"', "idempotency-key": "once"}

    answers = [await client.post(POLICIES, json=body, headers=headers) for _ in range(2)]

    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert (await read(client))["version"] == 1


async def test_never_overwrites_a_version(client: httpx.AsyncClient, documents: Documents) -> None:
    await documents.commit([Put(policy_ref(1), {"policy": a_policy(), "version": 1})])

    answer = await saved(client, **ENFORCED)

    assert answer.json()["data"]["version"] == 2
    assert (await read(client, "1"))["enforcement"] == "shadow"


async def test_lists_versions_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    for seen in range(3):
        await saved(client, f'"{seen}"', note=f"after {seen}")

    answers = await pages(client, "brownout/policies", limit=2)

    assert [[row["version"] for row in each["data"]] for each in answers] == [[3, 2], [1, 0]]
    assert [row["running"] for row in answers[0]["data"]] == [True, False]
    assert [row["note"] for row in answers[1]["data"]] == ["after 0", "ships with the code"]
    assert {each["total"]["count"] for each in answers} == {4}


@pytest.mark.parametrize("version", ["7", "-1", "one", "9" * 30, "٣"])
async def test_says_that_there_is_no_such_version(client: httpx.AsyncClient, version: str) -> None:
    assert (await client.get(f"{POLICIES}/{version}")).status_code == 404


async def test_names_everything_that_is_wrong_at_once(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    answer = await saved(client, enforcement="maybe", thresholds={"soft": {"error_rate": 7}})

    assert (answer.status_code, answer.json()["field"]) == (422, "enforcement")
    detail = answer.json()["detail"]
    assert detail.startswith("the policy has 2 errors:\n")
    assert "enforcement: maybe" in detail
    assert "thresholds.soft.error_rate: 7" in detail
    assert await documents.query(Query("brownout_policies")) == []


async def test_needs_a_note(client: httpx.AsyncClient) -> None:
    answers = [await saved(client, note=note) for note in ("", "  ", "x" * 501, "a\x07")]

    assert [(each.status_code, each.json()["field"]) for each in answers] == [(422, "note")] * 4


async def test_warns_of_a_mode_that_gives_up_less_than_the_one_below(
    client: httpx.AsyncClient,
) -> None:
    strategies = a_policy()["strategies"]
    weaker = {**strategies["default"], "hard": [{"output_cap": 8192}]}

    answer = await saved(client, strategies={**strategies, "default": weaker})

    warnings = answer.json()["data"]["warnings"]
    assert {"path": "strategies.default.hard", "detail": "has a weaker output_cap than soft"} in (
        warnings
    )
    assert answer.json()["answer"].endswith(f"with {len(warnings)} warnings.")
    assert (await read(client))["warnings"] == warnings
