"""What the public price list lacks, written into the compiled providers.

Every entry names its source. One that names something unknown, or that the list has caught up with,
is refused, so that none outlives its reason. Where a newer list than the one that the overlay was
written for is compiled, what it knows by itself counts instead: another name, a rate, a price of
what was free. Limits may repeat the list: the larger figure counts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Self

from genai_prices import types
from genai_prices.units import UnitRegistry
from genai_prices.validation import validate_ancestor_coverage, validate_join_coverage
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.core.errors import InvalidInput
from common.llm.compile_rates import all_attos, exact_attos


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str
    source: str = Field(min_length=1)


class _Multiplier(_Entry):
    when: dict[str, str] = Field(min_length=1)
    factor: Decimal = Field(gt=0)
    family: str
    without: list[str] = []
    """Models that no call with this context reaches."""


class _Alias(_Entry):
    name: str
    model: str


class _Moving(_Entry):
    name: str
    models: list[str] = Field(min_length=1)


class _Prefix(_Entry):
    prefix: str = Field(min_length=1)


class _Minimum(_Entry):
    models: list[str] = Field(min_length=1)
    units: list[str] = Field(min_length=1)
    at_least: int = Field(gt=0)


class _Free(_Entry):
    models: list[str] = Field(min_length=1)


class _Rates(_Entry):
    models: list[str] = Field(min_length=1)
    usd: dict[str, Decimal] = Field(min_length=1)
    """By unit, for as many of it as the list sells it by: tokens by the million."""


class _Pictures(BaseModel):
    """What pictures of a model take, as `picture_tokens` reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sizes: dict[str, dict[str, int]] = {}
    grids: dict[str, int] = {}
    most_pixels: int = Field(default=0, ge=0)
    partial: int = Field(ge=0)
    shown: int = Field(gt=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.sizes) == bool(self.grids) or bool(self.grids) != bool(self.most_pixels):
            raise ValueError("pictures need sizes, or grids and most_pixels")
        return self


class _Limit(_Entry):
    models: list[str] = Field(min_length=1)
    context_window: int | None = Field(default=None, gt=0)
    max_output: int | None = Field(default=None, gt=0)
    runs_tools: str | None = None
    pictures: _Pictures | None = None


