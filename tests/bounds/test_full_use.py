"""A provider that uses up all it may does not reach above the bound."""

from collections import defaultdict
from datetime import timedelta
from random import Random

import pytest

from common.llm.bounds import Bound
from common.llm.price_book import bundled_book
from tests.bounds.asking import bound_of
from tests.bounds.full_use import Planned, planned
from tests.bounds.ratios import show

SEED = 20261122
EACH = 8


def _dearest(plan: Planned) -> int:
    """The most that any of its endings costs, where the list prices all of it."""
    book = bundled_book()
    costs = [
        book.price([(plan.card, usage)], at, context).nanos
        for usage in plan.usages()
        for at in plan.endings()
        for context in plan.contexts
    ]
    return max(cost for cost in costs if cost is not None)


def test_no_call_costs_more_than_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    ratios: dict[str, list[float]] = defaultdict(list)
    exact = 0
    for plan in planned(Random(SEED), EACH):
        model = plan.model if plan.form == "gemini_content" else None
        found = bound_of(plan.form, plan.request, model=model, at=plan.at)
        assert isinstance(found, Bound), (plan.card.key, found)
        cost = _dearest(plan)
        assert cost <= found.nanos, (plan.card.key, plan.at, found, cost, plan.contexts)
        ratios[f"{plan.form} {found.bound_kind}"].append(found.nanos / cost if cost else 1)
        exact += cost == found.nanos
    show(ratios, capsys)
    reached = [len(of_calls) for of_calls in ratios.values()]
    total = sum(reached)
    assert total > 1_500
    assert min(reached) > 20, ratios.keys()
    # Where nothing is left open the dearest ending is the bound itself: it is not just large.
    assert exact > total * 0.7, f"{exact} of {total}"


def test_the_price_of_tomorrow_is_not_charged_today() -> None:
    plans = [plan for plan in planned(Random(SEED), 1) if plan.at == plan.at.replace(hour=12)]
    for plan in plans:
        model = plan.model if plan.form == "gemini_content" else None
        now, before = (
            bound_of(plan.form, plan.request, model=model, at=at)
            for at in (plan.at, plan.at - timedelta(hours=1))
        )
        assert now == before, plan.card.key
    assert len(plans) > 30
