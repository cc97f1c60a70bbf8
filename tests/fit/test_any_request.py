"""Whatever is asked and however little room there is, a fit is a fit, and nothing else changes."""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from common.budgets.fit import Asked, Fitted, NoFit, fit, would_fit
from common.llm.bounds import Bound
from common.llm.edits import Edited
from common.llm.output_cap import lower_cap
from common.llm.paths import FormName
from common.llm.service_tier import pin_usual_tier
from tests.fit.requests import (
    FORMS_WITH_CAP,
    Generated,
    asked_of,
    bound_of,
    bound_of_body,
    check_accepted,
    generated,
    room_for,
)

SEED = 20261122
EACH = 300


def made_to_fit(random: Random, form: FormName) -> tuple[Generated, Asked, int, Fitted | NoFit]:
    made = generated(random, form)
    check_accepted(form, made.model, made.body)
    asked = asked_of(form, made.model, made.body)
    room = room_for(random, asked.bound.nanos)
    return made, asked, room, fit(asked, room, bound_of(asked.recipient.endpoint.protocol))


def changed_part(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The one run of bytes that differs, as it was and as it is."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def cap_in(made: Generated, body: bytes) -> Any:
    inside = json.loads(body)
    for name in made.cap:
        inside = (inside or {}).get(name)
    return inside


def without_cap_and_tier(made: Generated, body: bytes) -> Any:
    request = json.loads(body)
    request.pop("service_tier", None)
    inside = request
    for name in made.cap[:-1]:
        inside[name] = inside.get(name) or {}
        inside = inside[name]
    inside.pop(made.cap[-1], None)
    return request


@pytest.mark.parametrize("form", FORMS_WITH_CAP)
def test_what_fits_is_bounded_by_the_room_and_differs_in_the_named_members_alone(
    form: FormName,
) -> None:
    random = Random(SEED)
    seen: Counter[str] = Counter()
    for _ in range(EACH):
        made, asked, room, found = made_to_fit(random, form)
        if isinstance(found, NoFit):
            seen["no fit"] += 1
            continue
        seen[", ".join(each.partition("=")[0] for each in found.done) or "as it came"] += 1
        anew = bound_of_body(asked.recipient, found.body)
        assert anew == found.bound
        assert isinstance(anew, Bound)
        assert anew.nanos <= room
        assert found.facts.size_bytes == len(found.body)
        assert without_cap_and_tier(made, found.body) == without_cap_and_tier(made, made.body)
        check_accepted(form, made.model, found.body)
        if not found.done:
            assert found.body == made.body
    assert seen["no fit"] > 20, seen
    assert seen["as it came"] > 20, seen
    assert sum(seen.values()) - seen["no fit"] - seen["as it came"] > 20, seen


@pytest.mark.parametrize("form", FORMS_WITH_CAP)
def test_a_cap_is_lowered_no_further_than_it_must_and_never_where_it_must_not(
    form: FormName,
) -> None:
    random = Random(SEED + 1)
    lowered = 0
    for _ in range(EACH):
        made, asked, room, found = made_to_fit(random, form)
        if isinstance(found, NoFit) or cap_in(made, found.body) == cap_in(made, made.body):
            continue
        lowered += 1
        tokens = cap_in(made, found.body)
        assert made.least is not None, made.request
        assert made.least <= tokens
        assert made.current is None or tokens < made.current
        assert f"{made.cap[-1]}={tokens}" in found.text
        if made.current is None or tokens + 1 < made.current:
            pinned = "service_tier=default" in found.done
            more = lower_cap(asked.body if not pinned else _pin(asked), asked.recipient, tokens + 1)
            if isinstance(more, Edited):
                above = bound_of_body(asked.recipient, more.body)
                assert isinstance(above, Bound)
                assert above.nanos > room
    assert lowered > 20


def _pin(asked: Asked) -> bytes:
    edited = pin_usual_tier(asked.body, asked.recipient)
    assert isinstance(edited, Edited)
    return edited.body


@pytest.mark.parametrize("form", FORMS_WITH_CAP)
def test_an_edit_changes_one_run_of_bytes(form: FormName) -> None:
    random = Random(SEED + 2)
    edits = 0
    for _ in range(EACH):
        made = generated(random, form)
        recipient = asked_of(form, made.model, made.body).recipient
        tokens = random.choice((1, 16, 256, 1_025, 2_048, 4_096))
        for edited in (
            lower_cap(made.body, recipient, tokens),
            pin_usual_tier(made.body, recipient),
        ):
            if not isinstance(edited, Edited):
                continue
            edits += 1
            was, now = changed_part(made.body, edited.body)
            assert was.isdigit() or was in b"null" or was in b'"auto"', was
            assert len(now) <= len(b',"generation_config":{"max_output_tokens":8192}')
            again = lower_cap(edited.body, recipient, tokens)
            assert edited.member == "service_tier" or not isinstance(again, Edited)
    assert edits > 50


@pytest.mark.parametrize("form", FORMS_WITH_CAP)
def test_what_would_fit_does(form: FormName) -> None:
    random = Random(SEED + 3)
    hints = 0
    for _ in range(EACH):
        made, asked, room, _ = made_to_fit(random, form)
        hint = would_fit(asked, room, bound_of(asked.recipient.endpoint.protocol))
        if hint.nothing:
            continue
        hints += 1
        if hint.usual_tier:
            made.request["service_tier"] = "default"
        body = made.body if hint.output_tokens is None else made.with_cap(hint.output_tokens)
        found = bound_of_body(asked.recipient, body)
        assert isinstance(found, Bound)
        assert found.nanos <= room or (hint.output_tokens is None and not hint.usual_tier)
    assert hints > 50


@pytest.mark.parametrize("form", ["openai_chat", "openai_responses"])
def test_the_tier_is_pinned_only_where_it_was_left_open_and_lowers_the_bound(
    form: FormName,
) -> None:
    random = Random(SEED + 4)
    pins = 0
    for _ in range(EACH):
        made, asked, _, found = made_to_fit(random, form)
        if isinstance(found, NoFit) or "service_tier=default" not in found.done:
            continue
        pins += 1
        assert made.auto_tier
        anew = bound_of_body(asked.recipient, _pin(asked))
        assert isinstance(anew, Bound)
        assert anew.nanos < asked.bound.nanos
    assert pins > 20
