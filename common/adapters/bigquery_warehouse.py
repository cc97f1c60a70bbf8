"""The warehouse in BigQuery: the `Warehouse` engine of the cloud.

Google's client blocks, so each call has a thread of a small pool; the client itself is made on
first use. Statements run as jobs that carry labels and a ceiling on the bytes they may bill, and
that BigQuery itself stops at the deadline. Tables and views are Terraform's; nothing is made here.

Rows travel as one load job, which stores all of them or none and costs nothing. Its id is chosen
before the first attempt: whatever answer is lost, the rows are there once. BigQuery takes 1,500
load jobs a day and table, so callers gather their rows.

https://cloud.google.com/bigquery/quotas#load_jobs
"""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from common.adapters.bigquery_parameters import prepared, typed
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import Row, Value
from common.warehouse.cells import json_rows
from common.warehouse.tables import Definitions, Table, load_definitions

T = TypeVar("T")

THREADS = 8
UPLOAD_RETRIES = 2
CALLERS_FAULT = (exceptions.BadRequest, exceptions.NotFound)
"""A statement that is wrong, or a table that is not there: raised as they are, like any bug."""


class BigqueryWarehouse:
    """The tables and views of `common/warehouse` in one dataset."""

    def __init__(
        self,
        project: str,
        dataset: str,
        definitions: Definitions | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        most_bytes: int = 100_000_000_000,
        emulator: str | None = None,
        deadline_s: float = 30.0,
    ) -> None:
        """Note the address; nothing is opened before the first use.

        Args:
            project: of Google Cloud; it has the dataset and pays for the jobs.
            dataset: its id.
            definitions: tables and views; those of the project by default.
            labels: of each job, for the bill.
            most_bytes: that one query may bill.
            emulator: HOST:PORT of an emulator, which is asked without encryption or credentials.
            deadline_s: seconds that any answer may take, attempts to repeat it included.
        """
        self._project = project
        self._dataset = f"{project}.{dataset}"
        self._definitions = definitions or load_definitions()
        self._labels = dict(labels or {})
        self._most_bytes = most_bytes
        self._emulator = emulator
        self._deadline_s = deadline_s
        self._retry = bigquery.DEFAULT_RETRY.with_timeout(deadline_s)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bigquery")
        self._opening = threading.Lock()
        self._client: bigquery.Client | None = None

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        """Rows of one statement; JSON columns come decoded.

        Raises:
            InvalidInput: a parameter is a time without a zone or of a type that BigQuery does not
                have, or the statement would read more bytes than one query may.
            StoreUnavailable: no answer in time.
        """
        values = parameters or {}
        absent = {name for name, value in values.items() if value is None}
        statement = prepared(sql.replace("${dataset}", self._dataset), absent)
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[
                typed(name, value) for name, value in values.items() if value is not None
            ],
            maximum_bytes_billed=self._most_bytes,
            labels=self._labels,
            job_timeout_ms=int(self._deadline_s * 1000),
        )

        def ask(client: bigquery.Client) -> list[Row]:
            job = client.query(
                statement,
                config,
                retry=self._retry,
                timeout=self._deadline_s,
                job_retry=None,
            )
            rows = job.result(retry=self._retry, timeout=self._deadline_s, job_retry=None)
            return [dict(row.items()) for row in rows]

        return await self._run(ask)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, all or none.

        Raises:
            InvalidInput: there is no such table, or a value does not fit its column.
            StoreUnavailable: no answer in time; the rows may or may not be there.
        """
        definition = self._definitions.tables.get(table)
        if definition is None:
            raise InvalidInput(f"the warehouse has no table {table}")
        if not rows:
            return
        lines = _lines(definition, rows)
        job_id = str(uuid4())
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            labels=self._labels,
        )

        def begin(client: bigquery.Client) -> Any:
            try:
                return client.load_table_from_file(
                    io.BytesIO(lines),
                    f"{self._dataset}.{table}",
                    job_id=job_id,
                    num_retries=UPLOAD_RETRIES,
                    job_config=config,
                    timeout=self._deadline_s,
                )
            except exceptions.Conflict:  # an attempt whose answer was lost has begun it
                location = client.get_dataset(self._dataset).location
                return client.get_job(job_id, location=location)

        def load(client: bigquery.Client) -> None:
            job = self._retry(begin)(client)
            try:
                job.result(retry=self._retry, timeout=self._deadline_s)
            except exceptions.BadRequest as error:
                raise InvalidInput(f"{table}: {error.message}") from error

        await self._run(load)

    async def aclose(self) -> None:
        """Finish what was asked for and close; every later call is StoreUnavailable."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]  # it has no types
            self._client = None

    async def _run(self, work: Callable[[bigquery.Client], T]) -> T:
        try:
            answer = self._threads.submit(self._work, work)
        except RuntimeError:
            raise self._unavailable("is closed") from None
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            raise self._unavailable(f"no answer within {self._deadline_s:g} s") from None

    def _work(self, work: Callable[[bigquery.Client], T]) -> T:
        try:
            return work(self._opened())
        except exceptions.GoogleAPICallError as error:
            if _reason(error) == "bytesBilledLimitExceeded":
                raise InvalidInput(
                    f"the answer takes more than the {self._most_bytes} bytes that one query may"
                    " read; choose a shorter time"
                ) from error
            if isinstance(error, CALLERS_FAULT):
                raise
            raise self._unavailable(error.message) from error
        except (exceptions.GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise self._unavailable(str(error)) from error

    def _opened(self) -> bigquery.Client:
        with self._opening:
            if self._client is None:
                if self._emulator is None:
                    self._client = bigquery.Client(self._project)
                else:
                    self._client = bigquery.Client(
                        self._project,
                        AnonymousCredentials(),  # type: ignore[no-untyped-call]  # it has no types
                        client_options=ClientOptions(api_endpoint=f"http://{self._emulator}"),
                    )
            return self._client

    def _unavailable(self, cause: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._dataset}: {cause}")


def _lines(table: Table, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One JSON object a line; whole numbers are text, the form that BigQuery itself exports."""
    whole = [column.name for column in table.columns if column.type == "INTEGER"]
    lines = []
    for row in json_rows(table, rows):
        texts = {name: _digits(row[name]) for name in whole}
        lines.append(json.dumps(row | texts))
    return "\n".join(lines).encode()


def _digits(value: Any) -> Any:
    if isinstance(value, list):
        return [str(item) for item in value]
    return None if value is None else str(value)


def _reason(error: exceptions.GoogleAPICallError) -> str | None:
    first = error.errors[0] if error.errors else None
    return first.get("reason") if isinstance(first, dict) else None
