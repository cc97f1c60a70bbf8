"""Rows on their way into a table, checked and as JSON that every engine reads back exactly.

Decimals, times and dates are text, because a JSON number goes through a double in some engines.
Nothing is rounded or guessed: an engine alone would take 1.5 for an integer, or 0.1 for money that
has lost its last digits already.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from common.core.errors import InvalidInput
from common.warehouse.tables import Column, ColumnType, Table

NUMERIC_DECIMALS = 9


def json_rows(table: Table, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every column of every row as JSON: unknown ones dropped, missing ones null or empty.

    Raises:
        InvalidInput: a value is of another type than its column, or does not fit it.
    """
    return [
        {column.name: _cell(column, row.get(column.name)) for column in table.columns}
        for row in rows
    ]


def _cell(column: Column, value: Any) -> Any:
    if column.mode == "REPEATED":
        if value is not None and not isinstance(value, list | tuple):
            raise _misfit(column, value)
        return [_scalar(column, item) for item in value or ()]
    if value is None:
        if column.mode == "REQUIRED":
            raise InvalidInput(f"{column.name} must not be null", field=column.name)
        return None
    return _scalar(column, value)


def _scalar(column: Column, value: Any) -> Any:
    try:
        converted = _CONVERSIONS[column.type](value)
    except (TypeError, ValueError, InvalidOperation):
        raise _misfit(column, value) from None
    if converted is None:
        raise _misfit(column, value)
    return converted


def _integer(value: Any) -> int | None:
    fits = type(value) is int and -(1 << 63) <= value < 1 << 63
    return value if fits else None


def _numeric(value: Any) -> str | None:
    if not isinstance(value, Decimal | str | int) or isinstance(value, bool):
        return None  # a float has already lost digits
    number = Decimal(value)
    if not number.is_finite() or abs(number) >= Decimal(10) ** (38 - NUMERIC_DECIMALS):
        return None
    exponent = number.as_tuple().exponent
    return f"{number:f}" if isinstance(exponent, int) and exponent >= -NUMERIC_DECIMALS else None


def _timestamp(value: Any) -> str | None:
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(time, datetime) or time.tzinfo is None:
        return None
    return time.astimezone(UTC).isoformat()


def _date(value: Any) -> str | None:
    if isinstance(value, str):
        return date.fromisoformat(value).isoformat()
    return value.isoformat() if type(value) is date else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def _json(value: Any) -> Any:
    json.dumps(value, allow_nan=False)
    return value


_CONVERSIONS: dict[ColumnType, Callable[[Any], Any]] = {
    "STRING": lambda value: value if isinstance(value, str) else None,
    "INTEGER": _integer,
    "FLOAT": _float,
    "BOOLEAN": lambda value: value if isinstance(value, bool) else None,
    "NUMERIC": _numeric,
    "TIMESTAMP": _timestamp,
    "DATE": _date,
    "JSON": _json,
}


def _misfit(column: Column, value: Any) -> InvalidInput:
    return InvalidInput(
        f"{column.name}: {value!r} is not {column.type} {column.mode}", field=column.name
    )
