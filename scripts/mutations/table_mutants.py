"""Every change to functions/functions.yaml that is tried, one at a time.

The text is changed where the field stands, so that everything else in it stays as it is written.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from scripts.mutations.mutant import Kind, Mutant

FILE = "functions/functions.yaml"
FITS_NOTHING = [{"fits": ["nothing"]}]
OTHERS: dict[str, list[tuple[Kind, Any, Any]]] = {
    "http": [("wider", "private", "public"), ("reference", "public", "private")],
    "topic": [
        ("reference", "usage", "events"),
        ("reference", "events", "commands"),
        ("reference", "commands", "usage"),
    ],
    "state": [("wider", "none", "write"), ("wider", "read", "write"), ("value", "write", "read")],
    "warehouse": [
        ("wider", "none", "read"),
        ("wider", "read", "write"),
        ("value", "write", "read"),
    ],
    "cron": [("value", "* * * * *", "0 * * * *")],
}
"""What else a field could say: kind, before, after."""
TOPICS = ("usage", "events", "commands")

LENGTH_OF_DEFAULTS = 2
"""Of the path to a default; that of a function's own field is longer."""

Path = tuple[Any, ...]
Change = tuple[Kind, str, int, int, str]
"""What kind of change, in a word or two, and the text between two places that another replaces."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the table, or one of several values, and where it stands in the text.

    `start` is that of the key, or for one of several that of the value. `drop` bounds what has to
    go for the field to be gone.
    """

    path: Path
    value: Any
    start: int
    key_end: int
    value_start: int
    end: int
    drop: tuple[int, int]


def table_mutants(text: str) -> Iterator[Mutant]:
    """All mutants of the table in this text."""
    table = yaml.safe_load(text)
    known = _known(table)
    for field in fields(text):
        place = ".".join(map(str, field.path))
        for kind, change, start, end, new in [*_any(field), *_named(field), *_listed(field, known)]:
            yield Mutant(FILE, place, kind, change, start, end, new)


def fields(text: str) -> Iterator[Field]:
    """Every field in the text, outermost first."""
    node = yaml.compose(text)
    assert node is not None
    yield from _below(text, node, (), yaml.safe_load(text))


def _below(text: str, node: yaml.Node, path: Path, value: Any) -> Iterator[Field]:
    if isinstance(node, yaml.MappingNode):
        pairs = [
            (key, of_key, inner) for key, (of_key, inner) in zip(value, node.value, strict=True)
        ]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(number, inner, inner) for number, inner in enumerate(node.value)]
    else:
        return
    starts = [first.start_mark.index for _, first, _ in pairs]
    ends = [_end(inner) for _, _, inner in pairs]
    for number, (key, first, inner) in enumerate(pairs):
        if not node.flow_style:
            line = text.rfind("\n", 0, starts[number]) + 1
            drop = (line, text.find("\n", ends[number]) + 1)
        elif number + 1 < len(pairs):
            drop = (starts[number], starts[number + 1])
        else:
            drop = (ends[number - 1] if number else starts[number], ends[number])
        yield Field(
            path=(*path, key),
            value=value[key],
            start=starts[number],
            key_end=first.end_mark.index,
            value_start=inner.start_mark.index,
            end=ends[number],
            drop=drop,
        )
        yield from _below(text, inner, (*path, key), value[key])


def _end(node: yaml.Node) -> int:
    """Where the text of a value ends: a block's own mark stands at whatever follows it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _any(field: Field) -> Iterator[Change]:
    """What can be done to every field."""
    yield "drop", "", *field.drop, ""
    yield _with(field, "type", "", FITS_NOTHING)
    if isinstance(field.path[-1], str):
        yield "rename", "", field.key_end, field.key_end, "_renamed"


def _named(field: Field) -> Iterator[Change]:
    """What can be done to a field for what it is called, and to numbers."""
    key, value = field.path[-1], field.value
    for kind, before, after in OTHERS.get(str(key), []):
        if value == before:
            yield _with(field, kind, f"to {after}", after)
    if isinstance(value, int):
        yield _with(field, "value", f"to {value + 1}", value + 1)
    if key == "publishes":
        for topic in TOPICS:
            if topic not in value:
                yield _with(field, "wider", f"with {topic}", [*value, topic])
    is_closed = key == "triggers" and not any("http" in trigger for trigger in value)
    if is_closed and len(field.path) > LENGTH_OF_DEFAULTS:
        yield _with(field, "wider", "with http: public", [*value, {"http": "public"}])


def _listed(field: Field, known: Mapping[str, list[str]]) -> Iterator[Change]:
    """What can be done to one of several: another one of them."""
    inside = str(field.path[-2]) if len(field.path) > 1 else ""
    if inside in known and isinstance(field.value, str):
        others = known[inside]
        other = others[(others.index(field.value) + 1) % len(others)]
        yield _with(field, "reference", f"to {other}", other)
    if inside == "types":
        begin = f"{field.value.split('.')[0]}."
        if begin != field.value:
            yield _with(field, "wider", f"to {begin}", begin)
    if field.path[-1] == "command":
        yield _with(field, "reference", "to usage.call", "usage.call")


def _with(field: Field, kind: Kind, change: str, value: Any) -> Change:
    """The field with another value, written as JSON, which is YAML too."""
    return kind, change, field.value_start, field.end, json.dumps(value)


def _known(table: Any) -> dict[str, list[str]]:
    """What there is to choose from, by the list or mapping it stands in."""
    rows = table["functions"].values()
    triggers = [trigger for row in rows for trigger in row.get("triggers", [])]
    return {
        "publishes": list(TOPICS),
        "extras": sorted({extra for row in rows for extra in row.get("extras", [])}),
        "secrets": sorted({name for row in rows for name in row.get("secrets", {}).values()}),
        "types": sorted({type_ for trigger in triggers for type_ in trigger.get("types", [])}),
    }
