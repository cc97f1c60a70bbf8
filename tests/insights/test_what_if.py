"""What-if equals running the ledger again at the other model's prices, to the nano-dollar."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest

from common.insights.what_if import (
    LedgerRow,
    as_card,
    card_of,
    cheaper_models,
    own_card,
    what_if,
)
from common.llm.costs import cost_of
from common.llm.facts import CallFacts
from common.llm.metered import Metered, UsageLine
from common.llm.price_book import Card, bundled_book
from tests.insights.conftest import DAY

BOOK = bundled_book()
CARDS = [
    "openai/gpt-4o",
    "openai/gpt-4o-mini",
    "openai/gpt-5",
    "openai/gpt-5-mini",
    "anthropic/claude-sonnet-4-5",
    "anthropic/claude-haiku-4-5",
    "google/gemini-2.5-pro",
    "google/gemini-2.5-flash",
]
SINCE = DAY - timedelta(days=7)
USD = 1_000_000_000


def cost(card: str, units: dict[str, int], tier: str | None, at: datetime) -> int | None:
    """What a call costs on the way that settles calls."""
    provider, _, model = card.partition("/")
    metered = Metered(
        lines=(UsageLine(units),),
        final=True,
        model=model,
        price_context={} if tier is None else {"service_tier": tier},
        service_tier=tier,
    )
    facts = CallFacts(readable=True, model=model)
    return cost_of(metered, facts, book=BOOK, provider=provider, at=at).nanos


def generated(seed: int, card: str) -> list[LedgerRow]:
    """Rows with cached, written and reasoning tokens, on both sides of every tier."""
    random = Random(seed)
    rows: list[LedgerRow] = []
    while len(rows) < 60:
        taken = random.choice([random.randrange(1, 5_000), random.randrange(150_000, 260_000)])
        read = random.randrange(taken + 1) if random.random() < 0.5 else 0
        given = random.randrange(1, 20_000)
        units = {"input_tokens": taken, "output_tokens": given}
        if read:
            units["cache_read_tokens"] = read
        if card.startswith("anthropic") and random.random() < 0.5:
            units["cache_write_tokens"] = random.randrange(taken - read + 1)
        tier = random.choice([None, "default"]) if card.startswith("openai") else None
        at = DAY - timedelta(seconds=random.randrange(7 * 86_400))
        nanos = cost(card, units, tier, at)
        assert nanos is not None
        rows.append(LedgerRow("acme", "crawler", card, at, units, tier, nanos, "normal", 60))
    return rows


def cards(*keys: str) -> list[Card]:
    found = [card_of(key, BOOK) for key in keys]
    return [card for card in found if card is not None]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_ledger_run_again_at_the_other_prices(seed: int, card: str) -> None:
    rows = generated(seed, card)
    others = [each for each in CARDS if each.partition("/")[0] == card.partition("/")[0]]

    savings = what_if(rows, BOOK, cards(*others))

    assert {each.candidate for each in savings} == set(others)
    for saving in savings:
        [candidate] = cards(saving.candidate)
        fitting = [row for row in rows if _fits(row, candidate)]
        again = [cost(saving.candidate, dict(r.units), r.service_tier, r.at) for r in fitting]
        assert saving.compared == len(fitting)
        assert saving.other_nanos == sum(nanos for nanos in again if nanos is not None)
        assert saving.nanos == sum(row.nanos for row in fitting)
        assert saving.all_nanos == sum(row.nanos for row in rows)


def _fits(row: LedgerRow, card: Card) -> bool:
    taken, given = row.units["input_tokens"], row.units["output_tokens"]
    caps = card.caps
    return (caps.context_window is None or taken + given <= caps.context_window) and (
        caps.max_output is None or given <= caps.max_output
    )


@pytest.mark.parametrize("card", CARDS)
def test_saves_nothing_with_the_model_itself(card: str) -> None:
    [saving] = what_if(generated(7, card), BOOK, cards(card))

    assert saving.saved == 0


def row(card: str = "openai/gpt-4o", **units: int) -> LedgerRow:
    told = {"input_tokens": 1_000, "output_tokens": 100, **units}
    nanos = cost(card, told, None, DAY)
    assert nanos is not None
    return LedgerRow("acme", "crawler", card, DAY, told, None, nanos, "normal", 1)


def test_prices_by_hand() -> None:
    # A thousand tokens at $2.50 and a hundred at $10 a million; $0.15 and $0.60 with the other.
    [saving] = what_if([row()], BOOK, cards("openai/gpt-4o-mini"))

    assert (saving.nanos, saving.other_nanos) == (3_500_000, 210_000)


def test_pays_cached_tokens_in_full_where_the_other_has_no_cache() -> None:
    cached = row(cache_read_tokens=1_000)

    assert as_card(cached, cards("openai/gpt-3.5-turbo")[0], BOOK) == 650_000


@pytest.mark.parametrize(("taken", "compared"), [(127_900, 1), (127_901, 0)])
def test_leaves_out_what_does_not_fit_the_other_window(taken: int, compared: int) -> None:
    rows = [row("openai/gpt-5", input_tokens=taken)]

    assert what_if(rows, BOOK, cards("openai/gpt-4o"))[0].compared == compared


@pytest.mark.parametrize(("given", "compared"), [(16_384, 1), (16_385, 0)])
def test_leaves_out_answers_longer_than_the_other_gives(given: int, compared: int) -> None:
    rows = [row("openai/gpt-5", output_tokens=given)]

    assert what_if(rows, BOOK, cards("openai/gpt-4o"))[0].compared == compared


def test_leaves_out_units_that_the_other_has_no_price_for() -> None:
    searched = row(web_searches=5)

    assert own_card(searched, BOOK) is not None
    assert as_card(searched, cards("openai/o3-mini")[0], BOOK) is None
    assert as_card(row(), cards("openai/o3-mini")[0], BOOK) == 1_540_000


def test_leaves_out_sounds_that_the_other_would_be_billed_for_as_texts() -> None:
    heard = row("openai/gpt-4o-audio-preview", input_audio_tokens=500)

    assert as_card(heard, cards("openai/gpt-4o-audio-preview")[0], BOOK) == heard.nanos
    assert as_card(heard, cards("openai/o3-mini")[0], BOOK) is None


def test_leaves_out_rows_whose_own_cost_the_book_does_not_give_any_more() -> None:
    known = row()
    moved = replace(known, nanos=known.nanos + 1)

    [saving] = what_if([known, moved], BOOK, cards("openai/gpt-4o-mini"))

    assert (saving.compared, saving.rows) == (1, 2)
    assert saving.all_nanos == 2 * known.nanos + 1


def test_leaves_out_a_tier_that_the_other_does_not_know() -> None:
    flex = replace(row("openai/gpt-5"), service_tier="flex")

    assert as_card(flex, cards("openai/gpt-5-mini")[0], BOOK) is not None
    assert as_card(flex, cards("openai/gpt-4o")[0], BOOK) is None


def proposed(rows: Sequence[LedgerRow]) -> list[tuple[str, str]]:
    found = cheaper_models(rows, BOOK, SINCE, DAY)
    return [(each.scope, str(each.evidence["candidate"])) for each in found]


def test_proposes_the_cheapest_model_that_the_organisation_uses() -> None:
    dear = [replace(row(output_tokens=4_000), group_calls=200)] * 100
    rows = [*dear, row("openai/gpt-4o-mini"), row("anthropic/claude-haiku-4-5")]

    [finding] = cheaper_models(rows, BOOK, SINCE, DAY)

    # A thousand tokens and 4,000: $0.0425 each, or $0.00255. Twice as many calls as were read.
    assert finding.scope == "agent:acme/crawler model:openai/gpt-4o"
    assert finding.evidence["nanos"] == 4_250_000_000
    assert finding.evidence["candidate_nanos"] == 255_000_000
    assert finding.stake == 2 * 3_995_000_000 * 30 // 7
    assert proposed(dear) == []
    assert proposed([*dear, row("anthropic/claude-haiku-4-5")]) == []


def test_proposes_nothing_for_few_calls_or_little_money() -> None:
    other = row("openai/gpt-4o-mini")
    dear = replace(row(output_tokens=4_000), group_calls=100)
    # 100 calls of $0.0035 a week save $1.41 a month.
    cheap = replace(row(), group_calls=100)

    assert len(proposed([*[dear] * 100, other])) == 1
    assert proposed([*[dear] * 99, other]) == []
    assert proposed([*[cheap] * 100, other]) == []


def test_proposes_no_model_that_cannot_take_four_fifths_of_the_spend() -> None:
    other = row("openai/gpt-4o-mini")
    taken = replace(row("openai/gpt-5", output_tokens=10_000), group_calls=200)
    not_taken = replace(row("openai/gpt-5", output_tokens=20_000), group_calls=200)

    assert len(proposed([*[taken] * 180, *[not_taken] * 20, other])) == 1
    assert proposed([*[taken] * 150, *[not_taken] * 50, other]) == []
