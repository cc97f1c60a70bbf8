"""State in a SQLite file: the `Documents` engine of a laptop.

A document is one row: its collection, its id, a version and its fields as JSON. SQLite compares
text byte by byte in UTF-8, which is code point order, so paging needs only the primary key.
Versions are numbers of one counter for the whole file: a document that is deleted and made again
never shows an old version. Filters are found by searching the JSON text (it is written in one
canonical form) and then decided exactly on the decoded fields.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.adapters.document_rules import (
    check_int,
    check_query,
    check_refs,
    check_writes,
)
from common.adapters.sqlite_file import SqliteFile
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Document,
    Increment,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Value,
    Write,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    latest INTEGER NOT NULL
);
"""
_SELECT = "SELECT version, data FROM documents WHERE collection = ? AND id = ?"
_UPSERT = "INSERT OR REPLACE INTO documents (collection, id, version, data) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM documents WHERE collection = ? AND id = ?"
_NEXT_VERSION = """
INSERT INTO revision (only, latest) VALUES (1, 1)
ON CONFLICT (only) DO UPDATE SET latest = latest + 1
RETURNING latest
"""
_PAGE = "SELECT id, version, data FROM documents WHERE collection = ? AND id > ?"

_TIME = "$time"
"""Key that marks a time in JSON; keys of documents that begin with a dollar get one more."""


class SqliteDocuments:
    """Documents in one file, which several processes may share."""

    def __init__(self, path: str | Path, *, deadline_s: float = 5.0) -> None:
        self._file = SqliteFile(path, _SCHEMA, deadline_s=deadline_s)

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        check_refs(refs)
        wanted = list(refs)
        return await self._file.read(lambda connection: [_found(connection, ref) for ref in wanted])

    async def query(self, query: Query) -> list[Document]:
        check_query(query)
        return await self._file.read(lambda connection: _page(connection, query))

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        check_writes(writes)
        prepared = [(write, _encoded(write)) for write in writes]
        try:
            return await self._file.write(lambda connection: _commit(connection, prepared))
        except StoreUnavailable as error:
            return Unknown(error.detail)

    async def aclose(self) -> None:
        """Finish what was asked for and close the file."""
        await self._file.aclose()


def _commit(connection: sqlite3.Connection, writes: Sequence[tuple[Write, str]]) -> Outcome:
    broken = tuple(write.ref for write, _ in writes if not _may(connection, write))
    if broken:
        return Conflict(broken)
    [version] = connection.execute(_NEXT_VERSION).fetchone()
    for write, text in writes:
        key = (write.ref.collection, write.ref.id)
        match write:
            case Create() | Put():
                connection.execute(_UPSERT, (*key, version, text))
            case Increment():
                sums = _incremented(_found(connection, write.ref), write)
                connection.execute(_UPSERT, (*key, version, sums))
            case Delete():
                connection.execute(_DELETE, key)
    return Committed()


def _may(connection: sqlite3.Connection, write: Write) -> bool:
    """Whether the precondition of the write holds."""
    match write:
        case Create():
            return _version(connection, write.ref) is None
        case Put(if_version=str() as expected) | Delete(if_version=str() as expected):
            return _version(connection, write.ref) == expected
        case _:
            return True


def _version(connection: sqlite3.Connection, ref: Ref) -> str | None:
    row = connection.execute(_SELECT, (ref.collection, ref.id)).fetchone()
    return None if row is None else str(row[0])


def _found(connection: sqlite3.Connection, ref: Ref) -> Document | None:
    row = connection.execute(_SELECT, (ref.collection, ref.id)).fetchone()
    return None if row is None else Document(ref, _decoded(row[1]), str(row[0]))


def _page(connection: sqlite3.Connection, query: Query) -> list[Document]:
    pieces = [_json({_key(name): value})[1:-1] for name, value in query.where.items()]
    sql = _PAGE + " AND instr(data, ?) > 0" * len(pieces) + " ORDER BY id"
    rows = connection.execute(sql, (query.collection, query.after or "", *pieces))
    page: list[Document] = []
    for id_, version, text in rows:
        data = _decoded(text)
        if all(_equals(data, name, value) for name, value in query.where.items()):
            page.append(Document(Ref(query.collection, id_), data, str(version)))
            if len(page) == query.limit:
                break
    return page


def _equals(data: Mapping[str, Value], name: str, value: Value) -> bool:
    # True equals 1 in Python and in no store.
    return (
        name in data
        and data[name] == value
        and isinstance(data[name], bool) == isinstance(value, bool)
    )


def _incremented(document: Document | None, write: Increment) -> str:
    data = {} if document is None else dict(document.data)
    for name, amount in write.amounts.items():
        before = data.get(name, 0)
        if isinstance(before, bool) or not isinstance(before, int):
            raise InvalidInput(f"{write.ref}: {name} holds {before!r}, not an integer")
        check_int(before + amount)
        data[name] = before + amount
    return _json(_tagged(data))


def _encoded(write: Write) -> str:
    return _json(_tagged(dict(write.data))) if isinstance(write, Create | Put) else ""


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _tagged(value: Value) -> Any:
    match value:
        case datetime():
            return {_TIME: value.astimezone(UTC).isoformat()}
        case list():
            return [_tagged(item) for item in value]
        case dict():
            return {_key(name): _tagged(item) for name, item in value.items()}
        case _:
            return value


def _key(name: str) -> str:
    return f"${name}" if name.startswith("$") else name


def _decoded(text: str) -> dict[str, Value]:
    tagged = '"$' in text  # most documents hold neither a time nor a dollar
    data: dict[str, Value] = json.loads(text, object_hook=_untagged if tagged else None)
    return data


def _untagged(data: dict[str, Any]) -> Value:
    if len(data) == 1 and _TIME in data:
        return datetime.fromisoformat(data[_TIME])
    return {name.removeprefix("$"): value for name, value in data.items()}
