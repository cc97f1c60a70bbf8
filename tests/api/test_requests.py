"""What happens to requests before an operation runs: callers, methods, sizes, the contract."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.app import Api
from common.api.callers import DevAuthenticator, IamAuthenticator
from common.budgets.sweep import SWEPT
from common.core.errors import InvalidSettings, StoreUnavailable
from common.core.ports import Document, Documents, Outcome, Put, Query, Ref, Write
from tests.api.conftest import NOW, MakeApi


def token(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.SIGNATURE_REMOVED_BY_GOOGLE"


def caller(api: Api, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=api), base_url="http://127.0.0.1:3000", headers=headers
    )


@pytest.fixture
def iam(make_api: MakeApi) -> Api:
    return make_api(IamAuthenticator(["Admin@example.com"]))


class TestInTheCloud:
    @pytest.mark.parametrize("email", ["admin@example.com", "ADMIN@example.com"])
    async def test_an_administrator_may(self, iam: Api, email: str) -> None:
        async with caller(iam, authorization=f"Bearer {token(email=email)}") as client:
            assert (await client.get("/api/v1/orgs")).status_code == 200

    async def test_others_may_not_and_leave_a_trace(self, iam: Api, documents: Documents) -> None:
        headers = {
            "authorization": f"Bearer {token(email='eve@example.com')}",
            "x-forwarded-for": "198.51.100.7",
        }
        async with caller(iam, **headers) as client:
            answer = await client.post("/api/v1/orgs", json={"id": "acme"})

        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        [entry] = await documents.query(Query("audit"))
        assert {name: entry.data[name] for name in ("who", "what", "target", "from")} == {
            "who": "eve@example.com",
            "what": "refused",
            "target": "POST /api/v1/orgs",
            "from": "198.51.100.7",
        }
        assert await documents.query(Query("orgs")) == []

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Basic YTpi"},
            {"authorization": "Bearer garbage"},
            {"authorization": "Bearer a.####.c"},
            {"authorization": f"Bearer {token(sub='1')}"},
            {"authorization": f"Bearer {token(email='')}"},
            {"authorization": f"Bearer {token(email=['admin@example.com'])}"},
            {"authorization": f"Bearer {token(email='admin@example.com', email_verified=False)}"},
            {"x-goog-authenticated-user-email": "admin@example.com"},
            {
                "authorization": f"Bearer {token(email='admin@example.com')}",
                "x-serverless-authorization": f"Bearer {token(email='eve@example.com')}",
            },
        ],
    )
    async def test_nobody_without_an_email_may(self, iam: Api, headers: dict[str, str]) -> None:
        async with caller(iam, **headers) as client:
            answer = await client.get("/api/v1/orgs")

        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_says_how_to_ask_for_an_email(self, iam: Api) -> None:
        async with caller(iam, authorization=f"Bearer {token(sub='1')}") as client:
            assert "--include-email" in (await client.get("/api/v1/orgs")).json()["detail"]


class TestOnALaptop:
    @pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000"])
    async def test_the_operator_may(self, api: Api, documents: Documents, host: str) -> None:
        async with caller(api, host=host, origin="http://localhost:3000") as client:
            await client.post("/api/v1/orgs", json={"id": "acme"})

        [entry] = await documents.query(Query("audit"))
        assert (entry.data["who"], entry.data["from"]) == ("operator@localhost", "127.0.0.1")

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"host": "evil.example"},
            {"host": "127.0.0.1.evil.example"},
            {"host": ""},
        ],
    )
    async def test_a_web_page_of_another_site_may_not(
        self, api: Api, headers: dict[str, str]
    ) -> None:
        async with caller(api, **headers) as client:
            assert (await client.post("/api/v1/orgs", json={"id": "acme"})).status_code == 401

    async def test_another_machine_may_not(self, api: Api) -> None:
        transport = httpx.ASGITransport(app=api, client=("192.0.2.1", 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/api/v1/orgs")).status_code == 401

    def test_is_not_in_the_cloud(self) -> None:
        with pytest.raises(InvalidSettings):
            DevAuthenticator(in_cloud=True)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/orgs", "GET, POST"),
        ("POST", "/api/v1/orgs/acme", "GET, PUT"),
        ("GET", "/api/v1/keys/0123456789ab:rotate", "POST"),
        ("POST", "/api/v1/health", "GET"),
    ],
)
async def test_names_the_methods_of_a_path(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1", "/api/v1/", "/api/v1/colours", "/api/v1/orgs/", "/api/v1/orgs/a/b", "/orgs"],
)
async def test_does_not_know_other_paths(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(("size", "status"), [(65_536, 422), (65_537, 413)])
async def test_takes_bodies_of_64_kib(client: httpx.AsyncClient, size: int, status: int) -> None:
    body = b'{"id": "' + b"a" * (size - 10) + b'"}'

    assert (await client.post("/api/v1/orgs", content=body)).status_code == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 60_000])
async def test_refuses_what_is_not_a_json_object(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/orgs", content=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", None],
)
async def test_takes_bodies_of_json(client: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}

    answer = await client.post("/api/v1/orgs", content=b'{"id": "acme"}', headers=headers)

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ""],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "orgs"), ("PUT", "orgs/acme")])
async def test_refuses_bodies_of_other_types(
    client: httpx.AsyncClient, method: str, path: str, media_type: str
) -> None:
    headers = {"content-type": media_type, "if-match": "*"}

    answer = await client.request(
        method, f"/api/v1/{path}", content=b'{"name": "Acme"}', headers=headers
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["detail"]


async def test_needs_no_type_for_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/v1/keys/0123456789ab:revoke", headers={"content-type": "text/plain"}
    )

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("orgs", b'{"id": "acme", "id": "acme"}', "id"),
        ("orgs", rb'{"id": "acme", "\u0069d": "beta"}', "id"),
        (
            "agents",
            b'{"org": "a", "id": "b", "team": "c", "tags": {"env": "x", "env": "y"}}',
            "env",
        ),
    ],
)
async def test_refuses_a_member_of_the_body_sent_twice(
    client: httpx.AsyncClient, documents: Documents, path: str, body: bytes, field: str
) -> None:
    answer = await client.post(f"/api/v1/{path}", content=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert (answer.json()["field"], "once" in answer.json()["detail"]) == (field, True)
    assert await documents.query(Query(path)) == []


async def test_refuses_a_parameter_sent_twice(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/teams?org=a&org=b")

    assert (answer.status_code, answer.json()["field"]) == (422, "org")


class BrokenDocuments:
    """A store that fails in a chosen way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get_many(self, _refs: Sequence[Ref]) -> list[Document | None]:
        raise self._error

    async def query(self, _query: Query) -> list[Document]:
        raise self._error

    async def commit(self, _writes: Sequence[Write]) -> Outcome:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailable("the file is locked"), 503, "store_unavailable"),
        (RuntimeError("secret text"), 500, "internal_error"),
    ],
)
async def test_answers_when_the_store_does_not(
    make_api: MakeApi, error: Exception, status: int, code: str
) -> None:
    api = make_api(DevAuthenticator(in_cloud=False), BrokenDocuments(error))

    async with caller(api) as client:
        answer = await client.get("/api/v1/orgs")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret text" not in answer.text


