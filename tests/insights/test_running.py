"""A run finds, keeps and tells; run again it changes nothing, and tells nobody twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from common.budgets.accounts import TopUp, period_ref
from common.budgets.budgets import Budget
from common.budgets.calendar import Calendar
from common.core.errors import PublishFailed
from common.core.events import Event, UsageEvent
from common.core.insight_events import CostAnomaly, RecommendationProposed
from common.core.ports import Bus, Put, Ref
from common.insights.findings import dismiss, insight_ref
from common.insights.keeping import find_insights
from common.insights.running import Runs
from tests.api.conftest import KeepingBus, Record, SetClock
from tests.insights.conftest import DAY, HOUR, MOMENT, a_call, daily, hourly, kept, store

USD = 1_000_000_000


@dataclass(slots=True)
class FailingBus:
    """A bus that accepts nothing at first, then passes on."""

    bus: Bus
    failing: bool = True
    refused: list[Event] = field(default_factory=list)

    async def publish(self, topic: str, event: Event) -> None:
        if self.failing:
            self.refused.append(event)
            raise PublishFailed("not now")
        await self.bus.publish(topic, event)


def steady(**last: int) -> list[UsageEvent]:
    """A dollar an hour for nine weeks up to DAY, and what is told of the hours of the day."""
    hours = {DAY - n * HOUR: USD for n in range(1, 24 * 63)}
    hours |= {DAY + n * HOUR: USD for n in range(20)}
    hours |= {DAY + int(name[1:]) * HOUR: nanos for name, nanos in last.items()}
    return [
        a_call(
            number, event_time=time, started_at=time, cost_nanos=nanos, priced_nanos=nanos,
            card=None, line="line",
        )
        for number, (time, nanos) in enumerate(hours.items())
    ]  # fmt: skip


async def test_finds_a_spike_once_however_often_it_runs(runs: Runs, bus: KeepingBus) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))

    await hourly(runs)
    first = await kept(runs, "spike")
    await hourly(runs)

    assert [each.finding.scope for each in first] == [
        "agent:acme/crawler",
        "org:acme",
        "team:acme/search",
    ]
    assert [each.finding.stake for each in first] == [39 * USD] * 3
    assert await kept(runs, "spike") == first
    found = [each for each in bus.events if isinstance(each, CostAnomaly)]
    assert sorted(each.series for each in found) == [each.finding.scope for each in first]
    assert {each.type for each in found} == {"cost.anomaly_found"}


async def test_changes_nothing_in_the_store_when_it_runs_again(runs: Runs) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))
    await hourly(runs)
    before = await runs.documents.get_many([insight_ref(e.id) for e in await kept(runs, "spike")])

    await hourly(runs)

    after = await runs.documents.get_many([insight_ref(e.id) for e in await kept(runs, "spike")])
    assert [each and each.version for each in after] == [each and each.version for each in before]


async def test_keeps_one_latest_insight_of_a_scope_when_one_run_finds_two(
    runs: Runs, bus: KeepingBus
) -> None:
    await store(runs.warehouse, steady(**{"h-2": 40 * USD, "h10": 40 * USD}))

    await hourly(runs)

    spikes = [e for e in await kept(runs, "spike") if e.finding.scope == "org:acme"]
    assert [(each.finding.over, each.latest) for each in spikes] == [(True, False), (False, True)]
    told = [each for each in bus.events if isinstance(each, CostAnomaly)]
    assert [(e.type, e.going_on) for e in told if e.anomaly_id == spikes[0].id] == [
        ("cost.anomaly_found", False),
        ("cost.anomaly_closed", False),
    ]
    assert [(e.type, e.going_on) for e in told if e.anomaly_id == spikes[1].id] == [
        ("cost.anomaly_found", True),
    ]


async def test_tells_when_a_spike_is_over(runs: Runs, bus: KeepingBus, clock: SetClock) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))
    await hourly(runs)
    bus.events.clear()

    clock.time = DAY + 13 * HOUR + MOMENT
    await hourly(runs)
    assert bus.events == []
    clock.time = DAY + 14 * HOUR + MOMENT
    await hourly(runs)
    await hourly(runs)

    assert sorted((e.type, e.series) for e in bus.events if isinstance(e, CostAnomaly)) == [
        ("cost.anomaly_closed", "agent:acme/crawler"),
        ("cost.anomaly_closed", "org:acme"),
        ("cost.anomaly_closed", "team:acme/search"),
    ]


async def test_tells_the_end_of_a_spike_that_no_run_has_seen(
    runs: Runs, bus: KeepingBus, clock: SetClock
) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))
    await hourly(runs)
    bus.events.clear()

    clock.time = DAY + 5 * 24 * HOUR
    await hourly(runs)

    assert {each.type for each in bus.events} == {"cost.anomaly_closed"}
    assert {each.finding.over for each in await kept(runs, "spike")} == {True}


async def test_tells_later_what_the_bus_did_not_accept(runs: Runs, bus: KeepingBus) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))
    failing = FailingBus(bus)
    unable = replace(runs, bus=failing)

    with pytest.raises(PublishFailed):
        await hourly(unable)
    assert len(await kept(runs, "spike")) == 3
    failing.failing = False
    await hourly(unable)
    await hourly(unable)

    assert len(bus.events) == 3
    assert failing.refused[0] in bus.events


async def test_leaves_the_state_that_somebody_gave_it(runs: Runs, clock: SetClock) -> None:
    await store(runs.warehouse, steady(h10=40 * USD))
    await hourly(runs)
    insight = (await kept(runs, "spike"))[0]
    dismissed = dismiss(insight, "ana@acme.com", clock.now())
    await runs.documents.commit([Put(insight_ref(insight.id), dismissed.to_data())])

    clock.time = DAY + 15 * HOUR + MOMENT
    await hourly(runs)

    again = (await kept(runs, "spike"))[0]
    assert (again.state, again.actor, again.finding.over) == ("dismissed", "ana@acme.com", True)


async def test_finds_loops(runs: Runs) -> None:
    times = [DAY + 11 * HOUR + timedelta(seconds=n) for n in range(80)]
    await store(
        runs.warehouse,
        [a_call(n, event_time=time, session_hash="s") for n, time in enumerate(times)],
    )

    await hourly(runs)

    [loop] = await kept(runs, "loop")
    assert loop.finding.evidence["most_calls"] == 80


async def test_finds_models_that_fail_and_are_slow(runs: Runs) -> None:
    calls: list[UsageEvent] = []
    for hour in range(-40, 12):
        for n in range(40):
            bad = hour >= 9
            time = DAY + hour * HOUR + timedelta(minutes=n)
            outcome = "upstream_error" if bad and n < 10 else "ok"
            calls.append(
                a_call(len(calls), event_time=time, outcome=outcome, duration_s=9.0 if bad else 1.0)
            )
    await store(runs.warehouse, calls)

    await hourly(runs)

    [failing], [slow] = await kept(runs, "error_rate"), await kept(runs, "latency")
    assert failing.finding.evidence["rate_ppm"] == 250_000
    assert slow.finding.evidence["typical_ms"] == 9_000


async def test_finds_a_budget_that_will_not_last(
    runs: Runs, record: Record, clock: SetClock
) -> None:
    month = Budget(
        "b", "acme", "team:acme/search", Calendar("month"), limit=110 * USD, enforcement="soft"
    )
    others = [
        replace(month, id="enough", limit=120 * USD),
        replace(month, id="paused", paused=True),
        replace(month, id="ever", calendar=Calendar("total")),
        replace(month, id="elsewhere", scope="team:acme/ops"),
    ]
    for budget in (month, *others):
        await runs.documents.commit([Put(Ref("budgets", budget.id), budget.to_data())])
    topped = replace(month, id="topped")
    await runs.documents.commit([Put(Ref("budgets", "topped"), topped.to_data())])
    period = replace(topped.period_at(DAY), top_ups=(TopUp(10 * USD),))
    await runs.documents.commit([Put(period_ref(period.id), period.to_data())])
    # Four dollars on each of the 31 days are 124: more than a tenth above 110.
    await record(
        *(
            a_call(
                n, event_time=DAY - timedelta(days=n) + 6 * HOUR, cost_nanos=4 * USD,
                priced_nanos=4 * USD,
            )
            for n in range(40)
        )
    )  # fmt: skip

    clock.time = DAY + 12 * HOUR
    await hourly(runs)

    [burn] = await kept(runs, "burn")
    assert burn.finding.scope == "budget:b"
    # 26 days are past, with today's four dollars; those of five are to come.
    assert burn.finding.evidence["spent_nanos"] == 26 * 4 * USD


def batches() -> Sequence[UsageEvent]:
    """200 calls of the 29th of October that can wait, at two cents each."""
    end, units = DAY + timedelta(days=4), {"input_tokens": 4_000, "output_tokens": 1_000}
    return [
        a_call(
            n, event_time=end - timedelta(minutes=n), started_at=end - timedelta(minutes=n),
            card="openai/gpt-4o", units=units, cost_nanos=20_000_000, priced_nanos=20_000_000,
            priority="batch",
        )
        for n in range(1, 201)
    ]  # fmt: skip


async def test_proposes_a_saving_once_a_month(runs: Runs, bus: KeepingBus, clock: SetClock) -> None:
    await store(runs.warehouse, batches())

    clock.time = DAY + timedelta(days=4, hours=1)
    await daily(runs)
    await daily(runs)
    clock.time = DAY + timedelta(days=5, hours=1)
    await daily(runs)
    [october] = bus.events
    clock.time = DAY + timedelta(days=7, hours=1)
    await daily(runs)

    first, second = await kept(runs, "batchable")
    assert [first.latest, second.latest] == [False, True]
    assert isinstance(october, RecommendationProposed)
    assert october.insight_id == first.id
    assert october.saving_nanos == 2 * USD * 30 // 7
    assert october.scope == "agent:acme/crawler model:openai/gpt-4o"
    assert [e.insight_id for e in bus.events if isinstance(e, RecommendationProposed)] == [
        first.id,
        second.id,
    ]


async def test_finds_waste_and_drift(runs: Runs) -> None:
    calls = [
        a_call(
            number := 100 * day + n,
            event_time=DAY - timedelta(days=day, minutes=-n),
            cost_nanos=cents * USD // 100,
            priced_nanos=cents * USD // 100,
            outcome="upstream_error" if n < 10 else "ok",
            id=f"call-{number}",
        )
        for day in range(1, 36)
        for n in range(60)
        for cents in [5 if day <= 7 else 2]
    ]
    await store(runs.warehouse, calls)

    await daily(runs)

    [failed] = await kept(runs, "failed")
    drifts = await kept(runs, "unit_cost")
    assert failed.finding.evidence["share_percent"] == 16
    assert [each.finding.scope for each in drifts] == ["agent:acme/crawler", "team:acme/search"]


async def test_runs_over_an_empty_installation(runs: Runs, bus: KeepingBus) -> None:
    await hourly(runs)
    await daily(runs)

    assert bus.events == []
    assert await find_insights(runs.documents, {}) == []
