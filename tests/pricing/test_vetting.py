"""What of a new price list is taken, and what keeps its old card."""

from copy import deepcopy
from datetime import timedelta

import pytest

from common.core.errors import InvalidInput
from common.llm.price_book import PriceBook, bundled_book
from common.pricing.book_lines import BookLines, same_content
from common.pricing.vetting import Used, vet
from scripts.commands.price_book import BOOK
from tests.pricing.lists import (
    NOW,
    RATES,
    Raw,
    card_text,
    changed,
    compiled,
    lab,
    model,
    names,
    provider,
    reasons,
    vetted,
    with_units,
    without,
)

OLD = lab()
ONE = Used("lab", "one")


def test_takes_a_list_that_says_the_same_as_it_is() -> None:
    result = vetted(OLD, OLD, ONE)

    assert (result.book, result.held) == (compiled(OLD), ())


@pytest.mark.parametrize(
    ("unit", "price", "reason"),
    [
        ("input_mtok", 20, "price"),
        ("input_mtok", 0.2, "price"),
        ("input_mtok", 0, "zero"),
        ("output_mtok", 10.41, "price"),
        ("output_mtok", 5.59, "price"),
        ("cache_read_mtok", 0, "zero"),
    ],
)
def test_holds_a_card_whose_price_moves_too_far(unit: str, price: float, reason: str) -> None:
    new = changed(OLD, "two", prices={**RATES, unit: price})

    result = vetted(OLD, new)

    assert reasons(result) == {"lab/two": reason}
    assert card_text(result.book, "two") == card_text(compiled(OLD), "two")


@pytest.mark.parametrize("price", [10.4, 5.6, 8])
def test_takes_a_price_that_moves_by_at_most_thirty_percent(price: float) -> None:
    new = changed(OLD, "two", prices={**RATES, "output_mtok": price})

    result = vetted(OLD, new)

    assert (result.book, result.held) == (compiled(new), ())


def test_takes_everything_else_beside_a_card_that_it_holds() -> None:
    new = changed(OLD, "two", prices={**RATES, "input_mtok": 20})
    new = changed(new, "six", prices={**RATES, "input_mtok": 2.5})
    new[0]["models"].append(model("new"))

    result = vetted(OLD, new)

    assert reasons(result) == {"lab/two": "price"}
    assert card_text(result.book, "six") == card_text(compiled(new), "six")
    assert names(result.book) == ["one", "two", "six", "ten", "new"]


def test_says_what_differs() -> None:
    [held] = vetted(OLD, changed(OLD, "two", prices={**RATES, "input_mtok": 20})).held

    assert held.told == ("a price moves by more than 30 %; input_tokens per 1,000,000: 2 -> 20.")


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ({"input_mtok": 2, "output_mtok": 8}, "unit"),
        ({"input_mtok": 2, "cache_read_mtok": 0.5, "requests_kcount": 3}, "unit"),
        ({}, "unit"),
        ({**RATES, "cache_write_mtok": 0}, "zero"),
    ],
)
def test_holds_a_card_that_counts_something_else(rates: Raw, reason: str) -> None:
    result = vetted(OLD, changed(OLD, "two", prices=rates))

    assert reasons(result) == {"lab/two": reason}


def test_takes_a_price_of_what_was_billed_as_something_wider() -> None:
    new = changed(OLD, "two", prices={**RATES, "cache_write_mtok": 2.5})

    assert vetted(OLD, new).held == ()


def test_refuses_a_book_in_which_a_unit_means_something_else() -> None:
    old = compiled(OLD)
    new = with_units(old, input_tokens={"per": 1_000})

    with pytest.raises(InvalidInput, match="the unit input_tokens is not what it was"):
        vet(old, new, [], at=NOW)


def test_holds_a_model_that_vanishes_while_it_is_used() -> None:
    result = vetted(OLD, without(OLD, "one"), ONE)

    assert reasons(result) == {"lab/one": "vanished"}
    assert card_text(result.book, "one") == card_text(compiled(OLD), "one")
    assert names(result.book) == ["one", "two", "six", "ten"]


def test_keeps_vanished_models_behind_those_they_followed() -> None:
    new = without(without(OLD, "two"), "six")

    result = vetted(OLD, new, Used("lab", "two"), Used("lab", "six"))

    assert names(result.book) == ["one", "two", "six", "ten"]


def test_lets_a_model_go_that_nobody_uses() -> None:
    new = without(OLD, "one")

    result = vetted(OLD, new, Used("lab", "two"))

    assert (result.book, result.held) == (compiled(new), ())


def test_knows_a_model_in_use_by_every_name_that_leads_to_it() -> None:
    old = changed(OLD, "one", match={"starts_with": "one"})

    assert reasons(vetted(old, without(old, "one"), Used("lab", "ONE-2026-11-01"))) == {
        "lab/one": "vanished"
    }


def test_knows_a_model_in_use_by_an_id_that_leads_to_another_one() -> None:
    """Such as the regional card of a model whose own card takes every name with its name in it."""
    old = lab(
        model("base", match={"contains": "base"}),
        model("far.base", match={"ends_with": "@far"}),
        model("two"),
    )

    result = vetted(old, without(old, "far.base"), Used("lab", "far.base"))

    assert reasons(result) == {"lab/far.base": "vanished"}


def test_lets_a_model_take_another_name_at_the_same_price() -> None:
    new = without(OLD, "one")
    new[0]["models"].append(model("one-latest", match={"starts_with": "one"}))

    assert vetted(OLD, new, ONE).held == ()


