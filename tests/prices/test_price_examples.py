"""Prices worked out by hand from what providers publish."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from common.llm.price_book import PriceBook, Priced
from common.llm.price_cards import Card
from scripts.commands.price_book import BOOK

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def card(book: PriceBook, provider: str, model: str) -> Card:
    found = book.card(provider, model)
    assert found is not None
    return found


def price(
    book: PriceBook, provider: str, model: str, usage: Mapping[str, int], **context: str
) -> Priced:
    return book.price([(card(book, provider, model), usage)], AT, context)


def exactly(nanos: int) -> Priced:
    return Priced(nanos, None, nanos)


def test_it_prices_input_and_output(book: PriceBook) -> None:
    # Sonnet 4.5: $3 and $15 a million. 20,480 x 3 + 4,096 x 15 = 122,880 millionths.
    usage = {"input_tokens": 20_480, "output_tokens": 4_096}
    assert price(book, "anthropic", "claude-sonnet-4-5", usage) == exactly(122_880_000)


def test_it_takes_cached_tokens_out_of_the_input(book: PriceBook) -> None:
    # $3 in, $3.75 written for 5 minutes, $6 for an hour, $0.30 read, $10 per 1,000 searches:
    # 1,000 x 3 + 300 x 3.75 + 200 x 6 + 8,500 x 0.3 = 7,875 millionths, and 2 cents.
    usage = {
        "input_tokens": 10_000,
        "cache_write_tokens": 500,
        "cache_write_5m_tokens": 300,
        "cache_write_1h_tokens": 200,
        "cache_read_tokens": 8_500,
        "web_searches": 2,
    }
    assert price(book, "anthropic", "claude-sonnet-4-5", usage) == exactly(27_875_000)


def test_it_pays_reasoning_as_output_once(book: PriceBook) -> None:
    # GPT-5: $10 a million output tokens, reasoning included.
    usage = {"input_tokens": 0, "output_tokens": 82, "output_reasoning_tokens": 64}
    assert price(book, "openai", "gpt-5", usage) == exactly(820_000)


@pytest.mark.parametrize(
    ("total_input", "nanos"),
    [(200_000, 250_010_000), (200_001, 500_017_500)],
    ids=["at the start", "one above"],
)
def test_it_moves_every_token_above_the_start_of_a_tier(
    book: PriceBook, total_input: int, nanos: int
) -> None:
    # Gemini 2.5 Pro: $1.25 and $10, above 200,000 input tokens $2.50 and $15.
    usage = {"input_tokens": total_input, "output_tokens": 1}
    assert price(book, "google", "gemini-2.5-pro", usage) == exactly(nanos)


def test_it_prices_by_the_context_of_the_call(book: PriceBook) -> None:
    usage = {"input_tokens": 1_000_000}
    assert price(book, "openai", "gpt-5", usage) == exactly(1_250_000_000)
    assert price(book, "openai", "gpt-5", usage, service_tier="flex") == exactly(625_000_000)
    assert price(book, "openai", "gpt-5", usage, service_tier="new") == exactly(1_250_000_000)


def test_it_prices_by_the_hour(book: PriceBook) -> None:
    # DeepSeek's off-peak prices end at 00:30 UTC and begin at 16:30.
    reasoner = card(book, "deepseek", "deepseek-reasoner")
    usage = {"input_tokens": 1_000_000}
    peak, off_peak = (
        book.price([(reasoner, usage)], datetime(2025, 3, 1, hour, 30, tzinfo=UTC), {}).nanos
        for hour in (12, 16)
    )
    assert (peak, off_peak) == (550_000_000, 135_000_000)


def test_it_multiplies_all_token_rates_for_inference_in_the_us(book: PriceBook) -> None:
    # 1.1 x (1,000,000 x $5 + 100,000 x $25 + 1,000,000 x $0.50 a million), searches at $10 a 1,000.
    usage = {
        "input_tokens": 2_000_000,
        "cache_read_tokens": 1_000_000,
        "output_tokens": 100_000,
        "web_searches": 1_000,
    }
    us = price(book, "anthropic", "claude-opus-4-6", usage, inference_geo="us")
    assert us == exactly(8_800_000_000 + 10_000_000_000)
    anywhere = price(book, "anthropic", "claude-opus-4-6", usage, inference_geo="global")
    assert anywhere == exactly(18_000_000_000)
    batch = {"inference_geo": "us", "processing": "batch"}
    halved = price(book, "anthropic", "claude-opus-4-6", {"input_tokens": 10}, **batch)
    assert halved == exactly(27_500)


def test_it_bills_at_least_ten_seconds_of_speech(book: PriceBook) -> None:
    # $0.111 an hour.
    whisper = "whisper-large-v3"
    assert price(book, "groq", whisper, {"audio_seconds": 3}) == exactly(308_333)
    assert price(book, "groq", whisper, {"audio_seconds": 3600}) == exactly(111_000_000)
    assert price(book, "groq", whisper, {"audio_seconds": 0}) == exactly(0)
    either_name = {"audio_seconds": 0, "input_audio_seconds": 3600}
    assert price(book, "groq", whisper, either_name) == exactly(111_000_000)


@pytest.mark.parametrize(
    ("tokens", "nanos"), [(1, 38), (2, 75), (3, 112), (4, 150), (5, 188), (6, 225), (7, 262)]
)
def test_it_rounds_halves_to_even_nanos(book: PriceBook, tokens: int, nanos: int) -> None:
    # Gemini 1.5 Flash-8B: $0.0375 a million, 37.5 nanos a token.
    usage = {"input_tokens": tokens}
    assert price(book, "google", "gemini-flash-1.5-8b", usage) == exactly(nanos)


def test_it_rounds_once_over_all_lines(book: PriceBook) -> None:
    # Each line is 37.5 nanos, 38 by itself.
    line = (card(book, "google", "gemini-flash-1.5-8b"), {"input_tokens": 1})
    assert book.price([line, line, line, line], AT, {}) == exactly(150)


def test_it_sums_lines_of_different_models(book: PriceBook) -> None:
    lines = [
        (card(book, "anthropic", "claude-sonnet-4-5"), {"input_tokens": 1_000}),
        (card(book, "anthropic", "claude-opus-4-6"), {"output_tokens": 1_000}),
    ]
    assert book.price(lines, AT, {}) == exactly(28_000_000)


def test_it_says_what_the_rest_costs_when_one_line_fails(book: PriceBook) -> None:
    known = card(book, "anthropic", "claude-sonnet-4-5")
    lines: list[tuple[Card | None, dict[str, int]]] = [
        (known, {"input_tokens": 1_000}),
        (None, {"input_tokens": 1_000}),
        (known, {"input_tokens": 1, "cache_read_tokens": 2}),
        (known, {"output_tokens": 1_000}),
    ]
    assert book.price(lines, AT, {}) == Priced(None, "unknown_model", 18_000_000)
    assert book.price(lines[2:], AT, {}) == Priced(None, "invalid_usage:input_tokens", 15_000_000)


@pytest.mark.parametrize(
    ("usage", "reason", "priced_nanos"),
    [
        ({"input_tokens": 1, "container_sessions": 1}, "unknown_unit:container_sessions", 1_250),
        ({"input_tokens": 1, "input_pixels": 5}, "unknown_unit:input_pixels", 1_250),
        ({"input_tokens": 1, "requests": 5}, "unknown_unit:requests", 1_250),
        ({"input_tokens": 1, "container_sessions": 0}, None, 1_250),
        ({"input_tokens": 1, "input_audio_tokens": 1}, None, 1_250),
        ({"input_tokens": 4, "cache_read_tokens": 5}, "invalid_usage:input_tokens", 0),
        ({"cache_read_tokens": 5}, "invalid_usage:input_tokens", 0),
        ({"output_tokens": -1}, "invalid_usage:output_tokens", 0),
        ({"output_tokens": True}, "invalid_usage:output_tokens", 0),
        ({}, None, 0),
    ],
)
def test_it_gives_a_reason_for_what_it_cannot_price(
    book: PriceBook, usage: dict[str, int], reason: str | None, priced_nanos: int
) -> None:
    priced = price(book, "openai", "gpt-5", usage)
    assert priced == Priced(None if reason else priced_nanos, reason, priced_nanos)


def test_it_costs_nothing_only_where_the_provider_says_so(book: PriceBook) -> None:
    usage = {"input_tokens": 1_000}
    assert price(book, "openai", "omni-moderation-latest", usage) == exactly(0)
    assert price(book, "google", "gemma-3-27b-it", usage) == exactly(0)
    unlisted = price(book, "openrouter", "google/lyria-3-pro-preview", usage)
    assert unlisted == Priced(None, "unknown_unit:input_tokens", 0)


def test_it_charges_a_request_once_per_line(book: PriceBook) -> None:
    # Sonar: $12 per 1,000 requests.
    sonar = card(book, "perplexity", "sonar")
    fee = {rate.unit: rate.usd for rate in sonar.rates(AT, {})}["requests"]
    assert fee == "12"
    assert book.price([(sonar, {})] * 3, AT, {}) == exactly(36_000_000)
    counted = book.price([(sonar, {"requests": 3})], AT, {})
    assert counted == Priced(None, "unknown_unit:requests", 12_000_000)


def test_it_knows_which_contexts_a_card_has_prices_for(book: PriceBook) -> None:
    assert card(book, "openai", "gpt-5").has_variant("service_tier", "flex")
    assert not card(book, "openai", "gpt-5").has_variant("service_tier", "scale")
    assert card(book, "anthropic", "claude-opus-4-6").has_variant("inference_geo", "us")
    assert card(book, "openai", "gpt-4.1-nano").has_variant("service_tier", "priority")
    sold_by_azure = card(book, "azure", "gpt-4.1-nano-2025-04-14")
    assert not sold_by_azure.has_variant("service_tier", "priority")


def test_it_shows_exact_rates(book: PriceBook) -> None:
    shown = card(book, "google", "gemini-2.5-pro").rates(AT, {})
    first = shown[0]
    assert (first.unit, first.per, first.usd) == ("input_tokens", 1_000_000, "1.25")
    assert [(tier.above, tier.usd) for tier in first.tiers] == [(200_000, "2.5")]
    us = card(book, "anthropic", "claude-opus-4-6").rates(AT, {"inference_geo": "us"})
    assert {rate.unit: rate.usd for rate in us}["input_tokens"] == "5.5"


def test_it_keeps_no_rates_for_contexts_that_change_nothing() -> None:
    fresh = PriceBook.load(BOOK.read_bytes())
    gpt = card(fresh, "openai", "gpt-5")
    for number in range(100):
        context = {"service_tier": f"tier-{number}", f"name-{number}": "flex"}
        fresh.price([(gpt, {"input_tokens": 1})], AT, context)
    assert len(gpt.terms.tariffs) == 1
