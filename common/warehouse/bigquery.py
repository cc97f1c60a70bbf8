"""The definitions as BigQuery statements, for a dataset that Terraform does not make.

The tests' BigQuery is made with them, so that columns, partitions and views come from the same
files as everywhere else.
"""

import json
from collections.abc import Iterator

from common.warehouse.tables import Column, ColumnType, Definitions, Table

TYPES: dict[ColumnType, str] = {
    "STRING": "STRING",
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "NUMERIC": "NUMERIC(38, 9)",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "JSON": "JSON",
}


def create_statements(definitions: Definitions, project: str, dataset: str) -> Iterator[str]:
    """One statement per table, then one per view; running them again changes nothing."""
    for table in definitions.tables.values():
        yield _create_table(table, f"{project}.{dataset}")
    for view in definitions.views.values():
        select = view.select_from(f"{project}.{dataset}")
        yield f"CREATE OR REPLACE VIEW `{project}.{dataset}.{view.name}` AS\n{select}"


def _create_table(table: Table, dataset: str) -> str:
    columns = ",\n  ".join(_column(column) for column in table.columns)
    [kind] = [column.type for column in table.columns if column.name == table.partition_field]
    day = table.partition_field if kind == "DATE" else f"DATE({table.partition_field})"
    options = [f"description = {_text(table.description)}"]
    if table.expiry_days is not None:
        options.append(f"partition_expiration_days = {table.expiry_days}")
    return (
        f"CREATE TABLE IF NOT EXISTS `{dataset}.{table.name}` (\n  {columns}\n)\n"
        f"PARTITION BY {day}\n"
        f"CLUSTER BY {', '.join(table.clustering)}\n"
        f"OPTIONS ({', '.join(options)})"
    )


def _column(column: Column) -> str:
    kind = TYPES[column.type]
    if column.mode == "REPEATED":
        kind = f"ARRAY<{kind}>"
    elif column.mode == "REQUIRED":
        kind = f"{kind} NOT NULL"
    return f"{column.name} {kind} OPTIONS (description = {_text(column.description)})"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
