"""A config file of LiteLLM's proxy, read as text: every value with the line it stands in.

The file is not trusted: its size is bounded, and so is what is read of it. No message repeats a
value, which may be a key.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.core.yaml_lines import Found, NotYaml, read_yaml

MOST_BYTES = 512 * 1024
MOST_VALUES = 50_000
SECTIONS = ("model_list", "litellm_settings", "router_settings", "general_settings")
"""A file without any of these is none of LiteLLM's."""
_QUOTED = re.compile(r"'[^']{3,}'|\"[^\"]{3,}\"")


class UnreadableConfig(Exception):
    """The file is none of LiteLLM's. Its text begins with file and line."""


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
        root = read_yaml(text, MOST_VALUES)
    except NotYaml as error:
        if error.line is None:
            raise UnreadableConfig(f"{path}: no YAML that can be read") from None
        # Aliases and tags are quoted in the reason, and may be keys in a wrong place.
        reason = _QUOTED.sub("...", error.reason)
        raise UnreadableConfig(f"{path}:{error.line}: no YAML: {reason}") from None
    wrong = min(_wrong(root), default=None)
    if wrong is not None:
        raise UnreadableConfig(f"{path}:{wrong[0]}: {wrong[1]}")
    sections = dict(root.members)
    entries = sections.pop("model_list", Found(None, 1)).items
    return LitellmConfig(tuple(_deployment(each) for each in entries), sections)


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
