"""What a document holds, as Firestore's protocol buffers and back, unchanged.

Firestore takes no list directly in a list, no empty name of a field and none of the form `__x__`
(https://cloud.google.com/firestore/quotas). So an inner list is kept as a map with the one field
`$list`, and a name that is refused, or that begins with a dollar itself, gets one dollar in front.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore_v1.types import document

from common.core.ports import Value

_Value = document.Value.pb()
_Array = document.ArrayValue.pb()
_Map = document.MapValue.pb()

_SCALARS = (
    (bool, "boolean_value"),  # before int, of which it is one
    (int, "integer_value"),
    (float, "double_value"),
    (str, "string_value"),
)
_LIST = "$list"
_ESCAPED = re.compile(r"\$|\Z|__.*__\Z", re.DOTALL)
_SIMPLE = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_fields(data: Mapping[str, Value]) -> dict[str, Any]:
    """The fields of a document."""
    return {field_name(name): encode(value) for name, value in data.items()}


def encode(value: Value) -> Any:
    """One value; `document_rules` says what it may be."""
    match value:
        case None:
            return _Value(null_value=0)  # the only member of its enumeration
        case bool() | int() | float() | str():
            kind = next(kind for type_, kind in _SCALARS if isinstance(value, type_))
            return _Value(**{kind: value})
        case datetime():
            since = value - _EPOCH
            seconds = since.days * 86400 + since.seconds
            return _Value(timestamp_value={"seconds": seconds, "nanos": since.microseconds * 1000})
        case list():
            return _Value(array_value=_Array(values=[_encode_item(item) for item in value]))
        case dict():
            return _Value(map_value=_Map(fields=encode_fields(value)))
        case _:
            raise TypeError(f"{type(value).__name__} is no value of a document")


def decode_fields(fields: Mapping[str, Any]) -> dict[str, Value]:
    """What `encode_fields` was given."""
    return {name.removeprefix("$"): decode(value) for name, value in fields.items()}


def decode(value: Any) -> Value:
    """What `encode` was given; times in UTC."""
    match value.WhichOneof("value_type"):
        case "null_value":
            return None
        case "timestamp_value":
            time = value.timestamp_value
            return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)
        case "array_value":
            return [decode(item) for item in value.array_value.values]
        case "map_value":
            fields = value.map_value.fields
            if len(fields) == 1 and _LIST in fields:
                return decode(fields[_LIST])
            return decode_fields(fields)
        case kind:
            return getattr(value, kind)


def field_name(name: str) -> str:
    """The name under which Firestore keeps the field `name`."""
    return f"${name}" if _ESCAPED.match(name) else name


def field_path(kept_name: str) -> str:
    """A top-level field in Firestore's syntax for paths."""
    if _SIMPLE.fullmatch(kept_name):
        return kept_name
    quoted = kept_name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{quoted}`"


def _encode_item(value: Value) -> Any:
    if isinstance(value, list):
        return _Value(map_value=_Map(fields={_LIST: encode(value)}))
    return encode(value)
