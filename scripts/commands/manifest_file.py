"""A manifest file: YAML read exactly, and where in it a place stands.

A number with a point stays the text it is, so that an amount of money never passes through a binary
fraction. A number that readers of YAML take for different ones (`010` is 8 or 10) is refused, as is
`1_000` and `1:30`. A member that stands twice in one object is refused, because readers differ in
which of them counts.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

_TWO_MEANINGS = re.compile(
    r"[-+]?(?:"
    r"0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+"
    r"|[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?"
    r"|[0-9]+(?:\.[0-9]*)?_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r")"
)
"""Octal, hexadecimal, sexagesimal and grouped numbers, whichever of YAML's versions has them."""
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


class UnreadableManifest(Exception):
    """The file cannot be read. Its text begins with file and line."""


class _Loader(yaml.SafeLoader):
    """YAML with exact amounts."""


def _as_written(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:float", _as_written)


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file's content, and its tree for finding lines."""

    name: str
    content: dict[str, Any]
    tree: yaml.Node

    def place(self, path: str) -> str:
        """`FILE:LINE` of a place as `keys.2.policy`; of what is not there, of what it is in."""
        node, line = self.tree, self.tree.start_mark.line
        for part in path.split(".") if path else []:
            inside = _inside(node, part)
            if inside is None:
                break
            line, node = inside
        return f"{self.name}:{line + 1}"


def read_manifest_file(path: Path) -> ManifestFile:
    """Read a manifest.

    Raises:
        UnreadableManifest: no such file, no YAML, a number of two meanings, a member twice, or not
            an object.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        try:
            tree = loader.get_single_node()
            content = None if tree is None else _plain(loader.construct_document(tree))
        finally:
            loader.dispose()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableManifest(
            f"{path}: {getattr(error, 'strerror', None) or 'no text'}"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise UnreadableManifest(f"{path}{line}: no YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UnreadableManifest(f"{path}: no YAML that can be read") from None
    if tree is None or not isinstance(content, dict):
        raise UnreadableManifest(f"{path}:1: a manifest is an object with a name")
    _refuse_ambiguous(path, tree)
    return ManifestFile(str(path), content, tree)


def _inside(node: yaml.Node, part: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        inside = node.value[int(part)]
        return inside.start_mark.line, inside
    return None


def _refuse_ambiguous(path: Path, tree: yaml.Node) -> None:
    nodes, looked_at = [tree], set()
    while nodes:
        node = nodes.pop()
        if id(node) in looked_at:
            continue  # An alias leads to what was looked at where it was named.
        looked_at.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            _refuse_two_meanings(path, node)
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise UnreadableManifest(f"{path}:{line}: this member stands here twice")
                seen.add(key.value)
                nodes += (key, value)


def _refuse_two_meanings(path: Path, node: yaml.ScalarNode) -> None:
    is_plain = node.style is None or node.tag in _NUMBERS
    if is_plain and _TWO_MEANINGS.fullmatch(node.value):
        raise UnreadableManifest(
            f"{path}:{node.start_mark.line + 1}: this is read as different numbers: write one with "
            "digits alone and no 0 before them, as 10 or 0.5, or a text in quotes"
        )


def _plain(value: Any) -> Any:
    """The content as JSON has it."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value
