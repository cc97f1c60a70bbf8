"""Prices as whole numbers of 10^-18 dollars, or refused by name."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from genai_prices import types

from common.core.errors import InvalidInput
from common.llm.price_tariffs import ATTOS_PER_USD


def exact_rate(named: str, price: Decimal | types.TieredPrices) -> int | list[Any]:
    """A rate as the book holds it: attos, or with its tiers a list.

    Raises:
        InvalidInput: it is not exact, or its tiers do not ascend.
    """
    if isinstance(price, Decimal):
        return exact_attos(named, price)
    starts = [tier.start for tier in price.tiers]
    if starts != sorted(starts) or any(start < 0 for start in starts):
        raise InvalidInput(f"{named} has tiers that do not ascend: {starts}.")
    tiers = [[tier.start, exact_attos(named, tier.price)] for tier in price.tiers]
    return [exact_attos(named, price.base), *tiers]


def all_attos(rate: int | list[Any]) -> list[int]:
    """Every figure of a rate."""
    return [rate] if isinstance(rate, int) else [rate[0], *(above for _, above in rate[1:])]


def exact_attos(named: str, usd: Decimal) -> int:
    """A price in attos.

    Raises:
        InvalidInput: it is none, negative, or not a multiple of 10^-18 dollars.
    """
    if not usd.is_finite() or usd < 0:
        raise InvalidInput(f"{named} has the price {usd}.")
    attos = Fraction(usd) * ATTOS_PER_USD
    if attos.denominator != 1:
        raise InvalidInput(f"{named} costs {usd}, which is not a multiple of 10^-18 dollars.")
    return attos.numerator
