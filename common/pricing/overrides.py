"""What organisations pay instead of the list's price, as operators have it: `price_overrides/{id}`.

Where several are for one call, the rates of one of them count, the first by this order: an exact
name before a pattern, a longer pattern before a shorter one, the organisation's own before what is
for all; of those of one name or pattern, the one that begins last, then the first by id.

An override names an organisation or none (all of them), a provider, a model or a pattern of names,
rates as the list states them, and when it is valid. What it says is also kept under its content, in
`price_override_versions/{tag}`, which nobody changes or removes: a call's event names the tag that
it was priced by, so that what it cost can be reckoned again.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args

from common.core.errors import InvalidInput
from common.core.ids import is_slug
from common.core.paging import every_document
from common.core.ports import Document, Documents, Query, Ref, Value
from common.llm.own_prices import OwnPrice, OwnPrices
from common.llm.price_book import PriceBook
from common.llm.price_tariffs import ATTOS_PER_USD, Unit

OVERRIDES = "price_overrides"
OVERRIDE_VERSIONS = "price_override_versions"
OVERRIDES_CHANGED = "price_overrides_changed"
"""Member of `gateway/control`: when an override of any organisation last changed."""
OF_UPSTREAM = "u/"
"""Before the name of a configured upstream that has no list: what stands for its provider."""
MOST_USD = 10_000
"""Of a rate, in dollars for what the list sells the unit by: a million tokens."""
LONGEST_MODEL = 200
LONGEST_NOTE = 500
MOST_RATES = 40

OverrideKind: TypeAlias = Literal["negotiated", "self_hosted", "prepaid"]
KINDS: Mapping[str, OverrideKind] = {kind: kind for kind in get_args(OverrideKind)}

_USD = re.compile(r"\d{1,9}(\.\d{1,18})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Override:
    """Own rates, from `valid_from` to before `valid_until` (None: for good), by a call's arrival.

    `rates` are attos by unit. Prepaid has none: nothing is charged, and `note` says why.
    """

    id: str
    org: str | None
    provider: str
    model: str
    kind: OverrideKind
    rates: Mapping[str, int]
    valid_from: datetime
    valid_until: datetime | None
    note: str

    @property
    def ref(self) -> Ref:
        return override_ref(self.id)

    @property
    def tag(self) -> str:
        """Its id and what it says, so that another content has another tag."""
        said = repr(sorted((name, _told(value)) for name, value in self.to_data().items()))
        return f"{self.id}@{sha256(said.encode()).hexdigest()[:8]}"

    @property
    def version_ref(self) -> Ref:
        return version_ref(self.tag)

    def holds(self, org: str | None, at: datetime) -> bool:
        """Whether it is for calls of this organisation that arrive then."""
        return self.org in {None, org} and self.is_valid(at)

    def is_valid(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def meets(self, other: "Override") -> bool:
        """Whether another one is for the same organisation, name or pattern, and time."""
        ends = [each.valid_until for each in (self, other) if each.valid_until is not None]
        return (
            other.id != self.id
            and (other.org, other.provider) == (self.org, self.provider)
            and other.model.lower() == self.model.lower()
            and all(max(self.valid_from, other.valid_from) < end for end in ends)
        )

    def price(self) -> OwnPrice:
        return OwnPrice(
            tag=self.tag,
            provider=self.provider,
            model=self.model.lower(),
            rates=self.rates,
            over_list=self.kind == "negotiated",
            of_one=self.org is not None,
        )

    def to_data(self) -> dict[str, Value]:
        return {
            "org": self.org,
            "provider": self.provider,
            "model": self.model,
            "kind": self.kind,
            # As text: a rate of 10,000 dollars has more digits than an integer of the store.
            "rates": {unit: str(rate) for unit, rate in self.rates.items()},
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "note": self.note,
        }

    @classmethod
    def from_document(cls, document: Document) -> "Override":
        """A stored override, of its own document or of one of its versions.

        Raises:
            InvalidInput: this code cannot read it.
        """
        data: Mapping[str, Any] = document.data
        try:
            return cls(
                id=document.ref.id.partition("@")[0],
                org=data["org"],
                provider=data["provider"],
                model=data["model"],
                kind=KINDS[data["kind"]],
                rates={unit: int(rate) for unit, rate in data["rates"].items()},
                valid_from=data["valid_from"],
                valid_until=data["valid_until"],
                note=data["note"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"price override {document.ref.id} cannot be read", field="price_override"
            ) from error


def override_ref(id_: str) -> Ref:
    return Ref(OVERRIDES, id_)


def version_ref(tag: str) -> Ref:
    return Ref(OVERRIDE_VERSIONS, tag)


def read_rates(usd: Mapping[str, str], units: Mapping[str, Unit]) -> dict[str, int]:
    """Rates in attos of dollars as text, for what the list sells each unit by.

    Raises:
        InvalidInput: names the unit and what to do.
    """
    if len(usd) > MOST_RATES:
        raise InvalidInput(f"{len(usd)} rates: at most {MOST_RATES}", field="rates")
    return {unit: _rate(unit, text, units) for unit, text in usd.items()}


def _rate(unit: str, text: str, units: Mapping[str, Unit]) -> int:
    if unit not in units:
        near = get_close_matches(unit.lower(), sorted(units), n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(units))}"
        raise InvalidInput(f"the price list has no unit {unit[:80]!r}: {hint}", field="rates")
    if _USD.fullmatch(text) is None:
        raise InvalidInput(
            f"{unit}: write dollars from 0 to {MOST_USD:,} for {units[unit].per:,}, with at most "
            f"18 decimals, as 2.5; not {text[:40]!r}",
            field="rates",
        )
    attos = int(Decimal(text).scaleb(18))
    if attos > MOST_USD * ATTOS_PER_USD:
        raise InvalidInput(
            f"{unit}: {text} dollars for {units[unit].per:,} is more than {MOST_USD:,}: is it "
            "the price of one? Rates are for as many as the list states them.",
            field="rates",
        )
    return attos


def check_override(override: Override, providers: Collection[str]) -> None:
    """Refuse what cannot be meant.

    Raises:
        InvalidInput: names the field and what to do.
    """
    if not is_slug(override.id):
        raise InvalidInput("an id has a-z, 0-9 and -, at most 63 of them", field="id")
    _check_provider(override.provider, providers)
    model = override.model
    if not 0 < len(model) <= LONGEST_MODEL or not model.isprintable() or " " in model:
        raise InvalidInput(
            f"a model is a name or a pattern with *, at most {LONGEST_MODEL} characters",
            field="model",
        )
    if len(override.note) > LONGEST_NOTE:
        raise InvalidInput(f"a note has at most {LONGEST_NOTE} characters", field="note")
    if override.kind == "prepaid":
        if any(override.rates.values()):
            raise InvalidInput(
                "what is prepaid costs 0: leave the rates out, or take negotiated", field="rates"
            )
        if not override.note.strip():
            raise InvalidInput("say in the note how it is paid for", field="note")
    elif not override.rates:
        raise InvalidInput(
            "name a rate for each unit that is billed, or take prepaid, which costs 0",
            field="rates",
        )
    if override.valid_until is not None and override.valid_until <= override.valid_from:
        raise InvalidInput("it must end after it begins", field="valid_until")


def _check_provider(provider: str, providers: Collection[str]) -> None:
    if provider in providers:
        return
    if provider.startswith(OF_UPSTREAM) and is_slug(provider.removeprefix(OF_UPSTREAM)):
        return
    near = get_close_matches(provider.lower(), sorted(providers), n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(providers))}"
    raise InvalidInput(
        f"the price book has no provider {provider[:80]!r}: {hint} For an upstream without a list "
        f"write {OF_UPSTREAM}NAME.",
        field="provider",
    )


def _told(value: Value) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


def book_named(book: str) -> str:
    """The digest of the price book in what an event names, without the own rates over it."""
    return book.partition("+")[0]


def tag_of(card: str) -> str | None:
    """The tag of the own rates that an event's card names, None where it is the list's."""
    _, found, tag = card.rpartition("+")
    return tag if found and "@" in tag else None


def laid_over(book: PriceBook, overrides: Collection[Override]) -> PriceBook:
    """The book with the own rates of one organisation at one moment; the same where there are none.

    Of those that are for the same, the one that wins is laid over the book, and the others are not.
    """
    if not overrides:
        return book
    winners: dict[tuple[str, str, bool], Override] = {}
    for each in sorted(overrides, key=lambda each: each.id):
        place = (each.provider, each.model.lower(), each.org is None)
        winners[place] = winner(each, winners.get(place, each))
    return book.with_own(OwnPrices([each.price() for each in winners.values()], book.units))


def winner(one: Override, other: Override) -> Override:
    """Whose rates count where both hold and are for the same."""
    if one.valid_from != other.valid_from:
        return one if one.valid_from > other.valid_from else other
    return min(one, other, key=lambda each: each.id)


async def all_overrides(documents: Documents) -> list[Override]:
    """Every override.

    Raises:
        InvalidInput: one cannot be read.
        StoreUnavailable: no answer in time.
    """
    stored = every_document(documents, Query(OVERRIDES))
    return [Override.from_document(document) async for document in stored]


async def book_of(documents: Documents, book: PriceBook, org: str, at: datetime) -> PriceBook:
    """The book with the own rates of an organisation that hold at this aware time.

    Raises:
        InvalidInput: an override cannot be read.
        StoreUnavailable: no answer in time.
    """
    return laid_over(book, [each for each in await all_overrides(documents) if each.holds(org, at)])
