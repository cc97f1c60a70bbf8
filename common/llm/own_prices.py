"""What an organisation pays instead of the list's price: its own rates, laid over a price book.

A rate states what is paid for a unit in every call, whatever its tier, region or length. Of rates
that were negotiated, a unit that they do not name is paid as a part of what holds it (cached input
as input), or, where nothing of theirs holds it, by the list. Rates of own machines are all there
is. Without any rate nothing is charged.

A name is matched as a call or a reply has it, and by the id of the list's card that it leads to. So
the name that is held and another spelling of it in the reply pay the same.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256

from common.llm.capabilities import ModelCaps
from common.llm.price_cards import Card, ListPrice, Multiplier, Terms, Variant
from common.llm.price_tariffs import Rates, Tiered, Unit

_WILD = re.compile(r"[*?\[]")
_DATE_AT_END = re.compile(r"[-@](20\d{2}-?\d{2}-?\d{2}|\d{4})$")
_CARDS_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """Own rates for the models of a provider.

    `tag` names them and their content. `model` is a lower-case name, or a pattern with ``*``.
    `rates` are attos for what the list sells the unit by; none: free of charge. `over_list` says
    that the list's price counts for what they do not cover.
    """

    tag: str
    provider: str
    model: str
    rates: Mapping[str, int]
    over_list: bool
    of_one: bool = True
    """Of one organisation, which comes before what is for all."""

    @property
    def is_pattern(self) -> bool:
        return _WILD.search(self.model) is not None

    def matches(self, names: Iterable[str]) -> bool:
        if self.is_pattern:
            return any(fnmatchcase(name, self.model) for name in names)
        return self.model in names

    def may_match_dated(self, name: str) -> bool:
        """Whether a dated name of this model may be meant, as replies have it."""
        if self.is_pattern:
            return _WILD.split(self.model, maxsplit=1)[0].startswith(name)
        return undated(self.model) == name


def undated(name: str) -> str:
    """A model's name without the day at its end: ``gpt-4o-2024-08-06`` is ``gpt-4o``."""
    return _DATE_AT_END.sub("", name)


class OwnPrices:
    """Own rates that hold for one organisation at one moment, the first that matches first.

    An exact name comes before a pattern, a longer pattern before a shorter one, and among equals
    what is of the organisation before what is for all.
    """

    def __init__(self, prices: Iterable[OwnPrice], units: Mapping[str, Unit]) -> None:
        self._prices = sorted(prices, key=_order)
        self._units = units
        self._cards = lru_cache(_CARDS_KEPT)(self._make)
        self.providers = frozenset(each.provider for each in self._prices)
        tags = ",".join(sorted(each.tag for each in self._prices))
        self.digest = sha256(tags.encode()).hexdigest()[:12]

    def card(self, provider: str, names: Sequence[str], listed: Card | None) -> Card | None:
        """The card of own rates for these spellings of a name; None: the list's counts."""
        spelled = names if listed is None else (*names, listed.model.lower())
        for price in self._prices:
            if price.provider == provider and price.matches(spelled):
                return self._cards(price.tag, listed)
        return None

    def dated(self, provider: str, name: str) -> Iterator[OwnPrice]:
        """Own rates that count once a reply names the model with its day."""
        for price in self._prices:
            if price.provider == provider and price.may_match_dated(name):
                yield price

    def card_of(self, price: OwnPrice, listed: Card | None) -> Card:
        """The card of these rates, over the list's card of the model."""
        return self._cards(price.tag, listed)

    def _make(self, tag: str, listed: Card | None) -> Card:
        price = next(each for each in self._prices if each.tag == tag)
        rates = {unit: Tiered(rate) for unit, rate in price.rates.items() if unit in self._units}
        if listed is None or not price.over_list:
            model = price.model if listed is None else listed.model
            caps = ModelCaps() if listed is None else listed.caps
            name = None if listed is None else listed.name
            terms = _flat(rates, self._units)
            return Card(
                price.provider, model, name, caps, context_applies=False, terms=terms, own=tag
            )
        terms = _over(listed.terms, rates, self._units)
        return replace(listed, provider=price.provider, terms=terms, own=tag)


def _order(price: OwnPrice) -> tuple[bool, int, bool, str]:
    return price.is_pattern, -len(price.model), not price.of_one, price.tag


def _flat(rates: Rates, units: Mapping[str, Unit]) -> Terms:
    prices = (ListPrice(None, rates),)
    return Terms(units, prices, (), (), None, free=not rates)


def _over(listed: Terms, rates: Rates, units: Mapping[str, Unit]) -> Terms:
    """The list's terms, with own rates for what they cover."""

    def left(of_list: Rates) -> dict[str, Tiered]:
        return {
            unit: rate
            for unit, rate in of_list.items()
            if unit not in rates and units[unit].ancestors.isdisjoint(rates)
        }

    def variant(each: Variant) -> Variant:
        return replace(each, rates=left(each.rates))

    def factor(each: Multiplier) -> Multiplier:
        covered = {u for u in each.units if u in rates or not units[u].ancestors.isdisjoint(rates)}
        return replace(each, units=each.units - covered)

    return Terms(
        units=units,
        prices=tuple(
            ListPrice(each.validity, {**left(each.rates), **rates}) for each in listed.prices
        ),
        variants=tuple(variant(each) for each in listed.variants),
        multipliers=tuple(factor(each) for each in listed.multipliers),
        minimum=listed.minimum,
        free=False,
    )
