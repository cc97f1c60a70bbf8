"""What BigQuery adds to the contract: jobs, their ceilings, and failures the local one lacks.

The stand-in answers the REST calls of Google's client in the form of
https://cloud.google.com/bigquery/docs/reference/rest/v2
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from google.api_core.exceptions import BadRequest, NotFound

from common.adapters.bigquery_parameters import prepared, typed
from common.adapters.bigquery_warehouse import BigqueryWarehouse
from common.core.errors import InvalidInput, StoreUnavailable
from common.warehouse.bigquery import create_statements
from common.warehouse.tables import load_definitions
from tests.bigquery_server import PROJECT, Datasets
from tests.contracts.facts import a_call

API = "/bigquery/v2/projects/p1"
UPLOADS = "/upload/bigquery/v2/projects/p1/jobs"
ROWS = {
    "jobComplete": True,
    "totalRows": "1",
    "schema": {"fields": [{"name": "one", "type": "INTEGER"}]},
    "rows": [{"f": [{"v": "1"}]}],
}


class StandIn:
    """A BigQuery that keeps what it is asked, and gives the answers it was told first."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | None) -> None:
        self._answers = list(answers)
        self.jobs: list[dict[str, Any]] = []
        self.uploaded: list[bytes] = []
        self.asked: list[str] = []
        self.released = asyncio.Event()
        self.released.set()
        self.error: dict[str, str] | None = None

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        body = await request.read()
        await self.released.wait()
        if request.method == "POST":
            self.jobs.append(json.loads(body))
        if request.method == "PUT":
            self.uploaded.append(body)
        told = self._answers.pop(0) if self._answers else None
        if told is not None:
            return web.json_response(told[1], status=told[0])
        if request.method == "POST" and request.path == UPLOADS:
            return web.Response(headers={"location": f"{request.url.origin()}/session"})
        if "/queries/" in request.path:
            return web.json_response(ROWS)
        if "/datasets/" in request.path:
            reference = {"projectId": "p1", "datasetId": "d1"}
            return web.json_response({"datasetReference": reference, "location": "europe-west1"})
        return web.json_response(self._job())

    def _job(self) -> dict[str, Any]:
        status: dict[str, Any] = {"state": "DONE"}
        if self.error is not None:
            status |= {"errorResult": self.error, "errors": [self.error]}
        return {
            "jobReference": self.jobs[-1]["jobReference"] | {"location": "europe-west1"},
            "configuration": self.jobs[-1]["configuration"],
            "status": status,
        }


@asynccontextmanager
async def answering(
    stand_in: StandIn, *, deadline_s: float = 30.0
) -> AsyncIterator[BigqueryWarehouse]:
    server = web.AppRunner(stand_in.application())
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    host, port = server.addresses[0][:2]
    warehouse = BigqueryWarehouse(
        "p1",
        "d1",
        labels={"function": "oco-api"},
        most_bytes=20_000_000,
        emulator=f"{host}:{port}",
        deadline_s=deadline_s,
    )
    try:
        yield warehouse
    finally:
        stand_in.released.set()
        await warehouse.aclose()
        await server.cleanup()


def an_error(status: int, reason: str) -> tuple[int, dict[str, Any]]:
    told = {"reason": reason, "message": f"because {reason}"}
    return status, {"error": {"code": status, "message": told["message"], "errors": [told]}}