class TestHealth:
    async def test_is_ok_when_both_stores_answer(self, iam: Api) -> None:
        async with caller(iam) as client:
            answer = await client.get("/api/v1/health")

        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "ok")

    async def test_names_the_store_that_does_not(self, make_api: MakeApi) -> None:
        broken = BrokenDocuments(StoreUnavailable("the file is locked"))
        api = make_api(DevAuthenticator(in_cloud=False), broken)

        async with caller(api) as client:
            answer = await client.get("/api/v1/health")

        assert answer.status_code == 503
        failed = [source for source in answer.json()["sources"] if source["status"] == "failed"]
        assert [(source["name"], source["detail"]) for source in failed] == [
            ("state", "the file is locked")
        ]

    @pytest.mark.parametrize(
        ("ago", "told"),
        [
            (None, ("stale", "no sweep has finished yet")),
            (timedelta(minutes=5), ("ok", "the last sweep finished at 2026-11-01T11:55:00Z")),
            (timedelta(minutes=6), ("stale", "the last sweep finished at 2026-11-01T11:54:00Z")),
        ],
    )
    async def test_tells_when_budgets_were_last_swept(
        self, iam: Api, documents: Documents, ago: timedelta | None, told: tuple[str, str]
    ) -> None:
        if ago is not None:
            await documents.commit([Put(SWEPT, {"finished_at": NOW - ago})])

        async with caller(iam) as client:
            answer = await client.get("/api/v1/health")

        [sweep] = [each for each in answer.json()["sources"] if each["name"] == "budgets_sweep"]
        assert (sweep["status"], sweep["detail"]) == told
        assert answer.status_code == 200


