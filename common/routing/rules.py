"""The rules of an organisation: which of its calls go to which models, as somebody wrote them.

Rules stand in an order, and the first that matches a call decides. A rule says how its model is
chosen, and which models come next where that one fails. A model is named as a caller would name it:
``gpt-5-mini`` is the vendor's own name, and ``gemini/gemini-2.5-flash`` names its upstream too,
which calls in OpenAI's format can be sent to.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from common.core.errors import InvalidInput
from common.routing.complexity import FEATURES

MOST_RULES = 100
MOST_MODELS = 8
"""A call is sent to no more of them, one after the other."""
MOST_TOLD = 10
"""Problems that one answer names."""
MOST_TOKENS = 1_000_000_000

AUTO = "auto"
"""The name of a model that a caller leaves to the rules."""


def _is_no_auto(model: str) -> str:
    if model == AUTO:
        raise ValueError(f"{AUTO!r} is what calls name that leave their model to a rule: name one")
    return model


Glob: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
"""A name, with * for any text."""
ModelName: TypeAlias = Annotated[str, Field(pattern=r"^[!-~]{1,200}$"), AfterValidator(_is_no_auto)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Tokens: TypeAlias = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
Weight: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Feature: TypeAlias = Literal["tools", "pictures", "files", "sound", "video", "schema"]
"""What a request holds beside text: `schema` is an answer in a given form."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Part):
    """Which calls a rule is for. Everything that is named must hold; nothing named means all.

    `model` is the one that the caller asks for, `endpoint` a name such as ``chat.completions``.
    `input_tokens_from` and `input_tokens_to` (exclusive) count a quarter of a request's bytes.
    `budget_used_from`: of the tightest hard budget that applies, in percent.
    """

    team: Glob | None = None
    agent: Glob | None = None
    project: Glob | None = None
    tags: Mapping[str, Glob] = Field(default_factory=dict)
    model: Glob | None = None
    endpoint: Glob | None = None
    stream: bool | None = None
    has: frozenset[Feature] = frozenset()
    lacks: frozenset[Feature] = frozenset()
    input_tokens_from: Tokens = 0
    input_tokens_to: Tokens | None = None
    budget_used_from: Percent = 0

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if both := self.has & self.lacks:
            raise ValueError(f"no call both has and lacks {', '.join(sorted(both))}")
        if self.input_tokens_to is not None and self.input_tokens_to <= self.input_tokens_from:
            raise ValueError("input_tokens_to must be above input_tokens_from")
        return self


class Step(_Part):
    """One step of a ladder: its model serves until so much of the tightest hard budget is used."""

    model: ModelName
    until: Percent


class Structural(_Part):
    """A choice between two models by the form of a request, not by what it says.

    `large` serves where the logistic of `intercept` and the weighted features (see
    `common/routing/complexity.py`) is at least `threshold`.
    """

    small: ModelName
    large: ModelName
    intercept: Finite
    weights: Annotated[Mapping[str, Finite], Field(min_length=1)]
    threshold: Annotated[Finite, Field(gt=0, lt=1)] = 0.5

    @field_validator("weights")
    @classmethod
    def _names_features(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        if unknown := weights.keys() - FEATURES:
            known = ", ".join(sorted(FEATURES))
            raise ValueError(f"{', '.join(sorted(unknown))} is no feature: take {known}")
        return weights


class Use(_Part):
    """How the model is chosen: in exactly one of these ways.

    `cheapest` compares what the call is expected to cost; `weighted` draws, and a session keeps
    what it drew; a `ladder` steps down as a budget is used up.
    """

    fixed: ModelName | None = None
    cheapest: Annotated[
        tuple[ModelName, ...] | None, Field(min_length=2, max_length=MOST_MODELS)
    ] = None
    weighted: Annotated[
        Mapping[ModelName, Weight] | None, Field(min_length=2, max_length=MOST_MODELS)
    ] = None
    ladder: Annotated[tuple[Step, ...] | None, Field(min_length=2, max_length=MOST_MODELS)] = None
    structural: Structural | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        named = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(named) != 1:
            ways = ", ".join(type(self).model_fields)
            raise ValueError(f"choose in exactly one of these ways: {ways}")
        return self

    @field_validator("ladder")
    @classmethod
    def _steps_down(cls, steps: tuple[Step, ...] | None) -> tuple[Step, ...] | None:
        ends = [step.until for step in steps or ()]
        if ends != sorted(set(ends)):
            raise ValueError("each step must serve until more of the budget is used")
        return steps

    @property
    def models(self) -> tuple[str, ...]:
        """All that may be chosen, in the order they are written."""
        if self.fixed is not None:
            return (self.fixed,)
        if self.structural is not None:
            return (self.structural.small, self.structural.large)
        if self.ladder is not None:
            return tuple(step.model for step in self.ladder)
        return self.cheapest or tuple(self.weighted or ())


class Rule(_Part):
    """One rule. In `shadow` it chooses and is recorded, and the call goes where it would have gone.

    A structural choice stays in shadow until `report` says what it is worth: the output of
    `scripts/route_eval`, or where that is kept.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
    match: Match = Field(default_factory=Match)
    use: Use
    fallbacks: Annotated[tuple[ModelName, ...], Field(max_length=MOST_MODELS)] = ()
    shadow: bool = False
    report: Annotated[str, Field(max_length=2_000)] = ""

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if self.use.structural is not None and not self.shadow and not self.report.strip():
            raise ValueError(
                "a structural choice stays in shadow until it has a report of scripts/route_eval"
            )
        return self


class RouteTable(_Part):
    """The rules of one organisation, in order."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=MOST_RULES)] = ()

    @field_validator("rules")
    @classmethod
    def _are_named_apart(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        twice = [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]
        if twice:
            raise ValueError(f"two rules are named {twice[0]}")
        return rules

    @property
    def reads_budgets(self) -> bool:
        """Whether some rule asks how much of a budget is used."""
        return any(
            rule.match.budget_used_from or rule.use.ladder is not None for rule in self.rules
        )

    @property
    def compares_costs(self) -> bool:
        """Whether some rule takes the cheapest model."""
        return any(rule.use.cheapest is not None for rule in self.rules)

    def to_data(self) -> dict[str, Any]:
        """As JSON has it, without what says nothing."""
        return self.model_dump(mode="json", exclude_defaults=True)


def read_table(data: Mapping[str, Any]) -> RouteTable:
    """The table that somebody wrote.

    Raises:
        InvalidInput: it is none; names everything that is wrong with it, up to `MOST_TOLD`.
    """
    try:
        return RouteTable.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = [_told(each["loc"], each["msg"]) for each in problems[:MOST_TOLD]]
        more = len(problems) - len(told)
        raise InvalidInput(
            "; ".join(told) + (f"; and {more} more" if more > 0 else ""), field="rules"
        ) from None


def _told(place: tuple[int | str, ...], message: str) -> str:
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return f"{path or 'rules'}: {message.removeprefix('Value error, ')}"
