"""A provider's bill that is no higher than our events proves what was charged beyond them unspent.

Two things are charged so: the unproven part of a call (what it held and no provider has told), and
what was written off of an instance that died. A call is released when the provider's days that it
lasted are proven (`proven_days.py`); a lease when those of all providers are that anybody called on
its days, because nobody knows where the calls of a dead instance went.

Each release happens once, whatever is told how often: a call leaves a document with its own id, and
a lease its state. What stays is never less than what the events say. Calls that a lease settled
which was written off later are left to that lease, whose correction counts them.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from common.budgets.accounts import (
    LEASES,
    PERIOD_KEPT,
    Lease,
    LeaseState,
    Period,
    lease_ref,
    period_ref,
)
from common.budgets.alerts import alert, alert_id
from common.budgets.corrections import TOLD_FOR, correction
from common.budgets.late_calls import LONGEST_CALL
from common.budgets.proven_days import DAY, Days, FlaggedCall, Ledger, begin_of, days_of, keep
from common.budgets.renewals import LEASE_FOR
from common.budgets.settlement import CORRECTED_AFTER
from common.budgets.sweep import every
from common.core.audit import audit_entry
from common.core.events import LeaseCorrected, SpendReconciled
from common.core.money import Nanos
from common.core.ports import Clock, Create, Documents, Put, Ref, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

CORRECTIONS = "corrections"
PUBLISHED_WITHIN = timedelta(minutes=5)
"""From the end of a call until its lease can tell of it."""
RECONCILIATION = "reconciliation"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The parts that a release works with."""

    documents: Documents
    clock: Clock
    entropy: Entropy
    ledger: Ledger

    async def take(self, told: SpendReconciled) -> None:
        """Keep what a bill says, and release what all bills of these days prove unspent.

        Raises:
            StoreUnavailable: no answer in time; what is released by then stays so.
        """
        # By then every lease of that day is overdue, and every call of its owner has ended.
        if min(told.event_time, self.clock.now()) < begin_of(told.day) + DAY + CORRECTED_AFTER:
            logger.info("budgets.bill_too_early", extra={"event_id": told.id})
            return
        await keep(self.documents, self.clock, self.entropy, told)
        days = Days(self.documents, self.ledger)
        if await days.are_proven(told.provider, [told.day]):
            await self._release_calls(told, days)
        await self._release_leases(told, days)

    async def _release_calls(self, told: SpendReconciled, days: Days) -> None:
        since = begin_of(told.day)
        calls = await self.ledger.flagged(told.provider, since, since + DAY + LONGEST_CALL)
        for call in calls:
            lasted = days_of(call.started_at, call.ended_at)
            if told.day in lasted and await days.are_proven(told.provider, lasted):
                await self._release_call(call, told)

    async def _release_call(self, call: FlaggedCall, told: SpendReconciled) -> None:
        parts = _unproven_parts(call)

        async def decide(read: Read) -> tuple[Sequence[Write], bool]:
            [done] = await read([Ref(CORRECTIONS, call.id)])
            if done is not None or parts is None:
                return (), False
            leases = await _settled_leases(read, parts)
            released: Counter[str] = Counter()
            for lease in leases:
                released.update(dict.fromkeys(lease.periods, parts[lease.id]))
            found = await read([period_ref(name) for name in released]) if released else []
            periods = [Period.from_document(each) for each in found if each is not None]
            if any(period.unproven < released[period.id] for period in periods):
                logger.error("budgets.not_charged", extra={"call": call.id})
                return (), False
            if not periods:
                return (), False
            less = [_without(period, released[period.id]) for period in periods]
            writes: list[Write] = [Put(period_ref(each.id), each.to_data()) for each in less]
            return [*writes, *self._traces(call, leases, parts, told)], True

        if await transact(self.documents, self.clock, decide, entropy=self.entropy):
            told_of = {"call": call.id, "unproven_nanos": call.unproven}
            logger.info("budgets.released", extra=told_of)

    def _traces(
        self,
        call: FlaggedCall,
        leases: Sequence[Lease],
        parts: Mapping[str, Nanos],
        told: SpendReconciled,
    ) -> list[Write]:
        """What a released call leaves: that it is, who did it, and the decision to tell it."""
        now = self.clock.now()
        mark = {"event": told.id, "nanos": call.unproven, "delete_at": now + PERIOD_KEPT}
        entry = audit_entry(
            now,
            self.entropy,
            who=RECONCILIATION,
            what="call.correct",
            target=f"{CORRECTIONS}/{call.id}",
            before=None,
            after={"leases": dict(parts), "event": told.id},
        )
        events = [
            LeaseCorrected(
                id=alert_id("lease.corrected", lease.id, call.id),
                event_time=now,
                lease_id=lease.id,
                call_id=call.id,
                periods=lease.periods,
                written_off_nanos=parts[lease.id],
                spent_nanos=0,
                reason=_reason(told.provider, [told.day]),
                actor=RECONCILIATION,
            )
            for lease in leases
        ]
        alerts = [alert(event, now + TOLD_FOR) for event in events]
        return [Create(Ref(CORRECTIONS, call.id), mark), entry, *alerts]

    async def _release_leases(self, told: SpendReconciled, days: Days) -> None:
        async for document in every(
            self.documents, LEASES, {"state": LeaseState.WRITTEN_OFF.value}
        ):
            lease = Lease.from_document(document)
            last_commit = lease.expires_at - LEASE_FOR
            lasted = days_of(last_commit - LONGEST_CALL, lease.expires_at + LONGEST_CALL)
            if told.day not in lasted:
                continue
            called = await days.providers(lasted)
            if called and all([await days.are_proven(each, lasted) for each in called]):
                await self._release_lease(lease, _reason(", ".join(sorted(called)), lasted))

    async def _release_lease(self, lease: Lease, reason: str) -> None:
        found = await self.documents.get_many([period_ref(name) for name in lease.periods])
        periods = [Period.from_document(each) for each in found if each is not None]
        begins = [period.starts_at for period in periods if period.starts_at is not None]
        if not begins:
            return
        # A lease is of all of its periods, so it is no older than the youngest of them.
        recently = lease.expires_at - LEASE_FOR - PUBLISHED_WITHIN
        settled, unproven = await self.ledger.settled_on(lease.id, max(begins), recently)
        spent = max(0, settled - lease.reported)

        async def decide(read: Read) -> tuple[Sequence[Write], LeaseCorrected | None]:
            [document] = await read([lease_ref(lease.id)])
            current = Lease.from_document(document) if document is not None else None
            if current is None or current.state is not LeaseState.WRITTEN_OFF:
                return (), None
            return await correction(
                read,
                current,
                spent,
                unproven=min(spent, unproven),
                now=self.clock.now(),
                entropy=self.entropy,
                reason=reason,
                actor=RECONCILIATION,
            )

        if await transact(self.documents, self.clock, decide, entropy=self.entropy):
            logger.info("lease.corrected", extra={"lease": lease.id, "spent_nanos": spent})


