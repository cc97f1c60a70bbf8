"""What a provider's bill releases: what was charged without proof, once, and never more."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.budgets.accounts import LeaseState, lease_ref, period_ref
from common.budgets.calendar import Calendar
from common.budgets.reconciled import RECONCILIATION, Reconciler
from common.core.audit import AUDIT
from common.core.errors import StoreUnavailable
from common.core.event_types import parse_event
from common.core.events import SpendReconciled
from common.core.ports import Put, Query
from common.usage.proof import Proof
from tests.api.conftest import a_call
from tests.budgets.conftest import DOLLAR, START, World
from tests.budgets.operators import Operators
from tests.budgets.reconciling import DAY, TODAY, Scene

HOUR = timedelta(hours=1)
GOLDEN = Path(__file__).with_name("spend_reconciled.json")


@pytest.fixture
async def warehouse() -> AsyncIterator[DuckdbWarehouse]:
    engine = DuckdbWarehouse(":memory:")
    yield engine
    await engine.aclose()


@pytest.fixture
async def scene(world: World, warehouse: DuckdbWarehouse) -> Scene:
    budgets = [
        await world.budget(name, 1_000 * DOLLAR, calendar=calendar)
        for name, calendar in (("a", Calendar("total")), ("b", Calendar("month")))
    ]
    return Scene(world, warehouse, world.to(*budgets))


def test_reads_the_event_as_it_is_published() -> None:
    golden = json.loads(GOLDEN.read_text())

    event = parse_event(golden)

    assert isinstance(event, SpendReconciled)
    assert (event.day, event.theirs_nanos) == (TODAY, 3_999_999_999)
    assert json.loads(event.payload()) == golden


@pytest.mark.parametrize("excess", [0, -DOLLAR])
async def test_releases_the_unproven_part_of_calls_in_every_budget(
    scene: Scene, excess: int
) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    await scene.call(2 * DOLLAR)

    await scene.take(scene.bill(excess))

    assert [await scene.account(number) for number in (0, 1)] == [(3 * DOLLAR, 0)] * 2


async def test_a_bill_that_is_higher_by_a_nano_releases_nothing(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)

    await scene.take(scene.bill(1))

    assert await scene.account() == (4 * DOLLAR, 3 * DOLLAR)


async def test_releases_once_whatever_is_told_how_often(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    await scene.call(DOLLAR, 3 * DOLLAR)
    await scene.killed(5 * DOLLAR)
    first = scene.bill()
    await scene.take(first, first, scene.bill(), scene.bill(-1))
    # Other money that is flagged is not taken for that of a call which is released already.
    await scene.killed(5 * DOLLAR)
    flagged = (await scene.account())[1]
    await scene.take(first, scene.bill())

    assert flagged > 3 * DOLLAR
    assert await scene.account() == (2 * DOLLAR + flagged, flagged)
    assert len(await scene.corrections()) == 3
    assert await scene.corrections() == []


async def test_says_what_it_released_and_why(scene: Scene) -> None:
    lease = await scene.call(DOLLAR, 3 * DOLLAR)
    bill = scene.bill()

    await scene.take(bill)

    [event] = await scene.corrections()
    [entry] = [each.data for each in await scene.world.documents.query(Query(AUDIT))]
    assert (event.lease_id, event.call_id) == (lease.id, "call-00000")
    assert (event.written_off_nanos, event.spent_nanos) == (3 * DOLLAR, 0)
    assert event.periods == lease.periods
    assert event.reason.startswith("the bill of openai for 2026-11-20 ")
    assert (event.actor, entry["who"], entry["what"], entry["target"]) == (
        RECONCILIATION,
        RECONCILIATION,
        "call.correct",
        "corrections/call-00000",
    )
    assert entry["after"] == {"leases": {lease.id: 3 * DOLLAR}, "event": bill.id}


async def test_of_several_attempts_all_but_what_the_last_one_cost_is_released(
    scene: Scene,
) -> None:
    world = scene.world
    owner = world.instance()
    owner.enter()
    held = [await owner.admit(scene.to, 4 * DOLLAR) for _ in range(3)]
    await scene.record([(each, 4 * DOLLAR) for each in held[:2]] + [(held[2], 3 * DOLLAR)], DOLLAR)
    for each in held[:2]:
        owner.settle(each, 4 * DOLLAR, unproven=4 * DOLLAR)
    owner.settle(held[2], 3 * DOLLAR, unproven=2 * DOLLAR)
    await owner.leave()

    await scene.take(scene.bill())

    assert await scene.account() == (DOLLAR, 0)


@pytest.mark.parametrize(
    ("fields", "is_released"),
    [
        ({}, True),
        ({"ours_nanos": 2 * DOLLAR}, False),
        ({"unproven_nanos": 2 * DOLLAR}, False),
        ({"unproven_nanos": 4 * DOLLAR}, False),
    ],
)
async def test_a_bill_that_is_not_of_all_our_calls_releases_nothing(
    scene: Scene, fields: dict[str, int], *, is_released: bool
) -> None:
    """It is of another account, or events have come since: whose the flagged call is, is open."""
    await scene.call(DOLLAR, 3 * DOLLAR)

    await scene.take(scene.bill().model_copy(update={"theirs_nanos": 0, **fields}))

    assert await scene.account() == ((DOLLAR, 0) if is_released else (4 * DOLLAR, 3 * DOLLAR))


@pytest.mark.parametrize("excess", [0, 1])
async def test_the_bills_of_all_accounts_count_together(scene: Scene, excess: int) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    await scene.call(2 * DOLLAR, DOLLAR)
    one, other = scene.events

    await scene.take(scene.bill(account="org-1", calls=[one]))
    alone = await scene.account()
    await scene.take(scene.bill(excess, account="org-2", calls=[other]))

    assert alone == (7 * DOLLAR, 4 * DOLLAR)
    assert await scene.account() == (alone if excess else (3 * DOLLAR, 0))


async def test_only_the_provider_that_sent_the_bill_is_proven(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    await scene.call(DOLLAR, 5 * DOLLAR, provider="anthropic")

    await scene.take(scene.bill(provider="anthropic"))

    assert await scene.account() == (5 * DOLLAR, 3 * DOLLAR)


async def test_a_later_bill_stands_for_an_earlier_one(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    early, late = scene.bill(after=2 * DAY), scene.bill(1, after=3 * DAY)
    await scene.take(late, early)
    standing = await scene.account()

    await scene.take(scene.bill(after=4 * DAY))

    assert standing == (4 * DOLLAR, 3 * DOLLAR)
    assert await scene.account() == (DOLLAR, 0)


@pytest.mark.parametrize(("hours", "is_released"), [(47.9, False), (48, True)])
async def test_a_bill_counts_from_a_day_after_the_day(
    scene: Scene, hours: float, *, is_released: bool
) -> None:
    """However late we hear of it: an earlier one may lack calls."""
    await scene.call(DOLLAR, 3 * DOLLAR)
    scene.world.clock.time += 9 * DAY

    await scene.take(scene.bill(after=timedelta(hours=hours)))

    assert (await scene.account())[1] == (0 if is_released else 3 * DOLLAR)


@pytest.mark.parametrize("order", [1, -1])
async def test_a_call_over_midnight_needs_the_bills_of_both_days(scene: Scene, order: int) -> None:
    scene.world.clock.time = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
    await scene.call(DOLLAR)
    await scene.call(DOLLAR, 3 * DOLLAR, lasted=HOUR / 3)
    bills = [scene.bill(day=TODAY), scene.bill(day=TODAY + DAY)][::order]

    await scene.take(bills[0])
    alone = await scene.account()
    await scene.take(bills[1])

    assert alone == (5 * DOLLAR, 3 * DOLLAR)
    assert await scene.account() == (2 * DOLLAR, 0)


async def test_what_was_written_off_is_released_but_for_what_events_tell(scene: Scene) -> None:
    """Of what the dead instance had out there, one call has told its cost and never its lease."""
    lease = await scene.killed(5 * DOLLAR, settled=2 * DOLLAR)
    written_off = await scene.account()

    await scene.take(scene.bill())

    [event] = await scene.corrections()
    assert written_off == (lease.written_off, lease.written_off)
    assert [await scene.account(number) for number in (0, 1)] == [(2 * DOLLAR, 0)] * 2
    assert (event.lease_id, event.call_id, event.actor) == (lease.id, None, RECONCILIATION)
    assert (event.written_off_nanos, event.spent_nanos) == (lease.written_off, 2 * DOLLAR)


async def test_what_a_lease_had_told_before_is_not_counted_again(scene: Scene) -> None:
    world, owner = scene.world, scene.world.instance()
    await scene.call(7 * DOLLAR, instance=owner)
    world.clock.advance(11 * 60)
    # The next call asks for more than is left, and its commit tells of the first.
    held = await owner.admit(scene.to, 100 * DOLLAR)
    reported = (await scene.lease_of(held)).reported
    world.clock.advance(22 * 60)
    await scene.killed(DOLLAR)

    await scene.take(scene.bill())

    assert reported == 7 * DOLLAR
    assert await scene.account() == (7 * DOLLAR, 0)


async def test_an_unproven_part_that_a_lease_never_told_stays_flagged(scene: Scene) -> None:
    await scene.killed(5 * DOLLAR, settled=4 * DOLLAR, beyond=3 * DOLLAR)

    await scene.take(scene.bill(), scene.bill())

    assert await scene.account() == (4 * DOLLAR, 3 * DOLLAR)


async def test_a_lease_is_released_when_every_provider_is_proven(scene: Scene) -> None:
    lease = await scene.killed(5 * DOLLAR)
    await scene.call(DOLLAR)
    await scene.call(DOLLAR, provider="anthropic")

    await scene.take(scene.bill())
    alone = await scene.account()
    await scene.take(scene.bill(1, provider="anthropic"))
    higher = await scene.account()
    await scene.take(scene.bill(provider="anthropic", after=3 * DAY))

    charged = (2 * DOLLAR + lease.written_off, lease.written_off)
    assert [alone, higher, await scene.account()] == [charged, charged, (2 * DOLLAR, 0)]


async def test_a_lease_stays_charged_where_nobody_called_anybody(scene: Scene) -> None:
    """Then no event says whose bill its calls would be on."""
    lease = await scene.killed(5 * DOLLAR)

    await scene.take(scene.bill())

    assert await scene.account() == (lease.written_off, lease.written_off)


async def test_a_provider_without_a_bill_keeps_a_lease_charged(scene: Scene) -> None:
    """Also one whose calls of the day cost nothing: those of the dead instance may have."""
    lease = await scene.killed(5 * DOLLAR)
    await scene.call(DOLLAR)
    await scene.store(a_call(1, event_time=START, priced_nanos=0, provider="google"))

    await scene.take(scene.bill())

    assert await scene.account() == (DOLLAR + lease.written_off, lease.written_off)


@pytest.mark.parametrize(
    ("killed_at", "days"),
    [
        (datetime(2026, 11, 20, 22, 30, tzinfo=UTC), 1),
        (datetime(2026, 11, 20, 22, 45, tzinfo=UTC), 2),
        (datetime(2026, 11, 21, 0, 50, tzinfo=UTC), 2),
    ],
)
async def test_a_lease_needs_every_day_on_which_its_calls_may_have_run(
    scene: Scene, killed_at: datetime, days: int
) -> None:
    """An hour before its last commit to an hour after its end, 20 minutes later."""
    world = scene.world
    world.clock.time = killed_at
    lease = await scene.killed(5 * DOLLAR)
    world.clock.time = datetime(2026, 11, 21, 12, tzinfo=UTC)
    await scene.call(DOLLAR)
    world.clock.time = START
    await scene.call(DOLLAR)

    await scene.take(scene.bill(day=TODAY))
    after_one = (await scene.account())[1]
    await scene.take(scene.bill(day=TODAY + DAY))

    assert after_one == (0 if days == 1 else lease.written_off)
    assert (await scene.account())[1] == 0


async def test_an_operator_who_is_faster_than_a_bill_has_the_word(scene: Scene) -> None:
    lease = await scene.killed(5 * DOLLAR, settled=2 * DOLLAR)
    documents = scene.world.documents

    async def kept() -> None:
        documents.before_commit = overtake

    async def overtake() -> None:
        await Operators(scene.world).correct(lease.id, DOLLAR)

    documents.before_commit = kept
    await scene.take(scene.bill())

    [corrected] = await scene.world.leases()
    assert corrected.state is LeaseState.CORRECTED
    assert await scene.account() == (lease.written_off - DOLLAR, 0)


async def test_releases_nothing_that_a_budget_was_not_charged_for(scene: Scene) -> None:
    lease = await scene.call(DOLLAR, 3 * DOLLAR)
    for number in range(len(lease.periods)):
        period = replace(await scene.world.period(scene.to, number), unproven=2 * DOLLAR)
        await scene.world.documents.commit([Put(period_ref(period.id), period.to_data())])

    await scene.take(scene.bill())

    assert await scene.account() == (4 * DOLLAR, 2 * DOLLAR)


async def test_a_bill_from_the_future_releases_nothing(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    clock = scene.world.clock
    reconciler = Reconciler(scene.world.documents, clock, os.urandom, Proof(scene.warehouse))

    await reconciler.take(scene.bill())

    assert await scene.account() == (4 * DOLLAR, 3 * DOLLAR)


async def test_a_call_of_a_lease_that_is_written_off_is_left_to_it(scene: Scene) -> None:
    """Its write-off has counted the call already, or an operator has said what it cost."""
    lease = await scene.call(DOLLAR, 3 * DOLLAR)
    for state in (LeaseState.WRITTEN_OFF, LeaseState.CORRECTED):
        kept = replace(lease, state=state, expires_at=START + 100 * DAY)
        await scene.world.documents.commit([Put(lease_ref(lease.id), kept.to_data())])
        await scene.take(scene.bill())

    assert await scene.account() == (4 * DOLLAR, 3 * DOLLAR)


async def test_is_told_again_where_the_store_did_not_answer(scene: Scene) -> None:
    await scene.call(DOLLAR, 3 * DOLLAR)
    bill = scene.bill()
    scene.world.documents.down = True
    with pytest.raises(StoreUnavailable):
        await scene.take(bill)

    scene.world.documents.down = False
    scene.world.documents.fates = ["unanswered", "unanswered"]
    await scene.take(bill)
    await scene.take(bill)

    assert await scene.account() == (DOLLAR, 0)
    assert len(await scene.corrections()) == 1
