"""Every model's price in one compiled book, found by name and summed exactly.

The book is a compact table made by `compile_book` from the public price list and our overlay. It
answers as that list does, without its import time: names match in the list's order, then in the
other providers a list falls back to. What cannot be priced has a reason and no price; nothing here
guesses. The file is gzip of JSON lines: a head, then one line per provider, read when first asked
for.

Model names come from callers and replies, so the number remembered and their length are bounded.
With the own rates of an organisation laid over it a book is another one, of another name.
"""

import copy
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from common.core.errors import InvalidInput
from common.core.money import Nanos
from common.llm.capabilities import read_caps
from common.llm.own_prices import OwnPrices, undated
from common.llm.price_cards import Card, read_terms
from common.llm.price_tariffs import GRAINS_PER_NANO, Unit, read_units

__all__ = ["Card", "PriceBook", "Priced", "bundled_book"]

FORMAT = 1
"""Raised when a book means something else to its reader."""

NAMES_REMEMBERED = 2_000
OWN_NAMES_REMEMBERED = 250
"""Of a book with own rates, of which there is one for each organisation that has some."""
LONGEST_NAME = 256

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Priced(NamedTuple):
    """The cost of a call. `nanos` None has a reason; `priced_nanos` is what could be priced.

    Reasons: `unknown_model`, `unknown_unit:<unit>` (nothing on the card prices it),
    `invalid_usage:<unit>` (a count that contradicts the others).
    """

    nanos: Nanos | None
    reason: str | None
    priced_nanos: Nanos


