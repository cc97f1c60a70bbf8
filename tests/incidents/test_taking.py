"""Facts are taken once each, in the order in which they happened, whatever arrives how."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from common.core.brownout_events import SignalTold
from common.core.errors import StoreUnavailable
from common.core.events import BudgetExhausted, Event
from common.core.ports import Committed, Document, Documents, Outcome, Query, Ref, Write
from common.incidents.facts import EscalationStep, Rules
from common.incidents.incidents import KEYS, MARKERS, REMEMBERED
from common.incidents.taking import MOST_FACTS
from common.incidents.timeline import ENTRIES
from tests.incidents.scenes import Desk, KeepingBus, a_change, at, crossed, settled

UP = a_change(1, "normal", "hard")
CALM = a_change(2, "hard", "normal", 12)


async def test_tells_what_becomes_of_an_incident_once_each(desk: Desk) -> None:
    await desk.take(UP, CALM, settled(2, 12))

    assert desk.bus.told == ["opened", "mitigated", "resolved"]
    assert [event.status for event in desk.bus.incidents] == ["open", "mitigated", "resolved"]
    assert [event.event_time for event in desk.bus.incidents] == [at(0), at(12), at(42)]
    assert (await desk.incident()).status == "resolved"


async def test_does_nothing_when_the_same_event_comes_again(desk: Desk) -> None:
    await desk.take(UP, crossed(100))

    await desk.take(UP, crossed(100), crossed(100), UP)

    assert desk.bus.told == ["opened", "opened"]
    assert [each.entries for each in await desk.incidents()] == [1, 1]


async def test_opens_one_incident_for_what_many_processes_are_told_at_once(desk: Desk) -> None:
    for change in (UP, a_change(2, "hard", "emergency", 1)):
        desk.write(change)

    await asyncio.gather(
        *(desk.process().take(event) for event in desk.changes.written * 2),
        *(desk.process().take(crossed(percent)) for percent in (100, 110)),
    )

    brownout, budget = sorted(await desk.incidents(), key=lambda incident: incident.key)
    assert (brownout.severity, brownout.entries) == ("critical", 2)
    assert (budget.key, budget.entries) == ("budget:search", 2)
    assert len({event.id for event in desk.bus.incidents}) == 4


async def test_takes_what_is_written_down_whichever_event_arrives_first(desk: Desk) -> None:
    desk.write(UP)
    desk.write(CALM)
    desk.clock.minutes = 12

    await desk.process().take(CALM)
    await desk.process().take(UP)

    assert desk.bus.told == ["opened", "mitigated"]


async def test_resolves_what_was_not_told_to_be_calm_yet(desk: Desk) -> None:
    desk.write(UP)
    desk.write(CALM)
    desk.clock.minutes = 42

    await desk.process().take(settled(2, 12))

    assert desk.bus.told == ["opened", "mitigated", "resolved"]


async def test_opens_nothing_for_what_happened_long_before_it_heard_of_a_scope(
    desk: Desk,
) -> None:
    desk.write(UP)
    desk.write(CALM)
    desk.write(a_change(3, "normal", "soft", 3 * 1440, episode="e2"))
    desk.clock.minutes = 3 * 1440

    await desk.process().take(desk.changes.written[-1])

    assert (await desk.incident()).opened_at == at(3 * 1440)


async def test_takes_more_changes_than_one_commit_holds(desk: Desk) -> None:
    modes = ("hard", "soft")
    for seq in range(1, 2 * MOST_FACTS + 8):
        before, after = (*modes, "normal")[2 if seq == 1 else (seq - 2) % 2], modes[(seq - 1) % 2]
        desk.write(a_change(seq, before, after, seq / 100))
    desk.clock.minutes = 5

    await desk.process().take(UP)

    assert (await desk.incident()).entries == 2 * MOST_FACTS + 7


async def test_publishes_later_what_the_bus_did_not_take(desk: Desk) -> None:
    desk.bus.down = True
    await desk.take(UP, CALM)
    desk.bus.down = False

    await desk.process().publish(desk.clock.now())
    await desk.process().publish(desk.clock.now())

    assert desk.bus.told == ["opened", "mitigated"]
    assert await desk.documents.query(Query(ENTRIES, {"published": False})) == []


async def test_knows_for_longer_than_an_event_can_come_again_that_it_was_taken(
    desk: Desk,
) -> None:
    await desk.take(crossed(100))

    [marker] = await desk.documents.query(Query(MARKERS))
    assert marker.data["delete_at"] == at(0) + REMEMBERED
    assert timedelta(days=31) < REMEMBERED


@pytest.mark.parametrize(
    "event",
    [
        crossed(99),
        BudgetExhausted(
            id="x",
            event_time=at(0),
            budget_id="search",
            period="2026-03",
            settled_nanos=1,
            leased_nanos=0,
            limit_nanos=1,
            resets_at=None,
        ),
    ],
    ids=lambda event: event.type,
)
async def test_leaves_alone_what_is_no_incident(desk: Desk, event: Event) -> None:
    await desk.take(event)

    assert await desk.incidents() == []
    assert await desk.documents.query(Query(KEYS)) == []


async def test_keeps_scopes_and_budgets_apart(desk: Desk) -> None:
    told = SignalTold(source="datadog", monitor="18", level="soft", link=None)
    other = a_change(2, "normal", "soft", 1, scope="org:acme", episode="e9", signals=(told,))

    await desk.take(UP, other, crossed(100, 2, "search"), crossed(100, 3, "chat"))

    keys = {incident.key for incident in await desk.incidents()}
    assert keys == {
        "brownout:provider:openai",
        "brownout:org:acme",
        "budget:search",
        "budget:chat",
    }


OPS = EscalationStep(timedelta(0), ("ops",))
PAGE = EscalationStep(timedelta(minutes=10), ("pagerduty",), "unacknowledged", "error")


async def test_tells_those_of_the_policy_at_once_and_later(desk: Desk) -> None:
    desk.rules = Rules(escalation=(OPS, PAGE))
    await desk.take(UP)

    for minutes in (9, 10, 11):
        desk.clock.minutes = minutes
        await desk.process().escalate(at(minutes))
    await desk.process().publish(at(11))

    assert desk.bus.told == ["opened", "escalated", "escalated"]
    assert [event.to for event in desk.bus.incidents] == [(), ("ops",), ("pagerduty",)]
    assert [event.event_time for event in desk.bus.incidents] == [at(0), at(0), at(10)]


@dataclass(slots=True)
class Forgetful:
    """A store whose answer to the first commit is lost."""

    inner: Documents
    lost: bool = False

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        outcome = await self.inner.commit(writes)
        if not self.lost and outcome == Committed():
            self.lost = True
            raise StoreUnavailable("no answer")
        return outcome


async def test_publishes_what_a_process_stored_that_died_before_it_told(desk: Desk) -> None:
    dying = Desk(Forgetful(desk.documents), KeepingBus(), desk.clock, desk.changes)
    with pytest.raises(StoreUnavailable):
        await dying.take(crossed(100))

    await desk.take(crossed(100))

    assert (dying.bus.told, desk.bus.told) == ([], ["opened"])
    assert (await desk.incident()).entries == 1
