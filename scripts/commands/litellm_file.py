"""A config file of LiteLLM's proxy, read as text: every value with the line it stands in.

The file is not trusted: its size and the number of its values are bounded, aliases counted as what
they stand for, and only plain YAML is taken. No message repeats a value, which may be a key.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

MOST_BYTES = 512 * 1024
MOST_VALUES = 50_000
SECTIONS = ("model_list", "litellm_settings", "router_settings", "general_settings")
"""A file without any of these is none of LiteLLM's."""
_PLAIN = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "value"})
_MERGE = "tag:yaml.org,2002:merge"
_QUOTED = re.compile(r"'[^']{3,}'|\"[^\"]{3,}\"")


class UnreadableConfig(Exception):
    """The file is none of LiteLLM's. Its text begins with file and line."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its line, from 1; a member's line is that of its name.

    Numbers are the text they are written as, so that none loses a digit.
    """

    value: "Value"
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


Value: TypeAlias = dict[str, Found] | tuple[Found, ...] | str | bool | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of `model_list`: a model behind a name. `params` hold `model` for certain."""

    line: int
    model_name: str
    params: Mapping[str, Found]
    others: Mapping[str, Found]

    @property
    def model(self) -> str:
        return self.params["model"].text or ""


@dataclass(frozen=True, slots=True)
class LitellmConfig:
    """A file: its models, and its other sections by name."""

    deployments: tuple[Deployment, ...]
    sections: Mapping[str, Found]


def read_litellm_config(path: Path) -> LitellmConfig:
    """Read a config.

    Raises:
        UnreadableConfig: no such file, no YAML, too large, or nothing that LiteLLM would take.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise UnreadableConfig(f"{path}: {reason}") from None
    if len(text.encode()) > MOST_BYTES:
        raise UnreadableConfig(f"{path}: more than {MOST_BYTES // 1024} KiB")
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        root = Found({}, 1) if tree is None else _Reader().read(tree)
        wrong = min(_wrong(root), default=None)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        # Aliases and tags are quoted in the reason, and may be keys in a wrong place.
        reason = _QUOTED.sub("...", error.problem or "it cannot be read")
        raise UnreadableConfig(f"{path}{line}: no YAML: {reason}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UnreadableConfig(f"{path}: no YAML that can be read") from None
    if wrong is not None:
        raise UnreadableConfig(f"{path}:{wrong[0]}: {wrong[1]}")
    sections = dict(root.members)
    entries = sections.pop("model_list", Found(None, 1)).items
    return LitellmConfig(tuple(_deployment(each) for each in entries), sections)


class _Reader:
    """Turns YAML's tree into values, at most so many, however often an alias repeats some."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def read(self, node: yaml.Node, line: int | None = None) -> Found:
        self._left -= 1
        if self._left < 0:
            raise _refused(node, f"more than {MOST_VALUES} values, aliases written out")
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


def _wrong(root: Found) -> Iterator[tuple[int, str]]:
    """What keeps a file from being LiteLLM's, with lines."""
    if not set(SECTIONS) & set(root.members):
        first = min((each.line for each in root.members.values()), default=root.line)
        yield first, f"no config of LiteLLM's proxy: it has none of {', '.join(SECTIONS)}"
        return
    models = root.members.get("model_list", Found(None, 1))
    if not isinstance(models.value, tuple | None):
        yield models.line, "model_list is no list"
    for entry in models.items:
        params = entry.members.get("litellm_params")
        called = entry.members.get("model_name")
        if called is None or called.text is None:
            yield (called or entry).line, "a model needs a model_name, as text"
        elif params is None or not params.members:
            yield (params or entry).line, "a model needs litellm_params, an object"
        elif (model := params.members.get("model")) is None or model.text is None:
            yield (model or params).line, "litellm_params needs a model, as text"
    for name in SECTIONS[1:]:
        section = root.members.get(name, Found(None, 1))
        if not isinstance(section.value, dict | None):
            yield section.line, f"{name} is no object"


def _deployment(entry: Found) -> Deployment:
    others = dict(entry.members)
    name, params = others.pop("model_name"), others.pop("litellm_params")
    return Deployment(entry.line, name.text or "", params.members, others)
