"""It tells of models and agents that are new and take a good part of the spend."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from common.core.ports import Warehouse
from common.insights.newcomers import Level, Spending, newcomers
from common.insights.reading import Reading
from tests.api.conftest import a_call
from tests.insights.conftest import DAY, store

DOLLAR = 10**9


def days(*, first: int, nanos: int, last: int = 1) -> Mapping[datetime, int]:
    """So much on each day, from so many days before until so many."""
    return {DAY - timedelta(days=back): nanos for back in range(last, first + 1)}


ORG = Spending("org", "acme", "acme", days(first=35, nanos=100 * DOLLAR))
NEW = Spending("agent", "acme", "crawler", days(first=3, nanos=10 * DOLLAR))


def test_tells_what_it_takes_since_it_began() -> None:
    old = Spending("agent", "acme", "old", days(first=35, nanos=90 * DOLLAR))

    [finding] = newcomers([NEW, ORG, old], DAY)

    assert (finding.kind, finding.scope) == ("new_agent", "agent:acme/crawler")
    assert finding.evidence["share_percent"] == 10
    assert finding.evidence["nanos"] == 30 * DOLLAR
    assert finding.stake == 300 * DOLLAR
    assert finding.confidence == "high"
    assert finding.window.since == datetime(2026, 10, 1, tzinfo=DAY.tzinfo)


def test_tells_of_a_model_by_its_list_and_name() -> None:
    [finding] = newcomers([ORG, replace(NEW, level="model", name="openai/gpt-x")], DAY)

    assert (finding.kind, finding.scope) == ("new_model", "org:acme model:openai/gpt-x")
    assert finding.rows["model"] == "gpt-x"


@pytest.mark.parametrize(("nanos", "count"), [(5 * DOLLAR - 1, 0), (5 * DOLLAR, 1)])
def test_asks_for_five_of_a_hundred(nanos: int, count: int) -> None:
    new = replace(NEW, days=days(first=3, nanos=nanos))

    assert len(newcomers([ORG, new], DAY)) == count


@pytest.mark.parametrize(("nanos", "count"), [(166_666_666, 0), (166_666_667, 1)])
def test_lets_less_than_five_dollars_a_month_be(nanos: int, count: int) -> None:
    org = replace(ORG, days=days(first=35, nanos=DOLLAR))

    assert len(newcomers([org, replace(NEW, days=days(first=3, nanos=nanos))], DAY)) == count


@pytest.mark.parametrize(("first", "count"), [(7, 1), (8, 0)])
def test_takes_nothing_for_new_after_a_week(first: int, count: int) -> None:
    new = replace(NEW, days=days(first=first, nanos=10 * DOLLAR))

    assert len(newcomers([ORG, new], DAY)) == count


@pytest.mark.parametrize(("first", "count"), [(16, 0), (17, 1)])
def test_knows_an_organisation_for_two_weeks_before(first: int, count: int) -> None:
    org = replace(ORG, days=days(first=first, nanos=100 * DOLLAR))

    assert len(newcomers([org, NEW], DAY)) == count


def test_holds_what_is_new_against_its_own_organisation() -> None:
    other = Spending("org", "other", "other", days(first=35, nanos=10_000 * DOLLAR))

    assert len(newcomers([other, ORG, NEW], DAY)) == 1


async def test_reads_what_each_spent_on_each_day(each_warehouse: Warehouse) -> None:
    given: list[dict[str, Any]] = [
        {"cost_nanos": 5},
        {"cost_nanos": 6, "agent": None},
        {"cost_nanos": 7, "card": None, "model_billed": "other"},
        {"cost_nanos": 0},
        {"cost_nanos": 8, "simulated": True},
        {"cost_nanos": 9, "event_time": DAY + timedelta(days=1)},
    ]
    calls = []
    for number, fields in enumerate(given):
        more = {"event_time": DAY, "priced_nanos": fields["cost_nanos"]} | fields
        calls.append(a_call(number, **more))
    await store(each_warehouse, calls)

    read = await Reading(each_warehouse).spending(DAY, DAY + timedelta(days=1))

    expected: dict[tuple[Level, str], int] = {
        ("org", "acme"): 18,
        ("agent", "crawler"): 12,
        ("model", "openai/gpt-x"): 11,
        ("model", "/other"): 7,
    }
    assert {(each.level, each.name): each.days for each in read} == {
        name: {DAY: nanos} for name, nanos in expected.items()
    }