class PriceBook:
    """A compiled book. `digest` (SHA-256, hex) names it; `sources` says what it was made from.

    With own rates over it, `digest` also names these, behind a plus.
    """

    def __init__(self, head: Mapping[str, Any], lists: Sequence[bytes], digest: str) -> None:
        self.digest = digest
        self.sources: Mapping[str, Any] = head["sources"]
        self._unread = dict(zip(head["providers"], lists, strict=True))
        self.units: Mapping[str, Unit] = read_units(head["units"])
        self._lists: dict[str, _PriceList] = {}
        self._own: OwnPrices | None = None
        self._known = frozenset(self._unread)
        self._of_list = lru_cache(NAMES_REMEMBERED)(self._find)
        self._remembered = self._of_list
        self._dated = lru_cache(OWN_NAMES_REMEMBERED)(self._find_dated)

    @classmethod
    def load(cls, data: bytes) -> "PriceBook":
        """The book in these bytes.

        Raises:
            InvalidInput: they are damaged, or not a book of this format.
        """
        try:
            first, *lists = gzip.decompress(data).splitlines()
            head = json.loads(first)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise InvalidInput(
                f"The price book is damaged ({error}): compile it again.", field="price_book"
            ) from error
        found = head.get("format") if isinstance(head, dict) else None
        if found != FORMAT:
            raise InvalidInput(
                f"The price book has format {found!r}, but {FORMAT} is needed: compile it again.",
                field="price_book",
            )
        try:
            return cls(head, lists, sha256(data).hexdigest())
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"The price book is incomplete ({error!r}): compile it again.", field="price_book"
            ) from error

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._unread)

    def with_own(self, own: OwnPrices) -> "PriceBook":
        """This book with own rates over it; what was read of the list is shared."""
        book = copy.copy(self)
        book.digest = f"{self.digest}+{own.digest}"
        book._own = own  # noqa: SLF001 - of its own copy
        book._known = self._known | own.providers  # noqa: SLF001 - of its own copy
        book._remembered = lru_cache(OWN_NAMES_REMEMBERED)(book._find_own)  # noqa: SLF001 - of its own copy
        book._dated = lru_cache(OWN_NAMES_REMEMBERED)(book._find_dated)  # noqa: SLF001 - of its own copy
        return book

    def card(self, provider: str, model: str) -> Card | None:
        """The card for a model as a caller or a reply names it, None if the list has none.

        Args:
            provider: its id in the list, exactly.
            model: any text; a name longer than 256 characters is unknown.
        """
        if len(model) > LONGEST_NAME or provider not in self._known:
            return None
        return self._remembered(provider, model.lower())

    def cards_for(self, provider: str, model: str) -> tuple[Card, ...]:
        """Every card a call for this model may be billed at: several where the name moves.

        A provider points such a name (`gemini-flash-latest`) at another model when it likes.
        """
        card = self.card(provider, model)
        if card is None:
            return ()
        others = self._others(provider, model)
        if self._own is not None:
            others = (*others, *self._dated(provider, model.lower()))
        return tuple(dict.fromkeys((card, *others))) if others else (card,)

    def _others(self, provider: str, model: str) -> tuple[Card, ...]:
        """What else a name is that its provider moves."""
        if provider not in self._unread:
            return ()
        own = self._list(provider)
        if not own.moving:
            return ()
        name = model.lower()
        for prefix in own.prefixes:
            name = name.removeprefix(prefix)
        others = (self.card(provider, other) for other in own.moving.get(name, ()))
        return tuple(other for other in others if other is not None)

    def _find_dated(self, provider: str, model: str) -> tuple[Card, ...]:
        """What else a reply may be billed at that names the model's id, or the model with its day.

        Only where own rates are in play: of the list, one price is known to hold for all spellings.
        """
        assert self._own is not None
        listed, card = self._listed(provider, model), self.card(provider, model)
        names = {model} | ({listed.model.lower()} if listed is not None else set())
        others: list[Card | None] = []
        for price in (each for name in names for each in self._own.dated(provider, name)):
            is_pattern = price.is_pattern
            others.append(
                self._own.card_of(price, listed) if is_pattern else self.card(provider, price.model)
            )
        if card is not None and card.own is not None and listed is not None:
            ids = [each["id"] for each in self._list(provider).models]
            dated = (each for each in ids if undated(each.lower()) in names)
            others += [self.card(provider, name) for name in (listed.model, *dated)]
        return tuple({other: None for other in others if other is not None and other is not card})

    def iter_cards(self, provider: str | None = None) -> Iterator[Card]:
        """Every card, or those of one provider's list, in the list's order."""
        for each in self._unread if provider is None else (provider,):
            if each in self._unread:
                prices = self._list(each)
                yield from (prices.card(index) for index in range(len(prices.models)))

    def price(
        self,
        lines: Sequence[tuple[Card | None, Mapping[str, int]]],
        at: datetime,
        context: Mapping[str, str],
    ) -> Priced:
        """The cost of one call, billed at one model or several, rounded half to even once.

        Args:
            lines: card (None: unknown model) and usage in the list's units, non-negative integers;
                `input_tokens` includes cached and written ones.
            at: aware time of the call.
            context: what else moves prices, such as `service_tier`; unknown names are ignored.
        """
        grains = 0
        reason = None
        for card, usage in lines:
            if card is None:
                reason = reason or "unknown_model"
                continue
            cost, why = card.cost(usage, at, context)
            grains += cost
            reason = reason or why
        nanos = _nanos_half_even(grains)
        return Priced(None if reason else nanos, reason, nanos)

    def _find_own(self, provider: str, name: str) -> Card | None:
        assert self._own is not None
        listed = self._listed(provider, name)
        prefixes = self._list(provider).prefixes if provider in self._unread else ()
        names = (name, *(name.removeprefix(each) for each in prefixes))
        return self._own.card(provider, names, listed) or listed

    def _listed(self, provider: str, name: str) -> Card | None:
        """The list's own card."""
        return self._of_list(provider, name) if provider in self._unread else None

    def _find(self, provider: str, name: str) -> Card | None:
        own = self._list(provider)
        bare = (name.removeprefix(prefix) for prefix in own.prefixes if name.startswith(prefix))
        for spelling in (name, *bare):
            found = self._match(own, spelling)
            if found is None and spelling in own.aliases:
                found = self._match(own, own.aliases[spelling])
            if found is not None:
                return found
        return None

    def _match(self, own: "_PriceList", name: str) -> Card | None:
        dashed = _COMPACT_DATE.sub(_dash_date, name)
        for spelling in (name,) if dashed == name else (name, dashed):
            index = own.find(spelling)
            if index is not None:
                return own.card(index)
            for other in own.fallbacks:
                prices = self._list(other)
                index = prices.find(spelling)
                if index is not None:
                    return prices.card(index, context_applies=False)
        return None

    def _list(self, provider: str) -> "_PriceList":
        if provider not in self._lists:
            self._lists[provider] = _PriceList(
                provider, json.loads(self._unread[provider]), self.units
            )
        return self._lists[provider]


