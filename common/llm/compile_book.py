"""The public price list and our overlay, compiled into the book that `price_book` reads.

Imported by scripts and the `pricing` function only: genai-prices costs hundreds of milliseconds to
import. The same input gives the same bytes. A rate that is not a whole number of 10^-18 dollars, a
set of prices that cannot be told apart, an overlay entry that names something unknown or is no
longer needed: all refused here, by name, so that a book which exists can be trusted.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import combinations
from typing import Any

from genai_prices import types
from genai_prices.units import UnitDef, UnitRegistry
from genai_prices.validation import validate_ancestor_coverage, validate_join_coverage

from common.core.errors import InvalidInput
from common.llm.compile_overlay import lay_over
from common.llm.compile_rates import exact_rate
from common.llm.price_book import FORMAT
from common.llm.price_tariffs import GRAINS_PER_ATTO


def compile_book(
    providers: Sequence[types.Provider],
    units: Mapping[str, Mapping[str, Any]],
    overlay: Mapping[str, Any],
    sources: Mapping[str, Any],
    *,
    may_be_newer: bool = False,
) -> bytes:
    """The book, compressed.

    Args:
        providers: as genai-prices holds them.
        units: its raw unit definitions.
        overlay: the parsed `overlay.yaml`.
        sources: what all this was read from, kept in the book as it is.
        may_be_newer: the list, than the overlay: what it has caught up with is left to it then.

    Raises:
        InvalidInput: something cannot be priced exactly or does not fit; names what.
    """
    registry = UnitRegistry(units)
    listed = {each.id: each for each in providers}
    compiler = _Compiler(registry, listed)
    compiled = {each.id: compiler.provider(each) for each in providers}
    lay_over(compiled, overlay, registry, listed, may_be_newer=may_be_newer)
    head = {
        "format": FORMAT,
        "sources": dict(sources),
        "units": compiler.units(),
        "providers": list(compiled),
    }
    lines = (json.dumps(part, separators=(",", ":")) for part in (head, *compiled.values()))
    return zlib.compress("\n".join(lines).encode(), 9, wbits=31)


class _Compiler:
    def __init__(self, registry: UnitRegistry, providers: Mapping[str, types.Provider]) -> None:
        self._registry = registry
        self._providers = providers

    def units(self) -> dict[str, Any]:
        """Every unit with how it overlaps with the others, so that readers need no dimensions."""
        known = sorted(self._registry.units.values(), key=lambda unit: unit.usage_key)
        overlaps: dict[str, list[tuple[str, str]]] = {unit.usage_key: [] for unit in known}
        for left, right in combinations(known, 2):
            shared = self._registry.find_join(left, right)
            if shared and shared not in (left, right):
                overlaps[shared.usage_key].append((left.usage_key, right.usage_key))
        for unit in known:
            if GRAINS_PER_ATTO % unit.per:
                raise InvalidInput(f"Unit {unit.usage_key} is sold per {unit.per}: not exact.")
        return {
            name: {
                "per": unit.per,
                "within": sorted(self._registry.ancestor_usage_keys(name)),
                "overlaps": overlaps[name],
            }
            for name, unit in self._registry.units.items()
        }

    def provider(self, provider: types.Provider) -> dict[str, Any]:
        unknown = set(provider.fallback_model_providers or ()) - set(self._providers)
        if unknown:
            raise InvalidInput(f"{provider.id} falls back to unknown {', '.join(sorted(unknown))}.")
        return _without_empty(
            {
                "name": provider.name,
                "fallbacks": provider.fallback_model_providers,
                "models": [self._model(provider.id, model) for model in provider.models],
            }
        )

    def _model(self, provider: str, model: types.ModelInfo) -> dict[str, Any]:
        named = f"{provider}/{model.id}"
        prices = model.prices
        if isinstance(prices, types.ModelPrice):
            prices = [types.ConditionalPrice(prices=prices)]
        if not prices:
            raise InvalidInput(f"{named} has an empty list of prices.")
        variants = model.price_variants or []
        self._check_sets(named, prices, variants)
        return _without_empty(
            {
                "id": model.id,
                "name": model.name,
                "context_window": model.context_window,
                "match": _clause(named, model.match),
                "prices": [
                    {**_validity(price.constraint), "rates": self._rates(named, price.prices)}
                    for price in prices
                ],
                "variants": [
                    {
                        "when": variant.when,
                        **_validity(variant.constraint),
                        "rates": self._rates(named, variant.prices),
                    }
                    for variant in variants
                ],
            }
        )

    def _rates(self, named: str, prices: types.ModelPrice) -> dict[str, Any]:
        return {
            unit.usage_key: exact_rate(f"{named} {unit.usage_key}", price)
            for unit, price in self._priced(named, prices)
        }

    def _priced(
        self, named: str, prices: types.ModelPrice
    ) -> Iterator[tuple[UnitDef, Decimal | types.TieredPrices]]:
        for price_key, price in vars(prices).items():
            if price is None:
                continue
            try:
                yield self._registry.unit_for_price_key(price_key), price
            except KeyError as error:
                raise InvalidInput(f"{named} prices the unknown unit {price_key}.") from error

    def _check_sets(
        self,
        named: str,
        prices: Iterable[types.ConditionalPrice],
        variants: Iterable[types.PriceVariant],
    ) -> None:
        """Whatever variants meet, the units priced together can be told apart."""
        added = [self._priced_names(named, each.prices) for each in variants]
        for price in prices:
            listed = self._priced_names(named, price.prices)
            new = [units - listed for units in added if units - listed]
            for count in range(len(new) + 1):
                for together in combinations(new, count):
                    priced = listed.union(*together)
                    try:
                        validate_ancestor_coverage(priced, self._registry)
                        validate_join_coverage(priced, self._registry)
                    except ValueError as error:
                        raise InvalidInput(f"{named}: {error}") from error

    def _priced_names(self, named: str, prices: types.ModelPrice) -> set[str]:
        return {unit.usage_key for unit, _ in self._priced(named, prices)}


def _validity(
    constraint: types.StartDateConstraint | types.TimeOfDateConstraint | None,
) -> dict[str, Any]:
    if constraint is None:
        return {}
    if isinstance(constraint, types.StartDateConstraint):
        return {"since": constraint.start_date.isoformat()}
    return {"daily": [_utc(constraint.start_time), _utc(constraint.end_time)]}


def _utc(clock_time: time) -> str:
    """The time of day in UTC, where it is also the meaning of one without a zone."""
    zoned = clock_time if clock_time.tzinfo else clock_time.replace(tzinfo=UTC)
    return datetime.combine(date(1970, 1, 1), zoned).astimezone(UTC).time().isoformat()


def _clause(named: str, match: Any) -> dict[str, Any]:
    """A match clause in lower case, as names are when they are compared; patterns as they are."""
    if isinstance(match, types.ClauseOr):
        return {"or": [_clause(named, part) for part in match.or_]}
    if isinstance(match, types.ClauseAnd):
        return {"and": [_clause(named, part) for part in match.and_]}
    if isinstance(match, types.ClauseRegex):
        try:
            re.compile(match.regex)
        except re.error as error:
            raise InvalidInput(f"{named} matches by a wrong pattern: {error}.") from error
        return {"regex": match.regex}
    kind = _TEXT_CLAUSES.get(type(match))
    if kind is None:
        raise InvalidInput(f"{named} matches by the unknown clause {type(match).__name__}.")
    return {kind: getattr(match, kind).lower()}


_TEXT_CLAUSES = {
    types.ClauseEquals: "equals",
    types.ClauseStartsWith: "starts_with",
    types.ClauseEndsWith: "ends_with",
    types.ClauseContains: "contains",
}


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], "")}