class Overlay(BaseModel):
    """What the overlay may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rates: list[_Rates] = []
    multipliers: list[_Multiplier] = []
    aliases: list[_Alias] = []
    moving: list[_Moving] = []
    prefixes: list[_Prefix] = []
    minimums: list[_Minimum] = []
    free: list[_Free] = []
    limits: list[_Limit] = []

    def entries(self) -> Iterator[_Entry]:
        """All of them, rates first: factors are checked against those too."""
        for name in type(self).model_fields:
            yield from getattr(self, name)


def lay_over(
    compiled: dict[str, Any],
    overlay: Mapping[str, Any],
    registry: UnitRegistry,
    providers: Mapping[str, types.Provider],
    *,
    may_be_newer: bool = False,
) -> None:
    """Write the overlay's entries into the compiled providers.

    Args:
        compiled: what the list says, changed here.
        overlay: what it lacks.
        registry: its units.
        providers: the list itself.
        may_be_newer: than the overlay; what the list has caught up with is left to the list then.

    Raises:
        InvalidInput: the overlay is wrong or does not fit the list; names the entry.
    """
    try:
        checked = Overlay.model_validate(overlay)
    except ValidationError as error:
        raise InvalidInput(f"The price overlay is wrong: {error}", field="overlay") from error
    for entry in checked.entries():
        if entry.provider not in providers:
            raise InvalidInput(f"The overlay names the unknown provider {entry.provider}.")
    layer = _Layer(compiled, registry, providers, may_be_newer=may_be_newer)
    for entry in checked.entries():
        layer.add(entry)


class _Layer:
    def __init__(
        self,
        compiled: dict[str, Any],
        registry: UnitRegistry,
        providers: Mapping[str, types.Provider],
        *,
        may_be_newer: bool,
    ) -> None:
        self._may_be_newer = may_be_newer
        self._compiled = compiled
        self._registry = registry
        self._providers = providers

    def add(self, entry: _Entry) -> None:
        match entry:
            case _Rates():
                self._add_rates(entry)
            case _Multiplier():
                self._multiply(entry)
            case _Alias():
                self._add_alias(entry)
            case _Moving():
                self._add_moving(entry)
            case _Prefix():
                provider = self._compiled[entry.provider]
                provider.setdefault("prefixes", []).append(entry.prefix)
            case _Minimum():
                self._set_minimum(entry)
            case _Free():
                self._set_free(entry)
            case _Limit():
                self._set_limits(entry)

    def _add_rates(self, entry: _Rates) -> None:
        self._check_units(entry.provider, list(entry.usd))
        for model in self._named(entry, entry.models):
            named = f"{entry.provider}/{model['id']}"
            if model.get("variants"):
                raise InvalidInput(f"{named} has variants: its rates cannot be added to.")
            added = {unit: exact_attos(f"{named} {unit}", usd) for unit, usd in entry.usd.items()}
            for price in model["prices"]:
                known = sorted(set(price["rates"]) & set(added))
                if known and not self._may_be_newer:
                    raise InvalidInput(f"The price list prices {named} {known[0]}: drop the rate.")
                price["rates"] = {**price["rates"], **added, **price["rates"]}
                try:
                    validate_ancestor_coverage(set(price["rates"]), self._registry)
                    validate_join_coverage(set(price["rates"]), self._registry)
                except ValueError as error:
                    raise InvalidInput(f"{named}: {error}") from error

    def _multiply(self, factor: _Multiplier) -> None:
        units = [
            name
            for name, unit in self._registry.units.items()
            if unit.dimensions.get("family") == factor.family
        ]
        self._check_units(f"{factor.provider} family {factor.family}", units)
        ratio = Fraction(factor.factor)
        provider = self._compiled[factor.provider]
        for model in provider["models"]:
            for rates in (each["rates"] for each in model["prices"] + model.get("variants", [])):
                for unit in set(rates) & set(units):
                    if any(attos % ratio.denominator for attos in all_attos(rates[unit])):
                        named = f"{factor.provider}/{model['id']} {unit}"
                        raise InvalidInput(f"{named} times {factor.factor} is not exact.")
        factors = provider.setdefault("multipliers", [])
        for model in self._named(factor, factor.without):
            model.setdefault("without", []).append(len(factors))
        factors.append({"when": factor.when, "units": units, "factor": ratio.as_integer_ratio()})

    def _add_alias(self, alias: _Alias) -> None:
        if self._found(alias.provider, alias.name):
            if self._may_be_newer:
                return
            raise InvalidInput(
                f"The price list knows {alias.provider}/{alias.name}: drop the alias."
            )
        target = self._found(alias.provider, alias.model)
        if target is None or target.id != alias.model:
            raise InvalidInput(f"{alias.provider}/{alias.name} stands for unknown {alias.model}.")
        provider = self._compiled[alias.provider]
        provider.setdefault("aliases", {})[alias.name.lower()] = alias.model.lower()

    def _add_moving(self, moving: _Moving) -> None:
        for model in moving.models:
            found = self._found(moving.provider, model)
            if found is None or found.id != model:
                raise InvalidInput(f"{moving.provider}/{moving.name} moves to unknown {model}.")
        if self._found(moving.provider, moving.name) is None:
            raise InvalidInput(f"The price list does not know {moving.provider}/{moving.name}.")
        names = [model.lower() for model in moving.models]
        self._compiled[moving.provider].setdefault("moving", {})[moving.name.lower()] = names

    def _set_minimum(self, minimum: _Minimum) -> None:
        self._check_units(minimum.provider, minimum.units)
        for model in self._named(minimum, minimum.models):
            model["minimum"] = {"units": minimum.units, "at_least": minimum.at_least}

    def _set_free(self, free: _Free) -> None:
        for model in self._named(free, free.models):
            if not any(price["rates"] for price in model["prices"]):
                model["free"] = True
            elif not self._may_be_newer:
                raise InvalidInput(f"{free.provider}/{model['id']} has prices: it is not free.")

    def _set_limits(self, limit: _Limit) -> None:
        for model in self._named(limit, limit.models):
            for name in ("context_window", "max_output"):
                known, found = model.get(name), getattr(limit, name)
                if found is not None:
                    model[name] = max(found, known or 0)
            if limit.runs_tools is not None:
                model["runs_tools"] = limit.runs_tools
            if limit.pictures is not None:
                model["pictures"] = limit.pictures.model_dump(exclude_defaults=True)

    def _found(self, provider: str, name: str) -> types.ModelInfo | None:
        everyone = list(self._providers.values())
        return self._providers[provider].find_model(name, all_providers=everyone)

    def _named(self, entry: _Entry, patterns: Iterable[str]) -> Iterator[dict[str, Any]]:
        for pattern in patterns:
            found = [
                model
                for model in self._compiled[entry.provider]["models"]
                if fnmatchcase(model["id"], pattern)
            ]
            if not found and not (self._may_be_newer and _only_adds(entry)):
                named = f"{entry.provider}/{pattern}"
                raise InvalidInput(f"The overlay names the unknown model {named}.")
            yield from found

    def _check_units(self, named: str, units: Sequence[str]) -> None:
        unknown = set(units) - set(self._registry.units)
        if unknown or not units:
            raise InvalidInput(f"{named}: no such unit: {', '.join(sorted(unknown)) or 'any'}.")


def _only_adds(entry: _Entry) -> bool:
    """Whether a model without it is priced or bounded less, and never too low.

    Under another name it might be the same model, which still costs what an entry says.
    """
    if isinstance(entry, _Limit):
        return entry.runs_tools is None
    return isinstance(entry, _Rates | _Free)
