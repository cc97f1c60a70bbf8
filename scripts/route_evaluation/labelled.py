"""Requests that two models have answered, with what each answer was worth and what it cost.

A file has one line for each request and model. The two lines of a request are found by their
session and features; where several requests of a session have the same features, the first line of
one model goes with the first of the other, and so on. The model that costs more is the large one.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from common.core.money import Nanos
from common.routing.complexity import FEATURES

MOST_TOLD = 10
"""Lines that one error names."""


class Unusable(ValueError):
    """The file is none that rules can be judged by; the text names lines by their number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model's answer was worth, 0 to 1, and what it cost."""

    score: float
    nanos: Nanos


@dataclass(frozen=True, slots=True)
class Labelled:
    """One request with the outcomes of both models."""

    session: str
    features: Mapping[str, float]
    small: Outcome
    large: Outcome

    @property
    def needs_large(self) -> bool:
        """Whether the large model's answer was worth more."""
        return self.large.score > self.small.score


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """All requests of a file, and the names of its two models."""

    small: str
    large: str
    requests: tuple[Labelled, ...]


class Line(BaseModel):
    """One line: what a model's answer to a request was worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: Annotated[dict[str, FiniteFloat], Field(min_length=1)]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    score: Annotated[float, Field(ge=0, le=1)]
    cost_nanos: Annotated[int, Field(ge=0, strict=True)]
    session: Annotated[str, Field(min_length=1)]

    @field_validator("features")
    @classmethod
    def _are_known(cls, features: dict[str, float]) -> dict[str, float]:
        if unknown := features.keys() - FEATURES:
            known = ", ".join(sorted(FEATURES))
            raise ValueError(f"{', '.join(sorted(unknown))} is no feature: take {known}")
        return features


def read_labelled(lines: Iterable[str | bytes]) -> LabelledSet:
    """The requests of a file; empty lines count and say nothing.

    Raises:
        Unusable: what is wrong, and in which lines.
    """
    read: list[tuple[int, Line]] = []
    wrong: list[str] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            read.append((number, Line.model_validate(json.loads(text))))
        except ValidationError as error:
            wrong.append(f"line {number}: {_told(error)}")
        except (ValueError, RecursionError):
            wrong.append(f"line {number}: this is no JSON")
    _stop(wrong)
    small, large = _two_models(read)
    _stop(_other_features(read))
    return LabelledSet(small, large, _requests(read, small, large))


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'line'}: {each['msg'].removeprefix('Value error, ')}"
        for each in found
    )


def _stop(wrong: list[str]) -> None:
    if wrong:
        more = len(wrong) - MOST_TOLD
        told = "\n".join(wrong[:MOST_TOLD])
        raise Unusable(told + (f"\nand {more} more" if more > 0 else ""))


def _two_models(read: list[tuple[int, Line]]) -> tuple[str, str]:
    """The names, the cheaper one first."""
    costs = Counter[str]()
    for _, line in read:
        costs[line.model] += line.cost_nanos
    if len(costs) != 2:
        named = ", ".join(sorted(costs)[:MOST_TOLD]) or "none"
        raise Unusable(f"a structural choice is between two models, and the file has: {named}")
    one, other = sorted(costs)
    return (other, one) if costs[one] > costs[other] else (one, other)


def _other_features(read: list[tuple[int, Line]]) -> list[str]:
    first = read[0][1].features.keys()
    return [
        f"line {number}: features are not those of the first line ({', '.join(sorted(first))})"
        for number, line in read
        if line.features.keys() != first
    ]


def _requests(read: list[tuple[int, Line]], small: str, large: str) -> tuple[Labelled, ...]:
    by_request: dict[tuple[str, frozenset[tuple[str, float]]], dict[str, list[tuple[int, Line]]]]
    by_request = defaultdict(lambda: {small: [], large: []})
    for number, line in read:
        key = (line.session, frozenset(line.features.items()))
        by_request[key][line.model].append((number, line))
    found: list[tuple[int, Labelled]] = []
    alone: list[tuple[int, str]] = []
    for answers in by_request.values():
        paired = min(len(answers[small]), len(answers[large]))
        for (one, cheap), (two, dear) in zip(answers[small], answers[large], strict=False):
            request = Labelled(
                cheap.session,
                cheap.features,
                Outcome(cheap.score, cheap.cost_nanos),
                Outcome(dear.score, dear.cost_nanos),
            )
            found.append((min(one, two), request))
        for model, other in ((small, large), (large, small)):
            alone += [(number, other) for number, _ in answers[model][paired:]]
    _stop([f"line {n}: no line of {other} is for the same request" for n, other in sorted(alone)])
    return tuple(request for _, request in sorted(found, key=lambda each: each[0]))
