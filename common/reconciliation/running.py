"""The daily run: the last three days of every account, held against our events.

What is found of a day replaces what was found before, under the day's id; what is told has an id
made of what it says. So a run again, or twice at a time, changes nothing and tells nothing new, and
an event is published before it is noted: twice under one id is once.

A day that ended less than 24 hours ago is recorded and not told of, because its bill may still
change. Budgets release money on the word of a bill, so they are told of a day only where its bill
is believed: it has no tokens but those of our calls, and all of those, at their prices. A bill
that is higher releases nothing and is told as it is.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from common.core.errors import StoreUnavailable
from common.core.events import Event, SpendReconciled
from common.core.ports import Bus, Clock, Committed, Documents, Put, Value, Warehouse, Write
from common.core.reconciliation_events import SpendDriftFound
from common.core.transactions import Entropy, Read, transact
from common.llm.price_book import PriceBook
from common.reconciliation.comparing import Drift, compare, doubt
from common.reconciliation.keys import match
from common.reconciliation.ledger import calls_of
from common.reconciliation.records import (
    Answering,
    Standing,
    Sums,
    day_data,
    day_ref,
    source_data,
    source_ref,
)
from common.reconciliation.rows import Bill, Bills, BillsUnavailable, Called, Tokens, as_listed

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
DAYS = 3
SETTLED_AFTER = timedelta(hours=24)
"""From the end of a day until its bill counts. Budgets take none that is told earlier."""
_LONGEST_CAUSE = 300


@dataclass(frozen=True, slots=True)
class Account:
    """One bill of one provider.

    `hosts` are the provider's own; calls elsewhere are on another bill. Without `bills` nobody
    reads them, because that `needs` a setting. A `simulated` provider bills simulated calls alone.
    """

    provider: str
    name: str
    hosts: frozenset[str]
    bills: Bills | None
    needs: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Holds bills against our events, once a day. One per process.

    `read_book` answers with the prices in force, whose names of models are those of calls.
    """

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    warehouse: Warehouse
    read_book: Callable[[], Awaitable[PriceBook]]
    accounts: Sequence[Account]

    async def run(self) -> None:
        """Read what is billed of the last days, compare, keep what is found, and tell it.

        A provider that does not answer is noted, and delays no other.

        Raises:
            StoreUnavailable, VersionConflict: not all of it is stored; the next run does it.
            PublishFailed: not all of it is told; the next run tells it.
        """
        for account in self.accounts:
            await self._reconcile(account)

    async def _reconcile(self, account: Account) -> None:
        asked_at = self.clock.now()
        named = {"provider": account.provider, "account": account.name}
        if account.bills is None:
            logger.info("reconciliation.off", extra={**named, "needs": account.needs})
            await self._note(account, "off", f"needs {account.needs}", asked_at)
            return
        today = asked_at.astimezone(UTC).date()
        try:
            bills = await account.bills.read(
                [today - number * DAY for number in range(DAYS, 0, -1)]
            )
        except BillsUnavailable as error:
            cause = str(error)[:_LONGEST_CAUSE]
            logger.warning("reconciliation.silent", extra={**named, "cause": cause})
            await self._note(account, "silent", cause, asked_at)
            return
        book = await self.read_book()
        for bill in bills:
            await self._day(account, as_listed(bill, book, account.provider), asked_at)
        await self._note(account, "answers", None, asked_at)

    async def _day(self, account: Account, bill: Bill, asked_at: datetime) -> None:
        ledger = await calls_of(
            self.warehouse,
            account.provider,
            account.hosts,
            bill.day,
            simulated=account.simulated,
        )
        matched = match(ledger, bill)
        rows = [row for row in ledger if row.edge != "ended_after" and matched.is_billed(row)]
        sums = Sums.of(rows)
        drifts = compare(ledger, bill)
        standing = _standing(bill, drifts, asked_at)
        reconciled = _reconciled(account, bill, sums, asked_at)
        withheld = "simulated calls cost no budget money" if account.simulated else None
        withheld = withheld or _withheld(ledger, bill, standing, reconciled)
        found = {
            "provider": account.provider,
            "account": account.name,
            "standing": standing,
            "withheld": withheld,
            **day_data(bill, rows, sums, drifts),
        }
        ref = day_ref(account.provider, account.name, bill.day)
        [kept] = await self.documents.get_many([ref])
        told: list[str] = [] if kept is None else list(kept.data["told"])
        events: list[Event] = []
        if standing != "early":
            events += _drift_events(account, bill, sums, drifts, asked_at)
        if withheld is None:
            events.append(reconciled)
        for event in events:
            if event.id not in told:
                await self.bus.publish(event.topic, event)
                logger.info("reconciliation.told", extra={"event_id": event.id, "type": event.type})
                told.append(event.id)
        if kept is None or kept.data != {**kept.data, **found, "told": told}:
            await self._keep(account, bill.day, {**found, "told": told}, asked_at)

    async def _keep(
        self, account: Account, day: date, found: dict[str, Value], asked_at: datetime
    ) -> None:
        """Store what is found, unless a later run found something."""
        ref = day_ref(account.provider, account.name, day)
        data = {**found, "found_at": asked_at}

        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            [kept] = await read([ref])
            if kept is not None and kept.data["found_at"] > asked_at:
                return (), None
            return [Put(ref, data)], None

        await transact(self.documents, self.clock, decide, entropy=self.entropy)

    async def _note(
        self, account: Account, standing: Answering, cause: str | None, asked_at: datetime
    ) -> None:
        data = source_data(account.provider, account.name, standing, cause, asked_at)
        outcome = await self.documents.commit(
            [Put(source_ref(account.provider, account.name), data)]
        )
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"how {account.provider} stands could not be noted")