class _PriceList:
    """The models of one provider, with names found without trying every clause.

    A clause is one of equals, starts_with, ends_with, contains, regex, or, and. The first model
    in file order wins, so names that must be equal are looked up and only patterns are tried.
    """

    def __init__(self, provider: str, raw: Mapping[str, Any], units: Mapping[str, Unit]) -> None:
        self.fallbacks: Sequence[str] = raw.get("fallbacks", ())
        self.aliases: Mapping[str, str] = raw.get("aliases", {})
        self.prefixes: Sequence[str] = raw.get("prefixes", ())
        self.moving: Mapping[str, Sequence[str]] = raw.get("moving", {})
        self.models: Sequence[Mapping[str, Any]] = raw["models"]
        self._provider = provider
        self._multipliers = raw.get("multipliers", ())
        self._units = units
        self._cards: dict[tuple[int, bool], Card] = {}
        self._names: dict[str, int] = {}
        self._patterns: list[tuple[int, Mapping[str, Any]]] = []
        for index, model in enumerate(self.models):
            match = model["match"]
            for clause in match.get("or", (match,)):
                if "equals" in clause:
                    self._names.setdefault(clause["equals"], index)
                else:
                    self._patterns.append((index, clause))

    def find(self, name: str) -> int | None:
        named = self._names.get(name)
        for index, clause in self._patterns:
            if named is not None and index >= named:
                break
            if _matches(clause, name):
                return index
        return named

    def card(self, index: int, *, context_applies: bool = True) -> Card:
        card = self._cards.get((index, context_applies))
        if card is None:
            model = self.models[index]
            card = self._cards[index, context_applies] = Card(
                provider=self._provider,
                model=model["id"],
                name=model.get("name"),
                caps=read_caps(model),
                context_applies=context_applies,
                terms=read_terms(model, self._multipliers, self._units),
            )
        return card


def _matches(clause: Mapping[str, Any], name: str) -> bool:
    ((kind, value),) = clause.items()
    return _CLAUSES[kind](name, value)


_CLAUSES: Mapping[str, Callable[[str, Any], bool]] = {
    "equals": str.__eq__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
    "regex": lambda name, pattern: re.search(pattern, name) is not None,
    "or": lambda name, parts: any(_matches(part, name) for part in parts),
    "and": lambda name, parts: all(_matches(part, name) for part in parts),
}


def _dash_date(match: re.Match[str]) -> str:
    """``-20251211`` as ``-2025-12-11``, unless there is no such day."""
    try:
        day = date(*map(int, match.groups()))
    except ValueError:
        return match.group()
    return f"-{day.isoformat()}"


def _nanos_half_even(grains: int) -> Nanos:
    nanos, rest = divmod(grains, GRAINS_PER_NANO)
    twice = 2 * rest
    if twice > GRAINS_PER_NANO or (twice == GRAINS_PER_NANO and nanos % 2):
        nanos += 1
    return nanos


@cache
def bundled_book() -> PriceBook:
    """The book that ships with the code, read once."""
    return PriceBook.load(Path(__file__).with_name("book.json.gz").read_bytes())
