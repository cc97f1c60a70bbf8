"""The warehouse's definitions agree with the events that fill it."""

import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo
from sqlglot import exp

from common.core.correction_events import UsageCorrected
from common.core.event_types import EVENT_TYPES
from common.core.events import TOPICS, Attempt, EditMade, Settlement, UsageEvent
from common.warehouse.tables import Column, load_definitions

USAGE_RAW = load_definitions().tables["usage_raw"]
METADATA = ["subscription_name", "message_id", "publish_time", "attributes"]
"""What a BigQuery subscription with `write_metadata` adds.

https://cloud.google.com/pubsub/docs/bigquery#write_metadata
"""

TYPES: dict[Any, str] = {
    str: "STRING",
    int: "INTEGER",
    float: "FLOAT",
    bool: "BOOLEAN",
    AwareDatetime: "TIMESTAMP",
}


def column_type(annotation: Any) -> tuple[str, str]:
    """Type and mode of the column that holds a field of this type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return column_type(arguments[0])
    if origin in (types.UnionType, typing.Union):
        [inner] = [argument for argument in arguments if argument is not types.NoneType]
        return column_type(inner)
    if origin is typing.Literal:
        return column_type(type(arguments[0]))
    if origin is dict or (origin is tuple and arguments[0] in (Attempt, EditMade, Settlement)):
        return "JSON", "NULLABLE"
    if origin is tuple and arguments[0] in TYPES:
        return column_type(arguments[0])[0], "REPEATED"
    return TYPES[annotation], "NULLABLE"


def expected(fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str, str]]:
    for name, field in fields.items():
        type_, mode = column_type(field.annotation)
        yield name, type_, "REQUIRED" if name in ("id", "event_time") else mode


def test_gives_every_field_of_the_usage_event_its_column() -> None:
    columns = [
        (column.name, column.type, column.mode)
        for column in USAGE_RAW.columns
        if column.name not in METADATA
    ]

    of_corrections = {
        name: field
        for name, field in UsageCorrected.model_fields.items()
        if name not in UsageEvent.model_fields
    }
    assert columns == list(expected({**UsageEvent.model_fields, **of_corrections}))


def test_has_the_columns_that_a_subscription_adds() -> None:
    added = {column.name: column.type for column in USAGE_RAW.columns[-len(METADATA) :]}

    assert added == {
        "subscription_name": "STRING",
        "message_id": "STRING",
        "publish_time": "TIMESTAMP",
        "attributes": "JSON",
    }


@pytest.mark.parametrize("column", USAGE_RAW.columns, ids=lambda column: column.name)
def test_describes_every_column(column: Column) -> None:
    assert len(column.description) > 8


def test_lists_every_field_of_the_event_in_the_view() -> None:
    view = sqlglot.parse_one(load_definitions().views["usage"].sql, read="bigquery")

    assert isinstance(view, exp.Select)
    added = ["original_cost_nanos", "corrections"]
    assert [each for each in view.named_selects if each not in added] == list(
        UsageEvent.model_fields
    )
    assert set(added) <= set(view.named_selects)


def test_partitions_and_clusters_by_columns_that_exist() -> None:
    names = {column.name: column for column in USAGE_RAW.columns}

    assert names[USAGE_RAW.partition_field].type == "TIMESTAMP"
    assert USAGE_RAW.partition_field == "event_time"
    assert set(USAGE_RAW.clustering) <= set(names)
    assert USAGE_RAW.expiry_days == 400


def test_is_filled_by_events_that_exist() -> None:
    source = USAGE_RAW.source

    assert source is not None
    assert (source.topic, source.types) == ("usage", ("usage.call", "usage.corrected"))
    assert source.topic in TOPICS
    assert [EVENT_TYPES[type_].topic for type_ in source.types] == ["usage", "usage"]