class TestQueries:
    async def test_runs_with_a_ceiling_a_deadline_and_labels(self) -> None:
        stand_in = StandIn()

        async with answering(stand_in) as warehouse:
            rows = await warehouse.query("SELECT one FROM usage WHERE id = @id", {"id": "c1"})

        assert rows == [{"one": 1}]
        configuration = stand_in.jobs[0]["configuration"]
        assert configuration["labels"] == {"function": "oco-api"}
        assert configuration["jobTimeoutMs"] == "30000"
        assert configuration["query"]["maximumBytesBilled"] == "20000000"
        assert configuration["query"]["defaultDataset"] == {"projectId": "p1", "datasetId": "d1"}

    async def test_refuses_a_question_that_costs_too_much(self) -> None:
        stand_in = StandIn(None, an_error(500, "bytesBilledLimitExceeded"))

        async with answering(stand_in) as warehouse:
            with pytest.raises(InvalidInput, match="20000000 bytes"):
                await warehouse.query("SELECT one FROM usage")

    @pytest.mark.parametrize("reason", ["backendError", "rateLimitExceeded"])
    async def test_asks_again_when_bigquery_is_away(self, reason: str) -> None:
        stand_in = StandIn(an_error(503, reason))

        async with answering(stand_in) as warehouse:
            assert await warehouse.query("SELECT 1 AS one") == [{"one": 1}]

        assert len(stand_in.jobs) == 2

    @pytest.mark.parametrize("reason", ["accessDenied", "quotaExceeded"])
    async def test_says_why_there_is_no_answer(self, reason: str) -> None:
        async with answering(StandIn(an_error(403, reason))) as warehouse:
            with pytest.raises(StoreUnavailable, match=reason):
                await warehouse.query("SELECT 1 AS one")

    @pytest.mark.parametrize(
        ("error", "raised"),
        [(an_error(400, "invalidQuery"), BadRequest), (an_error(404, "notFound"), NotFound)],
    )
    async def test_does_not_excuse_a_wrong_statement(
        self, error: tuple[int, dict[str, Any]], raised: type[Exception]
    ) -> None:
        async with answering(StandIn(error)) as warehouse:
            with pytest.raises(raised):
                await warehouse.query("SELEC 1")

    async def test_does_not_wait_beyond_the_deadline(self) -> None:
        stand_in = StandIn()
        stand_in.released.clear()

        async with answering(stand_in, deadline_s=0.2) as warehouse:
            with pytest.raises(StoreUnavailable, match=r"0\.2 ?s"):
                await warehouse.query("SELECT 1 AS one")
            stand_in.released.set()

    async def test_is_unavailable_without_credentials(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
        warehouse = BigqueryWarehouse("p1", "d1")

        with pytest.raises(StoreUnavailable, match="nowhere"):
            await warehouse.query("SELECT 1 AS one")
        await warehouse.aclose()

    async def test_answers_nothing_after_it_was_closed(self) -> None:
        async with answering(StandIn()) as warehouse:
            await warehouse.aclose()

            with pytest.raises(StoreUnavailable, match="closed"):
                await warehouse.query("SELECT 1 AS one")


class TestAppending:
    async def test_loads_lines_whose_numbers_are_text(self) -> None:
        stand_in = StandIn()

        async with answering(stand_in) as warehouse:
            await warehouse.append("usage_raw", [a_call(id=id_).model_dump() for id_ in "ab"])

        load = stand_in.jobs[0]["configuration"]
        assert load["labels"] == {"function": "oco-api"}
        assert load["load"]["destinationTable"]["tableId"] == "usage_raw"
        assert load["load"]["createDisposition"] == "CREATE_NEVER"
        lines = [json.loads(line) for line in b"".join(stand_in.uploaded).splitlines()]
        assert [(line["id"], line["cost_nanos"]) for line in lines] == [
            ("a", "4213000"),
            ("b", "4213000"),
        ]

    async def test_keeps_the_job_s_id_when_it_asks_again(self) -> None:
        stand_in = StandIn(an_error(503, "backendError"))

        async with answering(stand_in) as warehouse:
            await warehouse.append("usage_raw", [a_call().model_dump()])

        ids = [job["jobReference"]["jobId"] for job in stand_in.jobs]
        assert len(ids) == 2
        assert ids[0] == ids[1]

    async def test_waits_for_the_job_that_an_unheard_attempt_began(self) -> None:
        stand_in = StandIn(None, an_error(409, "duplicate"))

        async with answering(stand_in) as warehouse:
            await warehouse.append("usage_raw", [a_call().model_dump()])

        job = stand_in.jobs[0]["jobReference"]["jobId"]
        [looked_up] = [asked for asked in stand_in.asked if f"{API}/jobs/{job}?" in asked]
        assert "location=europe-west1" in looked_up
        assert len(stand_in.jobs) == 1

    async def test_says_what_bigquery_says_of_the_rows(self) -> None:
        stand_in = StandIn()
        stand_in.error = {"reason": "invalid", "message": "no such day"}

        async with answering(stand_in) as warehouse:
            with pytest.raises(InvalidInput, match="usage_raw: no such day"):
                await warehouse.append("usage_raw", [a_call().model_dump()])


class TestParameters:
    @pytest.mark.parametrize(
        ("sql", "expected"),
        [
            ("a = @x OR @x IS NULL", "a = NULL OR NULL IS NULL"),
            ("@xy = @x", "@xy = NULL"),
            ("@@x = '@x' AND @x", "@@x = '@x' AND NULL"),
            (r"'it\'s @x' || @x", r"'it\'s @x' || NULL"),
            ('"@x" = `@x`', '"@x" = `@x`'),
            ("'''it's @x''' = @x", "'''it's @x''' = NULL"),
            ("-- @x isn't\n@x # @y\n/* @x\n' */ @x", " \nNULL  \n  NULL"),
        ],
    )
    def test_writes_null_for_what_has_no_value(self, sql: str, expected: str) -> None:
        assert prepared(sql, {"x"}) == expected

    def test_takes_an_empty_list_for_one_of_text(self) -> None:
        assert typed("value", []).to_api_repr()["parameterType"] == {
            "type": "ARRAY",
            "arrayType": {"type": "STRING"},
        }

    @pytest.mark.parametrize("value", [b"bytes", {"a": 1}, [1, "a"], [None]])
    def test_refuses_what_has_no_type(self, value: Any) -> None:
        with pytest.raises(InvalidInput, match="@value"):
            typed("value", value)


async def test_makes_the_tables_that_terraform_makes(bigquery_datasets: Datasets) -> None:
    dataset = bigquery_datasets.empty(load_definitions())
    statement = next(iter(create_statements(load_definitions(), PROJECT, dataset)))
    warehouse = BigqueryWarehouse(PROJECT, dataset, emulator=bigquery_datasets.server)

    await warehouse.query(statement)
    await warehouse.append("usage_raw", [a_call().model_dump()])
    await warehouse.query(statement)
    calls = await warehouse.query("SELECT COUNT(*) AS calls FROM usage")
    await warehouse.aclose()

    assert calls == [{"calls": 1}]
    assert "PARTITION BY DATE(event_time)\nCLUSTER BY org, team, agent\n" in statement
    assert "partition_expiration_days = 400" in statement
    assert "  id STRING NOT NULL OPTIONS (description = " in statement
    assert "  warnings ARRAY<STRING> OPTIONS" in statement
