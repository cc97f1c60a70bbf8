"""Leases whose owner is gone: written off in full, and corrected once when the truth is known.

What a dead instance had out there may have been billed, so its money is counted as spent, never
freed by time. Whoever knows better says so later: the owner that wakes up, the provider's bill, or
an operator. The flagged part is listed as `unproven` until then.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from common.budgets.accounts import Lease, LeaseState, Period
from common.core.errors import InvalidInput
from common.core.money import Nanos

GRACE = timedelta(seconds=60)
"""Beyond a lease's end: clocks differ, and a commit may be on its way."""
CORRECTED_AFTER = timedelta(hours=24)
"""From the time a lease could be written off: no call of its owner runs so long, and the provider's
bill can be known."""


def is_overdue(lease: Lease, now: datetime) -> bool:
    return lease.state is LeaseState.OPEN and now >= lease.expires_at + GRACE


def write_off(lease: Lease, periods: Sequence[Period], commit: str) -> tuple[Lease, list[Period]]:
    """Count all of an overdue lease as spent.

    Args:
        lease: open and overdue.
        periods: all of its periods.
        commit: the id of this commit.
    """
    amount = lease.amount
    written = replace(
        lease,
        amount=0,
        seq=lease.seq + 1,
        last_commit=commit,
        state=LeaseState.WRITTEN_OFF,
        written_off=amount,
    )
    return written, [
        replace(
            period,
            settled=period.settled + amount,
            unproven=period.unproven + amount,
            leased=period.leased - amount,
            open_leases=period.open_leases - 1,
        )
        for period in periods
    ]


def correctable_at(lease: Lease) -> datetime:
    """When others than its owner may correct a lease that was written off."""
    return lease.expires_at + GRACE + CORRECTED_AFTER


def correct(
    lease: Lease, periods: Sequence[Period], spent: Nanos, commit: str, *, unproven: Nanos = 0
) -> tuple[Lease, list[Period]]:
    """Put what was really spent after the lease's last commit in place of its write-off, once.

    Args:
        lease: written off.
        periods: those of its periods that are still there.
        spent: after the last commit that is stored.
        commit: the id of this commit.
        unproven: the part of `spent` that nobody has proven.

    Raises:
        InvalidInput: the lease is not written off, or was corrected already.
    """
    if lease.state is not LeaseState.WRITTEN_OFF:
        raise InvalidInput(
            f"lease {lease.id} is {lease.state.value}: only a lease that was written off can be"
            " corrected, and only once",
            field="lease",
        )
    written_off = lease.written_off
    corrected = replace(lease, seq=lease.seq + 1, last_commit=commit, state=LeaseState.CORRECTED)
    told = [period.told(lease.policy_epoch, spent, unproven) for period in periods]
    return corrected, [
        replace(
            period,
            settled=period.settled - written_off,
            unproven=period.unproven - written_off,
        )
        for period in told
    ]
