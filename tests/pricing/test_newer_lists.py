"""A list that is newer than what is laid over it: what it knows by itself counts."""

from collections.abc import Mapping
from typing import Any

import pytest
from genai_prices import data, data_units

from common.adapters.price_sources import read_providers
from common.core.errors import InvalidInput
from common.llm.compile_book import compile_book
from common.llm.price_book import PriceBook, bundled_book
from common.pricing.compiling import compile_listed, shipped_bytes
from common.pricing.sources import Listed
from tests.pricing.lists import NOW, RATES, as_sent, lab, model, text

ONE = {"provider": "lab", "source": "https://lab.example.com"}


def newer(overlay: Mapping[str, Any], *models: dict[str, Any]) -> PriceBook:
    providers = read_providers(text(lab(*models)))
    book = compile_book(providers, data_units.unit_data, overlay, {}, may_be_newer=True)
    return PriceBook.load(book)


def usd(book: PriceBook, name: str) -> dict[str, str]:
    card = book.card("lab", name)
    assert card is not None
    return {rate.unit: rate.usd for rate in card.rates(NOW, {})}


def test_takes_the_card_that_the_list_has_for_what_was_another_name() -> None:
    overlay = {"aliases": [{**ONE, "name": "two", "model": "one"}]}

    book = newer(overlay, model("one"), model("two", {"input_mtok": 7}))

    assert usd(book, "two") == {"input_tokens": "7"}


def test_takes_the_rate_that_the_list_has_and_adds_the_others() -> None:
    added = {"cache_read_tokens": "9", "cache_write_tokens": "3"}
    overlay = {"rates": [{**ONE, "models": ["one"], "usd": added}]}

    assert usd(newer(overlay, model("one")), "one") == {
        "input_tokens": "2",
        "output_tokens": "8",
        "cache_read_tokens": "0.5",
        "cache_write_tokens": "3",
    }


def test_takes_the_price_of_what_was_free() -> None:
    overlay = {"free": [{**ONE, "models": ["one", "two"]}]}

    book = newer(overlay, model("one"), model("two", {}))

    one, two = book.card("lab", "one"), book.card("lab", "two")
    assert one is not None
    assert two is not None
    assert (one.terms.free, two.terms.free) == (False, True)


@pytest.mark.parametrize(
    "overlay",
    [
        {"limits": [{**ONE, "models": ["gone"], "max_output": 1000}]},
        {"rates": [{**ONE, "models": ["gone"], "usd": {"cache_write_tokens": "3"}}]},
        {"free": [{**ONE, "models": ["gone"]}]},
    ],
)
def test_leaves_out_what_adds_to_a_model_that_is_gone(overlay: dict[str, Any]) -> None:
    assert usd(newer(overlay, model("one")), "one")["input_tokens"] == str(RATES["input_mtok"])


@pytest.mark.parametrize(
    "overlay",
    [
        {"limits": [{**ONE, "models": ["gone"], "runs_tools": "search"}]},
        {"minimums": [{**ONE, "models": ["gone"], "units": ["input_tokens"], "at_least": 10}]},
        {"moving": [{**ONE, "name": "one", "models": ["gone"]}]},
        {"aliases": [{**ONE, "name": "two", "model": "gone"}]},
    ],
)
def test_refuses_a_list_in_which_a_model_is_gone_that_costs_more_than_it_says(
    overlay: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput, match="gone"):
        newer(overlay, model("one"))


def test_compiles_a_list_that_knows_every_other_name_of_ours() -> None:
    raw = as_sent(data.providers)
    [ours] = [each for each in raw if each["id"] == "anthropic"]
    ours["models"].append(model("claude-mythos-5"))
    ours["models"].append(model("claude-mythos-5-1"))

    book = compile_listed(Listed(read_providers(text(raw)), {}), NOW)

    assert PriceBook.load(book).card("anthropic", "claude-mythos-5") is not None


def test_says_what_cannot_be_compiled() -> None:
    raw = as_sent(data.providers)
    raw[0]["models"][0]["prices"] = {"input_lightyears": 1}

    with pytest.raises(InvalidInput, match="prices the unknown unit input_lightyears"):
        compile_listed(Listed(read_providers(text(raw)), {}), NOW)


def test_knows_the_book_that_ships() -> None:
    assert PriceBook.load(shipped_bytes()).digest == bundled_book().digest
