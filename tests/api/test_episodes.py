"""Brownouts that have ended, over HTTP."""

from datetime import timedelta
from typing import Any

import httpx

from common.brownout.episodes import Episode
from common.brownout.modes import Mode
from common.brownout.savings import Saving
from common.core.ports import Create, Documents
from tests.api.conftest import NOW, pages

PATH = "/api/v1/brownout/episodes"
LISTED = "brownout/episodes"
GAIN = Saving("holdout", 12_345_678_901, 10**10, 14_691_357_802, 900, 45, "")
LOSS = Saving("holdout", -123_456_789, -223_456_789, -23_456_789, 900, 45, "")
GUESS = Saving("estimate", 5 * 10**9, None, None, 7, 0, "an estimate by the hour before")
NONE = Saving("holdout", None, None, None, 9, 4, "not enough data: 4 calls in the holdout")


def an_episode(number: int = 0, **fields: Any) -> Episode:
    """One that began as many hours before now as its number says, and one more."""
    opened_at = NOW - timedelta(hours=number + 1)
    defaults: dict[str, Any] = {
        "id": f"e{number}",
        "scope": "global",
        "opened_at": opened_at,
        "closed_at": opened_at + timedelta(minutes=20),
        "peak": Mode.HARD,
        "seconds": {"hard": 900, "soft": 300},
        "enforced": True,
        "savings": (GAIN,),
        "refused": 3,
        "left_out": 2,
        "simulated": 1,
        "skipped_cache": 4,
        "input_tokens": 3_000,
        "cached_tokens": 1_000,
    }
    return Episode(**{**defaults, **fields})


async def keep(documents: Documents, *episodes: Episode) -> None:
    await documents.commit([Create(each.ref, each.to_data()) for each in episodes])


async def test_shows_one(client: httpx.AsyncClient, documents: Documents) -> None:
    await keep(documents, an_episode(), an_episode(1))

    body = (await client.get(f"{PATH}/e0")).json()

    assert body["answer"] == (
        "global was off normal for 20 min, hard at its worst."
        " cost saved: $12.35 (95 %: 10.00 to 14.69)."
    )
    data = body["data"]
    assert (data["id"], data["peak"], data["enforced"]) == ("e0", "hard", True)
    assert data["seconds"] == {"hard": 900, "soft": 300}
    assert data["holdout_cached_share"] == 0.3333
    counts = [name for name in data if name.endswith("_calls")]
    assert [data[name] for name in counts] == [3, 2, 1, 4]
    [saving] = data["savings"]
    assert saving["kind"] == "cost_saved"
    assert (saving["usd"], saving["nanos"]) == ("12.345678901", 12_345_678_901)
    assert (saving["low_usd"], saving["high_nanos"]) == ("10.000000000", 14_691_357_802)


async def test_tells_a_loss_and_an_estimate_and_that_nothing_is_known(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await keep(documents, an_episode(savings=(LOSS, GUESS, NONE), input_tokens=0))

    data = (await client.get(f"{PATH}/e0")).json()["data"]

    assert data["holdout_cached_share"] is None
    assert [each["kind"] for each in data["savings"]] == ["cost_lost", "cost_saved", None]
    assert [each["answer"] for each in data["savings"]] == [
        "cost lost: $0.1235 (95 %: 0.0235 to 0.2235)",
        "cost saved: $5.00, an estimate by the hour before",
        "not enough data: 4 calls in the holdout",
    ]
    assert data["savings"][0]["usd"] == "-0.123456789"
    assert data["savings"][2]["usd"] is None


async def test_lists_the_newest_first_and_by_scope(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await keep(documents, *[an_episode(n) for n in range(5)], an_episode(9, scope="org:acme"))

    everyone = await pages(client, LISTED, limit=2)
    one = (await client.get(PATH, params={"scope": "org:acme"})).json()

    assert [row["id"] for page in everyone for row in page["data"]] == [
        "e0",
        "e1",
        "e2",
        "e3",
        "e4",
        "e9",
    ]
    assert [row["id"] for row in one["data"]] == ["e9"]
    assert (one["answer"], one["total"]) == ("1 episode.", {"count": 1})


async def test_knows_no_episode_that_has_not_ended(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{PATH}/e0")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "has not ended" in answer.json()["detail"]
