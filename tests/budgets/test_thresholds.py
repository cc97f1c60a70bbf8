"""What budgets tell: each percentage once, the first refusal once, and when the money will end."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from common.budgets.accounts import PERIOD_KEPT, Period, TopUp, period_ref
from common.budgets.alerts import alert_ref
from common.budgets.budgets import Budget
from common.budgets.calendar import FOREVER, Calendar
from common.budgets.sweep import Asked, Sweeper, look, tell_crossed, tell_exhausted
from common.budgets.thresholds import PACE_OVER, exhaustion, threshold_event, watched
from common.core.errors import StoreUnavailable
from common.core.events import BudgetExhausted, Event, SweepBudgets, ThresholdCrossed
from common.core.ports import Create
from tests.budgets.conftest import DOLLAR, START, World
from tests.budgets.sweeping import KeepingBus, nothing

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0)


@dataclass(slots=True)
class Ledger:
    """What was spent, by budget: in all, in the last hours, and in the same hours a week ago."""

    nanos: dict[str, int] = field(default_factory=dict)
    lately: int = 0
    a_week_ago: int = 0
    down: bool = False
    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, asked: Sequence[Asked]) -> list[int]:
        if self.down:
            raise StoreUnavailable("the warehouse did not answer in time")
        self.asked += asked
        return [self._answer(each) for each in asked]

    def _answer(self, asked: Asked) -> int:
        if asked.until is None or asked.until - asked.since != PACE_OVER:
            return self.nanos.get(asked.budget.id, 0)
        return self.lately if asked.until > START - DAY else self.a_week_ago


async def judged(world: World, ledger: Ledger) -> list[Event]:
    return await tell_crossed(world.documents, await look(world.documents, world.clock), ledger)


async def ticked(world: World, ledger: Ledger, bus: KeepingBus) -> None:
    sweeper = Sweeper(world.documents, bus, world.clock, os.urandom, ledger, nothing)
    await sweeper.run(SweepBudgets(id="tick", event_time=world.clock.now()))


def percents(events: Sequence[Event]) -> list[int]:
    return [event.percent for event in events if isinstance(event, ThresholdCrossed)]


async def store(world: World, period: Period) -> None:
    await world.documents.inner.commit([Create(period_ref(period.id), period.to_data())])


@pytest.mark.parametrize(
    ("cents", "told"),
    [
        (0, []),
        (4_999, []),
        (5_000, [50]),
        (7_999, [50]),
        (8_000, [50, 80]),
        (10_001, [50, 80, 100]),
    ],
)
@pytest.mark.parametrize("enforcement", ["hard", "soft"])
async def test_tells_what_is_reached_of_hard_and_soft_alike(
    world: World, enforcement: str, cents: int, told: list[int]
) -> None:
    await world.budget("b", 100 * DOLLAR, enforcement=enforcement)

    assert percents(await judged(world, Ledger({"b": cents * DOLLAR // 100}))) == told


async def test_says_all_a_reader_needs(world: World) -> None:
    await world.budget("b", 100 * DOLLAR, thresholds=(80,))

    [event] = await judged(world, Ledger({"b": 80 * DOLLAR}, lately=12 * DOLLAR))

    assert event == ThresholdCrossed(
        id=event.id,
        event_time=START,
        budget_id="b",
        period="2026-11-20T00:00Z--2026-11-21T00:00Z",
        percent=80,
        spent_nanos=80 * DOLLAR,
        limit_nanos=100 * DOLLAR,
        projected_exhaustion=START + 10 * HOUR,
    )


async def test_tells_each_percentage_once_in_a_period_and_again_in_the_next(world: World) -> None:
    await world.budget("b", 100 * DOLLAR, thresholds=(50,))
    ledger, bus = Ledger({"b": 60 * DOLLAR}), KeepingBus()

    for _ in range(3):
        await ticked(world, ledger, bus)
        world.clock.advance(60)
    world.clock.advance(24 * 3600)
    await ticked(world, ledger, bus)

    told = [event.period for event in bus.events if isinstance(event, ThresholdCrossed)]
    assert told == ["2026-11-20T00:00Z--2026-11-21T00:00Z", "2026-11-21T00:00Z--2026-11-22T00:00Z"]
    assert len({event.id for event in bus.events}) == 2


async def test_two_sweeps_at_once_tell_each_percentage_once(world: World) -> None:
    await world.budget("b", 100 * DOLLAR)
    ledger = Ledger({"b": 100 * DOLLAR})

    found = await asyncio.gather(judged(world, ledger), judged(world, ledger))

    assert sorted(percents(found[0]) + percents(found[1])) == [50, 80, 100]


async def test_a_crash_between_decision_and_publication_loses_no_event(world: World) -> None:
    await world.budget("b", 100 * DOLLAR, thresholds=(50,))
    decided = await judged(world, Ledger({"b": 60 * DOLLAR}))
    bus = KeepingBus()

    await ticked(world, Ledger({"b": 70 * DOLLAR}), bus)

    assert bus.events == decided


@pytest.mark.parametrize("fate", ["unanswered", "lost"])
async def test_a_decision_without_an_answer_is_told_once(world: World, fate: str) -> None:
    await world.budget("b", 100 * DOLLAR, thresholds=(50,))
    ledger, bus = Ledger({"b": 60 * DOLLAR}), KeepingBus()
    world.documents.fates = [fate]

    for _ in range(3):
        await ticked(world, ledger, bus)

    assert percents(bus.events) == [50]


async def test_counts_top_ups_that_live(world: World) -> None:
    budget = await world.budget("b", 100 * DOLLAR, thresholds=(100,))
    top_ups = (TopUp(50 * DOLLAR, START + HOUR), TopUp(50 * DOLLAR))
    await store(world, replace(budget.period_at(START), top_ups=top_ups))
    ledger = Ledger({"b": 150 * DOLLAR})

    before = await judged(world, ledger)
    world.clock.advance(3600)
    [after] = await judged(world, ledger)

    assert before == []
    assert isinstance(after, ThresholdCrossed)
    assert after.limit_nanos == 150 * DOLLAR


async def test_a_raised_limit_tells_nothing_twice(world: World) -> None:
    budget = await world.budget("b", 100 * DOLLAR, thresholds=(50,))
    first = await judged(world, Ledger({"b": 60 * DOLLAR}))
    await store(world, replace(budget.period_at(START), limit=200 * DOLLAR))

    below = await judged(world, Ledger({"b": 60 * DOLLAR}))
    again = await judged(world, Ledger({"b": 110 * DOLLAR}))

    assert [percents(events) for events in (first, below, again)] == [[50], [], []]


async def test_a_paused_budget_tells_nothing(world: World) -> None:
    await world.budget("b", 100 * DOLLAR, paused=True)

    assert await judged(world, Ledger({"b": 200 * DOLLAR})) == []


async def test_a_budget_without_thresholds_asks_nobody(world: World) -> None:
    await world.budget("b", 100 * DOLLAR, thresholds=())
    ledger = Ledger({"b": 200 * DOLLAR})

    assert await judged(world, ledger) == []
    assert ledger.asked == []


async def test_asks_for_the_pace_only_when_there_is_something_new_to_tell(world: World) -> None:
    await world.budget("b", 100 * DOLLAR)
    ledger = Ledger({"b": 60 * DOLLAR})
    await judged(world, ledger)
    ledger.asked.clear()

    await judged(world, ledger)

    assert [(each.since, each.until) for each in ledger.asked] == [(MIDNIGHT, None)]


async def test_looks_at_a_period_for_an_hour_after_its_end(world: World) -> None:
    """Calls that ended in it are counted a little later."""
    await world.budget("b", 100 * DOLLAR, thresholds=(50,))
    world.clock.time = MIDNIGHT + DAY + HOUR - timedelta(seconds=1)
    ledger = Ledger()

    await judged(world, ledger)
    late = [(each.since, each.until) for each in ledger.asked]
    ledger.asked.clear()
    world.clock.advance(2)
    await judged(world, ledger)

    assert set(late) == {(MIDNIGHT, MIDNIGHT + DAY), (MIDNIGHT + DAY, None)}
    assert [each.since for each in ledger.asked] == [MIDNIGHT + DAY]


async def test_a_period_that_is_over_is_judged_as_it_ended(world: World) -> None:
    """A top-up that lived to its last moment counts, and nothing is projected."""
    budget = await world.budget("b", 100 * DOLLAR, thresholds=(60,))
    period = budget.period_at(START)
    await store(world, replace(period, top_ups=(TopUp(100 * DOLLAR, period.ends_at),)))
    world.clock.time = period.ends_at + timedelta(minutes=10)

    [over] = [each for each in await look(world.documents, world.clock) if each.is_over]

    none = await tell_crossed(world.documents, [over], Ledger({"b": 120 * DOLLAR - 1}))
    [told] = await tell_crossed(
        world.documents, [over], Ledger({"b": 120 * DOLLAR}, lately=10 * DOLLAR)
    )

    assert none == []
    assert isinstance(told, ThresholdCrossed)
    assert (told.period, told.limit_nanos) == ("2026-11-20T00:00Z--2026-11-21T00:00Z", 200 * DOLLAR)
    assert told.projected_exhaustion is None


async def test_spend_that_nobody_can_tell_delays_no_other_news(world: World) -> None:
    budget = await world.budget("b", 100 * DOLLAR)
    await store(world, replace(budget.period_at(START), exhausted_at=START))
    bus = KeepingBus()

    with pytest.raises(StoreUnavailable):
        await ticked(world, Ledger(down=True), bus)

    assert [event.type for event in bus.events] == ["budget.exhausted"]


async def test_tells_the_first_refusal_of_a_period_once(world: World) -> None:
    budget = await world.budget("b", 100 * DOLLAR, thresholds=())
    refused_at = START - timedelta(minutes=3)
    period = replace(
        budget.period_at(START),
        settled=90 * DOLLAR,
        leased=5 * DOLLAR,
        top_ups=(TopUp(DOLLAR),),
        exhausted_at=refused_at,
    )
    await store(world, period)
    bus = KeepingBus()

    for _ in range(2):
        await ticked(world, Ledger(), bus)

    assert bus.events == [
        BudgetExhausted(
            id=bus.events[0].id,
            event_time=refused_at,
            budget_id="b",
            period="2026-11-20T00:00Z--2026-11-21T00:00Z",
            settled_nanos=90 * DOLLAR,
            leased_nanos=5 * DOLLAR,
            limit_nanos=101 * DOLLAR,
            resets_at=MIDNIGHT + DAY,
        )
    ]


async def test_a_refusal_at_the_end_of_a_period_is_told_in_the_next(world: World) -> None:
    budget = await world.budget("b", 100 * DOLLAR)
    await store(world, replace(budget.period_at(START), exhausted_at=MIDNIGHT + DAY))
    world.clock.time = MIDNIGHT + DAY + timedelta(seconds=30)

    periods = await look(world.documents, world.clock)

    assert len(await tell_exhausted(world.documents, periods)) == 1


async def test_a_decision_outlives_its_period(world: World) -> None:
    """Else the same percentage could be told twice."""
    day = await world.budget("day", DOLLAR, thresholds=(50,))
    await world.budget("total", DOLLAR, thresholds=(50,), calendar=Calendar("total"))

    told = await judged(world, Ledger({"day": DOLLAR, "total": DOLLAR}))
    found = await world.documents.get_many([alert_ref(event.id) for event in told])

    expected = {
        "day": day.period_at(START).ends_at + PERIOD_KEPT,
        "total": None,
    }
    assert expected == {
        event.budget_id: document.data["delete_at"]
        for event, document in zip(told, found, strict=True)
        if isinstance(event, ThresholdCrossed) and document is not None
    }


async def test_many_budgets_are_judged_in_portions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.budgets.sweep.AT_ONCE", 2)
    monkeypatch.setattr("common.budgets.sweep.PAGE", 2)
    for number in range(5):
        await world.budget(f"b{number}", 100 * DOLLAR, thresholds=(50,))

    told = await judged(world, Ledger({f"b{number}": 50 * DOLLAR for number in range(5)}))

    assert {e.budget_id for e in told if isinstance(e, ThresholdCrossed)} == {
        f"b{number}" for number in range(5)
    }


@pytest.mark.parametrize(
    ("left", "paces", "expected"),
    [
        (6 * DOLLAR, (6 * DOLLAR, 0), START + 6 * HOUR),
        (6 * DOLLAR, (0, 6 * DOLLAR), START + 6 * HOUR),
        (6 * DOLLAR, (6 * DOLLAR, 12 * DOLLAR), START + 3 * HOUR),  # whichever is earlier
        (1, (6 * DOLLAR, 0), START + timedelta(seconds=1)),
        (0, (0, 0), START),
        (-DOLLAR, (0, 0), START),
        (6 * DOLLAR, (0, 0), None),
        (6 * DOLLAR, (3 * DOLLAR, 3 * DOLLAR), None),  # not before the end
        (10**18, (1, 1), None),
    ],
)
def test_projects_the_fastest_of_paces(left: int, paces: tuple[int, int], expected: object) -> None:
    assert exhaustion(left, paces, START, START + 12 * HOUR) == expected


def test_projects_a_budget_without_an_end() -> None:
    assert exhaustion(DOLLAR, (10**18, 0), START, FOREVER) == START + timedelta(seconds=1)


def test_the_id_tells_budget_period_and_percentage_apart() -> None:
    budgets = [
        Budget(id_, "acme", "org:acme", Calendar("day"), DOLLAR, "soft") for id_ in ("a", "b")
    ]
    times = (START, START + DAY)

    ids = {
        threshold_event(each, percent, DOLLAR, ()).id
        for time in times
        for each in watched(budgets, time)
        for percent in (50, 80)
    }

    assert len(ids) == 2 * 2 * 2
