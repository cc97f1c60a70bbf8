"""What an hour usually costs is known from the weeks before, and stands in one document."""

from datetime import timedelta

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.baselines import (
    BASELINES,
    USABLE,
    WEEK,
    BaselineKeeping,
    PastCosts,
    read_usual,
    usual_costs,
)
from common.brownout.minute_sums import HOUR, HourCosts
from tests.brownout.rollup_scenes import KeptRollups
from tests.brownout.scenes import T0


def weeks_ago(*costs: int | None, scope: str = "org:acme") -> list[HourCosts]:
    """The hour of T0 one week ago, two weeks ago, and so on; None: there were no calls."""
    return [
        HourCosts(T0 - WEEK * week, {scope: cost})
        for week, cost in enumerate(costs, 1)
        if cost is not None
    ]


@pytest.mark.parametrize(
    ("costs", "usual"),
    [
        ((10, 30, 20, 100), 25),
        ((10, 30, 20, None), 20),
        ((10, None, 31, None), 20),
        ((10, None, None, None), None),
        ((10, 0, 0, 0), None),
    ],
)
def test_is_the_median_of_at_least_two_weeks(
    costs: tuple[int | None, ...], usual: int | None
) -> None:
    assert usual_costs(weeks_ago(*costs)).get("org:acme") == usual


@pytest.mark.parametrize("scope", ["provider:openai", "model:gpt-5"])
def test_is_kept_for_those_who_spend(scope: str) -> None:
    assert usual_costs(weeks_ago(5, 5, scope=scope)) == {}


def test_is_kept_for_those_who_spend_most_where_there_are_too_many() -> None:
    spent = {f"agent:acme/{n}": n for n in range(1, 251)}

    usual = usual_costs([HourCosts(T0 - WEEK * week, spent) for week in (1, 2)])

    assert usual == {f"agent:acme/{n}": n for n in range(51, 251)}


async def test_is_worked_out_once_an_hour(documents: SqliteDocuments) -> None:
    rollups = KeptRollups(hourly=weeks_ago(10, 20, 30, 40))
    keep = BaselineKeeping(documents, rollups)

    await keep(T0 + timedelta(minutes=3))
    asked = list(rollups.asked)
    await keep(T0 + timedelta(minutes=59))

    assert asked == [(T0 - WEEK * week, T0 - WEEK * week + HOUR) for week in (1, 2, 3, 4)]
    assert rollups.asked == asked
    [document] = await documents.get_many([BASELINES])
    assert document is not None
    assert document.data == {"hour": T0, "costs": {"org:acme": 25}}

    await keep(T0 + HOUR)

    usual = await read_usual(documents, T0 + HOUR)
    assert len(rollups.asked) == 8
    assert usual("org:acme") is None


async def test_holds_for_later_hours_that_nobody_worked_out_but_not_for_long(
    documents: SqliteDocuments,
) -> None:
    await BaselineKeeping(documents, KeptRollups(hourly=weeks_ago(10, 20)))(T0)

    soon = await read_usual(documents, T0 + USABLE - timedelta(seconds=1))
    late = await read_usual(documents, T0 + USABLE)

    assert (soon("org:acme"), soon("org:other"), late("org:acme")) == (15, None, None)


async def test_is_unknown_before_it_was_worked_out(documents: SqliteDocuments) -> None:
    usual = await read_usual(documents, T0)

    assert usual("global") is None


def test_is_known_of_the_past_by_the_weeks_before_each_hour() -> None:
    hours = [HourCosts(T0 - WEEK * week, {"global": 10 * week}) for week in range(6)]
    hours += [HourCosts(T0 - WEEK * week + HOUR, {"global": 7}) for week in (1, 2)]
    past = PastCosts(hours)

    assert past.usual("global", T0 + timedelta(minutes=59)) == 25
    assert past.usual("global", T0 + timedelta(minutes=60)) == 7
    assert past.usual("global", T0 - WEEK) == 35
    assert past.usual("global", T0 - WEEK * 5) is None
    assert past.usual("org:acme", T0) is None
