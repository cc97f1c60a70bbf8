"""It finds what is sent again and again within minutes, and leaves busy agents alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.insights.loops import Repeated, is_loop, loops
from tests.insights.conftest import DAY

LOOP = Repeated(DAY, "acme", "crawler", "line", "s", "gpt-x", 51, 51, 51_000_000)


@pytest.mark.parametrize(("calls", "expected"), [(50, False), (51, True)])
def test_finds_more_than_fifty_calls_of_a_conversation(calls: int, expected: bool) -> None:
    assert is_loop(replace(LOOP, calls=calls), habit=0) is expected


@pytest.mark.parametrize(("share", "expected"), [(256, False), (255, True)])
def test_asks_for_a_fifth_of_the_calls_where_only_size_tells(share: int, expected: bool) -> None:
    assert is_loop(replace(LOOP, session=None, all_calls=share), habit=0) is expected


@pytest.mark.parametrize(("habit", "expected"), [(17, False), (16, True)])
def test_asks_for_three_times_what_the_agent_does_every_day(habit: int, expected: bool) -> None:
    assert is_loop(LOOP, habit) is expected


@pytest.mark.parametrize(("nanos", "expected"), [(17_361_111, False), (17_361_112, True)])
def test_lets_loops_be_that_cost_less_than_five_dollars_a_day(nanos: int, expected: bool) -> None:
    assert is_loop(replace(LOOP, nanos=nanos), habit=0) is expected


def test_tells_one_finding_for_an_agent_and_a_day() -> None:
    later = replace(LOOP, start=DAY + timedelta(minutes=5), calls=90, nanos=90_000_000)
    spans = [LOOP, later, replace(LOOP, start=DAY + timedelta(days=1)), replace(LOOP, calls=3)]

    first, second = loops(spans, {})

    assert first.scope == "agent:acme/crawler"
    assert first.evidence["most_calls"] == 90
    assert first.evidence["spans"] == 2
    assert first.evidence["spent_nanos"] == 141_000_000
    # 90 million in five minutes, 8,640 times in thirty days.
    assert first.stake == 90_000_000 * 8_640
    assert first.rows == {
        "since": "2026-10-26T00:00:00+00:00",
        "until": "2026-10-26T00:10:00+00:00",
        "key": "line",
        "model": "gpt-x",
    }
    assert second.window.since == DAY + timedelta(days=1)


def test_goes_by_the_habits_of_the_scope() -> None:
    assert loops([LOOP], {"agent:acme/crawler": 17}) == []
    assert len(loops([LOOP], {"agent:acme/other": 17})) == 1
    assert loops([replace(LOOP, agent=None)], {"key:line": 17}) == []