def test_holds_a_model_that_takes_another_name_at_another_price() -> None:
    new = without(OLD, "one")
    dear = {**RATES, "input_mtok": 20}
    new[0]["models"].append(model("one-latest", dear, match={"starts_with": "one"}))

    result = vetted(OLD, new, ONE)

    assert reasons(result) == {"lab/one": "vanished"}
    card = PriceBook.load(result.book).card("lab", "one")
    assert card is not None
    assert card.rates(NOW, {})[0].usd == "2"


def test_keeps_the_whole_list_when_another_card_takes_a_name_in_use() -> None:
    new = deepcopy(OLD)
    new[0]["models"].insert(0, model("bait", {"input_mtok": 0}, match={"contains": "n"}))

    result = vetted(OLD, new, ONE)

    assert reasons(result) == {"lab/*": "name"}
    assert same_content(BookLines.read(result.book), BookLines.read(compiled(OLD)))


def test_keeps_the_list_that_others_fall_back_to() -> None:
    shop = provider("shop", model("own"), fallback_model_providers=["lab"])
    old = [*OLD, shop]
    new = [*without(OLD, "one"), shop]

    result = vetted(old, new, Used("shop", "one"))

    assert reasons(result) == {"lab/one": "vanished"}
    assert PriceBook.load(result.book).card("shop", "one") is not None


def test_keeps_a_provider_that_vanishes_with_the_models_in_use() -> None:
    other = provider("other", *[model(name) for name in ("mine", "yours")])

    result = vetted([*OLD, other], OLD, Used("other", "mine"))

    assert reasons(result) == {"other/mine": "vanished"}
    assert names(result.book, "other") == ["mine"]


def test_holds_a_price_that_is_announced_for_a_later_day() -> None:
    later = [
        {"prices": RATES},
        {"constraint": {"start_date": "2026-12-01"}, "prices": {**RATES, "input_mtok": 20}},
    ]

    [held] = vetted(OLD, changed(OLD, "two", prices=later)).held

    assert (held.reason, held.figures[0].when) == ("price", "since 2026-12-01")


def test_does_not_compare_what_was_paid_before() -> None:
    dated = [
        {"prices": {**RATES, "input_mtok": 20}},
        {"constraint": {"start_date": "2026-03-01"}, "prices": RATES},
    ]
    old = changed(OLD, "two", prices=dated)

    assert vetted(old, OLD).held == ()
    assert reasons(vetted(old, OLD, at=NOW - timedelta(days=300))) == {"lab/two": "price"}


def test_compares_every_hour_of_the_day() -> None:
    def at_night(price: float) -> list[Raw]:
        hours = {"start_time": "01:00:00Z", "end_time": "05:00:00Z"}
        night = {"constraint": hours, "prices": {**RATES, "input_mtok": price}}
        return changed(OLD, "two", prices=[{"prices": RATES}, night])

    assert vetted(at_night(1), at_night(1.2)).held == ()
    [held] = vetted(at_night(1), at_night(0.1)).held
    assert (held.reason, held.figures[0].when) == ("price", "from 01:00 UTC")


def test_compares_every_tier() -> None:
    def above(start: int, price: float) -> list[Raw]:
        tiered = {"base": 2, "tiers": [{"start": start, "price": price}]}
        return changed(OLD, "two", prices={**RATES, "input_mtok": tiered})

    assert vetted(above(1000, 4), above(1000, 5)).held == ()
    assert reasons(vetted(above(1000, 4), above(1000, 0))) == {"lab/two": "zero"}
    [held] = vetted(above(1000, 4), above(9000, 4)).held
    assert (held.reason, held.figures[0].above) == ("price", 1000)
    assert reasons(vetted(OLD, above(1000, 4))) == {"lab/two": "price"}


def test_compares_every_context() -> None:
    def flex(price: float) -> list[Raw]:
        variant = {"when": {"service_tier": "flex"}, "prices": {"input_mtok": price}}
        return changed(OLD, "two", price_variants=[variant])

    assert vetted(flex(1), flex(1.2)).held == ()
    for other in (flex(0.1), OLD):
        [held] = vetted(flex(1), other).held
        assert (held.reason, held.figures[0].when) == ("price", "service_tier flex")


def test_holds_a_card_that_would_allow_smaller_bounds() -> None:
    def window(tokens: int) -> list[Raw]:
        return changed(OLD, "two", context_window=tokens)

    assert reasons(vetted(window(200_000), window(200))) == {"lab/two": "limit"}
    assert vetted(window(200_000), window(400_000)).held == ()


def test_refuses_a_list_with_less_than_half_of_the_models() -> None:
    new = without(without(without(OLD, "one"), "two"), "six")

    with pytest.raises(InvalidInput, match="the list has 1 models, and had 4"):
        vetted(OLD, new)


def test_refuses_a_list_that_names_a_model_twice() -> None:
    new = deepcopy(OLD)
    new[0]["models"].append(model("one", {"input_mtok": 0}))

    with pytest.raises(InvalidInput, match="lab/one stands twice"):
        vetted(OLD, new)


def test_gives_the_same_bytes_for_the_same_lists() -> None:
    new = without(changed(OLD, "two", prices={**RATES, "input_mtok": 20}), "one")

    books = {vetted(OLD, new, ONE).book for _ in range(3)}

    assert len(books) == 1


def test_changes_nothing_of_the_book_that_ships_when_the_list_is_the_same() -> None:
    book = bundled_book()
    in_use = [Used(card.provider, card.model) for card in book.iter_cards()]

    result = vet(BOOK.read_bytes(), BOOK.read_bytes(), in_use, at=NOW)

    assert (result.held, result.book) == ((), BOOK.read_bytes())
