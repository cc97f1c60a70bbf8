"""What is done for budgets every minute: leases of owners that are gone, and what is to be told.

And calls are charged that were under way when a budget began (`late_calls.py`).

Each step commits what it decides by itself and can be repeated, by itself or by another sweep at
the same time: a lease is written off under the versions that were read, an alert is created once.
So a sweep that dies is finished by the next one.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from common.budgets.accounts import (
    LEASE_KEPT,
    LEASES,
    Lease,
    LeaseState,
    Period,
    lease_ref,
    period_ref,
)
from common.budgets.alerts import alert, alert_id, publish_waiting, undecided
from common.budgets.budgets import BUDGETS, Budget
from common.budgets.late_calls import SpentBefore, charge_late_calls
from common.budgets.settlement import is_overdue, write_off
from common.budgets.thresholds import (
    Watched,
    crossed,
    exhausted_event,
    pace_spans,
    threshold_event,
    watched,
)
from common.core.errors import VersionConflict
from common.core.events import (
    BudgetExhausted,
    Event,
    LeaseWrittenOff,
    SweepBudgets,
    ThresholdCrossed,
)
from common.core.money import Nanos
from common.core.ports import (
    Bus,
    Clock,
    Committed,
    Document,
    Documents,
    Put,
    Query,
    Ref,
    Unknown,
    Write,
)
from common.core.transactions import Entropy, Read, transact

T = TypeVar("T")

logger = logging.getLogger(__name__)

SWEPT = Ref("sweeps", "budgets")
"""Holds `finished_at`, when the last sweep was done, for those who ask whether there are any."""

TICK_LIFE = timedelta(minutes=1)
"""An older command is acknowledged unread: the next one is on its way anyway."""
PAGE = 500
AT_ONCE = 300
"""Documents that are asked for together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What did the calls cost that count against a budget, from `since` up to, not in, `until`?

    `until` None is now.
    """

    budget: Budget
    since: datetime
    until: datetime | None


SpentOf: TypeAlias = Callable[[Sequence[Asked]], Awaitable[Sequence[Nanos]]]
"""Answers in the order asked, in nano-USD. Raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """The parts that a sweep works with."""

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    spent: SpentOf
    spent_before: SpentBefore

    async def run(self, tick: SweepBudgets) -> None:
        """Do all of it for one command.

        What is decided is published before spend is asked for, which may fail by itself.

        Raises:
            StoreUnavailable: no answer in time; what is left is for the next sweep.
            PublishFailed: an event was not accepted; it waits for the next sweep.
        """
        if self.clock.now() - tick.event_time > TICK_LIFE:
            logger.info("budgets.tick_expired", extra={"event_id": tick.id})
            return
        written_off = await sweep(self.documents, self.clock, entropy=self.entropy)
        periods = await look(self.documents, self.clock)
        await tell_exhausted(self.documents, periods)
        await publish_waiting(self.documents, self.bus)
        await charge_late_calls(
            self.documents, self.clock, periods, self.spent_before, entropy=self.entropy
        )
        await tell_crossed(self.documents, periods, self.spent)
        await publish_waiting(self.documents, self.bus)
        await self.documents.commit([Put(SWEPT, {"finished_at": self.clock.now()})])
        # Each run says so: an alert of the installation fires when the lines stay away.
        logger.info(
            "budgets.swept", extra={"written_off": len(written_off), "periods": len(periods)}
        )


async def sweep(documents: Documents, clock: Clock, *, entropy: Entropy) -> list[Event]:
    """Write off every lease that is overdue; the events that say so wait to be published.

    Raises:
        StoreUnavailable: no answer in time; leases that were written off by then stay so.
    """
    events: list[Event] = []
    async for document in every(documents, LEASES, {"state": LeaseState.OPEN.value}):
        lease = Lease.from_document(document)
        if not is_overdue(lease, clock.now()):
            continue
        try:
            event = await _write_off(documents, clock, lease.id, entropy)
        except VersionConflict:
            logger.warning("budgets.busy_lease", extra={"lease": lease.id})
            continue
        if event is not None:
            logger.warning(
                "lease.written_off",
                extra={"lease": lease.id, "written_off_nanos": event.written_off_nanos},
            )
            events.append(event)
    return events


async def look(documents: Documents, clock: Clock) -> list[Watched]:
    """The periods of all budgets that are not paused, as they are now.

    Raises:
        StoreUnavailable: no answer in time.
    """
    budgets = [Budget.from_document(d) async for d in every(documents, BUDGETS, {"paused": False})]
    found = watched(budgets, clock.now())
    stored: dict[Ref, Document | None] = {}
    for some in _portions([period_ref(each.period.id) for each in found]):
        stored |= dict(zip(some, await documents.get_many(some), strict=True))
    return [
        replace(each, period=Period.from_document(document))
        if (document := stored[period_ref(each.period.id)]) is not None
        else each
        for each in found
    ]


