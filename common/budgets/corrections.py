"""Putting right what was counted as spent without proof: each time once, audited, and told.

Only three know better than a write-off: the owner of the lease when it wakes up, the provider's
bill (`reconciled.py`), and an operator. The correction, its audit entry and the decision to tell it
are one commit, which also ends the state that allows it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from common.budgets.accounts import (
    LEASES,
    Lease,
    LeaseState,
    Period,
    lease_ref,
    period_ref,
)
from common.budgets.alerts import alert, alert_id
from common.budgets.leases import LeaseHead
from common.budgets.settlement import correct
from common.core.audit import audit_entry
from common.core.events import LeaseCorrected
from common.core.money import Nanos
from common.core.ports import Clock, Documents, Put, Value, Write
from common.core.transactions import Entropy, Read, transact

TOLD_FOR = timedelta(days=40)
"""How long it is remembered that a correction was told; it cannot be made again anyway."""
OWNER = "owner"


def corrected_event(
    lease: Lease,
    periods: Sequence[Period],
    spent: Nanos,
    *,
    now: datetime,
    reason: str,
    actor: str,
) -> LeaseCorrected:
    """What is told of a write-off that is corrected, under the one id that it can have."""
    return LeaseCorrected(
        id=alert_id("lease.corrected", lease.id),
        event_time=now,
        lease_id=lease.id,
        periods=tuple(period.id for period in periods),
        written_off_nanos=lease.written_off,
        spent_nanos=spent,
        reason=reason,
        actor=actor,
    )


async def correct_own(
    documents: Documents, clock: Clock, head: LeaseHead, entropy: Entropy
) -> LeaseCorrected | None:
    """Say what was spent of a lease that was written off, as its owner, whose calls are over.

    None where nobody wrote it off, or it is corrected already.

    Raises:
        StoreUnavailable: no answer in time.
        VersionConflict: others were faster, again and again.
    """

    async def decide(read: Read) -> tuple[Sequence[Write], LeaseCorrected | None]:
        [document] = await read([lease_ref(head.id)])
        lease = Lease.from_document(document) if document is not None else None
        if lease is None or lease.state is not LeaseState.WRITTEN_OFF:
            return (), None
        return await correction(
            read,
            lease,
            head.spent,
            unproven=head.unproven,
            now=clock.now(),
            entropy=entropy,
            reason="the owner lives and has told what its calls cost",
            actor=OWNER,
        )

    return await transact(documents, clock, decide, entropy=entropy)


async def correction(
    read: Read,
    lease: Lease,
    spent: Nanos,
    *,
    unproven: Nanos,
    now: datetime,
    entropy: Entropy,
    reason: str,
    actor: str,
) -> tuple[Sequence[Write], LeaseCorrected]:
    """What to store so that a lease that was written off is corrected, and what is told of it."""
    found = await read([period_ref(name) for name in lease.periods])
    kept = [Period.from_document(each) for each in found if each is not None]
    commit = entropy(16).hex()
    corrected, periods = correct(lease, kept, spent, commit, unproven=unproven)
    event = corrected_event(corrected, periods, spent, now=now, reason=reason, actor=actor)
    after: dict[str, Value] = {
        **corrected.to_data(),
        "refund_nanos": lease.written_off - spent,
        "reason": reason,
    }
    entry = audit_entry(
        now,
        entropy,
        who=actor,
        what="lease.correct",
        target=f"{LEASES}/{lease.id}",
        before=lease.to_data(),
        after=after,
    )
    changed: list[Write] = [Put(lease_ref(lease.id), corrected.to_data())]
    changed += [Put(period_ref(period.id), period.to_data()) for period in periods]
    return [*changed, entry, alert(event, now + TOLD_FOR)], event
