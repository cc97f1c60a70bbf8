"""The dearest a token can be: what a card may charge at most in the situations a request allows.

Usage is not known before a call, so neither is which of a card's rates its tokens pay: plain,
cached, written to the cache, a service tier, a region, the price that begins at midnight. Each
token is paid once, at one of them, so the dearest one bounds them all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from common.llm.facts import CacheWrites
from common.llm.price_cards import Card, Daily, Terms, Validity
from common.llm.price_tariffs import (
    GRAINS_PER_ATTO,
    GRAINS_PER_NANO,
    REQUESTS,
    TOTAL_INPUT,
    Rates,
    Tiered,
    Unit,
)

LONGEST_CALL = timedelta(hours=1)
"""A price that begins while a call runs may be the one it is billed at."""

OUTPUT = "output_tokens"
_OTHER_THAN_TEXT = ("audio", "image", "video")
_PICTURES = frozenset({"output_image_tokens", "output_video_tokens"})
_LATER = frozenset({"processing"})
"""Context of what is answered later than its call, at other prices: no call selects it."""

Contexts: TypeAlias = tuple[tuple[str, frozenset[str]], ...]
"""By name of a context, the values that a reply may name; any value where the name is absent."""


class Situation(NamedTuple):
    """What a request leaves open about its rates."""

    contexts: Contexts = ()
    cache_writes: CacheWrites = "long"
    text_input: bool = False
    text_output: bool = False


class _Steps:
    """The dearest of some rates by total input, in grains for one."""

    __slots__ = ("_base", "_steps")

    def __init__(self, rates: Iterable[tuple[Tiered, int]]) -> None:
        self._base = 0
        self._steps: list[tuple[int, int]] = []
        for rate, grains in rates:
            self._base = max(self._base, rate.base * grains)
            self._steps += [(start, above * grains) for start, above in rate.tiers]

    def at(self, total_input: int) -> int:
        """Of each rate, every tier that so much input, or less, can reach."""
        dearest = self._base
        for start, above in self._steps:
            if start < total_input and above > dearest:
                dearest = above
        return dearest


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What units cost at most. None: the card does not price the unit.

    `pictures` means that the reply may hold images or video.
    """

    input: _Steps | None
    output: _Steps | None
    beside: Mapping[str, _Steps]
    pictures: bool

    @property
    def sells_tokens(self) -> bool:
        return self.input is not None or self.output is not None

    def nanos(
        self, input_tokens: int, output_tokens: int, fees: Mapping[str, int]
    ) -> tuple[int, str | None]:
        """The most that this usage costs, rounded up; and the unit that has no price, if any."""
        grains = self.beside[REQUESTS].at(input_tokens) if REQUESTS in self.beside else 0
        tokens = ((TOTAL_INPUT, self.input, input_tokens), (OUTPUT, self.output, output_tokens))
        for unit, steps, count in tokens:
            if steps is not None:
                grains += count * steps.at(input_tokens)
            elif count:
                return 0, unit
        for unit, count in fees.items():
            if not count:
                continue
            if unit not in self.beside:
                return 0, unit
            grains += count * self.beside[unit].at(input_tokens)
        return -(-grains // GRAINS_PER_NANO), None


def ceiling_of(card: Card, at: datetime, situation: Situation) -> Ceiling:
    """The dearest rates of a card for a call that arrives at this aware time."""
    terms = card.terms
    moment, days = at, None
    if terms.days:
        moment = at.astimezone(UTC)
        days = (moment.date(), (moment + LONGEST_CALL).date())
    key = (card.context_applies, days, situation)
    ceiling = terms.ceilings.get(key)
    if ceiling is None:
        ceiling = terms.ceilings[key] = _make(card, moment, situation)
    return ceiling


def _make(card: Card, moment: datetime, situation: Situation) -> Ceiling:
    terms = card.terms
    listed = [terms.prices[index].rates for index in _prices_in_reach(terms, moment)]
    factors = [(1, 1, frozenset[str]())]
    if card.context_applies:
        allowed = dict(situation.contexts)
        end = moment + LONGEST_CALL
        listed += [
            variant.rates
            for variant in terms.variants
            if _holds_soon(variant.validity, end) and _may_be(variant.when, allowed)
        ]
        factors += [
            (factor.numerator, factor.denominator, factor.units)
            for factor in terms.multipliers
            if _may_be(factor.when, allowed)
        ]
    dearest: dict[str, list[tuple[Tiered, int]]] = {}
    for unit, rate in _multiplied(listed, factors):
        dearest.setdefault(unit, []).append((rate, GRAINS_PER_ATTO // terms.units[unit].per))
    inputs: list[tuple[Tiered, int]] = []
    outputs: list[tuple[Tiered, int]] = []
    beside: dict[str, _Steps] = {}
    for name, rates in dearest.items():
        if _is_within(terms.units[name], TOTAL_INPUT):
            inputs += rates if _may_be_input(name, situation) else []
        elif _is_within(terms.units[name], OUTPUT):
            outputs += rates if not (situation.text_output and _is_other(name)) else []
        else:
            beside[name] = _Steps(rates)
    return Ceiling(
        input=_Steps(inputs) if TOTAL_INPUT in dearest else None,
        output=_Steps(outputs) if OUTPUT in dearest else None,
        beside=beside,
        pictures=not situation.text_output and not _PICTURES.isdisjoint(dearest),
    )


def _multiplied(
    listed: Iterable[Rates], factors: Sequence[tuple[int, int, frozenset[str]]]
) -> Iterator[tuple[str, Tiered]]:
    for rates in listed:
        for unit, rate in rates.items():
            for numerator, denominator, units in factors:
                if (numerator, denominator) == (1, 1) or unit in units:
                    yield unit, rate.times(numerator, denominator)


def _is_within(unit: Unit, whole: str) -> bool:
    return unit.name == whole or whole in unit.ancestors


def _may_be_input(name: str, situation: Situation) -> bool:
    if situation.text_input and _is_other(name):
        return False
    if "write" not in name or situation.cache_writes == "long":
        return True
    return situation.cache_writes == "short" and "_1h" not in name


def _is_other(name: str) -> bool:
    return any(kind in name for kind in _OTHER_THAN_TEXT)


def _may_be(when: Mapping[str, str], allowed: Mapping[str, frozenset[str]]) -> bool:
    """Whether a reply may name this context."""
    return not any(
        name in _LATER or (name in allowed and value not in allowed[name])
        for name, value in when.items()
    )


def _prices_in_reach(terms: Terms, moment: datetime) -> tuple[int, ...]:
    """Those in force when the call begins or ends; with times of day, all that have begun."""
    end = moment + LONGEST_CALL
    listed = enumerate(terms.prices)
    if any(isinstance(price.validity, Daily) for price in terms.prices):
        begun = (i for i, price in listed if i == 0 or _holds_soon(price.validity, end))
        return tuple(begun)
    return tuple(sorted({terms.price_in_force(moment), terms.price_in_force(end)}))


def _holds_soon(validity: Validity, end: datetime) -> bool:
    """Whether it is valid now, or may be before the call ends."""
    return validity is None or isinstance(validity, Daily) or validity.holds(end)
