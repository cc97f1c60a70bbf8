"""What may be given up of a request so that its answer is cheaper and faster, as data.

Whoever decides says what is wanted; the modules beside this one know where it stands in each API,
and whether it is safe there.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""How much a model thinks, the least first. No model takes all of these words."""


@dataclass(frozen=True, slots=True)
class StandardTier:
    """No priority and no fast lane that costs more."""


@dataclass(frozen=True, slots=True)
class OneCandidate:
    """One answer where several are asked for."""


@dataclass(frozen=True, slots=True)
class EffortAtMost:
    """Think no more than so."""

    level: Effort


@dataclass(frozen=True, slots=True)
class EffortDown:
    """Think so many steps less than the request asks for, or the model does unasked."""

    steps: int


@dataclass(frozen=True, slots=True)
class OutputCap:
    """Answer with at most so many tokens that can be read; what is thought is not among them."""

    tokens: int


@dataclass(frozen=True, slots=True)
class LowVerbosity:
    """Short answers, by the model's own setting."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence added to the end of the last question."""

    text: str


@dataclass(frozen=True, slots=True)
class LowMediaDetail:
    """Look at pictures coarsely."""


@dataclass(frozen=True, slots=True)
class WithoutServerTools:
    """None of the tools that the provider runs itself; the client's own stay."""


@dataclass(frozen=True, slots=True)
class UseModel:
    """Another model of the same provider."""

    model: str


Wanted: TypeAlias = (
    StandardTier
    | OneCandidate
    | EffortAtMost
    | EffortDown
    | OutputCap
    | LowVerbosity
    | Hint
    | LowMediaDetail
    | WithoutServerTools
    | UseModel
)
