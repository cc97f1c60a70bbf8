"""YAML read as text: every value with the line it stands in.

What is read is not trusted: the number of its values is bounded, aliases counted as what they stand
for, only plain YAML is taken, and a member that stands twice in one object is refused, because
readers differ in which of them counts. Numbers stay the text they are written as, so that none
loses a digit or is taken for another. PyYAML is imported here: import this where a file is read,
and nowhere on the way of a call.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

_PLAIN = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "value"})
_MERGE = "tag:yaml.org,2002:merge"


class NotYaml(Exception):
    """The text cannot be read. `line` counts from 1, None where it is not known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its line, from 1; a member's line is that of its name."""

    value: "FoundValue"
    line: int

    @property
    def text(self) -> str | None:
        """The text, None where it is empty or something else."""
        return self.value if isinstance(self.value, str) and self.value else None

    @property
    def members(self) -> Mapping[str, "Found"]:
        """The members, none where it is no object."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple["Found", ...]:
        """The items, none where it is no list."""
        return self.value if isinstance(self.value, tuple) else ()

    def plain(self) -> Any:
        """The value without its lines: dicts, lists, texts, True, False and None."""
        if isinstance(self.value, dict):
            return {name: each.plain() for name, each in self.value.items()}
        if isinstance(self.value, tuple):
            return [each.plain() for each in self.value]
        return self.value


FoundValue: TypeAlias = dict[str, Found] | tuple[Found, ...] | str | bool | None


def read_yaml(text: str, most_values: int) -> Found:
    """Read one document; an empty one is None in line 1.

    Args:
        text: the whole file.
        most_values: how many values it may have, aliases written out.

    Raises:
        NotYaml: no YAML, more than plain YAML, too many values, or a member twice.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        return Found(None, 1) if tree is None else _Reader(most_values).read(tree)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise NotYaml(error.problem or "it cannot be read", line) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise NotYaml("it cannot be read") from None


class _Reader:
    """Turns YAML's tree into values, at most so many, however often an alias repeats some."""

    def __init__(self, most_values: int) -> None:
        self._most = most_values
        self._left = most_values

    def read(self, node: yaml.Node, line: int | None = None) -> Found:
        self._left -= 1
        if self._left < 0:
            raise _refused(node, f"more than {self._most} values, aliases written out")
        line = node.start_mark.line + 1 if line is None else line
        kind = node.tag.removeprefix(_PLAIN)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return Found(self._members(node), line)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return Found(tuple(self.read(each) for each in node.value), line)
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            return Found(_scalar(kind, node.value), line)
        raise _refused(node, "a tag that is not of a config")

    def _members(self, node: yaml.MappingNode) -> dict[str, Found]:
        own: dict[str, Found] = {}
        merged: dict[str, Found] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for name, each in self._merged(value):
                    merged.setdefault(name, each)
            elif not isinstance(key, yaml.ScalarNode):
                raise _refused(key, "a name that is no text")
            elif key.value in own:
                raise _refused(key, "this member stands here twice")
            else:
                own[key.value] = self.read(value, key.start_mark.line + 1)
        return {**merged, **own}

    def _merged(self, node: yaml.Node) -> Iterator[tuple[str, Found]]:
        found = self.read(node)
        for each in found.items or (found,):
            yield from each.members.items()


def _scalar(kind: str, text: str) -> str | bool | None:
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    return None if kind == "null" else text


def _refused(node: yaml.Node, reason: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=reason, problem_mark=node.start_mark)