class TestContract:
    async def test_has_every_route_and_no_other(self, client: httpx.AsyncClient, api: Api) -> None:
        document = (await client.get("/api/v1/openapi.json")).json()

        described = {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
        }
        assert document["openapi"] == "3.1.0"
        assert described == {(row.method, row.address) for row in api.operations}

    async def test_resolves_every_reference(self, client: httpx.AsyncClient) -> None:
        text = (await client.get("/api/v1/openapi.json")).text
        names = set(json.loads(text)["components"]["schemas"])

        references = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text))
        assert references <= names
        assert '"$ref":"#/$defs' not in text
        assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in names)

    async def test_declares_every_parameter_of_every_path(self, client: httpx.AsyncClient) -> None:
        document = (await client.get("/api/v1/openapi.json")).json()

        operations = [
            (path, operation)
            for path, methods in document["paths"].items()
            for operation in methods.values()
        ]
        assert len({operation["operationId"] for _, operation in operations}) == len(operations)
        for path, operation in operations:
            named = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
            assert sorted(named) == sorted(re.findall(r"{(\w+)}", path))
            assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
            keys = [(p["name"], p["in"]) for p in operation["parameters"]]
            assert len(set(keys)) == len(keys)
            assert all("schema" in p for p in operation["parameters"])
            assert set(operation["responses"]) >= {"default"}


class TestPrices:
    async def test_finds_a_model_with_its_exact_rates(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(
            "/api/v1/prices", params={"q": "GPT-4O-MINI", "provider": "openai", "limit": 500}
        )

        rows = {row["model"]: row for row in answer.json()["data"]}
        rates = {rate["unit"]: rate["usd"] for rate in rows["gpt-4o-mini"]["rates"]}
        assert (rates["input_tokens"], rates["output_tokens"]) == ("0.15", "0.6")
        assert answer.json()["total"]["count"] == len(rows)

    async def test_pages_through_the_whole_book(self, client: httpx.AsyncClient) -> None:
        first = (await client.get("/api/v1/prices", params={"limit": 500})).json()
        second = (
            await client.get("/api/v1/prices", params={"limit": 500, "after": first["next"]})
        ).json()

        keys = [(row["provider"], row["model"]) for row in first["data"] + second["data"]]
        assert len(set(keys)) == 1000
        assert first["total"] == second["total"]

    async def test_refuses_an_unknown_provider(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/prices", params={"provider": "nobody"})

        assert (answer.status_code, answer.json()["field"]) == (422, "provider")

    async def test_names_the_book(self, client: httpx.AsyncClient) -> None:
        data = (await client.get("/api/v1/prices/book")).json()["data"]

        assert re.fullmatch(r"[0-9a-f]{64}", data["digest"])
        assert "openai" in data["providers"]
        assert data["sources"]
