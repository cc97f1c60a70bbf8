"""A book that compiles is exact and unambiguous; anything else is refused by name."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data_units, types

from common.core.errors import InvalidInput
from common.llm.capabilities import ModelCaps
from common.llm.compile_book import compile_book
from common.llm.picture_tokens import PictureTokens
from common.llm.price_book import PriceBook

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MILLION = {"input_tokens": 1_000_000}


def model(
    prices: types.ModelPrice | list[types.ConditionalPrice] | None = None,
    *,
    variants: list[types.PriceVariant] | None = None,
    match: types.MatchLogic | None = None,
    name: str = "one",
) -> types.ModelInfo:
    return types.ModelInfo(
        id=name,
        match=match or types.ClauseEquals(name),
        prices=types.ModelPrice(input_mtok=Decimal(2)) if prices is None else prices,
        price_variants=variants,
    )


def compiled(
    *models: types.ModelInfo, overlay: Mapping[str, Any] | None = None, **provider: Any
) -> PriceBook:
    lab = types.Provider(id="lab", name="Lab", api_pattern="", models=list(models), **provider)
    return PriceBook.load(compile_book([lab], data_units.unit_data, overlay or {}, {}))


def nanos(book: PriceBook, at: datetime = AT, **context: str) -> int | None:
    return book.price([(book.card("lab", "one"), MILLION)], at, context).nanos


def test_it_keeps_rates_of_eighteen_decimals() -> None:
    rate = Decimal("0.123456789012345678")
    book = compiled(model(types.ModelPrice(input_mtok=rate)))
    card = book.card("lab", "one")
    assert card is not None
    assert card.rates(AT, {})[0].usd == "0.123456789012345678"
    assert nanos(book) == 123_456_789


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("0.1234567890123456789", r"lab/one input_tokens costs 0\.1234567890123456789, .*10\^-18"),
        ("-1", "lab/one input_tokens has the price -1"),
        ("NaN", "lab/one input_tokens has the price NaN"),
    ],
)
def test_it_refuses_a_rate_it_cannot_keep_exactly(rate: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        compiled(model(types.ModelPrice(input_mtok=Decimal(rate))))
    tiers = types.TieredPrices(Decimal(1), [types.Tier(10, Decimal(rate))])
    with pytest.raises(InvalidInput, match=message):
        compiled(model(types.ModelPrice(input_mtok=tiers)))


def test_it_takes_the_last_valid_price_else_the_first() -> None:
    dated = [
        types.ConditionalPrice(
            types.StartDateConstraint(date(2026, 1, day)),
            prices=types.ModelPrice(input_mtok=Decimal(day)),
        )
        for day in (10, 30, 20)
    ]
    book = compiled(model(dated))
    months = [datetime(2026, 1, day, tzinfo=UTC) for day in (9, 10, 29, 31)]
    assert [nanos(book, at) for at in months] == [10**10, 10**10, 2 * 10**10, 2 * 10**10]


def test_it_reads_hours_of_other_zones_over_midnight() -> None:
    east = timezone(timedelta(hours=8))
    night = types.TimeOfDateConstraint(time(6, tzinfo=east), time(10, tzinfo=east))
    prices = [
        types.ConditionalPrice(prices=types.ModelPrice(input_mtok=Decimal(2))),
        types.ConditionalPrice(night, prices=types.ModelPrice(input_mtok=Decimal(1))),
    ]
    book = compiled(model(prices))
    hours = {hour: nanos(book, AT.replace(hour=hour)) for hour in (21, 22, 23, 1, 2, 12)}
    cheap, dear = 10**9, 2 * 10**9
    assert hours == {21: dear, 22: cheap, 23: cheap, 1: cheap, 2: dear, 12: dear}


def test_it_takes_each_rate_from_the_first_variant_that_matches() -> None:
    variants = [
        types.PriceVariant({"tier": "x"}, types.ModelPrice(input_mtok=Decimal(3))),
        types.PriceVariant(
            {"batch": "y"}, types.ModelPrice(input_mtok=Decimal(4), output_mtok=Decimal(5))
        ),
    ]
    listed = types.ModelPrice(input_mtok=Decimal(2), output_mtok=Decimal(9))
    book = compiled(model(listed, variants=variants))
    card = book.card("lab", "one")
    assert card is not None
    both = card.rates(AT, {"batch": "y", "tier": "x"})
    assert {rate.unit: rate.usd for rate in both} == {"input_tokens": "3", "output_tokens": "5"}
    assert nanos(book, tier="X") == 2 * 10**9


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (types.ModelPrice(cache_read_mtok=Decimal(1)), "lab/one: Missing ancestor price"),
        (types.ModelPrice(input_lightyears=Decimal(1)), "lab/one prices the unknown unit"),
        ([], "lab/one has an empty list of prices"),
    ],
)
def test_it_refuses_prices_that_do_not_add_up(prices: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        compiled(model(prices))


def test_it_refuses_variants_that_together_price_what_overlaps() -> None:
    variants = [
        types.PriceVariant({"a": "x"}, types.ModelPrice(cache_read_mtok=Decimal(3))),
        types.PriceVariant({"b": "y"}, types.ModelPrice(input_audio_mtok=Decimal(4))),
    ]
    assert compiled(model(variants=variants[:1]))
    with pytest.raises(InvalidInput, match=r"lab/one: Missing join price"):
        compiled(model(variants=variants))


def test_it_refuses_a_pattern_that_is_none() -> None:
    with pytest.raises(InvalidInput, match="lab/one matches by a wrong pattern"):
        compiled(model(match=types.ClauseRegex("(")))


def test_it_refuses_a_fallback_to_nobody() -> None:
    with pytest.raises(InvalidInput, match="lab falls back to unknown nobody"):
        compiled(model(), fallback_model_providers=["nobody"])


def test_it_finds_the_first_model_in_the_order_of_the_file() -> None:
    models = [
        model(name="first", match=types.ClauseEquals("twice")),
        model(name="second", match=types.ClauseEquals("Twice")),
        model(name="contains", match=types.ClauseContains("zzz")),
        model(name="pattern", match=types.ClauseStartsWith("AB")),
        model(name="named", match=types.ClauseOr([types.ClauseEquals("abc")])),
        model(
            name="both",
            match=types.ClauseAnd([types.ClauseEndsWith("d"), types.ClauseRegex("^x[0-9]")]),
        ),
    ]
    book = compiled(*models)
    found = {
        name: card and card.model
        for name in ("abc", "ABzzz", "x1d", "x-d", "bc", "TWICE")
        for card in [book.card("lab", name)]
    }
    assert found == {
        "abc": "pattern",
        "ABzzz": "contains",
        "x1d": "both",
        "x-d": None,
        "bc": None,
        "TWICE": "first",
    }


def entry(**fields: Any) -> dict[str, Any]:
    return {"provider": "lab", "source": "Lab documentation", **fields}


FREE = types.ModelPrice()


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"discounts": []}, "discounts"),
        ({"aliases": [entry(name="two", model="one", why="so")]}, "why"),
        ({"aliases": [{"provider": "lab", "name": "two", "model": "one"}]}, "source"),
        ({"prefixes": [entry(provider="nobody", prefix="x/")]}, "unknown provider nobody"),
        ({"aliases": [entry(name="two", model="three")]}, "lab/two stands for unknown three"),
        ({"aliases": [entry(name="ONE", model="one")]}, "knows lab/ONE: drop the alias"),
        ({"free": [entry(models=["one"])]}, "lab/one has prices"),
        ({"free": [entry(models=["x*"])]}, r"unknown model lab/x\*"),
        ({"minimums": [entry(models=["one"], units=["hours"], at_least=1)]}, "no such unit: hours"),
        (
            {"minimums": [entry(models=["two"], units=["audio_seconds"], at_least=1)]},
            "unknown model lab/two",
        ),
        (
            {"multipliers": [entry(when={"geo": "us"}, factor="1.1", family="hopes")]},
            "lab family hopes: no such unit",
        ),
        (
            {
                "multipliers": [
                    entry(when={"geo": "us"}, factor="1.0000000000000000001", family="tokens")
                ]
            },
            r"lab/one input_tokens times 1\.0+1 is not exact",
        ),
        ({"multipliers": [entry(when={"geo": "us"}, factor="0", family="tokens")]}, "factor"),
        (
            {
                "multipliers": [
                    entry(when={"geo": "us"}, factor="2", family="tokens", without=["two"])
                ]
            },
            "unknown model lab/two",
        ),
        ({"moving": [entry(name="one", models=["two"])]}, "lab/one moves to unknown two"),
        ({"moving": [entry(name="two", models=["one"])]}, "does not know lab/two"),
        ({"rates": [entry(models=["one"], usd={"hours": "1"})]}, "no such unit: hours"),
        (
            {"rates": [entry(models=["one"], usd={"input_tokens": "1"})]},
            "prices lab/one input_tokens: drop the rate",
        ),
        (
            {"rates": [entry(models=["one"], usd={"output_audio_tokens": "1"})]},
            "lab/one: Missing ancestor price",
        ),
        ({"limits": [entry(models=["two"], max_output=1)]}, "unknown model lab/two"),
        ({"limits": [entry(models=["one"], max_output=0)]}, "max_output"),
        ({"limits": [entry(models=["one"], pictures={"partial": 1, "shown": 1})]}, "need sizes"),
        (
            {
                "limits": [
                    entry(models=["one"], pictures={"partial": 1, "shown": 1, "grids": {"low": 1}})
                ]
            },
            "grids and most_pixels",
        ),
        ({"limits": [entry(models=["one"], pictures={"sizes": {"low": {"1x1": 1}}})]}, "partial"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_it_refuses_an_overlay_that_does_not_fit(overlay: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        compiled(model(), overlay=overlay)


def test_it_lays_the_overlay_over_the_list() -> None:
    overlay = {
        "multipliers": [entry(when={"geo": "us"}, factor="1.1", family="tokens")],
        "aliases": [entry(name="Two", model="one")],
        "prefixes": [entry(prefix="models/")],
        "free": [entry(models=["gift*"])],
    }
    book = compiled(model(), model(FREE, name="gift-1"), overlay=overlay)
    assert nanos(book, geo="us") == 2_200_000_000
    assert nanos(book, geo="eu") == 2_000_000_000
    assert book.card("lab", "tWo") is book.card("lab", "one") is book.card("lab", "models/two")
    assert book.price([(book.card("lab", "gift-1"), MILLION)], AT, {}).nanos == 0


def test_it_adds_rates_that_the_list_lacks() -> None:
    book = compiled(
        model(), overlay={"rates": [entry(models=["one"], usd={"input_audio_tokens": "3"})]}
    )
    heard = {"input_tokens": 10, "input_audio_tokens": 4}
    # $2 a million for 6, $3 for 4.
    assert book.price([(book.card("lab", "one"), heard)], AT, {}).nanos == 6 * 2_000 + 4 * 3_000


def test_it_refuses_rates_for_a_model_with_variants() -> None:
    variant = types.PriceVariant({"tier": "x"}, types.ModelPrice(input_mtok=Decimal(3)))
    with pytest.raises(InvalidInput, match="lab/one has variants"):
        compiled(
            model(variants=[variant]),
            overlay={"rates": [entry(models=["one"], usd={"input_audio_tokens": "3"})]},
        )


def test_it_multiplies_all_models_but_those_without_the_context() -> None:
    factor = entry(when={"geo": "us"}, factor="1.5", family="tokens", without=["one"])
    book = compiled(model(), model(name="two"), overlay={"multipliers": [factor]})
    assert nanos(book, geo="us") == 2 * 10**9
    other = book.price([(book.card("lab", "two"), MILLION)], AT, {"geo": "us"})
    assert other.nanos == 3 * 10**9


def test_it_takes_the_larger_of_two_limits() -> None:
    limits = [
        entry(models=["one"], context_window=200, max_output=50),
        entry(models=["o*"], context_window=300, runs_tools="search"),
        entry(models=["one"], max_output=40),
    ]
    card = compiled(model(), overlay={"limits": limits}).card("lab", "one")
    assert card is not None
    assert card.caps == ModelCaps(context_window=300, max_output=50, runs_tools="search")


def test_it_keeps_what_pictures_take() -> None:
    said = {"sizes": {"low": {"1x1": 7}}, "partial": 0, "shown": 5}
    book = compiled(model(), overlay={"limits": [entry(models=["one"], pictures=said)]})
    card = book.card("lab", "one")
    assert card is not None
    table = card.caps.pictures
    assert table == PictureTokens({"low": {"1x1": 7}}, {}, 0, partial=0, shown=5)


def test_it_knows_what_a_moving_name_may_be_billed_as() -> None:
    overlay = {
        "moving": [entry(name="New", models=["one", "two"])],
        "prefixes": [entry(prefix="models/")],
    }
    newest = model(name="two", match=types.ClauseOr([types.ClauseEquals("two"), NEW]))
    book = compiled(model(), newest, overlay=overlay)
    found = {
        name: {card.model for card in book.cards_for("lab", name)}
        for name in ("new", "models/NEW", "two", "three")
    }
    both = {"one", "two"}
    assert found == {"new": both, "models/NEW": both, "two": {"two"}, "three": set()}


NEW = types.ClauseEquals("new")
