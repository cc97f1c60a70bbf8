"""One change to one file: what the checks are tried on."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["rename", "drop", "type", "reference", "wider", "value"]
"""rename: another name. drop: gone. type: a value that fits nothing. reference: something else that
exists. wider: more than is needed, or a check that lets everything through. value: another number,
another word, the opposite."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`file` with the text between `start` and `end` replaced.

    `place` says where, in words that stay when lines move. `of_schema` marks an argument that the
    schema of a provider, or the variables of a module, know.
    """

    file: str
    place: str
    kind: Kind
    change: str
    start: int
    end: int
    replacement: str
    of_schema: bool = False

    @property
    def name(self) -> str:
        return f"{self.file}: {self.place}: {self.kind} {self.change}".rstrip()

    def apply(self, text: str) -> str:
        return text[: self.start] + self.replacement + text[self.end :]
