"""The law: the book prices what genai-prices prices, to the nano, and refuses what it refuses."""

from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, localcontext
from random import Random

import pytest
from genai_prices import types

from common.llm.price_book import Card, PriceBook
from tests.prices.usages import ORDINARY_MOMENT, REGISTRY, Call, calls, usage_keys

CALLS_PER_MODEL = 43
SEED = 20261122


def listed_nanos(provider: types.Provider, model: types.ModelInfo, call: Call) -> int | None:
    """What genai-prices says with enough digits, None where it refuses the usage."""
    with localcontext() as exact:
        exact.prec = 60
        try:
            price = model.calc_price(
                types.Usage(**call.usage),
                provider,
                genai_request_timestamp=call.at,
                price_context=call.context,
            )
        except ValueError:
            return None
        return int((price.total_price * 10**9).to_integral_value(ROUND_HALF_EVEN))


def unpriced_units(model: types.ModelInfo, call: Call) -> set[str]:
    priced = usage_keys(model.get_prices(call.at, call.context))
    return {
        f"unknown_unit:{unit}"
        for unit, count in call.usage.items()
        if count and unit not in priced and not REGISTRY.ancestor_usage_keys(unit) & priced
    }


def difference(
    book: PriceBook, card: Card, provider: types.Provider, model: types.ModelInfo, call: Call
) -> str | None:
    """The kind of difference between both answers, None if there is none."""
    ours = book.price([(card, call.usage)], call.at, call.context)
    theirs = listed_nanos(provider, model, call)
    if theirs is None:
        agrees = ours.nanos is None and (ours.reason or "").startswith("invalid_usage:")
        return None if agrees else f"{card.key} priced what genai-prices refuses: {call}"
    if ours.priced_nanos != theirs:
        return f"{card.key} costs {ours.priced_nanos}, genai-prices says {theirs}: {call}"
    unpriced = set() if card.terms.free else unpriced_units(model, call)
    if unpriced and ours.nanos is None and ours.reason in unpriced:
        return "unpriced_unit"
    if unpriced or ours.reason or ours.nanos != theirs:
        return f"{card.key} answers {ours}, unpriced {unpriced}: {call}"
    return None


@pytest.mark.slow
def test_it_prices_every_card_at_every_boundary_as_genai_prices_does(
    book: PriceBook,
    providers: Mapping[str, types.Provider],
    known_differences: Mapping[str, Mapping[str, str]],
) -> None:
    random = Random(SEED)
    differences: Counter[str | None] = Counter()
    for provider in providers.values():
        cards = list(book.iter_cards(provider.id))
        assert [card.model for card in cards] == [model.id for model in provider.models]
        for card, model in zip(cards, provider.models, strict=True):
            differences.update(
                difference(book, card, provider, model, call)
                for call in calls(model, random, CALLS_PER_MODEL)
            )
    assert sum(differences.values()) > 100_000
    assert set(differences) - {None} == set(known_differences["prices"]), differences.most_common(9)


def test_it_keeps_variants_from_models_found_in_another_providers_list(
    book: PriceBook, providers: Mapping[str, types.Provider]
) -> None:
    azure, listed = providers["azure"], list(providers.values())
    random = Random(SEED)
    compared = 0
    for owner in ("openai", "anthropic"):
        for model in providers[owner].models:
            card = book.card("azure", model.id)
            found = azure.find_model(model.id, all_providers=listed)
            if not model.price_variants or found is not model:
                continue
            assert card is not None
            assert card.key == f"{owner}/{model.id}"
            for call in calls(model, random, CALLS_PER_MODEL):
                ours = book.price([(card, call.usage)], call.at, call.context)
                assert ours.priced_nanos == (listed_nanos(azure, model, call) or 0), call
                compared += 1
    assert compared > 1_000


def test_it_lists_the_prices_of_the_list(
    book: PriceBook, providers: Mapping[str, types.Provider]
) -> None:
    for provider in providers.values():
        for card, model in zip(book.iter_cards(provider.id), provider.models, strict=True):
            prices = model.get_prices(ORDINARY_MOMENT)
            shown = {rate.unit: rate for rate in card.rates(ORDINARY_MOMENT, {})}
            assert set(shown) == usage_keys(prices)
            for key, price in vars(prices).items():
                unit = REGISTRY.unit_for_price_key(key)
                rate = shown[unit.usage_key]
                tiers = price.tiers if isinstance(price, types.TieredPrices) else []
                base = price.base if isinstance(price, types.TieredPrices) else price
                assert rate.per == unit.per
                assert type(base)(rate.usd) == base
                assert [(tier.above, type(base)(tier.usd)) for tier in rate.tiers] == [
                    (tier.start, tier.price) for tier in tiers
                ]


def test_it_prices_no_unit_beyond_the_list_but_the_known_ones(
    book: PriceBook,
    listed: Mapping[str, types.Provider],
    known_differences: Mapping[str, Mapping[str, str]],
) -> None:
    added = {
        card.key
        for provider in listed.values()
        for card, model in zip(book.iter_cards(provider.id), provider.models, strict=True)
        if {rate.unit for rate in card.rates(ORDINARY_MOMENT, {})}
        != usage_keys(model.get_prices(ORDINARY_MOMENT))
    }
    assert added == set(known_differences["rates"])
