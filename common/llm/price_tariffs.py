"""Usage into money, exactly, at one set of rates.

A provider reports overlapping counts: `input_tokens` holds the cached ones, those hold the cached
audio. A tariff prices some units, and each token is paid once, as the most specific priced unit
that holds it: every priced unit is charged for its count less what its priced parts were charged
for. A count that contradicts that (more cached than input, a part without its whole) is refused
with a reason and never guessed. So is a count that nothing prices: unpriced is not free.

All arithmetic is in grains, an integer fraction of 10^-18 dollars that the `per` of every unit
divides, so that any number of lines is summed exactly and rounded once, by whoever asks for nanos.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

ATTOS_PER_USD = 10**18
"""Rates are integers of 10^-18 dollars: list prices carry up to 18 decimals."""

GRAINS_PER_ATTO = 9_000_000_000
"""Divisible by what units are sold by: 1, 1,000, a million, 10^9, and the seconds of an hour."""

GRAINS_PER_NANO = GRAINS_PER_ATTO * 10**9

TOTAL_INPUT = "input_tokens"
"""The count that selects a tier."""

REQUESTS = "requests"
"""Counts one per priced line; nobody reports it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A thing that is counted, and how it overlaps with others.

    `ancestors` hold it, `descendants` are parts of it, `overlaps` are pairs of other units whose
    common part it is (audio tokens and cached tokens: cached audio tokens).
    """

    name: str
    per: int
    ancestors: frozenset[str]
    descendants: frozenset[str]
    overlaps: tuple[tuple[str, str], ...]


def read_units(raw: Mapping[str, Any]) -> dict[str, Unit]:
    """The units of a compiled book, in its order."""
    descendants: dict[str, set[str]] = {name: set() for name in raw}
    for name, unit in raw.items():
        for ancestor in unit["within"]:
            descendants[ancestor].add(name)
    return {
        name: Unit(
            name=name,
            per=unit["per"],
            ancestors=frozenset(unit["within"]),
            descendants=frozenset(descendants[name]),
            overlaps=tuple((left, right) for left, right in unit["overlaps"]),
        )
        for name, unit in raw.items()
    }


@dataclass(frozen=True, slots=True)
class Tiered:
    """A rate in attos for `per` of a unit, and those above so many total input tokens.

    A tier is a cliff: the last whose start is exceeded prices every token.
    """

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def times(self, numerator: int, denominator: int) -> "Tiered":
        return Tiered(
            self.base * numerator // denominator,
            tuple((start, rate * numerator // denominator) for start, rate in self.tiers),
        )

    def at(self, total_input: int) -> int:
        for start, rate in reversed(self.tiers):
            if total_input > start:
                return rate
        return self.base


Rates: TypeAlias = Mapping[str, Tiered]


def read_rates(raw: Mapping[str, Any]) -> dict[str, Tiered]:
    return {
        unit: Tiered(rate)
        if isinstance(rate, int)
        else Tiered(rate[0], tuple((start, above) for start, above in rate[1:]))
        for unit, rate in raw.items()
    }


@dataclass(frozen=True, slots=True)
class RateTier:
    """Above so many total input tokens all of the unit cost `usd`."""

    above: int
    usd: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A price as people read it: exact dollars, as text, for `per` of the unit."""

    unit: str
    per: int
    usd: str
    tiers: tuple[RateTier, ...]


def exact_usd(attos: int) -> str:
    """Dollars with as many decimals as the price has: ``0.0000003``, ``15``."""
    whole, rest = divmod(attos, ATTOS_PER_USD)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")


class _InvalidUsage(Exception):
    def __init__(self, unit: str) -> None:
        super().__init__(unit)
        self.unit = unit


def _positive_units(usage: Mapping[str, int]) -> set[str]:
    positive = set()
    for name, count in usage.items():
        if type(count) is not int or count < 0:
            raise _InvalidUsage(name)
        if count:
            positive.add(name)
    return positive


def _check_absent(unit: Unit, positive: set[str]) -> None:
    """Refuse a usage without this unit whose other counts say that there is some of it."""
    if not unit.descendants.isdisjoint(positive):
        raise _InvalidUsage(unit.name)
    for left, right in unit.overlaps:
        if left in positive and right in positive:
            raise _InvalidUsage(unit.name)


class _Charge(NamedTuple):
    """One priced unit, with its rate in grains for one of it."""

    unit: Unit
    rate: Tiered
    priced_parts: tuple[str, ...]


class Tariff:
    """The rates in force for one moment and context, arranged for pricing."""

    __slots__ = ("_charges", "_covered", "_per_request", "_tier_unit", "rates")

    def __init__(self, rates: Rates, units: Mapping[str, Unit], *, free: bool) -> None:
        self.rates = rates
        grains = {
            name: rate.times(GRAINS_PER_ATTO // units[name].per, 1) for name, rate in rates.items()
        }
        requests = grains.pop(REQUESTS, Tiered(0))
        self._per_request = requests
        # Parts come before what holds them: a descendant has all the ancestors of its ancestor.
        ordered = sorted(grains, key=lambda name: (-len(units[name].ancestors), name))
        self._charges = tuple(
            _Charge(
                unit=units[name],
                rate=grains[name],
                priced_parts=tuple(part for part in ordered if part in units[name].descendants),
            )
            for name in ordered
        )
        tiered = requests.tiers or any(charge.rate.tiers for charge in self._charges)
        self._tier_unit = units[TOTAL_INPUT] if tiered else None
        self._covered = frozenset(
            name
            for name, unit in units.items()
            if free or name in grains or not unit.ancestors.isdisjoint(grains)
        )

    def cost(self, usage: Mapping[str, int]) -> tuple[int, str | None]:
        """Grains, and why they are not the whole cost, or None if they are.

        Counts are non-negative integers. A usage that contradicts itself costs 0 with a reason.
        """
        try:
            positive = _positive_units(usage)
            grains = self._charged(usage, positive)
        except _InvalidUsage as error:
            return 0, f"invalid_usage:{error.unit}"
        if positive <= self._covered:
            return grains, None
        unknown = next(name for name in usage if name in positive and name not in self._covered)
        return grains, f"unknown_unit:{unknown}"

    def _charged(self, usage: Mapping[str, int], positive: set[str]) -> int:
        total_input = 0
        if self._tier_unit:
            if TOTAL_INPUT not in usage:
                _check_absent(self._tier_unit, positive)
            total_input = usage.get(TOTAL_INPUT, 0)
        grains = self._per_request.at(total_input)
        charged: dict[str, int] = {}
        for unit, rate, priced_parts in self._charges:
            count = usage.get(unit.name)
            if count is None:
                _check_absent(unit, positive)
                continue
            for part in priced_parts:
                count -= charged.get(part, 0)
            if count < 0:
                raise _InvalidUsage(unit.name)
            charged[unit.name] = count
            grains += count * (rate.at(total_input) if rate.tiers else rate.base)
        return grains

    def listed(self, units: Mapping[str, Unit]) -> list[Rate]:
        """The rates as people read them, in the order of the book's units."""
        return [
            Rate(
                unit=name,
                per=unit.per,
                usd=exact_usd(self.rates[name].base),
                tiers=tuple(
                    RateTier(start, exact_usd(rate)) for start, rate in self.rates[name].tiers
                ),
            )
            for name, unit in units.items()
            if name in self.rates
        ]
