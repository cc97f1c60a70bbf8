"""Configured upstreams over HTTP: made, replaced, removed, and never unnoticed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.callers import DevAuthenticator
from common.core.events import UpstreamEvent
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from common.gateway.control import CONTROL, KEYS_CHANGED, UPSTREAMS_CHANGED
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord
from tests.api.conftest import KeepingBus, MakeApi, SetClock, made, pages

GROQ: dict[str, Any] = {
    "base_url": "https://api.groq.com/openai/v1",
    "provider": "groq",
    "credentials": [{"name": "main", "env": "GROQ_API_KEY", "weight": 3}],
}
SPARE: dict[str, Any] = {"base_url": "https://spare.example.com/v1"}
PATH = "/api/v1/upstreams/groq"
NEW = {"if-none-match": "*"}
ANY = {"if-match": "*"}


async def put(
    client: httpx.AsyncClient, name: str = "groq", headers: dict[str, str] = NEW, **body: Any
) -> httpx.Response:
    return await client.put(f"/api/v1/upstreams/{name}", json=body or GROQ, headers=headers)


async def test_is_read_as_it_was_made(client: httpx.AsyncClient) -> None:
    answer = await put(client)
    read = await client.get(PATH)

    assert (answer.status_code, answer.json()["answer"]) == (201, "Upstream groq is as asked.")
    assert read.json()["data"] == answer.json()["data"]
    data = read.json()["data"]
    assert read.headers["etag"] == answer.headers["etag"] == f'"{data.pop("version")}"'
    assert data == {
        "name": "groq",
        "base_url": "https://api.groq.com/openai/v1",
        "provider": "groq",
        "allow_private": False,
        "models": [],
        "credentials": [{"name": "main", "env": "GROQ_API_KEY", "weight": 3}],
        "identity": None,
        "project": None,
        "location": None,
    }


async def test_is_stored_as_the_proxy_reads_it(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await put(client)

    [stored] = await documents.query(Query("upstreams"))
    assert UpstreamRecord.from_document(stored) == UpstreamRecord(
        "groq",
        base_url="https://api.groq.com/openai/v1",
        provider="groq",
        credentials=(CredentialRecord("main", "GROQ_API_KEY", 3),),
    )


async def test_is_replaced_whole(client: httpx.AsyncClient) -> None:
    etag = (await put(client)).headers["etag"]
    answer = await put(client, headers={"if-match": etag}, **SPARE)

    data = (await client.get(PATH)).json()["data"]
    assert answer.status_code == 200
    assert (data["base_url"], data["provider"], data["credentials"]) == (
        "https://spare.example.com/v1",
        None,
        [],
    )


async def test_is_removed(client: httpx.AsyncClient) -> None:
    etag = (await put(client)).headers["etag"]
    answer = await client.delete(PATH, headers={"if-match": etag})

    assert (answer.status_code, answer.json()["answer"]) == (200, "Upstream groq is removed.")
    assert answer.json()["data"]["base_url"] == GROQ["base_url"]
    assert (await client.get(PATH)).status_code == 404


@pytest.mark.parametrize(
    ("method", "name", "headers", "status", "code"),
    [
        ("PUT", "groq", {}, 428, "precondition_required"),
        ("PUT", "new", {}, 428, "precondition_required"),
        ("PUT", "groq", NEW, 412, "version_conflict"),
        ("PUT", "groq", {"if-match": '"0123456789abcdef"'}, 412, "version_conflict"),
        ("PUT", "new", ANY, 412, "version_conflict"),
        ("PUT", "groq", NEW | ANY, 422, "invalid_input"),
        ("PUT", "new", {"if-none-match": '"0123456789abcdef"'}, 422, "invalid_input"),
        ("DELETE", "groq", {}, 428, "precondition_required"),
        ("DELETE", "groq", {"if-match": '"0123456789abcdef"'}, 412, "version_conflict"),
        ("DELETE", "new", ANY, 404, "not_found"),
        ("GET", "new", {}, 404, "not_found"),
    ],
)
async def test_is_not_changed_unseen(  # noqa: PLR0917 - a fixture and the columns of the table
    client: httpx.AsyncClient,
    method: str,
    name: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    before = (await put(client)).json()["data"]
    body = SPARE if method == "PUT" else None
    answer = await client.request(method, f"/api/v1/upstreams/{name}", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await pages(client, "upstreams"))[0]["data"] == [before]


async def test_is_made_by_one_of_many_at_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(put(client, base_url=f"https://{n}.example.com/v1") for n in range(10))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: 9}


async def test_lists_all_pages_with_the_whole_count(client: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await put(client, name)

    answers = await pages(client, "upstreams", limit=2)

    assert [[each["name"] for each in answer["data"]] for answer in answers] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert [answer["total"] for answer in answers] == [{"count": 5}] * 3


async def test_has_no_next_page_behind_a_full_last_one(client: httpx.AsyncClient) -> None:
    await put(client)

    assert (await client.get("/api/v1/upstreams", params={"limit": 1})).json()["next"] is None


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("Groq", {}, "name"),
        ("groq", {"base_url": None}, "base_url"),
        ("groq", {"base_url": "http://api.groq.com"}, "base_url"),
        ("groq", {"base_url": "https://10.0.0.1/v1"}, "base_url"),
        ("groq", {"provider": "gorq"}, "provider"),
        ("groq", {"provider": ""}, "provider"),
        ("groq", {"colour": "red"}, "colour"),
        ("groq", {"models": [""]}, "models"),
        ("groq", {"models": "x"}, "models"),
        ("groq", {"identity": "aws"}, "identity"),
        ("groq", {"identity": "google"}, "project"),
        ("groq", {"credentials": [{"name": "a"}]}, "credentials.0.env"),
        ("groq", {"credentials": [{"name": "a", "env": "OPENAI_API_KEY"}]}, "credentials.env"),
        ("groq", {"credentials": [{"name": "a", "env": "PATH"}]}, "credentials.env"),
        (
            "groq",
            {"credentials": [{"name": "a", "env": "A_API_KEY", "weight": 0}]},
            "credentials.weight",
        ),
        ("openai", {"base_url": "https://evil.example.com", "provider": None}, "base_url"),
    ],
)
async def test_refuses_by_name(
    client: httpx.AsyncClient, bus: KeepingBus, name: str, change: dict[str, Any], field: str
) -> None:
    answer = await put(client, name, **{**GROQ, **change})

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "invalid_input", field)
    assert (await pages(client, "upstreams"))[0]["data"] == []
    assert bus.events == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("gorq", "did you mean groq?"),
        ("MISTRAL", "did you mean mistral?"),
        ("xai", "did you mean x-ai?"),
        ("nobody-like-this", "it has anthropic, "),
    ],
)
async def test_names_the_nearest_provider(client: httpx.AsyncClient, asked: str, said: str) -> None:
    problem = (await put(client, **{**GROQ, "provider": asked})).json()

    assert said in problem["detail"]


async def test_gives_a_vendor_more_keys_and_takes_them_back(client: httpx.AsyncClient) -> None:
    keys = [{"name": "a", "env": "OPENAI_API_KEY"}, {"name": "b", "env": "OPENAI_2_API_KEY"}]
    answer = await put(client, "openai", credentials=keys)
    removed = await client.delete("/api/v1/upstreams/openai", headers=ANY)
    gone = await client.get("/api/v1/upstreams/openai")

    assert (answer.status_code, removed.status_code, gone.status_code) == (201, 200, 404)
    assert "OPENAI_API_KEY" in gone.json()["detail"]


async def test_tells_the_proxy_at_once(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    told = []
    for request in (
        put(client),
        put(client, headers=ANY, **SPARE),
        client.delete(PATH, headers=ANY),
    ):
        clock.advance(timedelta(seconds=1))
        await request
        [control] = await documents.get_many([CONTROL])
        told.append(control is not None and control.data[UPSTREAMS_CHANGED] == clock.now())

    assert told == [True, True, True]


class KeepingDocuments:
    """A store that keeps what was committed together."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.commits: list[set[str]] = []

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.commits.append({write.ref.collection for write in writes})
        return await self._inner.commit(writes)