async def tell_exhausted(documents: Documents, periods: Sequence[Watched]) -> list[Event]:
    """Decide to tell which hard budgets have refused a call; what is new waits to be published.

    Raises:
        StoreUnavailable: no answer in time.
    """
    found = [(each, event) for each in periods if (event := exhausted_event(each)) is not None]
    new: set[str] = set()
    for some in _portions([event.id for _, event in found]):
        new |= await undecided(documents, some)
    return await _decide(documents, [pair for pair in found if pair[1].id in new])


async def tell_crossed(
    documents: Documents, periods: Sequence[Watched], spent: SpentOf
) -> list[Event]:
    """Decide to tell which percentages are reached; what is new waits to be published.

    Raises:
        StoreUnavailable: no answer in time.
    """
    judged = [each for each in periods if each.budget.thresholds]
    if not judged:
        return []
    sums = await spent([Asked(each.budget, each.starts_at, each.until) for each in judged])
    reached = [
        (each, percent, nanos)
        for each, nanos in zip(judged, sums, strict=True)
        for percent in crossed(each, nanos)
    ]
    new: set[str] = set()
    for some in _portions([each.id_of(percent) for each, percent, _ in reached]):
        new |= await undecided(documents, some)
    told = [found for found in reached if found[0].id_of(found[1]) in new]
    paces = await _paces([each for each, _, _ in told], spent)
    return await _decide(
        documents,
        [
            (each, threshold_event(each, percent, nanos, paces[each.period.id]))
            for each, percent, nanos in told
        ],
    )


async def _write_off(
    documents: Documents, clock: Clock, name: str, entropy: Entropy
) -> LeaseWrittenOff | None:
    """Write one lease off if it is overdue still, together with the decision to tell it."""

    async def decide(read: Read) -> tuple[Sequence[Write], LeaseWrittenOff | None]:
        [document] = await read([lease_ref(name)])
        lease = Lease.from_document(document) if document is not None else None
        now = clock.now()
        if lease is None or not is_overdue(lease, now):
            return (), None
        found = await read([period_ref(each) for each in lease.periods])
        periods = [Period.from_document(each) for each in found if each is not None]
        written, charged = write_off(lease, periods, entropy(16).hex())
        event = LeaseWrittenOff(
            id=alert_id("lease.written_off", name),
            event_time=now,
            lease_id=name,
            instance=lease.instance,
            periods=lease.periods,
            written_off_nanos=written.written_off,
            expired_at=lease.expires_at,
        )
        changed: list[Write] = [Put(period_ref(each.id), each.to_data()) for each in charged]
        told = alert(event, now + LEASE_KEPT)
        return [Put(lease_ref(name), written.to_data()), *changed, told], event

    return await transact(documents, clock, decide, entropy=entropy)


async def _paces(periods: Sequence[Watched], spent: SpentOf) -> Mapping[str, Sequence[Nanos]]:
    """What the spans that tell the pace cost, by period."""
    different = list({each.period.id: each for each in periods}.values())
    asked = [Asked(each.budget, *span) for each in different for span in pace_spans(each.at)]
    sums = iter(await spent(asked) if asked else ())
    return {each.period.id: [next(sums) for _ in pace_spans(each.at)] for each in different}


async def _decide(
    documents: Documents, found: Sequence[tuple[Watched, BudgetExhausted | ThresholdCrossed]]
) -> list[Event]:
    """Create the alerts, each by itself: another sweep may be about to create some of them."""
    events: list[Event] = []
    for each, event in found:
        outcome = await documents.commit([alert(event, each.period.delete_at)])
        if isinstance(outcome, Committed):
            events.append(event)
        elif isinstance(outcome, Unknown):  # The next sweep sees whether it is decided.
            logger.warning("budgets.undecided", extra={"event_id": event.id})
    return events


async def every(
    documents: Documents, collection: str, where: Mapping[str, str | bool]
) -> AsyncIterator[Document]:
    """All documents of a collection whose fields equal `where`, read page by page."""
    after: str | None = None
    while True:
        page = await documents.query(Query(collection, where, after=after, limit=PAGE))
        for document in page:
            yield document
        if len(page) < PAGE:
            return
        after = page[-1].ref.id


def _portions(refs: Sequence[T]) -> list[Sequence[T]]:
    return [refs[start : start + AT_ONCE] for start in range(0, len(refs), AT_ONCE)]
