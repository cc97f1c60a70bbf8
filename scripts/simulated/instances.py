"""A value that satisfies a JSON schema, for structured outputs and tool arguments.

Knows what the providers' strict modes allow: types, properties, enum, const, anyOf, $ref, items,
bounds of numbers, lengths and counts, common formats; not patterns. Optional properties are filled
in too, as the models do, but deep down only required ones, so that recursive schemas end.
"""

from collections.abc import Mapping
from typing import Any

from scripts.simulated.words import MARK

_DEPTH = 12
_OPTIONAL_DEPTH = 4
_MOST_ITEMS = 16
_MOST_CHARACTERS = 1000
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00",
    "email": "simulated@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/simulated",
    "ipv4": "192.0.2.1",
}


def instance_of(schema: Mapping[str, Any]) -> Any:
    """One value of the schema, the same for the same schema."""
    return _value(schema, schema, 0)


def _value(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None
    if isinstance(schema.get("$ref"), str):
        return _value(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(choice), list) and schema[choice]:
            return _value(schema[choice][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "null"
    return _of_type(kind, schema, root, depth)


def _of_type(kind: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            least = min(_whole(schema.get("minItems"), 1), _MOST_ITEMS)
            items = max(1, least) if depth < _OPTIONAL_DEPTH else least
            if schema.get("maxItems") == 0:
                items = 0
            return [_value(schema.get("items", {}), root, depth + 1) for _ in range(items)]
        case "integer" | "number":
            least = _whole(schema.get("minimum"), _whole(schema.get("exclusiveMinimum"), 0) + 1)
            return min(least, _whole(schema.get("maximum"), least))
        case "boolean":
            return True
        case "null":
            return None
    return _text(schema)


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    wanted = set(properties)
    if depth >= _OPTIONAL_DEPTH:
        required = schema.get("required")
        wanted = wanted.intersection(required if isinstance(required, list) else ())
    return {
        name: _value(part, root, depth + 1) for name, part in properties.items() if name in wanted
    }


def _text(schema: Mapping[str, Any]) -> str:
    known = _FORMATS.get(str(schema.get("format")))
    if known is not None:
        return known
    text = f"{MARK}{schema.get('title', 'text')}"
    text = text.ljust(min(_whole(schema.get("minLength"), 0), _MOST_CHARACTERS), ".")
    return text[: max(0, _whole(schema.get("maxLength"), len(text)))]


def _whole(value: Any, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part and isinstance(target, dict):
            target = target.get(part.replace("~1", "/").replace("~0", "~"))
    return target
