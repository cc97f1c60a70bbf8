"""The daily run: what it reads, keeps and tells, and what a run again changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from common.core.errors import PublishFailed
from common.core.event_types import parse_event
from common.core.events import Event, SpendReconciled
from common.core.ports import Query
from common.core.reconciliation_events import SpendDriftFound
from common.reconciliation.records import RECONCILIATIONS, SOURCES
from common.reconciliation.rows import Tokens
from tests.api.conftest import KeepingBus
from tests.reconciliation.conftest import DAY, DOLLAR, NOON, TWO_DAYS_ON, Scene

ONE_DAY = timedelta(days=1)
TOKENS = Tokens(1_000, 0, 0, 100)


def of_day(events: Sequence[Event], day: date = DAY) -> list[Event]:
    return [event for event in events if getattr(event, "day", None) == day]


async def test_tells_what_a_bill_says_beside_our_events(scene: Scene) -> None:
    await scene.call(40 * DOLLAR, unproven_nanos=3)
    scene.bills.write("39.999999999")

    [event] = of_day(await scene.run())

    assert isinstance(event, SpendReconciled)
    assert (event.provider, event.account, event.day) == ("openai", "acme", DAY)
    assert (event.ours_nanos, event.theirs_nanos) == (40 * DOLLAR, 39_999_999_999)
    assert event.unproven_nanos == 3
    assert event.event_time == TWO_DAYS_ON


async def test_is_silent_about_days_that_agree_and_keeps_them(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("40.1")

    events = await scene.run()

    assert not any(isinstance(event, SpendDriftFound) for event in events)
    found = await scene.found()
    assert (found["standing"], found["withheld"], found["drifts"]) == ("agrees", None, [])
    assert (found["ours_nanos"], found["theirs_nanos"]) == (40 * DOLLAR, 40_100_000_000)
    counts = {"input": 1_000, "cache_read": 0, "cache_write": 0, "output": 100}
    assert found["models"] == [{"model": "openai/gpt-4o", "ours": counts, "theirs": counts}]


async def test_reads_the_last_three_days(scene: Scene) -> None:
    await scene.run()

    days = [DAY - ONE_DAY, DAY, DAY + ONE_DAY]
    assert scene.bills.asked == [days]
    kept = await scene.documents.query(Query(RECONCILIATIONS))
    assert [document.ref.id for document in kept] == [f"openai-acme-{day}" for day in days]


async def test_tells_a_drift_with_its_cause_and_figures(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")

    drift, reconciled = of_day(await scene.run())

    assert isinstance(drift, SpendDriftFound)
    assert isinstance(reconciled, SpendReconciled)
    assert (drift.cause, drift.drift_nanos) == ("price_off", 40 * DOLLAR)
    assert (drift.ours_nanos, drift.theirs_nanos) == (40 * DOLLAR, 80 * DOLLAR)
    assert (drift.ours_input_tokens, drift.theirs_output_tokens) == (1_000, 100)
    assert drift.models == ("openai/gpt-4o",)
    assert parse_event(drift.model_dump(mode="json")) == drift
    assert (await scene.found())["standing"] == "drift"


async def test_a_run_again_tells_and_changes_nothing(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    first = await scene.run()
    before = await scene.document()
    scene.clock.advance(timedelta(hours=1))

    assert len(of_day(first)) == 2
    assert await scene.run() == []
    assert await scene.document() == before


async def test_tells_a_drift_once_and_what_is_billed_anew(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    await scene.run()
    scene.bills.write("81")
    scene.clock.advance(ONE_DAY)

    [event] = of_day(await scene.run())

    assert isinstance(event, SpendReconciled)
    assert event.theirs_nanos == 81 * DOLLAR
    assert (await scene.found())["drifts"][0]["drift_nanos"] == 41 * DOLLAR


async def test_tells_nothing_of_a_day_whose_bill_may_still_change(scene: Scene) -> None:
    """Budgets take nothing that is told within 24 hours of the day's end."""
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    scene.clock.time = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)

    assert of_day(await scene.run()) == []
    found = await scene.found()
    assert (found["standing"], found["told"]) == ("early", [])
    assert found["drifts"][0]["cause"] == "price_off"

    scene.clock.advance(timedelta(seconds=1))

    assert len(of_day(await scene.run())) == 2


