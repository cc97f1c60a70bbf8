"""Every model that the simulated provider lists takes what is planned for it, and only once.

Without a gateway, because they are many: what is planned and edited goes to the provider's checks.
"""

import json
from collections.abc import Iterator

import pytest

from common.brownout.modes import Mode, Priority
from common.brownout.plans import Caller, Decision, plan
from common.llm.paths import FormName
from common.llm.price_book import bundled_book
from common.llm.reductions.reduce import Reduction, reduce
from common.llm.reductions.wanted import EffortDown, Wanted
from scripts.simulated.refusals import Refusal
from tests.edits.asking import FORMS, VENDORS, Asked, models, requests
from tests.edits.world import policy_of_all
from tests.fit.requests import check_accepted, recipient_of

CALLERS = (
    (Mode.SOFT, "default", False),
    (Mode.HARD, "moved", True),
    (Mode.EMERGENCY, "moved", False),
    (Mode.EMERGENCY, "support", True),
    (Mode.HARD, "older", True),
)
"""Modes, strategies, and whether an answer is worth more than a cache."""


@pytest.mark.parametrize(("mode", "strategy", "may_miss_cache"), CALLERS)
@pytest.mark.parametrize("form", FORMS)
def test_takes_what_is_planned_for_it_and_nothing_more_the_second_time(
    form: FormName, mode: Mode, strategy: str, *, may_miss_cache: bool
) -> None:
    refused, changed = [], []
    for asked in _accepted(form):
        wanted = _wanted(mode, strategy, asked.model)
        once = _reduced(asked, asked.model, asked.body, wanted, may_miss_cache=may_miss_cache)
        model = once.model or asked.model
        try:
            check_accepted(form, model, once.body)
        except Refusal as refusal:
            refused.append(f"{asked}: {refusal.message} after {once.outcomes}")
        lasting: list[Wanted] = [each for each in wanted if not isinstance(each, EffortDown)]
        twice = _reduced(asked, model, once.body, lasting, may_miss_cache=may_miss_cache)
        if twice.body is not once.body or twice.model is not None:
            changed.append(f"{asked}: {once.body!r} became {twice.body!r}")

    assert refused == []
    assert changed == []


def _accepted(form: FormName) -> Iterator[Asked]:
    for asked in requests(form, models(VENDORS[form])):
        try:
            check_accepted(form, asked.model, asked.body)
        except Refusal:
            continue
        yield asked


def _wanted(mode: Mode, strategy: str, model: str) -> list[Wanted]:
    caller = Caller((f"team:acme/{strategy}", "org:acme"), "call-1", Priority.NORMAL)
    decision = Decision(mode, "state", "global", "episode", "degraded", failing=False)
    return list(plan(policy_of_all(), decision, caller, model).wanted)


def _reduced(
    asked: Asked, model: str, body: bytes, wanted: list[Wanted], *, may_miss_cache: bool
) -> Reduction:
    to = recipient_of(asked.form, model)
    found = reduce(body, to, wanted, bundled_book(), may_miss_cache=may_miss_cache)
    json.loads(found.body)
    return found
