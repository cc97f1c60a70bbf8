"""It finds beginnings that are sent again and never cached, and says what a cache would save."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.insights.caching import Sharing, cacheable, saved
from common.insights.what_if import card_of
from common.llm.price_book import bundled_book
from tests.insights.conftest import DAY

BOOK = bundled_book()
SINCE = DAY - timedelta(days=7)
SONNET = "anthropic/claude-sonnet-4-5"
SHARING = Sharing("acme", "crawler", SONNET, 10_000, groups=100, calls=300)


def test_counts_reads_less_the_premium_of_writes() -> None:
    card = card_of(SONNET, BOOK)
    assert card is not None

    # 10,000 tokens are $0.03, read $0.003, written $0.0375: 200 reads save $5.40, 100 writes
    # cost $0.75 more.
    assert saved(SHARING, card, BOOK, DAY) == 4_650_000_000


def test_prices_each_call_by_itself_below_the_tier_of_long_inputs() -> None:
    card = card_of(SONNET, BOOK)
    assert card is not None
    once = saved(replace(SHARING, groups=1, calls=3), card, BOOK, DAY)

    assert once is not None
    assert saved(SHARING, card, BOOK, DAY) == 100 * once


def test_saves_nothing_where_each_beginning_comes_once() -> None:
    card = card_of(SONNET, BOOK)
    assert card is not None

    assert saved(replace(SHARING, calls=100), card, BOOK, DAY) is None


def test_saves_nothing_with_a_model_without_a_cache() -> None:
    card = card_of("openai/gpt-3.5-turbo", BOOK)
    assert card is not None

    assert saved(SHARING, card, BOOK, DAY) is None


def test_tells_what_an_agent_could_save() -> None:
    [finding] = cacheable([SHARING, replace(SHARING, prefix=20_000)], BOOK, SINCE, DAY)

    assert finding.scope == f"agent:acme/crawler model:{SONNET}"
    assert finding.evidence["nanos"] == 3 * 4_650_000_000
    assert finding.evidence["least_prefix"] == 10_000
    assert finding.stake == 3 * 4_650_000_000 * 30 // 7


@pytest.mark.parametrize(("prefix", "count"), [(4_095, 0), (4_096, 1)])
def test_asks_for_as_many_tokens_as_every_model_caches(prefix: int, count: int) -> None:
    assert len(cacheable([replace(SHARING, prefix=prefix)], BOOK, SINCE, DAY)) == count


@pytest.mark.parametrize(("calls", "count"), [(299, 0), (300, 1)])
def test_asks_for_three_calls_each_time(calls: int, count: int) -> None:
    assert len(cacheable([replace(SHARING, calls=calls)], BOOK, SINCE, DAY)) == count


@pytest.mark.parametrize(("groups", "count"), [(25, 0), (26, 1)])
def test_lets_less_than_five_dollars_a_month_be(groups: int, count: int) -> None:
    # Each saves 4.65 cents a week, 19.93 cents a month.
    told = replace(SHARING, groups=groups, calls=3 * groups)

    assert len(cacheable([told], BOOK, SINCE, DAY)) == count


@pytest.mark.parametrize(("calls", "confidence"), [(309, "low"), (311, "medium")])
def test_tells_the_sort_that_would_have_saved_more(calls: int, confidence: str) -> None:
    conversation = replace(SHARING, calls=310)
    beginning = replace(SHARING, calls=calls, known_by="beginning")

    for order in ([conversation, beginning], [beginning, conversation]):
        [finding] = cacheable(order, BOOK, SINCE, DAY)

        assert finding.confidence == confidence
        assert finding.evidence["calls"] == max(310, calls)
