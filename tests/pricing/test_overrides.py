"""Own rates over the price book: which calls pay them, how much, and what is held for that."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.core.ports import Document
from common.llm.bounds import Bound, bound
from common.llm.facts import CallFacts
from common.llm.forms import FORMS
from common.llm.own_prices import undated
from common.llm.price_book import PriceBook, bundled_book
from common.pricing.overrides import (
    Override,
    book_named,
    check_override,
    laid_over,
    read_rates,
    tag_of,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOOK = bundled_book()
USAGE = {"input_tokens": 1_000, "cache_read_tokens": 400, "output_tokens": 100}


def an_override(usd: Mapping[str, str] | None = None, **fields: Any) -> Override:
    rates = {"input_tokens": "2", "output_tokens": "8"} if usd is None else usd
    made = Override(
        id="acme-4o",
        org="acme",
        provider="openai",
        model="gpt-4o",
        kind="negotiated",
        rates=read_rates(rates, BOOK.units),
        valid_from=NOW,
        valid_until=None,
        note="",
    )
    return replace(made, **fields)


def over(*overrides: Override) -> PriceBook:
    return laid_over(BOOK, overrides)


def nanos(book: PriceBook, model: str, usage: Mapping[str, int], provider: str = "openai") -> Any:
    return book.price([(book.card(provider, model), usage)], NOW, {}).nanos


def facts_of(model: str, **members: Any) -> CallFacts:
    body = b'{"model":"%s","max_tokens":100,"messages":[]}' % model.encode()
    return replace(FORMS["openai_chat"].read_facts(body), **members)


def held(book: PriceBook, model: str, provider: str = "openai") -> int:
    found = bound(facts_of(model), book=book, provider=provider, at=NOW)
    assert isinstance(found, Bound), found
    return found.nanos


def test_prices_exactly_by_own_rates() -> None:
    book = over(an_override({"input_tokens": "0.333333333333333333", "output_tokens": "8"}))

    exact = nanos(book, "gpt-4o", {"input_tokens": 3_000_000, "output_tokens": 1})

    assert exact == 1_000_000_000 + 8_000


def test_names_the_own_rates_in_card_and_book() -> None:
    override = an_override()
    book = over(override)
    card = book.card("openai", "gpt-4o")

    assert card is not None
    assert card.key == f"openai/gpt-4o+{override.tag}"
    assert tag_of(card.key) == override.tag
    assert book_named(book.digest) == BOOK.digest
    assert book.digest != BOOK.digest


def test_leaves_all_other_models_and_the_book_beneath_as_they_are() -> None:
    book = over(an_override())

    assert book.card("openai", "gpt-4o-mini") is BOOK.card("openai", "gpt-4o-mini")
    assert book.card("anthropic", "gpt-4o") is BOOK.card("anthropic", "gpt-4o")
    assert tag_of(BOOK.card("openai", "gpt-4o").key) is None  # type: ignore[union-attr] # it has one
    assert held(book, "gpt-4o-mini") == held(BOOK, "gpt-4o-mini")
    assert laid_over(BOOK, []) is BOOK


@pytest.mark.parametrize(
    ("pattern", "name", "applies"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("GPT-4o", "gpt-4O", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o*", "gpt-4o-mini", True),
        ("*", "no-list-has-this", True),
        ("no-list-has-this", "no-list-has-this", True),
        ("no-list-has-this", "no-list-has-that", False),
    ],
)
def test_matches_a_name_as_it_is_called_or_as_the_list_has_it(
    pattern: str, name: str, *, applies: bool
) -> None:
    card = over(an_override(model=pattern)).card("openai", name)

    assert (card is not None and card.own is not None) is applies


def test_takes_the_most_exact_and_then_the_organisations_own() -> None:
    for_all = an_override({"input_tokens": "1"}, id="all", org=None)
    own = an_override({"input_tokens": "2"}, id="own")
    wide = an_override({"input_tokens": "3"}, id="wide", model="gpt-*")
    wider = an_override({"input_tokens": "4"}, id="wider", model="*")
    usage = {"input_tokens": 1_000_000}

    book = over(wider, for_all, wide, own)
    without_own = over(wider, for_all, wide)

    assert nanos(book, "gpt-4o", usage) == 2 * 10**9
    assert nanos(without_own, "gpt-4o", usage) == 10**9
    assert nanos(book, "gpt-4o-mini", usage) == 3 * 10**9
    assert nanos(book, "o3", usage) == 4 * 10**9


def test_of_those_for_the_same_takes_the_one_that_begins_last_and_then_the_first_by_id() -> None:
    older = an_override({"input_tokens": "1"}, id="a", valid_from=NOW - timedelta(days=1))
    first = an_override({"input_tokens": "2"}, id="acme", model="GPT-4o")
    second = an_override({"input_tokens": "3"}, id="acme-2027")
    for_all = an_override({"input_tokens": "4"}, id="all", org=None, valid_from=NOW)
    usage = {"input_tokens": 1_000_000}

    for overrides in permutations((older, first, second, for_all)):
        assert nanos(over(*overrides), "gpt-4o", usage) == 2 * 10**9
    assert nanos(over(older, second), "gpt-4o", usage) == 3 * 10**9
    assert nanos(over(older, for_all), "gpt-4o", usage) == 10**9


@pytest.mark.parametrize(
    ("fields", "meets"),
    [
        ({}, True),
        ({"model": "GPT-4O"}, True),
        ({"valid_from": NOW + timedelta(hours=1)}, False),
        ({"valid_from": NOW - timedelta(hours=1), "valid_until": NOW}, False),
        ({"valid_from": NOW - timedelta(hours=1), "valid_until": NOW + timedelta(1)}, True),
        ({"model": "gpt-4o*"}, False),
        ({"org": None}, False),
        ({"provider": "azure"}, False),
        ({"id": "acme-4o"}, False),
    ],
)
def test_meets_what_is_for_the_same_calls(fields: dict[str, Any], *, meets: bool) -> None:
    override = an_override(valid_until=NOW + timedelta(hours=1))
    other = an_override(**{"id": "other", **fields})

    assert (override.meets(other), other.meets(override)) == (meets, meets)


def test_pays_what_negotiated_rates_leave_out_as_part_of_what_holds_it_or_by_the_list() -> None:
    book = over(an_override())
    searches = {**USAGE, "web_searches": 2}
    list_price = nanos(BOOK, "gpt-4o", {"input_tokens": 0, "output_tokens": 0, "web_searches": 2})

    assert nanos(book, "gpt-4o", USAGE) == 1_000 * 2_000 + 100 * 8_000
    assert list_price is None or nanos(book, "gpt-4o", searches) == 2_800_000 + list_price


def test_keeps_the_lists_price_of_a_unit_that_nothing_of_its_own_covers() -> None:
    only_output = over(an_override({"output_tokens": "8"}))

    assert (
        nanos(only_output, "gpt-4o", USAGE)
        == nanos(BOOK, "gpt-4o", {**USAGE, "output_tokens": 0}) + 100 * 8_000
    )


def test_own_machines_have_no_other_rates() -> None:
    book = over(an_override({"output_tokens": "8"}, kind="self_hosted"))

    priced = book.price([(book.card("openai", "gpt-4o"), USAGE)], NOW, {})

    assert (priced.nanos, priced.reason) == (None, "unknown_unit:input_tokens")


def test_prices_models_of_an_upstream_that_has_no_list() -> None:
    book = over(an_override(provider="u/ollama", model="llama*", kind="self_hosted"))

    assert nanos(book, "llama-3.3-70b", USAGE, "u/ollama") == 2_800_000
    assert book.card("u/ollama", "qwen") is None
    assert book.card("u/other", "llama-3.3-70b") is None
    assert held(book, "llama-3.3-70b", "u/ollama") > 100 * 8_000


def test_charges_nothing_for_what_is_prepaid_and_holds_nothing() -> None:
    book = over(an_override({}, kind="prepaid", note="committed throughput", model="gpt-4o*"))

    assert nanos(book, "gpt-4o", {**USAGE, "web_searches": 9}) == 0
    assert held(book, "gpt-4o") == 0


@pytest.mark.parametrize("tier", ["priority", "flex", "new-tier"])
def test_own_rates_hold_in_every_tier(tier: str) -> None:
    book = over(an_override())
    card = book.card("openai", "gpt-4o")

    assert card is not None
    assert card.has_variant("service_tier", tier)
    priced = book.price([(card, USAGE)], NOW, {"service_tier": tier})
    assert priced.nanos == 1_000 * 2_000 + 100 * 8_000


@pytest.mark.parametrize("usd", ["0.01", "2", "500"])
@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-mini", "o3", "gpt-5"])
@pytest.mark.parametrize("pattern", ["gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4o-2024*", "*"])
def test_holds_as_much_as_any_spelling_in_the_reply_costs(
    pattern: str, name: str, usd: str
) -> None:
    """Whatever dated name of the model the reply has, its rates are within what is held."""
    book = over(an_override({"input_tokens": usd, "output_tokens": usd}, model=pattern))
    spellings = {name} | {
        card.model for card in BOOK.iter_cards("openai") if undated(card.model) == name
    }
    spellings |= {f"{name}-2024-07-18", f"{name}-2024-08-06"}

    most = held(book, name)

    tokens = {"input_tokens": 0, "output_tokens": 100}
    prices = {spelled: nanos(book, spelled, tokens) for spelled in spellings}
    own = {
        spelled
        for spelled in spellings
        if (card := book.card("openai", spelled)) is not None and card.own is not None
    }
    assert {spelled for spelled in own if prices[spelled] > most} == set()
    if book.card("openai", name).own is not None:  # type: ignore[union-attr] # all are listed
        assert {s for s, price in prices.items() if price is not None and price > most} == set()


def test_counts_from_its_beginning_to_before_its_end() -> None:
    override = an_override(valid_until=NOW + timedelta(hours=1))
    second = timedelta(seconds=1)
    moments = [NOW - second, NOW, NOW + timedelta(hours=1) - second, NOW + timedelta(hours=1)]

    assert [override.holds("acme", at) for at in moments] == [False, True, True, False]
    assert not override.holds("other", NOW)
    assert replace(override, org=None).holds("other", NOW)


def test_has_another_tag_when_it_says_something_else() -> None:
    override = an_override()
    other = replace(override, rates={"input_tokens": 1})

    assert override.tag == an_override().tag
    assert len({override.tag, other.tag, replace(override, model="x").tag}) == 3
    assert override.tag.startswith("acme-4o@")


def test_is_stored_and_read_again_as_it_is() -> None:
    override = an_override({"input_tokens": "10000"})
    stored = Document(override.version_ref, override.to_data(), "1")

    assert Override.from_document(stored) == override


@pytest.mark.parametrize("field", ["rates", "kind", "valid_from"])
def test_says_which_document_it_cannot_read(field: str) -> None:
    data = {**an_override().to_data(), field: "strange"}
    if field == "valid_from":
        del data[field]

    with pytest.raises(InvalidInput, match="acme-4o"):
        Override.from_document(Document(an_override().ref, data, "1"))


@pytest.mark.parametrize(
    ("unit", "usd", "says"),
    [
        ("input_tokens", "-1", "from 0 to 10,000"),
        ("input_tokens", "1e3", "from 0 to 10,000"),
        ("input_tokens", "", "from 0 to 10,000"),
        ("input_tokens", "NaN", "from 0 to 10,000"),
        ("input_tokens", "0." + "1" * 19, "at most 18 decimals"),
        ("input_tokens", "10000.000000000000000001", "is more than 10,000"),
        ("input_token", "1", "did you mean input_tokens"),
        ("zzz", "1", "the price list has no unit 'zzz'"),
    ],
)
def test_refuses_a_rate_that_nobody_can_mean(unit: str, usd: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_rates({unit: usd}, BOOK.units)


def test_takes_the_dearest_rate_that_may_be_meant() -> None:
    assert read_rates({"input_tokens": "10000"}, BOOK.units) == {"input_tokens": 10**22}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "A b"}, "id"),
        ({"provider": "openia"}, "provider"),
        ({"provider": "u/A B"}, "provider"),
        ({"model": ""}, "model"),
        ({"model": "a b"}, "model"),
        ({"rates": {}}, "rates"),
        ({"kind": "prepaid", "note": "paid"}, "rates"),
        ({"kind": "prepaid", "rates": {}}, "note"),
        ({"valid_until": NOW}, "valid_until"),
    ],
)
def test_refuses_what_cannot_be_meant(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_override(an_override(**fields), BOOK.providers)

    assert refused.value.field == named


def test_takes_prepaid_with_a_reason() -> None:
    check_override(an_override({}, kind="prepaid", note="committed"), BOOK.providers)
    check_override(an_override(provider="u/ollama"), BOOK.providers)
