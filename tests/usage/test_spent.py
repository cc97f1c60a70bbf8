"""What somebody has spent: the sum over the calls, wherever the boundary of the sources lies."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.budgets import Budget, Spender, budgets_of
from common.budgets.calendar import FOREVER, Calendar
from common.budgets.sweep import Asked
from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.ports import Documents, Put, Query, Row, Value, Warehouse
from common.runtime.spending import spent_of
from common.usage.apply_events import apply_events
from common.usage.rollups import COLLECTIONS
from common.usage.spent import Portion, Spent, Who
from common.warehouse.tables import load_definitions
from tests.api.conftest import NOW, SetClock, a_call
from tests.usage.test_summaries import any_instants, ledgers
from tests.warehouse_engines import OpenWarehouse

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(slots=True)
class Counted:
    """Another warehouse, and how often it was asked."""

    inner: Warehouse
    asked: list[Mapping[str, Value]] = field(default_factory=list)
    down: bool = False

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        if self.down:
            raise StoreUnavailable("the warehouse did not answer in time")
        self.asked.append(parameters or {})
        return await self.inner.query(sql, parameters)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.inner.append(table, rows)


async def record(
    documents: Documents, warehouse: Warehouse, ledger: Sequence[UsageEvent], clock: SetClock
) -> None:
    rows = [
        {**call.model_dump(mode="json"), "message_id": call.id, "publish_time": NOW}
        for call in ledger
    ]
    await warehouse.append("usage_raw", rows)
    await apply_events(documents, ledger, clock)


def everything(_who: Who) -> bool:
    return True


def of_acme(since: datetime, until: datetime | None = None) -> Portion:
    return Portion("acme", since, until, everything)


@settings(max_examples=40, deadline=None)
@given(ledger=ledgers(), ends=st.tuples(any_instants, any_instants), late=st.booleans())
def test_is_the_sum_over_the_calls(
    ledger: list[UsageEvent], ends: tuple[datetime, datetime], *, late: bool
) -> None:
    since, until = min(ends), max(ends) + timedelta(microseconds=1)
    now = NOW + timedelta(minutes=47) if late else NOW

    async def ask() -> list[int]:
        documents, warehouse = SqliteDocuments(":memory:"), DuckdbWarehouse(":memory:")
        try:
            await record(documents, warehouse, ledger, SetClock(now))
            return await Spent(documents, warehouse, SetClock(now)).of(
                [
                    Portion("acme", since, until, everything),
                    Portion("beta", since, until, everything),
                    Portion("acme", since, until, lambda who: who.team == "search"),
                    Portion("acme", since, until, lambda who: who.model == "gpt-x"),
                ]
            )
        finally:
            await documents.aclose()
            await warehouse.aclose()

    def paid(org: str, **asked: str) -> int:
        return sum(
            call.priced_nanos
            for call in ledger
            if call.org == org
            and since <= call.event_time < until
            and asked.get("team", call.team) == call.team
            and asked.get("model", call.model_billed) == call.model_billed
        )

    assert asyncio.run(ask()) == [
        paid("acme"),
        paid("beta"),
        paid("acme", team="search"),
        paid("acme", model="gpt-x"),
    ]


async def test_every_warehouse_answers_the_same(
    documents: Documents, open_warehouse: OpenWarehouse
) -> None:
    clock = SetClock()
    warehouse = await open_warehouse(load_definitions())
    calls = [
        a_call(1, event_time=NOW - DAY, priced_nanos=1),
        a_call(2, event_time=NOW - DAY, priced_nanos=10, model_billed=None),
        a_call(3, event_time=NOW - DAY, priced_nanos=100, line="other"),
        a_call(4, event_time=NOW - DAY, priced_nanos=1_000, project="q4"),
        a_call(5, event_time=NOW - 3 * DAY, priced_nanos=10_000),
        a_call(6, event_time=NOW - DAY, priced_nanos=100_000, org="beta"),
        a_call(7, event_time=NOW - DAY, priced_nanos=0, model_billed="made-up"),
        a_call(8, event_time=NOW - HOUR / 2, priced_nanos=1_000_000),
    ]
    await record(documents, warehouse, [*calls, *calls], clock)
    seen: set[Who] = set()

    def noting(who: Who) -> bool:
        seen.add(who)
        return True

    portions = [
        Portion("acme", NOW - 2 * DAY, None, noting),
        Portion("acme", NOW - 2 * DAY, None, lambda who: who.line == "other"),
        Portion("acme", NOW - 2 * DAY, None, lambda who: who.project == "q4"),
        Portion("acme", datetime.min.replace(tzinfo=NOW.tzinfo), None, everything),
    ]

    assert await Spent(documents, warehouse, clock).of(portions) == [
        1_001_111,
        100,
        1_000,
        1_011_111,
    ]
    assert {who.model for who in seen} == {"gpt-x"}


async def test_tells_what_calls_cost_to_which_older_budgets_applied(
    documents: Documents, open_warehouse: OpenWarehouse
) -> None:
    """Also of the last minute, and what was not there a moment ago."""
    clock = SetClock()
    warehouse = await open_warehouse(load_definitions())
    calls = [
        a_call(1, event_time=NOW - DAY, priced_nanos=1),
        a_call(2, event_time=NOW - DAY, priced_nanos=10, policy_epoch=4),
        a_call(3, event_time=NOW - DAY, priced_nanos=100, policy_epoch=5),
        a_call(4, event_time=NOW - DAY, priced_nanos=1_000, line="other"),
        a_call(5, event_time=NOW - DAY, priced_nanos=10_000, org="beta"),
        a_call(6, event_time=NOW, priced_nanos=100_000, cost_nanos=None, cost_reason="unknown"),
        a_call(7, event_time=NOW + HOUR, priced_nanos=1_000_000),
    ]
    spent = Spent(documents, warehouse, clock)
    of_day = of_acme(NOW - DAY, NOW + HOUR)
    of_line = Portion("acme", NOW - DAY, NOW + HOUR, lambda who: who.line == "other")
    ever = of_acme(datetime.min.replace(tzinfo=NOW.tzinfo), FOREVER)

    answers = [await spent.under([(of_day, 5)])]
    await record(documents, warehouse, [*calls, *calls], clock)
    answers.append(await spent.under([(of_day, 5), (of_day, 6), (of_line, 5), (ever, 5)]))

    assert answers == [[0], [101_011, 101_111, 1_000, 1_101_011]]


async def test_asks_the_warehouse_once_an_hour(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> None:
    counted = Counted(warehouse)
    await record(documents, warehouse, [a_call(1, event_time=NOW - 5 * HOUR)], clock)
    spent = Spent(documents, counted, clock)

    async def asked_after(minutes: int) -> int:
        clock.advance(timedelta(minutes=minutes))
        since = NOW - DAY
        await spent.of([of_acme(since), of_acme(since)])
        return len(counted.asked)

    assert [await asked_after(minutes) for minutes in (0, 1, 58, 1, 59)] == [1, 1, 1, 2, 2]


async def test_sees_a_call_within_the_minute_and_a_late_one_within_the_hour(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> None:
    spent = Spent(documents, warehouse, clock)

    async def now() -> int:
        [nanos] = await spent.of([of_acme(NOW - DAY)])
        return nanos

    sums = [await now()]
    await record(documents, warehouse, [a_call(1, event_time=NOW, priced_nanos=1)], clock)
    clock.advance(timedelta(seconds=1))
    sums.append(await now())
    late = a_call(2, event_time=NOW - 5 * HOUR, priced_nanos=10)
    await record(documents, warehouse, [late], clock)
    sums.append(await now())
    clock.advance(HOUR)
    sums.append(await now())

    assert sums == [0, 1, 1, 11]


async def test_remembers_nothing_of_an_answer_that_did_not_come(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> None:
    counted = Counted(warehouse, down=True)
    await record(
        documents, warehouse, [a_call(1, event_time=NOW - 5 * HOUR, priced_nanos=7)], clock
    )
    spent = Spent(documents, counted, clock)
    with pytest.raises(StoreUnavailable):
        await spent.of([of_acme(NOW - DAY)])

    counted.down = False

    assert await spent.of([of_acme(NOW - DAY)]) == [7]


async def test_nothing_is_asked_for_nobody(documents: Documents, warehouse: Warehouse) -> None:
    counted = Counted(warehouse)

    assert await Spent(documents, counted, SetClock()).of([]) == []
    assert counted.asked == []


@pytest.mark.parametrize(
    ("counted", "nanos"),
    [
        (("org:acme", ()), 11_111),
        (("team:acme/search", ()), 10_111),
        (("agent:acme/crawler", ()), 11_011),
        (("project:acme/q4", ()), 1),
        (("key:other", ()), 10),
        (("org:acme", ("gpt-*",)), 10_111),
        (("org:acme", ("claude-*", "gpt-y")), 11_000),
        (("team:acme/nobody", ()), 0),
        (("team:beta/search", ()), 0),
    ],
)
async def test_a_budget_counts_what_it_applies_to(
    documents: Documents,
    warehouse: Warehouse,
    clock: SetClock,
    counted: tuple[str, tuple[str, ...]],
    nanos: int,
) -> None:
    """A call that names no model counts against every budget of its scopes."""
    await record(
        documents,
        warehouse,
        [
            a_call(1, priced_nanos=1, project="q4"),
            a_call(2, priced_nanos=10, line="other", event_time=NOW - 5 * HOUR),
            a_call(3, priced_nanos=100, agent="ranker", model_billed="gpt-z"),
            a_call(4, priced_nanos=1_000, team="ops", model_billed="claude-x"),
            a_call(5, priced_nanos=10_000, model_billed=None, model_asked=None),
            a_call(6, priced_nanos=100_000, org="beta"),
        ],
        clock,
    )
    scope, models = counted
    budget = Budget("b", "acme", scope, Calendar("day"), 1, "soft", models=models)
    ask = spent_of(Spent(documents, warehouse, clock))

    assert await ask([Asked(budget, NOW - DAY, None)]) == [nanos]


ALIAS = {
    "model_asked": "openai/gpt-4o",
    "model_sent": "gpt-4o",
    "model_billed": "gpt-4o-2024-08-06",
}


@pytest.mark.parametrize("age", [HOUR / 2, 5 * HOUR], ids=["rollups", "warehouse"])
@pytest.mark.parametrize(
    ("named", "models"),
    [
        (ALIAS, ("gpt-4o",)),
        (ALIAS, ("gpt-4o-*",)),
        (ALIAS, ("openai/*",)),
        (ALIAS, ("gpt-*", "claude-*")),
        (ALIAS | {"model_sent": None}, ("claude-*",)),
        (ALIAS | {"model_billed": None}, ("gpt-4o",)),
        (ALIAS | {"model_billed": None}, ("openai/*",)),
        ({"model_sent": "mine", "model_billed": "gpt-4o", "card": "openai/gpt-4o"}, ("mine",)),
    ],
)
async def test_a_soft_budget_counts_the_calls_that_its_hard_twin_holds(  # noqa: PLR0917 - fixtures and the columns of the table
    documents: Documents,
    warehouse: Warehouse,
    clock: SetClock,
    age: timedelta,
    named: dict[str, Any],
    models: tuple[str, ...],
) -> None:
    """By the model that is sent: what the reply names is known too late to hold anything."""
    call = a_call(1, priced_nanos=7, event_time=NOW - age, **named)
    await record(documents, warehouse, [call], clock)
    soft = Budget("b", "acme", "org:acme", Calendar("day"), 1, "soft", models=models)
    spender = Spender("acme", "search", "crawler", None, "0123456789ab")
    held = budgets_of([replace(soft, enforcement="hard")], spender, named["model_sent"])
    ask = spent_of(Spent(documents, warehouse, clock))

    [spent] = await ask([Asked(soft, NOW - DAY, None)])

    assert spent == 7 * len(held)


async def test_sums_that_were_kept_without_the_sent_model_are_still_read(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> None:
    call = a_call(1, priced_nanos=7, event_time=NOW - HOUR / 2)
    await record(documents, warehouse, [call], clock)
    for size in COLLECTIONS.values():
        [kept] = await documents.query(Query(size))
        older = {
            json.dumps([*values[:-2], values[-1]]): amount
            for name, amount in kept.data.items()
            if name.startswith("[") and (values := json.loads(name))
        }
        await documents.commit([Put(kept.ref, older)])

    assert await Spent(documents, warehouse, clock).of([of_acme(NOW - HOUR)]) == [7]


async def test_the_last_seconds_need_no_warehouse(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> None:
    """A call that has just ended is in the rollups first."""
    counted = Counted(warehouse)
    clock.advance(timedelta(minutes=5, seconds=30))
    call = a_call(1, event_time=clock.now() - timedelta(seconds=1), priced_nanos=7)
    await apply_events(documents, [call], clock)

    assert await Spent(documents, counted, clock).of([of_acme(NOW)]) == [7]
    assert counted.asked == []