async def _settled_leases(read: Read, names: Iterable[str]) -> list[Lease]:
    """These leases; none where one is gone, or was written off with its calls in the sum."""
    found = await read([lease_ref(name) for name in names])
    leases = [Lease.from_document(each) for each in found if each is not None]
    kept = [each for each in leases if each.state in (LeaseState.OPEN, LeaseState.CLOSED)]
    return kept if len(kept) == len(found) else []


def _without(period: Period, nanos: Nanos) -> Period:
    return replace(period, settled=period.settled - nanos, unproven=period.unproven - nanos)


def _unproven_parts(call: FlaggedCall) -> dict[str, Nanos] | None:
    """The unproven part of a call by lease, None where its settlements do not add up to it.

    Each attempt before the last may be billed or not, so all it held is unproven.
    """
    parts: dict[str, Nanos] = {}
    left = call.unproven
    for number, (lease, nanos) in enumerate(call.settlements, start=1):
        part = left if number == len(call.settlements) else nanos
        if not 0 <= part <= min(nanos, left):
            return None
        left -= part
        parts[lease] = parts.get(lease, 0) + part
    return {lease: nanos for lease, nanos in parts.items() if nanos} or None


def _reason(providers: str, days: Sequence[date]) -> str:
    named = " and ".join(map(str, days))
    return f"the bill of {providers} for {named} is no higher than the calls that told their cost"
