"""The two sides of a reconciliation: what our calls used and cost, and what a provider bills.

Both are sums of one day of UTC and one account. Models carry the name that the price list has for
them, so that an alias on one side and a snapshot's name on the other are the same model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

from common.core.money import Nanos, nanos_from_usd
from common.llm.price_book import PriceBook

Edge: TypeAlias = Literal["within", "begun_before", "ended_after"]
"""Whether calls lie within a day. Those over midnight may be on the bill of either day."""

OUTPUT_WEIGHT = 5
"""What a token of output costs in tokens of input, about, on the price lists of both vendors."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`input` includes what was read from a cache and written to one."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
        )

    @property
    def weight(self) -> int:
        """All of them in tokens of input."""
        return self.input + OUTPUT_WEIGHT * self.output


@dataclass(frozen=True, slots=True)
class Called:
    """What our calls of one kind used and cost, as far as it is known.

    `key` is the fingerprint of the provider key that paid, and `managed` says that it is the
    installation's. `nanos` has no unproven part; `estimated_nanos` is the part of it that no
    provider has told, `unpriced` counts the calls whose cost is not known.
    """

    key: str | None
    managed: bool
    model: str
    tokens: Tokens
    nanos: Nanos
    calls: int = 1
    estimated_nanos: Nanos = 0
    unpriced: int = 0
    unproven_nanos: Nanos = 0
    edge: Edge = "within"


@dataclass(frozen=True, slots=True)
class Used:
    """What a provider counted of one model. `key` is its id of the key, None where it has none."""

    key: str | None
    model: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Item:
    """What a provider charges for. `model` None: for something else than a model's tokens."""

    model: str | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """A provider's day. `unbilled_tokens`: some of `used` is paid for in another way."""

    day: date
    used: tuple[Used, ...] = ()
    items: tuple[Item, ...] = ()
    unbilled_tokens: bool = False

    @property
    def nanos(self) -> Nanos:
        """All items, rounded once."""
        return money(self.items)


class Bills(Protocol):
    """Where an account's bills are read."""

    async def read(self, days: Iterable[date]) -> list[Bill]:
        """One bill for each day, models as the provider names them.

        Raises:
            BillsUnavailable: there is no whole answer.
        """


class BillsUnavailable(Exception):
    """A provider does not tell what it bills. The text says why, and holds no secret."""


def money(items: Iterable[Item]) -> Nanos:
    """The sum of items, rounded once."""
    return nanos_from_usd(sum((each.usd for each in items), Decimal(0)))


def listed(book: PriceBook, provider: str, model: str) -> str:
    """A model as the events of calls name its prices: provider and model of the price list."""
    card = book.card(provider, model)
    return card.key if card is not None else f"{provider}/{model}"


def as_listed(bill: Bill, book: PriceBook, provider: str) -> Bill:
    """The bill with models named as the price list does."""
    return Bill(
        bill.day,
        tuple(Used(e.key, listed(book, provider, e.model), e.tokens) for e in bill.used),
        tuple(
            Item(None if e.model is None else listed(book, provider, e.model), e.usd)
            for e in bill.items
        ),
        bill.unbilled_tokens,
    )
