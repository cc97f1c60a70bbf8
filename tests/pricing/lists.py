"""Price lists in the form of the source, and books of them."""

import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from genai_prices import data_units, types

from common.adapters.price_sources import read_providers
from common.llm.compile_book import compile_book
from common.pricing.book_lines import BookLines, CardKey
from common.pricing.sources import Listed
from common.pricing.vetting import Used, Vetted, vet

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

Raw = dict[str, Any]

_EXACT = "exactly "

RATES: Mapping[str, Any] = {"input_mtok": 2, "output_mtok": 8, "cache_read_mtok": 0.5}


def model(name: str, rates: Mapping[str, Any] | Sequence[Any] = RATES, **fields: Any) -> Raw:
    return {"id": name, "match": {"equals": name}, "prices": rates, **fields}


def provider(name: str, *models: Raw, **fields: Any) -> Raw:
    return {
        "id": name,
        "name": name.title(),
        "api_pattern": "",
        "models": list(models),
        **fields,
    }


def lab(*models: Raw) -> list[Raw]:
    """A list of one provider; with no models given, of four."""
    return [provider("lab", *(models or [model(name) for name in ("one", "two", "six", "ten")]))]


def changed(raw: list[Raw], name: str, **fields: Any) -> list[Raw]:
    """The list with other fields of a model of its first provider."""
    other = deepcopy(raw)
    [found] = [each for each in other[0]["models"] if each["id"] == name]
    found.update(fields)
    return other


def without(raw: list[Raw], name: str) -> list[Raw]:
    other = deepcopy(raw)
    other[0]["models"] = [each for each in other[0]["models"] if each["id"] != name]
    return other


def text(raw: list[Raw]) -> bytes:
    """As the source sends it."""
    return re.sub(f'"{_EXACT}([0-9.]+)"', r"\1", json.dumps(raw)).encode()


def compiled(raw: list[Raw], **sources: Any) -> bytes:
    """The book of a list, with nothing laid over it."""
    return compile_book(read_providers(text(raw)), data_units.unit_data, {}, sources)


def with_units(book: bytes, **units: Raw) -> bytes:
    """The book with these members of units in place of its own."""
    lines = BookLines.read(book)
    known = lines.head["units"]
    head = {**lines.head, "units": {**known, **{n: {**known[n], **units[n]} for n in units}}}
    written = [json.dumps(head, separators=(",", ":")).encode(), *lines.lines.values()]
    return zlib.compress(b"\n".join(written), 9, wbits=31)


def compile_bare(listed: Listed, at: datetime) -> bytes:
    """Compiles a list with nothing laid over it."""
    sources = {**listed.origin, "read_at": at.isoformat()}
    return compile_book(listed.providers, data_units.unit_data, {}, sources)


def vetted(old: list[Raw], new: list[Raw], *in_use: Used, at: datetime = NOW) -> Vetted:
    return vet(compiled(old), compiled(new), in_use, at=at)


def reasons(result: Vetted) -> dict[str, str]:
    """Why which card is held."""
    return {f"{each.provider}/{each.model}": each.reason for each in result.held}


def card_text(book: bytes, name: str, of: str = "lab") -> bytes:
    """A card as it is written in a book."""
    lines = BookLines.read(book)
    written = json.dumps(lines.cards()[CardKey(of, name)], separators=(",", ":")).encode()
    assert written in lines.lines[of]
    return written


def names(book: bytes, of: str = "lab") -> list[str]:
    """The models of a provider, in the book's order."""
    return [each["id"] for each in BookLines.read(book).part(of)["models"]]


def as_sent(providers: Collection[types.Provider]) -> list[Raw]:
    """Providers as genai-prices holds them, in the form of its source."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "api_pattern": each.api_pattern,
            **(
                {"fallback_model_providers": each.fallback_model_providers}
                if each.fallback_model_providers
                else {}
            ),
            "models": [_model_as_sent(one) for one in each.models],
        }
        for each in providers
    ]


def _model_as_sent(one: types.ModelInfo) -> Raw:
    prices = one.prices
    sent: Raw = {
        "id": one.id,
        "name": one.name,
        "match": _clause_as_sent(one.match),
        "context_window": one.context_window,
        "prices": _prices_as_sent(prices)
        if isinstance(prices, types.ModelPrice)
        else [_conditional(each) for each in prices],
    }
    if one.price_variants:
        sent["price_variants"] = [
            {"when": each.when, **_conditional(each)} for each in one.price_variants
        ]
    return sent


def _conditional(each: types.ConditionalPrice | types.PriceVariant) -> Raw:
    sent: Raw = {"prices": _prices_as_sent(each.prices)}
    match each.constraint:
        case types.StartDateConstraint(day):
            sent["constraint"] = {"start_date": day.isoformat()}
        case types.TimeOfDateConstraint(start, end):
            sent["constraint"] = {"start_time": _hour(start), "end_time": _hour(end)}
    return sent


def _hour(moment: time) -> str:
    return moment.isoformat()


def _prices_as_sent(prices: types.ModelPrice) -> Raw:
    return {
        name: {
            "base": _number(price.base),
            "tiers": [{"start": tier.start, "price": _number(tier.price)} for tier in price.tiers],
        }
        if isinstance(price, types.TieredPrices)
        else _number(price)
        for name, price in vars(prices).items()
        if price is not None
    }


def _number(price: Decimal) -> str:
    """A number that `text` writes with every decimal of it."""
    return f"{_EXACT}{price:f}"


def _clause_as_sent(clause: Any) -> Raw:
    match clause:
        case types.ClauseOr():
            return {"or": [_clause_as_sent(each) for each in clause.or_]}
        case types.ClauseAnd():
            return {"and": [_clause_as_sent(each) for each in clause.and_]}
    ((name, value),) = vars(clause).items()
    return {name: value}
