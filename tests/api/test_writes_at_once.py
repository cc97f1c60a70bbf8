"""Writes that meet: repetitions of one request, and others that were always faster."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.app import Api
from common.api.callers import DevAuthenticator
from common.core.ports import Conflict, Document, Documents, Outcome, Query, Ref, Write
from tests.api.conftest import KeepingBus, MakeApi, SetClock, made

ONCE = {"idempotency-key": "once"}
ORG: dict[str, Any] = {"id": "beta"}
KEY: dict[str, Any] = {"org": "acme", "agent": "crawler", "name": "ci"}


class OvertakenDocuments:
    """A store that lets another request commit right after a record was first looked for."""

    def __init__(self, documents: Documents, overtake: Callable[[], Awaitable[None]]) -> None:
        self._documents = documents
        self._overtake: Callable[[], Awaitable[None]] | None = overtake

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        found = await self._documents.get_many(refs)
        overtake = self._overtake
        if overtake is not None and refs[0].collection == "idempotency":
            self._overtake = None
            await overtake()
        return found

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return await self._documents.commit(writes)


class BusyDocuments(OvertakenDocuments):
    """A store where somebody else is always faster."""

    def __init__(self, documents: Documents) -> None:
        super().__init__(documents, _nothing)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return Conflict((writes[0].ref,))


async def _nothing() -> None:
    pass


def without_pauses(count: int) -> bytes:
    """Random bytes, but zeros for the four that a pause between attempts is made of."""
    return bytes(4) if count == 4 else os.urandom(count)


def caller(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=api), base_url="http://127.0.0.1:3000"
    )


Meet = Callable[..., Awaitable[tuple[httpx.Response, httpx.Response]]]


@pytest.fixture
def meet(
    client: httpx.AsyncClient, documents: Documents, make_api: MakeApi, clock: SetClock
) -> Meet:
    """Answers to two requests with one key; the second commits between the reads of the first."""

    async def meet(
        path: str, late: dict[str, Any], early: dict[str, Any] | None = None
    ) -> tuple[httpx.Response, httpx.Response]:
        winners: list[httpx.Response] = []

        async def overtake() -> None:
            clock.advance(timedelta(seconds=1))
            body = late if early is None else early
            winners.append(await client.post(f"/api/v1/{path}", json=body, headers=ONCE))

        overtaken = OvertakenDocuments(documents, overtake)
        async with caller(make_api(DevAuthenticator(in_cloud=False), overtaken)) as other:
            loser = await other.post(f"/api/v1/{path}", json=late, headers=ONCE)
        [winner] = winners
        return loser, winner

    return meet


async def test_answers_what_overtook_it(meet: Meet) -> None:
    loser, winner = await meet("orgs", ORG)

    assert (winner.status_code, loser.status_code) == (201, 201)
    assert (loser.text, loser.headers["etag"]) == (winner.text, winner.headers["etag"])


async def test_answers_the_key_that_overtook_it_without_its_secret(
    meet: Meet, acme: None, bus: KeepingBus
) -> None:
    loser, winner = await meet("keys", KEY)

    made_key = winner.json()["data"]
    assert (winner.status_code, loser.status_code) == (201, 201)
    assert loser.json()["data"] == {**made_key, "secret": None, "secret_shown": True}
    assert len(bus.events) == 1


async def test_answers_the_rotation_that_overtook_it(
    client: httpx.AsyncClient, meet: Meet, acme: None
) -> None:
    key = await made(client, "keys", **KEY)

    loser, winner = await meet(f"keys/{key['key_id']}:rotate", {})

    assert (winner.status_code, loser.status_code) == (201, 201)
    assert loser.json()["data"]["key_id"] == winner.json()["data"]["key_id"] != key["key_id"]


async def test_answers_the_revocation_that_overtook_it(
    client: httpx.AsyncClient, meet: Meet, acme: None
) -> None:
    key = await made(client, "keys", **KEY)

    loser, winner = await meet(f"keys/{key['key_id']}:revoke", {})

    assert (winner.status_code, loser.status_code) == (200, 200)
    assert loser.text == winner.text


async def test_refuses_its_key_when_another_request_with_it_overtook(meet: Meet) -> None:
    loser, winner = await meet("orgs", ORG, {**ORG, "name": "Beta"})

    assert winner.status_code == 201
    assert (loser.status_code, loser.json()["code"]) == (422, "idempotency_key_reused")


async def test_is_refused_for_a_name_that_another_key_took(
    client: httpx.AsyncClient, documents: Documents, make_api: MakeApi
) -> None:
    async def overtake() -> None:
        await made(client, "orgs", **ORG)

    overtaken = OvertakenDocuments(documents, overtake)
    async with caller(make_api(DevAuthenticator(in_cloud=False), overtaken)) as other:
        loser = await other.post("/api/v1/orgs", json=ORG, headers=ONCE)

    assert (loser.status_code, loser.json()["code"]) == (409, "name_taken")


@pytest.mark.parametrize("at_once", [2, 8])
async def test_answers_every_repetition_alike(
    client: httpx.AsyncClient, documents: Documents, acme: None, at_once: int
) -> None:
    async def repeated(path: str, body: dict[str, Any]) -> set[tuple[int, str]]:
        headers = {"idempotency-key": f"{path} {body}"[:200].replace(" ", "")}
        answers = await asyncio.gather(
            *(client.post(f"/api/v1/{path}", json=body, headers=headers) for _ in range(at_once))
        )
        name = "key_id" if path == "keys" else "id"
        return {(answer.status_code, answer.json()["data"][name]) for answer in answers}

    for number in range(12):
        orgs, keys = await asyncio.gather(
            repeated("orgs", {"id": f"org-{number}"}),
            repeated("keys", {**KEY, "name": f"key {number}"}),
        )
        assert orgs == {(201, f"org-{number}")}
        assert [status for status, _ in keys] == [201]

    assert len(await documents.query(Query("keys"))) == 12


@pytest.fixture
async def busy(documents: Documents, make_api: MakeApi) -> AsyncIterator[httpx.AsyncClient]:
    api = make_api(DevAuthenticator(in_cloud=False), BusyDocuments(documents), without_pauses)
    async with caller(api) as busy:
        yield busy


@pytest.mark.parametrize("headers", [{}, ONCE, {"if-match": "*"}])
async def test_is_told_to_try_again_when_others_were_always_faster(
    busy: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await busy.post("/api/v1/orgs", json=ORG, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "try again" in answer.json()["detail"]


async def test_is_told_of_the_version_it_named(
    client: httpx.AsyncClient, busy: httpx.AsyncClient
) -> None:
    await made(client, "orgs", **ORG)
    answer = await busy.put("/api/v1/orgs/beta", json={"name": "Beta"}, headers={"if-match": "*"})

    assert (answer.status_code, answer.json()["code"]) == (412, "version_conflict")


@pytest.mark.parametrize(
    ("method", "headers"),
    [("PUT", {"if-none-match": "*"}), ("PUT", {"if-match": "*"}), ("DELETE", {"if-match": "*"})],
)
async def test_is_told_that_its_condition_did_not_hold(
    client: httpx.AsyncClient, busy: httpx.AsyncClient, method: str, headers: dict[str, str]
) -> None:
    path, upstream = "/api/v1/upstreams/spare", {"base_url": "https://spare.example.com/v1"}
    if "if-match" in headers:
        await client.put(path, json=upstream, headers={"if-none-match": "*"})
    body = {**upstream, "models": ["m"]} if method == "PUT" else None
    answer = await busy.request(method, path, json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (412, "version_conflict")
