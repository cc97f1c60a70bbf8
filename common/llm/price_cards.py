"""What one model costs, and when: a card holds the terms of a model and finds the rates in force.

Prices are dated or bound to a time of day, replaced unit by unit for calls with a certain context
(a batch, a service tier), and multiplied for others. The last valid price of the list counts, else
its first; of the variants that match, the first that prices a unit.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
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


def _holds(validity: Validity, moment: datetime) -> bool:
    return validity is None or validity.holds(moment)


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
    tariffs: dict[Hashable, Tariff] = field(default_factory=dict)
    """Made when first needed: few, by what of a context counts here and by what is in force."""
    ceilings: dict[Hashable, Any] = field(default_factory=dict)
    """Made when first needed, by `price_ceilings`: few, as what a request leaves open is."""
    contexts: frozenset[tuple[str, str]] = field(init=False)
    """All that its variants and multipliers ask for, by name and value."""
    days: Sequence[date] = field(init=False)
    """On which some of its rates begin, in order."""
    times: Sequence[time] = field(init=False)
    """At which some of its rates begin or end on any day, in order."""

    def __post_init__(self) -> None:
        whens = [*(each.when for each in self.variants), *(each.when for each in self.multipliers)]
        valid = [*(each.validity for each in self.prices), *(v.validity for v in self.variants)]
        daily = [each for each in valid if isinstance(each, Daily)]
        contexts = frozenset(pair for when in whens for pair in when.items())
        days = sorted({each.day for each in valid if isinstance(each, Since)})
        times = sorted({moment for each in daily for moment in (each.start, each.end)})
        object.__setattr__(self, "contexts", contexts)
        object.__setattr__(self, "days", days)
        object.__setattr__(self, "times", times)

    def tariff(self, at: datetime, context: Mapping[str, str]) -> Tariff:
        """The rates in force at this aware time for calls with this context."""
        moment = at.astimezone(UTC)
        key = (
            tuple([pair for pair in context.items() if pair in self.contexts]),
            bisect_right(self.days, moment.date()) if self.days else 0,
            bisect_right(self.times, moment.time()) if self.times else 0,
        )
        tariff = self.tariffs.get(key)
        if tariff is None:
            tariff = self.tariffs[key] = self._make(moment, context)
        return tariff

    def price_in_force(self, moment: datetime) -> int:
        """The last that is valid, else the first."""
        for index in range(len(self.prices) - 1, -1, -1):
            if _holds(self.prices[index].validity, moment):
                return index
        return 0

    def _make(self, moment: datetime, context: Mapping[str, str]) -> Tariff:
        rates = dict(self.prices[self.price_in_force(moment)].rates)
        for variant in reversed(self.variants):
            if _selects(variant.when, context) and _holds(variant.validity, moment):
                rates.update(variant.rates)
        factor = next((each for each in self.multipliers if _selects(each.when, context)), None)
        if factor is not None:
            rates = {
                unit: rate.times(factor.numerator, factor.denominator)
                if unit in factor.units
                else rate
                for unit, rate in rates.items()
            }
        return Tariff(rates, self.units, free=self.free)


def _selects(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return when.items() <= context.items()


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
        key = f"{self.provider}/{self.model}"
        return key if self.own is None else f"{key}+{self.own}"

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
        return self.context_applies and (name, value) in self.terms.contexts

    def _tariff(self, at: datetime, context: Mapping[str, str]) -> Tariff:
        return self.terms.tariff(at, context if self.context_applies else {})


def read_terms(
    raw: Mapping[str, Any], multipliers: Iterable[Mapping[str, Any]], units: Mapping[str, Unit]
) -> Terms:
    """The terms of one model of a compiled book, whose provider has these multipliers."""
    minimum = raw.get("minimum")
    return Terms(
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
