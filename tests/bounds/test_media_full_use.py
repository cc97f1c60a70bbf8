"""Pictures, speech and transcripts cost no more than their bounds where all they may is billed."""

from collections import defaultdict
from random import Random
from statistics import median

import pytest

from common.llm.bounds import Bound, bound
from common.llm.price_book import bundled_book
from tests.bounds.asking import AT, facts_of
from tests.bounds.media_use import media
from tests.bounds.ratios import show

SEED = 20261122
EACH = 40


def test_no_media_call_costs_more_than_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    ratios: dict[str, list[float]] = defaultdict(list)
    for each in media(Random(SEED), EACH):
        found = bound(facts_of(each.form, each.body), book=bundled_book(), provider="openai", at=AT)
        assert isinstance(found, Bound), (each, found)
        billed = each.billed()
        assert 0 < billed <= found.nanos, (each, found, billed)
        ratios[f"{each.path} {found.bound_kind}"].append(found.nanos / billed)

    show(ratios, capsys)
    assert min(len(of_calls) for of_calls in ratios.values()) >= 10
    # Where nothing is left open the dearest answer is nearly the bound itself.
    assert median(ratios["/v1/images/generations bytes"]) < 1.5
    assert median(ratios["/v1/audio/transcriptions window"]) < 1.5