@pytest.fixture
def kept(documents: Documents) -> KeepingDocuments:
    return KeepingDocuments(documents)


@pytest.fixture
async def watched(make_api: MakeApi, kept: KeepingDocuments) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API over the store that keeps its commits."""
    api = make_api(DevAuthenticator(in_cloud=False), kept)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        yield client


async def test_changes_tells_and_audits_in_one_commit(
    watched: httpx.AsyncClient, kept: KeepingDocuments
) -> None:
    await put(watched)
    await put(watched, headers=ANY, **SPARE)
    await watched.delete(PATH, headers=ANY)

    assert kept.commits == [{"upstreams", CONTROL.collection, "audit", "commits"}] * 3


async def test_loses_no_other_change_that_the_proxy_is_told(
    client: httpx.AsyncClient, documents: Documents, acme: None, clock: SetClock
) -> None:
    keys = [
        await made(client, "keys", org="acme", agent="crawler", name=f"key {n}") for n in range(6)
    ]

    await asyncio.gather(
        *(client.post(f"/api/v1/keys/{key['key_id']}:revoke") for key in keys[:3]),
        *(put(client, f"upstream-{n}") for n in range(3)),
    )
    for number, key in enumerate(keys[3:]):
        await put(client, f"upstream-{number}", headers=ANY, **SPARE)
        await client.post(f"/api/v1/keys/{key['key_id']}:revoke")
    await put(client, "last")

    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert set(control.data[KEYS_CHANGED]) == {key["key_id"] for key in keys}
    assert control.data[UPSTREAMS_CHANGED] == clock.now()


async def test_is_still_told_when_a_key_changes_afterwards(
    client: httpx.AsyncClient, documents: Documents, acme: None, clock: SetClock
) -> None:
    key = await made(client, "keys", org="acme", agent="crawler", name="ci")
    await put(client)
    changed_at = clock.now()

    clock.advance(timedelta(seconds=1))
    await client.post(f"/api/v1/keys/{key['key_id']}:revoke")

    [control] = await documents.get_many([CONTROL])
    assert control is not None
    assert control.data[UPSTREAMS_CHANGED] == changed_at


async def test_leaves_an_audit_entry_and_an_event_for_each_change(
    client: httpx.AsyncClient, documents: Documents, bus: KeepingBus, clock: SetClock
) -> None:
    for request in (
        put(client),
        put(client, headers=ANY),
        put(client, headers=ANY, **SPARE),
        client.delete(PATH, headers=ANY),
    ):
        clock.advance(timedelta(seconds=1))
        assert (await request).is_success

    entries = [entry.data for entry in await documents.query(Query("audit"))]
    addresses = [
        [None if side is None else side["base_url"] for side in (entry["before"], entry["after"])]
        for entry in entries
    ]
    events = [event for event in bus.events if isinstance(event, UpstreamEvent)]
    assert [(entry["what"], entry["target"]) for entry in entries] == [
        ("upstream.create", "upstreams/groq"),
        ("upstream.update", "upstreams/groq"),
        ("upstream.remove", "upstreams/groq"),
    ]
    assert addresses == [
        [None, GROQ["base_url"]],
        [GROQ["base_url"], SPARE["base_url"]],
        [SPARE["base_url"], None],
    ]
    assert [(event.type, event.upstream, event.action, event.actor) for event in events] == [
        ("upstream.changed", "groq", "create", "operator@localhost"),
        ("upstream.changed", "groq", "update", "operator@localhost"),
        ("upstream.changed", "groq", "remove", "operator@localhost"),
    ]


async def test_describes_its_conditions(client: httpx.AsyncClient) -> None:
    path = (await client.get("/api/v1/openapi.json")).json()["paths"]["/api/v1/upstreams/{name}"]

    conditions = {
        method: {
            each["name"]: each["required"]
            for each in described["parameters"]
            if each["in"] == "header"
        }
        for method, described in path.items()
    }
    assert conditions == {
        "get": {},
        "put": {"If-Match": False, "If-None-Match": False},
        "delete": {"If-Match": True},
    }
    assert set(path["put"]["responses"]) == {"200", "201", "default"}
    assert {method for method in path if "requestBody" in path[method]} == {"put"}
