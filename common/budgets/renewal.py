"""One commit for the leases of an instance: read, plan, store, and find out what became of it.

No locking transaction: everything is read at once and stored under the versions that were read, so
an owner that dies on the way blocks nobody. Where the store does not answer, the lease itself tells
later whether the commit arrived, and a fence keeps it from arriving after that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from common.budgets.accounts import Lease, Period, lease_ref, period_ref
from common.budgets.budgets import Budget, budget_ref
from common.budgets.leases import LeaseHead, conclude, fence
from common.budgets.renewals import Plan, Wish, plan_renewals
from common.core.ports import (
    Clock,
    Committed,
    Conflict,
    Create,
    Document,
    Documents,
    Put,
    Ref,
    Write,
)


class Outcome(Enum):
    STORED = "stored"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Round:
    """What one commit did. `periods` are as they were read, and as they are if it was stored.

    `vanished` are wishes for periods whose budget is not there, or not hard, any more.
    """

    outcome: Outcome
    wishes: Sequence[Wish]
    plan: Plan
    periods: Mapping[str, Period]
    vanished: Sequence[Wish]


async def renew(
    documents: Documents, clock: Clock, wishes: Sequence[Wish], *, instance: str, commit: str
) -> Round:
    """Grant, renew, shrink and close leases in one commit.

    Args:
        documents: where leases and periods are.
        clock: the owner's time.
        wishes: at most one for each lease; heads without a commit in flight.
        instance: the owner.
        commit: a fresh id.

    Raises:
        StoreUnavailable: nothing could be read, and nothing was sent.
    """
    leases = {wish.head.id: lease_ref(wish.head.id) for wish in wishes}
    names = sorted({name for wish in wishes for name in wish.head.periods})
    refs = [*leases.values(), *map(period_ref, names)]
    found = dict(zip(refs, await documents.get_many(refs), strict=True))
    stored = {
        name: Lease.from_document(document)
        for name, ref in leases.items()
        if (document := found[ref]) is not None
    }
    periods = {
        name: Period.from_document(document)
        for name in names
        if (document := found[period_ref(name)]) is not None
    }
    periods |= await _first_of(documents, clock, [name for name in names if name not in periods])
    usable = [wish for wish in wishes if periods.keys() >= set(wish.head.periods)]
    plan = plan_renewals(usable, stored, periods, instance=instance, commit=commit, now=clock.now())
    vanished = [wish for wish in wishes if wish not in usable]
    if not plan.flights and not plan.periods:
        return Round(Outcome.STORED, usable, plan, periods, vanished)
    writes = [
        *(_write(lease_ref(lease.id), lease.to_data(), found) for lease in plan.leases.values()),
        *(_write(period_ref(each.id), each.to_data(), found) for each in plan.periods.values()),
    ]
    for head, flight in plan.flights:
        head.send(flight)
    answer = await documents.commit(writes)
    if isinstance(answer, Committed):
        for head, _ in plan.flights:
            head.arrived()
        return Round(Outcome.STORED, usable, plan, {**periods, **plan.periods}, vanished)
    if isinstance(answer, Conflict):
        for head, _ in plan.flights:
            head.lost()
        return Round(Outcome.CONFLICT, usable, plan, periods, vanished)
    return Round(Outcome.UNKNOWN, usable, plan, periods, vanished)


async def resolve(
    documents: Documents,
    heads: Sequence[LeaseHead],
    *,
    instance: str,
    fences: dict[str, str],
    commit: str,
) -> Sequence[LeaseHead]:
    """Find out what became of commits without an answer; those that are still open.

    Args:
        documents: where leases are.
        heads: with a commit in flight.
        instance: their owner.
        fences: by lease, the fence that was sent last; kept between calls.
        commit: a fresh id for the fence.

    Raises:
        StoreUnavailable: nothing could be read.
    """
    refs = [lease_ref(head.id) for head in heads]
    found = dict(zip(refs, await documents.get_many(refs), strict=True))
    open_heads: list[LeaseHead] = []
    writes: list[Write] = []
    for head in heads:
        document = found[lease_ref(head.id)]
        lease = None if document is None else Lease.from_document(document)
        if conclude(head, lease, fence_commit=fences.get(head.id)):
            continue
        fenced = fence(head, lease, instance=instance, commit=commit)
        if fenced is not None:
            writes.append(_write(lease_ref(head.id), fenced.to_data(), found))
            fences[head.id] = commit
        open_heads.append(head)
    if writes and isinstance(await documents.commit(writes), Committed):
        for head in open_heads:
            head.fenced()
        return ()
    return open_heads


async def _first_of(documents: Documents, clock: Clock, names: Sequence[str]) -> dict[str, Period]:
    """Periods that nobody has spent in yet, as their budgets have them now."""
    if not names:
        return {}
    budgets = sorted({name.partition(":")[0] for name in names})
    found = await documents.get_many([budget_ref(budget) for budget in budgets])
    first = [
        Budget.from_document(document).period_at(clock.now())
        for document in found
        if document is not None and Budget.from_document(document).hard
    ]
    return {period.id: period for period in first if period.id in names}


def _write(ref: Ref, data: Mapping[str, object], found: Mapping[Ref, Document | None]) -> Write:
    document = found.get(ref)
    return Create(ref, data) if document is None else Put(ref, data, document.version)