def _standing(bill: Bill, drifts: Sequence[Drift], asked_at: datetime) -> Standing:
    if asked_at < _begin(bill.day) + DAY + SETTLED_AFTER:
        return "early"
    if bill.unbilled_tokens:
        return "not_compared"
    return "drift" if drifts else "agrees"


def _withheld(
    ledger: Sequence[Called], bill: Bill, standing: Standing, told: SpendReconciled
) -> str | None:
    """Why budgets are not told of a day; None where they are."""
    if standing == "early":
        return "the bill may still change"
    if told.theirs_nanos > told.ours_nanos:
        return None
    return doubt(ledger, bill)


def _reconciled(account: Account, bill: Bill, sums: Sums, now: datetime) -> SpendReconciled:
    theirs = max(0, bill.nanos)
    # Each call's cost is rounded to the nano here, and each item of the bill there.
    if 0 < theirs - sums.nanos <= sums.calls + len(bill.items):
        theirs = sums.nanos
    facts = (account.provider, account.name, str(bill.day))
    figures = (sums.nanos, theirs, sums.unproven_nanos)
    return SpendReconciled(
        id=_id("spend.reconciled", *facts, *figures),
        event_time=now,
        provider=account.provider,
        account=account.name,
        day=bill.day,
        ours_nanos=sums.nanos,
        theirs_nanos=theirs,
        unproven_nanos=sums.unproven_nanos,
    )


def _drift_events(
    account: Account, bill: Bill, sums: Sums, drifts: Sequence[Drift], now: datetime
) -> list[Event]:
    theirs = sum((used.tokens for used in bill.used), Tokens())
    return [
        SpendDriftFound(
            id=_id(
                "spend.drift_found",
                account.provider,
                account.name,
                str(bill.day),
                drift.cause.value,
            ),
            event_time=now,
            provider=account.provider,
            account=account.name,
            day=bill.day,
            cause=drift.cause.value,
            drift_nanos=drift.nanos,
            ours_nanos=sums.nanos,
            theirs_nanos=bill.nanos,
            ours_input_tokens=sums.tokens.input,
            ours_output_tokens=sums.tokens.output,
            theirs_input_tokens=theirs.input,
            theirs_output_tokens=theirs.output,
            estimated_nanos=sums.estimated_nanos,
            unpriced_calls=sums.unpriced,
            models=drift.models,
            keys=drift.keys,
        )
        for drift in drifts
    ]


def _id(*facts: Any) -> str:
    """The id of the one event that says this, as 32 hex digits."""
    return sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
