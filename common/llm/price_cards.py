"""What one model costs, and when: a card holds the terms of a model and finds the rates in force.

Prices are dated or bound to a time of day, replaced unit by unit for calls with a certain context
(a batch, a service tier), and multiplied for others. The last valid price of the list counts, else
its first; of the variants that match, the first that prices a unit.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from common.llm.capabilities import ModelCaps
from common.llm.price_tariffs import Rate, Rates, Tariff, Unit, read_rates


@dataclass(frozen=True, slots=True)
class Since:
    """From the start of this UTC day on."""

    day: date

    def holds(self, moment: datetime) -> bool:
        return moment.date() >= self.day


@dataclass(frozen=True, slots=True)
class Daily:
    """From `start` to before `end`, UTC, over midnight where `end` is earlier."""

    start: time
    end: time

    def holds(self, moment: datetime) -> bool:
        now = moment.time()
        if self.end < self.start:
            return now >= self.start or now < self.end
        return self.start <= now < self.end


Validity: TypeAlias = Since | Daily | None


def _read_validity(raw: Mapping[str, Any]) -> Validity:
    if "since" in raw:
        return Since(date.fromisoformat(raw["since"]))
    if "daily" in raw:
        start, end = raw["daily"]
        return Daily(time.fromisoformat(start), time.fromisoformat(end))
    return None


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Rates and when they are valid."""

    validity: Validity
    rates: Rates


