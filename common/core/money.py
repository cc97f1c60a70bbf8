"""Money: integer nano-USD in state and events, Decimal at borders, never a binary fraction."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TypeAlias

Nanos: TypeAlias = int
"""One thousand-millionth of a US dollar. 4_213_000 nanos are $0.004213."""

NANOS_PER_USD = 1_000_000_000


def usd_text(nanos: Nanos) -> str:
    """Exact dollars with nine decimals, as every API answer writes them: ``0.004213000``."""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    return f"{'-' if nanos < 0 else ''}{whole}.{rest:09d}"


def nanos_from_usd(usd: Decimal) -> Nanos:
    """Dollars as nanos, rounded half to even once.

    Raises:
        ValueError: `usd` is not a finite number.
    """
    if not usd.is_finite():
        raise ValueError(f"{usd} is not an amount of money")
    with localcontext() as context:
        context.prec = 60
        return int((usd * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN))
