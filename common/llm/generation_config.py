"""Gemini's generation configuration: the object of a request that most of its settings stand in.

Source: Gemini API reference, "Generating content" and "Interactions". Members of the former have
names in either JSON spelling, so an edit takes the one that is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from common.llm.cap_hazards import is_spelt_twice
from common.llm.edits import NotSafe
from common.llm.paths import FormName

_BOTH = ("generationConfig", "generation_config")
_NAMES: Mapping[FormName, tuple[str, ...]] = MappingProxyType(
    {
        "gemini_content": _BOTH,
        "gemini_content_stream": _BOTH,
        "gemini_interactions": ("generation_config",),
    }
)
"""What the object is called; the first one where there is none."""


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of a request. `name` is empty where requests of the form have none."""

    name: str
    members: Mapping[str, Any]

    def spelling(self, camel: str, snake: str) -> str:
        """How a member is spelt here, or is to be: like what is around it."""
        if camel in self.members or snake in self.members:
            return camel if camel in self.members else snake
        return snake if self.name == "generation_config" else camel

    def within(self, parsed: Mapping[str, Any], member: str, value: object) -> dict[str, Any]:
        """The request with a member of its configuration set."""
        return {**parsed, self.name: {**self.members, member: value}}


def find_config(form: FormName, parsed: Mapping[str, Any]) -> Config | NotSafe:
    """The configuration of a request, empty where there is none."""
    names = _NAMES.get(form)
    if names is None:
        return Config("", {})
    spelt = [name for name in names if name in parsed]
    if len(spelt) > 1:
        return NotSafe("duplicate_members")
    name = spelt[0] if spelt else names[0]
    members = {} if parsed.get(name) is None else parsed[name]
    if not isinstance(members, dict):
        return NotSafe("unreadable")
    if is_spelt_twice(parsed, members):
        return NotSafe("duplicate_members")
    return Config(name, members)
