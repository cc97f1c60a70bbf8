"""Reports of usage in a brownout: what was given up of a call, and sums by mode."""

import httpx

from common.core.events import EditMade
from tests.api.conftest import Record, a_call
from tests.api.test_usage import summary


async def test_shows_what_a_brownout_and_a_rule_did_to_a_call(
    client: httpx.AsyncClient, record: Record
) -> None:
    edit = EditMade(name="model", told="gpt-5-mini", outcome="shadow", reason="")
    treated = {"mode": "hard", "mode_scope": "global", "episode": "e1", "arm": "degraded"}
    await record(a_call(1, **treated, edits=(edit,), route="cheap", route_shadow=True))

    [call] = (await client.get("/api/v1/usage/calls")).json()["data"]

    assert {name: call[name] for name in treated} == treated
    assert call["edits"] == [edit.model_dump()]
    assert (call["enforced"], call["route"], call["route_shadow"]) == (False, "cheap", True)


async def test_sums_by_the_mode_that_calls_were_treated_in(
    client: httpx.AsyncClient, record: Record
) -> None:
    await record(a_call(1), a_call(2, mode="hard"), a_call(3, mode="hard", team="ops"))

    answer = await summary(client, group="mode")

    assert [(row["group"], row["calls"]) for row in answer["data"]] == [
        ({"mode": "hard"}, 2),
        ({"mode": "normal"}, 1),
    ]
