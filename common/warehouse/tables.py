"""The warehouse as data: tables, their layout and their views, read from this folder.

`<table>.json` holds columns in BigQuery's schema form, `layout.json` says for each table how it is
partitioned, clustered and kept and which events fill it, and `<view>.sql` holds views in BigQuery
SQL with `${dataset}` before each table. Terraform reads the same files, so that the engines cannot
differ. Adding a nullable column is the only change that is made in place.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

ColumnType: TypeAlias = Literal[
    "STRING", "INTEGER", "FLOAT", "BOOLEAN", "NUMERIC", "TIMESTAMP", "DATE", "JSON"
]
"""BigQuery's types as its API names them; NUMERIC has 38 digits, nine of them decimals."""

Mode: TypeAlias = Literal["REQUIRED", "NULLABLE", "REPEATED"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: ColumnType
    mode: Mode
    description: str


@dataclass(frozen=True, slots=True)
class Source:
    """The events that a subscription writes into a table."""

    topic: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `expiry_days` counts from the day of the partition."""

    name: str
    description: str
    columns: tuple[Column, ...]
    partition_field: str
    clustering: tuple[str, ...]
    expiry_days: int | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class View:
    """One view: a SELECT in BigQuery SQL with ``${dataset}`` before each table."""

    name: str
    sql: str

    def select_from(self, dataset: str) -> str:
        return self.sql.replace("${dataset}", dataset)


@dataclass(frozen=True, slots=True)
class Definitions:
    """All tables and views, each by name and in alphabetical order."""

    tables: dict[str, Table]
    views: dict[str, View]


@cache
def load_definitions(folder: Path = FOLDER) -> Definitions:
    """What `folder` holds.

    Raises:
        KeyError: a table without its entry in layout.json.
    """
    layouts: dict[str, Any] = json.loads((folder / "layout.json").read_text("utf-8"))
    files = [path for path in sorted(folder.glob("*.json")) if path.name != "layout.json"]
    return Definitions(
        tables={path.stem: _table(path, layouts[path.stem]) for path in files},
        views={
            path.stem: View(path.stem, path.read_text("utf-8"))
            for path in sorted(folder.glob("*.sql"))
        },
    )


def _table(path: Path, layout: dict[str, Any]) -> Table:
    source = layout.get("from")
    return Table(
        name=path.stem,
        description=layout["description"],
        columns=tuple(Column(**column) for column in json.loads(path.read_text("utf-8"))),
        partition_field=layout["partition"]["field"],
        clustering=tuple(layout["clustering"]),
        expiry_days=layout.get("expiry_days"),
        source=source and Source(source["topic"], tuple(source["types"])),
    )
