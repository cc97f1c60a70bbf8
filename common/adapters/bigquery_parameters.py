"""Named parameters in the form that BigQuery takes, where each has a type.

A null has none: `None` says nothing about the column it is compared with, and a null of the wrong
type is refused (there is no ``BOOL = STRING``). The literal NULL fits everywhere, so it is what a
parameter without a value becomes in the statement.
"""

import re
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

from common.core.errors import InvalidInput
from common.core.ports import Value

TYPES: dict[type, str] = {
    bool: "BOOL",
    int: "INT64",
    float: "FLOAT64",
    str: "STRING",
    Decimal: "NUMERIC",
    datetime: "TIMESTAMP",
    date: "DATE",
}

_TOKEN = re.compile(
    r'''
    """(?:\\.|[^\\])*?""" | \'\'\'(?:\\.|[^\\])*?\'\'\'  # text over several lines
    | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`    # text and quoted names
    | (?P<comment>(?:--|\#)[^\n]*|/\*.*?\*/)
    | @@\w+ | @(?P<name>\w+)
    ''',
    re.DOTALL | re.VERBOSE,
)


def typed(name: str, value: Value) -> ScalarQueryParameter | ArrayQueryParameter:
    """A parameter for a value that is not None; a list without items is one of text.

    Raises:
        InvalidInput: the value is a time without a zone, or of a type that BigQuery does not have.
    """
    if isinstance(value, list | tuple):
        kinds = {_type(name, item) for item in value} or {"STRING"}
        if len(kinds) > 1:
            raise InvalidInput(f"@{name}: one list holds {' and '.join(sorted(kinds))}")
        return ArrayQueryParameter(name, kinds.pop(), list(value))
    return ScalarQueryParameter(name, _type(name, value), value)


def prepared(sql: str, absent: AbstractSet[str]) -> str:
    """The statement with NULL for the parameters `absent`, and without its comments.

    A local BigQuery takes a name in a comment for one more parameter (bqemulator 1.4.0).
    """

    def replaced(token: re.Match[str]) -> str:
        if token["name"] in absent:
            return "NULL"
        return " " if token["comment"] else token[0]

    return _TOKEN.sub(replaced, sql)


def _type(name: str, value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise InvalidInput(f"@{name}: {value} has no time zone: use aware UTC")
    kind = TYPES.get(type(value))
    if kind is None:
        raise InvalidInput(f"@{name}: {type(value).__name__} has no type in BigQuery")
    return kind