@dataclass(frozen=True, slots=True)
class Variant:
    """Rates that replace those of the list for calls with this context."""

    when: Mapping[str, str]
    validity: Validity
    rates: Rates


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A factor on the rates of `units` for calls with this context."""

    when: Mapping[str, str]
    units: frozenset[str]
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Minimum:
    """At least so much is billed of what `units` name, which all mean the same thing."""

    units: tuple[str, ...]
    at_least: int

    def raise_counts(self, usage: Mapping[str, int]) -> Mapping[str, int]:
        reported = [usage[unit] for unit in self.units if unit in usage]
        if not reported:
            return usage
        count = next((count for count in reported if count), 0)
        billed = max(count, self.at_least) if count > 0 else count
        return {**usage, **dict.fromkeys(self.units, billed)}


@dataclass(frozen=True, slots=True)
class Terms:
    """All that the price of a model depends on."""

    units: Mapping[str, Unit]
    prices: tuple[ListPrice, ...]
    variants: tuple[Variant, ...]
    multipliers: tuple[Multiplier, ...]
    minimum: Minimum | None
    free: bool
    tariffs: dict[tuple[int, tuple[int, ...], int], Tariff] = field(default_factory=dict)
    """Made when first needed. A card has few: contexts count only where they meet a variant."""
    ceilings: dict[Hashable, Any] = field(default_factory=dict)
    """Made when first needed, by `price_ceilings`: few, as what a request leaves open is."""
    changes: bool = False
    """Whether any of its rates begins on some day."""

    def tariff(self, at: datetime, context: Mapping[str, str]) -> Tariff:
        key: tuple[int, tuple[int, ...], int] = (0, (), -1)
        if context or len(self.prices) > 1:
            moment = at.astimezone(UTC)
            key = (self.price_in_force(moment), *self._matching(moment, context))
        tariff = self.tariffs.get(key)
        if tariff is None:
            tariff = self.tariffs[key] = self._make(*key)
        return tariff

    def price_in_force(self, moment: datetime) -> int:
        """The last that is valid, else the first."""
        for index in range(len(self.prices) - 1, -1, -1):
            validity = self.prices[index].validity
            if validity is None or validity.holds(moment):
                return index
        return 0

    def _matching(
        self, moment: datetime, context: Mapping[str, str]
    ) -> tuple[tuple[int, ...], int]:
        """The variants and the first multiplier (-1: none) that this context selects."""
        if not context:
            return (), -1
        variants = tuple(
            index
            for index, variant in enumerate(self.variants)
            if (variant.validity is None or variant.validity.holds(moment))
            and _selects(variant.when, context)
        )
        multiplier = next(
            (i for i, factor in enumerate(self.multipliers) if _selects(factor.when, context)), -1
        )
        return variants, multiplier

    def _make(self, price: int, variants: tuple[int, ...], multiplier: int) -> Tariff:
        rates = dict(self.prices[price].rates)
        for index in reversed(variants):
            rates.update(self.variants[index].rates)
        if multiplier >= 0:
            factor = self.multipliers[multiplier]
            rates = {
                unit: rate.times(factor.numerator, factor.denominator)
                if unit in factor.units
                else rate
                for unit, rate in rates.items()
            }
        return Tariff(rates, self.units, free=self.free)


def _selects(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return all(context.get(name) == value for name, value in when.items())


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """The price of one model of one provider's list.

    `provider` is the one whose list it stands on. A provider that sells another's models at that
    one's prices has no say in its variants: `context_applies` is False on such a card. `own` names
    the rates of an organisation that stand on it instead of the list's.
    """

    provider: str
    model: str
    name: str | None
    caps: ModelCaps
    context_applies: bool
    terms: Terms = field(repr=False)
    own: str | None = None

    @property
    def key(self) -> str:
        """``provider/model``, and behind a plus the organisation's own rates where they count."""
        of_own = "" if self.own is None else f"+{self.own}"
        return f"{self.provider}/{self.model}{of_own}"

    @property
    def context_window(self) -> int | None:
        return self.caps.context_window

    @property
    def priced(self) -> bool:
        """Whether calls have a price: rates, or none because they are free."""
        return self.terms.free or any(price.rates for price in self.terms.prices)

    def cost(
        self, usage: Mapping[str, int], at: datetime, context: Mapping[str, str]
    ) -> tuple[int, str | None]:
        """Grains for one call at this model, and the reason if they are not its whole cost."""
        if self.terms.minimum:
            usage = self.terms.minimum.raise_counts(usage)
        return self._tariff(at, context).cost(usage)

    def rates(self, at: datetime, context: Mapping[str, str]) -> list[Rate]:
        """The rates in force at this aware time for calls with this context."""
        return self._tariff(at, context).listed(self.terms.units)

    def has_variant(self, name: str, value: str) -> bool:
        """Whether the card knows this value of the context: it has rates or a factor for it.

        An organisation's own rates hold for all calls, whatever their context.
        """
        if self.own is not None:
            return True
        known: list[Mapping[str, str]] = [variant.when for variant in self.terms.variants]
        known += [factor.when for factor in self.terms.multipliers]
        return self.context_applies and any(when.get(name) == value for when in known)

    def _tariff(self, at: datetime, context: Mapping[str, str]) -> Tariff:
        return self.terms.tariff(at, context if self.context_applies else {})


def read_terms(
    raw: Mapping[str, Any], multipliers: Iterable[Mapping[str, Any]], units: Mapping[str, Unit]
) -> Terms:
    """The terms of one model of a compiled book, whose provider has these multipliers."""
    minimum = raw.get("minimum")
    dated = (*raw["prices"], *raw.get("variants", ()))
    return Terms(
        changes=any("since" in each for each in dated),
        units=units,
        prices=tuple(
            ListPrice(_read_validity(price), read_rates(price["rates"])) for price in raw["prices"]
        ),
        variants=tuple(
            Variant(variant["when"], _read_validity(variant), read_rates(variant["rates"]))
            for variant in raw.get("variants", ())
        ),
        multipliers=tuple(
            Multiplier(factor["when"], frozenset(factor["units"]), *factor["factor"])
            for index, factor in enumerate(multipliers)
            if index not in raw.get("without", ())
        ),
        minimum=Minimum(tuple(minimum["units"]), minimum["at_least"]) if minimum else None,
        free=raw.get("free", False),
    )
