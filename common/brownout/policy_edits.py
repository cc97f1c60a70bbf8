"""The edits of a strategy as a policy writes them, one object each: ``{output_cap: 1024}``.

The words are closed: this is all that a mode can do to a call. `for` names the priorities that an
edit is meant for; it stands in the edit's own object if it has one, else beside its name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from common.brownout import units
from common.brownout.modes import PRIORITIES, Priority
from common.brownout.policy import (
    EVERYBODY,
    Admit,
    Edit,
    ModelMap,
    PlannedEdit,
    Retries,
    Shed,
    Strategy,
)
from common.brownout.policy_problems import Part, invalid, unknown, word_of
from common.llm.reductions.wanted import (
    EFFORTS,
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    WithoutServerTools,
)

MOST_OUTPUT = 1_000_000
MOST_RETRIES = 5

EDIT_NAMES: Mapping[type[Edit], str] = {
    StandardTier: "tier",
    OneCandidate: "candidates",
    EffortAtMost: "effort",
    EffortDown: "effort",
    OutputCap: "output_cap",
    LowVerbosity: "verbosity",
    Hint: "hint",
    LowMediaDetail: "media_detail",
    WithoutServerTools: "server_tools",
    ModelMap: "model",
    Admit: "admit",
    Shed: "shed",
    Retries: "retries",
}
"""How a policy calls each edit."""


def between(low: int, high: int) -> AfterValidator:
    """Take whole numbers of this range only."""

    def checked(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(
                f"must be {low}" if low == high else f"is not between {low} and {high}"
            )
        return value

    return AfterValidator(checked)


def defined(section: str) -> AfterValidator:
    """Take a name only if this section of the policy has it."""

    def checked(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(section, ())
        if name not in known:
            raise ValueError(f"{unknown(name, known)} (names of {section})")
        return name

    return AfterValidator(checked)


def one_of(*words: str) -> BeforeValidator:
    """Take these words only."""
    return BeforeValidator(word_of(words))


Count: TypeAlias = Annotated[int, BeforeValidator(units.count)]
Share: TypeAlias = Annotated[float, BeforeValidator(units.share)]
_Word: TypeAlias = Annotated[str, one_of(*PRIORITIES)]


class _Meant(Part):
    """What can be meant for some priorities only."""

    for_: Annotated[list[_Word] | None, Field(alias="for", min_length=1)] = None


class _EffortPart(_Meant):
    at_most: Annotated[str, one_of(*EFFORTS)] | None = None
    down: Annotated[Count, between(1, len(EFFORTS) - 1)] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "_EffortPart":
        if (self.at_most is None) == (self.down is None):
            raise ValueError("needs one of at_most and down")
        return self


class _ModelPart(_Meant):
    map: Annotated[str, defined("maps")]


class _AdmitPart(_Meant):
    share: Share


class _ShedPart(_Meant):
    pass


class EditPart(_Meant):
    """One edit."""

    tier: Annotated[str, one_of("standard")] | None = None
    candidates: Annotated[Count, between(1, 1)] | None = None
    effort: _EffortPart | None = None
    output_cap: Annotated[Count, between(1, MOST_OUTPUT)] | None = None
    verbosity: Annotated[str, one_of("low")] | None = None
    hint: Annotated[str, defined("hints")] | None = None
    media_detail: Annotated[str, one_of("low")] | None = None
    server_tools: Annotated[str, one_of("drop")] | None = None
    model: _ModelPart | None = None
    admit: _AdmitPart | None = None
    shed: _ShedPart | None = None
    retries: Annotated[Count, between(0, MOST_RETRIES)] | None = None

    @model_validator(mode="after")
    def _is_one_edit(self) -> "EditPart":
        named = self._named()
        if not named:
            raise ValueError(f"names no edit: write one of {', '.join(_MAKERS)}")
        if len(named) > 1:
            raise ValueError(f"names several edits ({', '.join(named)}): write an item for each")
        inner = getattr(self, named[0])
        if self.for_ is not None and isinstance(inner, _Meant):
            raise ValueError(f"has `for` in a wrong place: write it in {named[0]}")
        return self

    @property
    def name(self) -> str:
        return self._named()[0]

    @property
    def priorities(self) -> frozenset[Priority]:
        inner = getattr(self, self.name)
        words = inner.for_ if isinstance(inner, _Meant) else self.for_
        return EVERYBODY if words is None else frozenset(PRIORITIES[word] for word in words)

    def planned(self, hints: Mapping[str, str], maps: Mapping[str, ModelMap]) -> PlannedEdit:
        """The edit, with the hint and the map that it names."""
        make = _MAKERS[self.name]
        return PlannedEdit(make(getattr(self, self.name), hints, maps), self.priorities)

    def _named(self) -> Sequence[str]:
        return [name for name in _MAKERS if getattr(self, name) is not None]


def _effort(part: _EffortPart) -> Edit:
    if part.down is not None:
        return EffortDown(part.down)
    return EffortAtMost(next(each for each in EFFORTS if each == part.at_most))


_Maker: TypeAlias = Callable[[Any, Mapping[str, str], Mapping[str, ModelMap]], Edit]
_MAKERS: Mapping[str, _Maker] = {
    "tier": lambda _value, _hints, _maps: StandardTier(),
    "candidates": lambda _value, _hints, _maps: OneCandidate(),
    "effort": lambda part, _hints, _maps: _effort(part),
    "output_cap": lambda tokens, _hints, _maps: OutputCap(tokens),
    "verbosity": lambda _value, _hints, _maps: LowVerbosity(),
    "hint": lambda name, hints, _maps: Hint(hints[name]),
    "media_detail": lambda _value, _hints, _maps: LowMediaDetail(),
    "server_tools": lambda _value, _hints, _maps: WithoutServerTools(),
    "model": lambda part, _hints, maps: maps[part.map],
    "admit": lambda part, _hints, _maps: Admit(part.share),
    "shed": lambda _value, _hints, _maps: Shed(),
    "retries": lambda most, _hints, _maps: Retries(most),
}


def _each_once(edits: tuple[EditPart, ...]) -> tuple[EditPart, ...]:
    """Of two edits of one kind for the same call, neither would be the one."""
    seen: dict[tuple[str, Priority], int] = {}
    problems: list[tuple[tuple[int], Any, str]] = []
    for at, each in enumerate(edits):
        twice = [
            priority.word
            for priority in sorted(each.priorities, reverse=True)
            if seen.setdefault((each.name, priority), at) != at
        ]
        if twice:
            problems.append(((at,), each.name, f"stands twice for {' and '.join(twice)} calls"))
    invalid(problems)
    return edits


_Edits: TypeAlias = Annotated[tuple[EditPart, ...], AfterValidator(_each_once)]


class StrategyPart(Part):
    """The edits of each mode."""

    soft: _Edits = ()
    hard: _Edits = ()
    emergency: _Edits = ()

    def strategy(self, hints: Mapping[str, str], maps: Mapping[str, ModelMap]) -> Strategy:
        def planned(edits: tuple[EditPart, ...]) -> tuple[PlannedEdit, ...]:
            return tuple(each.planned(hints, maps) for each in edits)

        return Strategy(planned(self.soft), planned(self.hard), planned(self.emergency))


def strategy_data(strategy: Strategy, hints: Mapping[str, str]) -> dict[str, Any]:
    """The strategy as `StrategyPart` reads it."""
    names = {text: name for name, text in hints.items()}
    return {
        mode: [_edit_data(each, names) for each in edits]
        for mode, edits in (
            ("soft", strategy.soft),
            ("hard", strategy.hard),
            ("emergency", strategy.emergency),
        )
    }


def _edit_data(planned: PlannedEdit, hint_names: Mapping[str, str]) -> dict[str, Any]:
    value = _value(planned.edit, hint_names)
    data = {EDIT_NAMES[type(planned.edit)]: value}
    if planned.priorities != EVERYBODY:
        words = [each.word for each in sorted(planned.priorities, reverse=True)]
        (value if isinstance(value, dict) else data)["for"] = words
    return data


def _value(edit: Edit, hint_names: Mapping[str, str]) -> Any:
    value: Any
    match edit:
        case OutputCap(tokens=value) | Retries(most=value):
            pass
        case EffortAtMost(level=level):
            value = {"at_most": level}
        case EffortDown(steps=steps):
            value = {"down": steps}
        case Hint(text=text):
            value = hint_names[text]
        case ModelMap(name=name):
            value = {"map": name}
        case Admit(share=share):
            value = {"share": units.share_text(share)}
        case Shed():
            value = {}
        case _:
            value = _FIXED[type(edit)]
    return value


_FIXED: Mapping[type[Edit], str | int] = {
    StandardTier: "standard",
    OneCandidate: 1,
    LowVerbosity: "low",
    LowMediaDetail: "low",
    WithoutServerTools: "drop",
}