@pytest.mark.parametrize(
    ("usd", "tokens", "why"),
    [
        ("0.5", TOKENS, "the bill has less than our calls cost by what the provider answered"),
        ("0", Tokens(), "the bill has less than our calls cost by what the provider answered"),
        ("0.9", TOKENS + Tokens(1), "the bill has tokens of which we have no event"),
    ],
)
async def test_lets_nothing_be_released_by_a_bill_that_is_low_for_another_reason(
    scene: Scene, usd: str, tokens: Tokens, why: str
) -> None:
    await scene.call(DOLLAR, unproven_nanos=DOLLAR // 2)
    scene.bills.write(usd, tokens)

    assert of_day(await scene.run()) == []
    found = await scene.found()
    assert (found["standing"], found["withheld"]) == ("agrees", why)


async def test_takes_a_bill_for_ours_that_differs_by_what_was_rounded(scene: Scene) -> None:
    """By a nano for the call and one for the item."""
    await scene.call(DOLLAR)
    scene.bills.write("1.000000002")
    [equal] = of_day(await scene.run())
    scene.bills.write("1.000000003")
    [higher] = of_day(await scene.run())

    assert isinstance(equal, SpendReconciled)
    assert equal.theirs_nanos == DOLLAR
    assert isinstance(higher, SpendReconciled)
    assert higher.theirs_nanos == DOLLAR + 3
    assert (await scene.found())["theirs_nanos"] == DOLLAR + 3


async def test_does_not_compare_money_that_is_not_all_on_the_bill(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("1")
    scene.bills.bills[DAY] = replace(scene.bills.bills[DAY], unbilled_tokens=True)

    assert of_day(await scene.run()) == []
    assert (await scene.found())["standing"] == "not_compared"


async def test_counts_a_call_on_the_day_on_which_it_ended(scene: Scene) -> None:
    midnight = NOON + ONE_DAY / 2
    late = midnight + timedelta(seconds=5)
    await scene.call(DOLLAR, event_time=late, started_at=midnight - timedelta(seconds=5))
    scene.bills.write("1")
    scene.clock.advance(ONE_DAY)

    await scene.run()

    assert (await scene.found(DAY))["ours_nanos"] == 0
    assert (await scene.found(DAY + ONE_DAY))["ours_nanos"] == DOLLAR


async def test_leaves_out_keys_of_other_accounts(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    await scene.call(90 * DOLLAR, credential=None, provider_key_hash="0wn", card="openai/gpt-5")
    scene.bills.write("40")

    [event] = of_day(await scene.run())

    assert isinstance(event, SpendReconciled)
    assert event.ours_nanos == 40 * DOLLAR


async def test_says_that_nobody_reads_bills_without_a_key(scene: Scene) -> None:
    account = replace(scene.account, bills=None)

    await scene.reconciliation(account).run()

    assert scene.bus.events == []
    assert await scene.documents.query(Query(RECONCILIATIONS)) == []
    source = await scene.source()
    assert (source["standing"], source["cause"]) == ("off", "needs OPENAI_ADMIN_KEY")


async def test_notes_a_provider_that_is_down_and_goes_on(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("40")
    other = replace(
        scene.account, provider="anthropic", bills=type(scene.bills)(failure="it is down")
    )

    await scene.reconciliation(other, scene.account).run()

    sources = {each.ref.id: each.data for each in await scene.documents.query(Query(SOURCES))}
    assert sources["anthropic-acme"]["standing"] == "silent"
    assert sources["anthropic-acme"]["cause"] == "it is down"
    assert sources["openai-acme"]["standing"] == "answers"
    assert len(of_day(scene.bus.events)) == 1


async def test_keeps_what_was_found_while_a_provider_is_down(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    await scene.run()
    before = await scene.document()
    scene.bills.failure = "it is down"

    assert await scene.run() == []
    assert await scene.document() == before


class FailingBus(KeepingBus):
    """Takes one event and then no more."""

    async def publish(self, topic: str, event: Event) -> None:
        if self.events:
            raise PublishFailed("not now")
        await super().publish(topic, event)


async def test_tells_later_what_could_not_be_published(
    scene: Scene,
) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    first = scene.bus
    scene.bus = FailingBus()
    with pytest.raises(PublishFailed):
        await scene.run()
    scene.bus = first

    again = await scene.run()

    assert {type(event) for event in of_day(again)} == {SpendDriftFound, SpendReconciled}


async def test_a_run_that_began_earlier_does_not_undo_a_later_one(scene: Scene) -> None:
    await scene.call(40 * DOLLAR)
    scene.bills.write("80")
    await scene.run()
    scene.bills.write("40")
    scene.clock.advance(-timedelta(hours=1))

    await scene.run()

    assert (await scene.found())["theirs_nanos"] == 80 * DOLLAR
