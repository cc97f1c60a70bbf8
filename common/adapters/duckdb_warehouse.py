"""The warehouse in a DuckDB file: the `Warehouse` engine of a laptop.

Tables and views come from `common/warehouse`, statements are written in BigQuery SQL and translated
once each. On opening, missing tables are made, missing columns are added, and views are replaced.
One process owns the file; a second one is told which. Inside the process every call has its own
cursor on its own thread.

Rows travel into a table as one JSON parameter of one INSERT: a batch is stored wholly or not at
all, and integers and decimals stay exact, because DuckDB reads their digits and
`common/warehouse/cells.py` checks them first.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import sqlglot

from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import Row, Value
from common.warehouse.cells import json_rows
from common.warehouse.tables import Column, ColumnType, Definitions, Table, load_definitions

T = TypeVar("T")

DATASET = "main"
THREADS = 4
DUCKDB_TYPES: dict[ColumnType, str] = {
    "STRING": "VARCHAR",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "NUMERIC": "DECIMAL(38, 9)",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "JSON": "JSON",
}


class DuckdbWarehouse:
    """Tables and views of `common/warehouse` in one file, owned by one process."""

    def __init__(
        self,
        path: str | Path,
        definitions: Definitions | None = None,
        *,
        deadline_s: float = 30.0,
    ) -> None:
        """Note the address; nothing is opened before the first use.

        Args:
            path: file, made with its folders on first use, or ``:memory:``.
            definitions: tables and views; those of the project by default.
            deadline_s: seconds that any answer may take.
        """
        self._path = str(path)
        self._definitions = definitions or load_definitions()
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="duckdb")
        self._opening = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        """Rows of one statement; JSON columns come decoded.

        Raises:
            InvalidInput: a parameter is a time without a zone.
            StoreUnavailable: no answer in time, or another process owns the file.
        """
        values = dict(parameters or {})
        for name, value in values.items():
            if isinstance(value, datetime) and value.tzinfo is None:
                raise InvalidInput(f"@{name}: {value} has no time zone: use aware UTC")
        statement = _translated(sql)
        return await self._run(lambda cursor: _rows(cursor.execute(statement, values)))

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
        statement = _insert(definition)

        def insert(cursor: duckdb.DuckDBPyConnection) -> None:
            cursor.execute(statement, {"rows": json.dumps(json_rows(definition, rows))})

        await self._run(insert)

    async def aclose(self) -> None:
        """Finish what was asked for and close the file; every later call is StoreUnavailable."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._database is not None:
            self._database.close()
            self._database = None

    async def _run(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        cursors: list[duckdb.DuckDBPyConnection] = []
        try:
            answer = self._threads.submit(self._work, work, cursors)
        except RuntimeError:
            raise StoreUnavailable(f"{self._path} is closed") from None
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            raise StoreUnavailable(
                f"{self._path}: no answer within {self._deadline_s:g} s"
            ) from None
        finally:
            if not answer.done():  # nobody waits for it any more
                for cursor in cursors:
                    cursor.interrupt()

    def _work(
        self,
        work: Callable[[duckdb.DuckDBPyConnection], T],
        cursors: list[duckdb.DuckDBPyConnection],
    ) -> T:
        try:
            with self._opened().cursor() as cursor:
                cursors.append(cursor)
                return work(cursor)
        except (duckdb.OperationalError, OSError) as error:
            raise StoreUnavailable(_cause(self._path, error)) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._database is None:
                if self._path != ":memory:":
                    Path(self._path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                database = duckdb.connect(self._path)
                try:
                    database.execute("SET GLOBAL TimeZone = 'UTC'")
                    _make(database, self._definitions)
                except BaseException:
                    database.close()
                    raise
                self._database = database
            return self._database


def _make(database: duckdb.DuckDBPyConnection, definitions: Definitions) -> None:
    """Bring the file to the definitions: tables, new columns, views."""
    for table in definitions.tables.values():
        columns = ", ".join(_column(column) for column in table.columns)
        database.execute(f'CREATE TABLE IF NOT EXISTS "{table.name}" ({columns})')
        there = {row[0] for row in database.execute(f'DESCRIBE "{table.name}"').fetchall()}
        for column in table.columns:
            if column.name not in there:
                database.execute(f'ALTER TABLE "{table.name}" ADD COLUMN {_column(column)}')
    for view in definitions.views.values():
        statement = _translated(view.select_from(DATASET))
        database.execute(f'CREATE OR REPLACE VIEW "{view.name}" AS {statement}')


def _column(column: Column) -> str:
    kind = DUCKDB_TYPES[column.type]
    match column.mode:
        case "REPEATED":
            return f'"{column.name}" {kind}[] DEFAULT []'
        case "REQUIRED":
            return f'"{column.name}" {kind} NOT NULL'
        case "NULLABLE":
            return f'"{column.name}" {kind}'


@lru_cache(maxsize=64)
def _insert(table: Table) -> str:
    form = json.dumps(
        [
            {
                column.name: [DUCKDB_TYPES[column.type]]
                if column.mode == "REPEATED"
                else DUCKDB_TYPES[column.type]
                for column in table.columns
            }
        ]
    )
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(f'line."{column.name}"' for column in table.columns)
    return (
        f'INSERT INTO "{table.name}" ({names}) SELECT {values} '  # noqa: S608 -- names of our own definitions
        f"FROM (SELECT unnest(from_json_strict($rows, '{form}')) AS line)"
    )


@lru_cache(maxsize=512)
def _translated(sql: str) -> str:
    [statement] = sqlglot.transpile(
        sql.replace("${dataset}", DATASET), read="bigquery", write="duckdb"
    )
    return statement


def _rows(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
    described = cursor.description or []
    names = [column[0] for column in described]
    decoders = [_DECODERS.get(str(column[1]), _same) for column in described]
    return [
        {name: decode(value) for name, decode, value in zip(names, decoders, row, strict=True)}
        for row in cursor.fetchall()
    ]


def _same(value: Any) -> Any:
    return value


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "JSON": lambda text: text and json.loads(text),
    # DuckDB gives pytz's UTC.
    "TIMESTAMP WITH TIME ZONE": lambda time: time and time.astimezone(UTC),
}


def _cause(path: str, error: Exception) -> str:
    """What went wrong, first of all which process has the file."""
    holder = re.search(r"PID (\d+)", str(error))
    if holder:
        return (
            f"{path} belongs to the process with id {holder[1]}: a DuckDB file has one owner. "
            "Ask that process, or end it first"
        )
    return f"{path}: {error}"
