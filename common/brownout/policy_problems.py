"""What is wrong with a policy, said so that it can be corrected without looking anything up.

Every part of a policy is a `Part`: its errors say what is right in the words of this project, and
an unknown name comes with the known one that is nearest.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError
from pydantic import model_validator as validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from common.core.errors import InvalidInput

At: TypeAlias = tuple[str | int, ...]
"""A place in a policy: names of members and numbers of items, from 0."""

MOST_SHOWN = 60
"""Characters of an offending value."""
_KEY = "[key]"
_ENOUGH_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or only unwise.

    `value` is what stands there, shortened, None where nothing does; `line` is known of a file.
    """

    at: At
    value: str | None
    detail: str
    line: int | None = None

    @property
    def path(self) -> str:
        """The place as ``strategies.default.hard[3].admit``."""
        parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in self.at)
        return "".join(parts).removeprefix(".")

    @property
    def text(self) -> str:
        """Line, path, value and what is right, in one line."""
        line = () if self.line is None else (f"line {self.line}",)
        path = (self.path,) if self.at else ()
        said = self.detail if self.value is None else f"{self.value} {self.detail}"
        return ": ".join((*line, *path, said))


class PolicyInvalid(InvalidInput):
    """A policy that cannot be used, and everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        number = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        lines = [f"the policy has {number}:", *(each.text for each in problems)]
        super().__init__("\n".join(lines), field=problems[0].path or None)
        self.problems = tuple(problems)


def unknown(word: str, known: Collection[str]) -> str:
    """What to say of a word that is none of these."""
    if not known:
        return "is not known here: none is defined"
    near = get_close_matches(word.lower(), known, n=1, cutoff=_ENOUGH_ALIKE)
    listed = f"write {'one of ' if len(known) > 1 else ''}{', '.join(known)}"
    return f"is not known here: {f'do you mean {near[0]}?' if near else listed}"


def word_of(known: Collection[str]) -> Callable[[Any], str]:
    """A validator that takes one of these words."""

    def checked(written: Any) -> str:
        if isinstance(written, str) and written in known:
            return written
        raise ValueError(unknown(shown(written) or "", known))

    return checked


def invalid(problems: Iterable[tuple[At, Any, str]]) -> None:
    """Refuse a part for several reasons at once, each with its place in the part and its value.

    Raises:
        ValidationError: there is a reason.
    """
    errors = [
        InitErrorDetails(type=_said(detail), loc=at, input=value) for at, value, detail in problems
    ]
    if errors:
        raise ValidationError.from_exception_data("policy", errors)


def problems_of(error: ValidationError) -> list[Problem]:
    """All that is wrong, as parts report it."""
    return [
        Problem(
            at=tuple(part for part in each["loc"] if part != _KEY),
            value=None if each["type"] == "missing" else shown(each["input"]),
            detail=each["msg"],
        )
        for each in error.errors(include_url=False, include_context=False)
    ]


def shown(value: Any) -> str | None:
    """A value as it is written, None for one of several lines."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if not isinstance(value, str | int | float):
        return None
    text = " ".join(str(value).split()) or '""'
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


class Part(BaseModel):
    """An object of a policy. A member without value is as good as none.

    `scalar` names the member that a value stands for which is no object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    scalar: ClassVar[str | None] = None

    @validator(mode="wrap")
    @classmethod
    def _explained(cls, value: Any, handler: ModelWrapValidatorHandler["Part"]) -> "Part":
        names = [field.alias or name for name, field in cls.model_fields.items()]
        stands_for = None if isinstance(value, Mapping | list) else cls.scalar
        if stands_for is not None:
            value = {stands_for: value}
        if isinstance(value, Mapping):
            value = {
                name: each for name, each in value.items() if each is not None or name not in names
            }
        try:
            return handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        raise ValidationError.from_exception_data(
            cls.__name__, [_explanation(each, names, stands_for) for each in errors]
        )


def _explanation(
    error: ErrorDetails, names: Collection[str], scalar: str | None
) -> InitErrorDetails:
    at, kind = error["loc"], error["type"]
    if kind == "extra_forbidden" and len(at) == 1:
        return InitErrorDetails(type=_said(unknown(str(at[0]), names)), loc=at, input=str(at[0]))
    at = at[1:] if scalar is not None and at[:1] == (scalar,) else at
    said = PydanticCustomError(
        "missing" if kind == "missing" else "policy", _DETAILS.get(kind, _without_prefix(error))
    )
    return InitErrorDetails(type=said, loc=at, input=error["input"])


_DETAILS: Mapping[str, Any] = {
    "missing": "is missing",
    "model_type": "is no object",
    "dict_type": "is no object",
    "list_type": "is no list",
    "tuple_type": "is no list",
    "too_short": "is empty",
    "string_type": "is no text: put it in quotes (on, off, yes and no mean true and false)",
}


def _without_prefix(error: ErrorDetails) -> Any:
    return error["msg"].removeprefix("Value error, ")


def _said(detail: Any) -> PydanticCustomError:
    return PydanticCustomError("policy", detail)
